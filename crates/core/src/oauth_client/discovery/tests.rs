//! Where metadata is looked for, and whose it may be.

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn texts(urls: Vec<Url>) -> Vec<String> {
    urls.into_iter().map(String::from).collect()
}

#[test]
fn metadata_is_looked_for_in_the_order_of_the_specification() {
    assert_eq!(
        texts(resource_metadata_urls(&url("https://h/a/mcp?x=1"))),
        [
            "https://h/.well-known/oauth-protected-resource/a/mcp?x=1",
            "https://h/.well-known/oauth-protected-resource"
        ]
    );
    assert_eq!(
        texts(resource_metadata_urls(&url("https://h/"))),
        ["https://h/.well-known/oauth-protected-resource"]
    );
    assert_eq!(
        texts(server_metadata_urls(&url("https://h/t1"))),
        [
            "https://h/.well-known/oauth-authorization-server/t1",
            "https://h/.well-known/openid-configuration/t1",
            "https://h/t1/.well-known/openid-configuration"
        ]
    );
    assert_eq!(
        texts(server_metadata_urls(&url("https://h"))),
        [
            "https://h/.well-known/oauth-authorization-server",
            "https://h/.well-known/openid-configuration"
        ]
    );
}

#[test]
fn t91_a_resource_is_the_servers_own() {
    let server = url("https://h/mcp/dice");
    for (resource, expected) in [
        ("https://h/mcp/dice", true),
        ("https://H:443/mcp/dice/", true),
        ("https://h/mcp", true),
        ("https://h", true),
        ("https://h/mc", false),
        ("https://h/mcp/dice/more", false),
        ("https://h/mcp/dice?x", false),
        ("https://h/mcp/dice#x", false),
        ("http://h/mcp/dice", false),
        ("https://h:8443/mcp/dice", false),
        ("https://u@h/mcp/dice", false),
        ("https://evil/mcp/dice", false),
        ("", false),
    ] {
        assert_eq!(covers(resource, &server), expected, "{resource}");
    }
}

#[test]
fn an_issuer_is_a_url_that_can_be_shown() {
    let long = format!("https://h/{}", "a".repeat(MAX_ISSUER));
    for (text, expected) in [
        ("https://h", true),
        ("https://h:8443/tenant/v2.0", true),
        ("http://127.0.0.1:1/", true),
        ("https://h/\u{202e}moc.evil", false),
        ("https://h\u{1b}[2J", false),
        ("https://h/\n", false),
        ("https://h/ a", false),
        ("https://münchen", false),
        ("mailto:a", false),
        ("h", false),
        ("", false),
        (long.as_str(), false),
    ] {
        assert_eq!(is_issuer(text), expected, "{text:?}");
    }
}

#[test]
fn t91_tokens_and_browsers_go_to_https_or_to_this_machine() {
    for (text, plain, allowed) in [
        ("https://h/x", true, true),
        ("http://127.0.0.1:9/x", true, true),
        ("http://[::1]/x", true, true),
        ("http://localhost:1/x", true, true),
        ("http://h/x", false, true),
        ("http://localhost.evil/x", false, true),
        ("https://u:p@h/x", false, false),
        ("file:///etc/passwd", false, false),
        ("javascript:alert(1)", false, false),
    ] {
        assert_eq!(is_secure(&url(text), false), plain, "{text}");
        assert_eq!(is_secure(&url(text), true), allowed, "{text}");
    }
}
