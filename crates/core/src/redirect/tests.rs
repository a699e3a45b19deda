//! Cases for redirect URIs.

use super::*;

#[test]
fn what_may_be_registered() {
    let cases: [(&str, Result<(), BadRedirectUri>); 23] = [
        ("https://app.example/cb", Ok(())),
        ("https://app.example/cb?x=1", Ok(())),
        ("http://localhost:33418/", Ok(())),
        ("http://127.0.0.1/cb", Ok(())),
        ("http://[::1]:1/cb", Ok(())),
        ("com.example.app:/cb", Ok(())),
        ("cursor://anysphere.cursor-mcp/oauth/callback", Ok(())),
        ("vscode://publisher/cb", Ok(())),
        ("http://app.example/cb", Err(BadRedirectUri::PlainHttp)),
        ("http://localhost.evil/cb", Err(BadRedirectUri::PlainHttp)),
        ("http://127.0.0.2/cb", Err(BadRedirectUri::PlainHttp)),
        ("http://0.0.0.0/cb", Err(BadRedirectUri::PlainHttp)),
        ("javascript:alert(1)", Err(BadRedirectUri::Scheme)),
        ("data:text/html,x", Err(BadRedirectUri::Scheme)),
        ("file:///etc/passwd", Err(BadRedirectUri::Scheme)),
        ("myapp://cb", Err(BadRedirectUri::Scheme)),
        ("urn:ietf:wg:oauth:2.0:oob", Err(BadRedirectUri::Scheme)),
        ("https://app.example/cb#f", Err(BadRedirectUri::Uri(BadUri::Fragment))),
        ("https://app.example/cb#", Err(BadRedirectUri::Uri(BadUri::Fragment))),
        ("https://u:p@app.example/cb", Err(BadRedirectUri::Uri(BadUri::Userinfo))),
        ("https://app.example\\@evil/cb", Err(BadRedirectUri::Uri(BadUri::Characters))),
        ("https://app.example/ cb", Err(BadRedirectUri::Uri(BadUri::Characters))),
        ("/cb", Err(BadRedirectUri::Uri(BadUri::NotAUri))),
    ];
    for (text, expected) in cases {
        assert_eq!(RedirectUri::parse(text).map(|_| ()), expected, "{text}");
    }
}

#[test]
fn what_is_presented_must_be_what_was_registered() {
    let cases = [
        ("https://app.example/cb", "https://app.example/cb", true),
        ("https://app.example/cb", "https://app.example/cb/", false),
        ("https://app.example/cb", "https://app.example/CB", false),
        ("https://app.example/cb", "https://app.example:443/cb", false),
        ("https://app.example/cb", "HTTPS://app.example/cb", false),
        ("http://localhost:1/cb", "http://localhost:/cb", false),
        ("http://localhost:1/cb", "http://localhost:0/cb", false),
        ("http://localhost:1/cb", "HTTP://localhost:1/cb", false),
        ("http://localhost:1/cb", "http://localhost:2/%63b", false),
        ("http://localhost:1/cb?a=1", "http://localhost:2/cb?a=1", true),
        ("http://localhost:1/cb?a=1", "http://localhost:2/cb", false),
        ("https://localhost:1/cb", "https://localhost:2/cb", false),
        ("cursor://x:1/cb", "cursor://x:2/cb", false),
        ("https://app.example/cb", "https://app.example/cb?x", false),
        ("https://app.example/cb", "https://app.example/cb/../cb", false),
        ("http://localhost/cb", "http://localhost:5000/cb", true),
        ("http://localhost:1/cb", "http://localhost:65535/cb", true),
        ("http://localhost:1/cb", "http://localhost/cb", true),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
        ("http://[::1]:1/cb", "http://[::1]:2/cb", true),
        ("http://localhost:1/cb", "http://localhost:99999/cb", false),
        ("http://localhost:1/cb", "http://127.0.0.1:1/cb", false),
        ("http://localhost:1/cb", "http://localhost:1/cb2", false),
        ("http://localhost:1/cb", "http://localhost:1@evil/cb", false),
        ("http://localhost:1/cb", "http://localhost:1.evil/cb", false),
        ("http://localhost:1/cb", "http://localhost.evil/cb", false),
        ("http://localhost:1/cb", "https://localhost:2/cb", false),
        ("http://localhost:1/cb", "http://localhost:2/a/../cb", false),
        ("com.example.app:/cb", "com.example.app:/cb", true),
        ("com.example.app:/cb", "com.example.app:/other", false),
    ];
    for (registered, presented, expected) in cases {
        assert_eq!(
            RedirectUri::parse(registered).unwrap().admits(presented),
            expected,
            "{registered} {presented}"
        );
    }
}

#[test]
fn t57_a_private_use_uri_is_called_by_its_scheme() {
    let cases = [
        ("https://claude.ai/api/cb", "claude.ai", Some("claude.ai")),
        ("https://[2001:db8::1]/cb", "[2001:db8::1]", Some("[2001:db8::1]")),
        ("http://localhost:4/cb", "localhost", None),
        ("http://[::1]:4/cb", "[::1]", None),
        ("com.evil.app://claude.ai/api/cb", "com.evil.app:", None),
        ("com.evil.app://localhost/cb", "com.evil.app:", None),
        ("com.evil.app://127.0.0.1:80/cb", "com.evil.app:", None),
        ("com.evil.app:/claude.ai", "com.evil.app:", None),
        ("com.evil.app:///claude.ai", "com.evil.app:", None),
        ("ai.claude://claude.ai/cb", "ai.claude:", None),
        ("https.evil://claude.ai/cb", "https.evil:", None),
        ("cursor://claude.ai/cb", "cursor:", None),
    ];
    for (text, shown, https_host) in cases {
        let uri = RedirectUri::parse(text).unwrap();
        assert_eq!(
            (uri.recipient().to_string().as_str(), uri.https_host()),
            (shown, https_host),
            "{text}"
        );
    }
    let posing = RedirectUri::parse("com.evil.app://localhost/cb").unwrap();
    assert!(
        !posing.is_local() && posing.is_private_use(),
        "a program's own address is no loopback address"
    );
}

#[test]
fn t59_errors_go_to_the_web_to_this_computer_and_to_known_callbacks() {
    let cases = [
        ("https://app.example/cb", true),
        ("http://127.0.0.1:1/cb", true),
        ("cursor://anysphere.cursor-mcp/oauth/callback", true),
        ("cursor://anysphere.cursor-deeplink/mcp/install", false),
        ("vscode://file/etc/passwd", false),
        ("windsurf://codeium.windsurf/", false),
        ("com.example.app:/cb", false),
        ("com.example.app://localhost/cb", false),
    ];
    for (text, expected) in cases {
        assert_eq!(RedirectUri::parse(text).unwrap().may_be_told_of_errors(), expected, "{text}");
    }
}

#[test]
fn t66_schemes_are_named_before_anything_else() {
    let cases = [
        ("javascript:alert(1)", BadRedirectUri::Scheme),
        ("javascript://app.example/%0aalert(1)", BadRedirectUri::Scheme),
        (".evil:/cb", BadRedirectUri::Scheme),
        ("com..evil:/cb", BadRedirectUri::Scheme),
        ("com.:/cb", BadRedirectUri::Scheme),
        ("https:evil.example", BadRedirectUri::Uri(BadUri::NoAuthority)),
        ("https:///evil.example", BadRedirectUri::Uri(BadUri::NoAuthority)),
        ("https://@", BadRedirectUri::Uri(BadUri::Userinfo)),
        ("http:localhost", BadRedirectUri::Uri(BadUri::NoAuthority)),
        ("http://localhost./cb", BadRedirectUri::Uri(BadUri::Host)),
        ("http://LOCALHOST/cb", BadRedirectUri::Uri(BadUri::Host)),
        ("http://[0:0::1]/cb", BadRedirectUri::Uri(BadUri::Host)),
        ("http://127.0.0.01/cb", BadRedirectUri::Uri(BadUri::Host)),
        ("http://a.localhost/cb", BadRedirectUri::PlainHttp),
    ];
    for (text, expected) in cases {
        assert_eq!(RedirectUri::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn a_stored_client_keeps_the_uris_that_are_still_taken() {
    let json = r#"["https://app.example/cb","https:evil.example","HTTPS://app.example/"]"#;
    let kept = deserialize_registered(&mut serde_json::Deserializer::from_str(json)).unwrap();
    assert_eq!(kept, [RedirectUri::parse("https://app.example/cb").unwrap()]);
}

#[test]
fn fb13_applications_are_known_by_their_schemes() {
    let known =
        "antigravity claude goose kiro lmstudio raycast trae vscodium void warp windsurf-next zed";
    for scheme in known.split(' ') {
        let uri = RedirectUri::parse(&format!("{scheme}://oauth/callback?x=1"))
            .unwrap_or_else(|bad| panic!("{scheme}: {bad}"));
        assert_eq!(uri.recipient().to_string(), format!("{scheme}:"), "shown as what it is");
        assert!(!uri.may_be_told_of_errors(), "{scheme}: where it takes an answer is not known");
    }
}

#[test]
fn fb13_schemes_are_added_and_removed_by_the_configuration() {
    let mut schemes = Schemes::default();
    let is_allowed = |schemes: &Schemes, text: &str| RedirectUri::parse_by(text, schemes).is_ok();
    assert!(!is_allowed(&schemes, "acme-editor://cb"));
    for added in ["acme-editor", "acme+x"] {
        schemes.add(added).unwrap();
    }
    for removed in ["windsurf", "com.evil.app", "acme+x"] {
        schemes.remove(removed).unwrap();
    }
    for (text, expected) in [
        ("acme-editor://cb", true),
        ("acme-editor:/cb", true),
        ("acme-editors://cb", false),
        ("acme+x://cb", false),
        ("windsurf://cb", false),
        ("cursor://cb", true),
        ("com.evil.app:/cb", false),
        ("com.evil.app.more:/cb", true),
        ("https://app.example/cb", true),
        ("http://app.example/cb", false),
        ("http://localhost/cb", true),
        ("javascript:alert(1)", false),
    ] {
        assert_eq!(is_allowed(&schemes, text), expected, "{text}");
        if let Ok(uri) = RedirectUri::parse_chosen(text) {
            assert_eq!(schemes.admit(&uri), expected, "{text}, registered before");
        }
    }
    for (text, bad) in [
        ("javascript", BadScheme::Harmful),
        ("ms-word", BadScheme::Harmful),
        ("mailto", BadScheme::Harmful),
        ("https", BadScheme::Web),
        ("Acme", BadScheme::Spelling),
        ("acme://", BadScheme::Spelling),
        ("", BadScheme::Spelling),
        ("1x", BadScheme::Spelling),
    ] {
        assert_eq!((schemes.add(text), schemes.remove(text)), (Err(bad), Err(bad)), "{text}");
    }
    for harmful in ["javascript:alert(1)", "data:text/html,x", "ms-word:x", "file:///etc/passwd"] {
        assert_eq!(RedirectUri::parse_chosen(harmful), Err(BadRedirectUri::Scheme), "{harmful}");
    }
}
