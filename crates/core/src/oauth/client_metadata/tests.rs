//! Cases for what a client may say of itself.

use serde_json::json;

use super::*;
use crate::{Timestamp, client::ClientKeys, ids::ClientId};

fn describe(metadata: &Value) -> Result<Client, ErrorCode> {
    let metadata: ClientMetadata = serde_json::from_value(metadata.clone()).unwrap();
    metadata
        .describe(
            Client::new(ClientId::from_text("c"), Timestamp::from_secs(1_000)),
            &Schemes::default(),
        )
        .map_err(|error| error.code)
}

/// Sound metadata with one member more, or another.
fn with(member: &str, value: &Value) -> Value {
    let mut metadata = json!({"redirect_uris": ["https://a.example/cb"]});
    metadata[member] = value.clone();
    metadata
}

#[test]
fn defaults_are_those_of_the_rfc() {
    let client = describe(&json!({"redirect_uris": ["https://app.example/cb"]})).unwrap();
    assert_eq!(client.auth_method, ClientAuthMethod::ClientSecretBasic);
    assert_eq!(client.grant_types, [GrantType::AuthorizationCode]);
}

#[test]
fn bodies_are_one_object_with_each_member_once() {
    assert!(ClientMetadata::parse(br#" {"redirect_uris": ["https://a.example/"]} "#).is_ok());
    let long = "[".repeat(60_000);
    let bad = [
        "",
        "[]",
        "[[\"https://a.example/\"]]",
        "null",
        "{",
        "{} {}",
        r#"{"client_name": "a", "client_name": "b"}"#,
        &long,
    ];
    for body in
        bad.into_iter().map(str::as_bytes).chain([b"{\"client_name\": \"\xff\"}".as_slice()])
    {
        let error = ClientMetadata::parse(body).unwrap_err();
        assert_eq!(
            error.code,
            ErrorCode::InvalidClientMetadata,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn null_is_left_out_and_the_unknown_ignored() {
    let client = describe(&json!({
        "redirect_uris": ["https://app.example/cb"], "client_name": null, "grant_types": null, "contacts": null, "jwks": null,
        "client_name#de": "Anwendung", "default_max_age": 10, "unknown": {"x": 1}
    }))
    .unwrap();
    assert_eq!((client.name, client.keys), (None, None));
}

#[test]
fn t06_what_is_refused() {
    use ErrorCode::{InvalidClientMetadata as Metadata, InvalidRedirectUri as Redirect};
    let cases = [
        (json!({}), Redirect),
        (with("redirect_uris", &json!([])), Redirect),
        (with("redirect_uris", &json!(null)), Redirect),
        (with("redirect_uris", &json!(["javascript:alert(1)"])), Redirect),
        (with("redirect_uris", &json!(["file:///etc/passwd"])), Redirect),
        (with("redirect_uris", &json!(["http://app.example/cb"])), Redirect),
        (with("redirect_uris", &json!(vec!["https://app.example/cb"; 21])), Redirect),
        (with("redirect_uris", &json!(["https:///"])), Redirect),
        (with("redirect_uris", &json!(["https://@"])), Redirect),
        (with("redirect_uris", &json!(["https://b\u{fc}cher.example/cb"])), Redirect),
        (with("redirect_uris", &json!(["https://app.example:/cb"])), Redirect),
        (with("client_uri", &json!("javascript:alert(1)")), Metadata),
        (with("logo_uri", &json!("data:image/png;base64,AA")), Metadata),
        (with("tos_uri", &json!("file:///x")), Metadata),
        (with("client_name", &json!("x".repeat(257))), Metadata),
        (with("client_name", &json!("a\u{0}b")), Metadata),
        (with("contacts", &json!(vec!["a@a.example"; 11])), Metadata),
        (with("token_endpoint_auth_method", &json!("tls_client_auth")), Metadata),
        (with("token_endpoint_auth_method", &json!("client_secret_jwt")), Metadata),
        (with("token_endpoint_auth_method", &json!("private_key_jwt")), Metadata),
        (with("grant_types", &json!(["implicit"])), Metadata),
        (with("grant_types", &json!(["client_credentials"])), Metadata),
        (with("response_types", &json!(["token"])), Metadata),
        (with("application_type", &json!("desktop")), Metadata),
        (with("scope", &json!("a\"b")), Metadata),
        (with("jwks", &json!({"keys": [{"kty": "oct", "k": "AQ"}]})), Metadata),
        (with("jwks_uri", &json!("http://169.254.169.254/")), Metadata),
    ];
    for (metadata, expected) in cases {
        assert_eq!(describe(&metadata).err(), Some(expected), "{metadata}");
    }
}

#[test]
fn fb12_t06_what_cannot_be_shown_is_left_out() {
    let cases = [
        ("client_uri", "https:a.example/"),
        ("client_uri", "https://:p@a.example/"),
        ("client_uri", "https:///a.example/"),
        ("client_uri", "https://@a.example/"),
        ("client_uri", "http://localhost:3000"),
        ("logo_uri", "https://a.example\\@b.example/"),
        ("logo_uri", "http://127.0.0.1/logo.png"),
        ("policy_uri", "http://a.example/"),
        ("software_id", "a\nb"),
    ];
    let plain = describe(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
    for (member, value) in cases {
        assert_eq!(describe(&with(member, &json!(value))).as_ref(), Ok(&plain), "{member} {value}");
    }
    assert_eq!(
        describe(&with("contacts", &json!(["a\u{1}b", "a@a.example"]))).unwrap().contacts,
        ["a@a.example"]
    );
}

#[test]
fn fb12_an_empty_member_is_left_out() {
    let plain = describe(&json!({"redirect_uris": ["https://a.example/cb"]})).unwrap();
    let texts = [
        "token_endpoint_auth_method",
        "application_type",
        "client_name",
        "client_uri",
        "logo_uri",
        "policy_uri",
        "tos_uri",
        "scope",
        "jwks_uri",
        "jwks",
        "software_id",
        "software_version",
        "software_statement",
    ];
    for member in texts {
        for empty in ["", " "] {
            if member == "jwks" && empty == " " {
                continue;
            }
            assert_eq!(describe(&with(member, &json!(empty))).as_ref(), Ok(&plain), "{member}");
        }
    }
    for member in ["grant_types", "response_types", "contacts"] {
        for empty in [json!([]), json!([""])] {
            assert_eq!(describe(&with(member, &empty)).as_ref(), Ok(&plain), "{member} {empty}");
        }
    }
}

#[test]
fn fb12_a_scheme_that_is_not_known_here_is_left_out_and_what_does_harm_refused() {
    for odd in ["oddscheme:/x", "acme-editor://callback", "x+y:/cb"] {
        for uris in [["https://a.example/cb", odd], [odd, "https://a.example/cb"]] {
            let client = describe(&with("redirect_uris", &json!(uris))).unwrap();
            let kept: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
            assert_eq!(kept, ["https://a.example/cb"], "{uris:?}");
        }
    }
    let harmful = [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https:evil.example",
        "http://app.example/cb",
        "ms-settings:x",
        "x",
    ];
    for harmful in harmful {
        let found = describe(&with("redirect_uris", &json!(["https://a.example/cb", harmful])));
        assert_eq!(found.err(), Some(ErrorCode::InvalidRedirectUri), "{harmful}");
    }
    assert_eq!(
        describe(&with("redirect_uris", &json!(["oddscheme:/x"]))).err(),
        Some(ErrorCode::InvalidRedirectUri)
    );
    let mixed = describe(
        &json!({"redirect_uris": ["https://a.example/cb", "http://localhost/cb"], "application_type": "web"}),
    );
    assert_eq!(mixed.unwrap().redirect_uris.len(), 1);
}

#[test]
fn software_statements_are_refused_by_the_codes_of_the_rfc() {
    use ErrorCode::{
        InvalidSoftwareStatement as Invalid, UnapprovedSoftwareStatement as Unapproved,
    };
    let cases = [
        ("e30.e30.c2ln", Unapproved),
        ("e30.e30.", Unapproved),
        ("e30.", Invalid),
        ("W10.e30.x", Invalid),
        ("x", Invalid),
    ];
    for (statement, expected) in cases {
        assert_eq!(
            describe(&with("software_statement", &json!(statement))).err(),
            Some(expected),
            "{statement}"
        );
    }
}

#[test]
fn application_types() {
    use ApplicationType::{Native, Web};
    let refused = Err(ErrorCode::InvalidRedirectUri);
    let vs_code = ["https://vscode.dev/redirect", "http://127.0.0.1/"];
    let cases: [(Option<&str>, &[&str], _); 14] = [
        (Some("web"), &["https://a.example/cb"], Ok(Web)),
        (Some("web"), &["https://localhost/cb"], refused),
        (Some("web"), &["https://127.0.0.1/cb"], refused),
        (Some("web"), &["https://a.example/cb", "http://localhost/cb"], Ok(Web)),
        (Some("web"), &["com.example.app:/cb"], refused),
        (Some("web"), &["cursor://x/cb"], refused),
        (Some("native"), &["http://localhost/cb"], Ok(Native)),
        (Some("native"), &["com.example.app:/cb", "http://[::1]:1/cb"], Ok(Native)),
        (Some("native"), &vs_code, Ok(Native)),
        (None, &["https://a.example/cb"], Ok(Web)),
        (None, &["https://localhost/cb"], Ok(Native)),
        (None, &["http://localhost/callback", "http://127.0.0.1/callback"], Ok(Native)),
        (None, &vs_code, Ok(Native)),
        (None, &["cursor://x/cb"], Ok(Native)),
    ];
    for (asked, uris, expected) in cases {
        let found = describe(&json!({"redirect_uris": uris, "application_type": asked}));
        assert_eq!(
            found.map(|client| client.application_type.unwrap()),
            expected,
            "{asked:?} {uris:?}"
        );
    }
}

#[test]
fn keys_are_kept_as_they_were_given() {
    let remote = describe(&with("jwks_uri", &json!("https://a.example/jwks"))).unwrap();
    assert_eq!(remote.keys, Some(ClientKeys::Remote("https://a.example/jwks".to_owned())));
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AQ"}]});
    assert_eq!(describe(&with("jwks", &set)).unwrap().keys, Some(ClientKeys::Inline(set.clone())));
    let mut both = with("jwks", &set);
    both["jwks_uri"] = json!("https://a.example/jwks");
    assert_eq!(describe(&both).err(), Some(ErrorCode::InvalidClientMetadata));
}

#[test]
fn what_is_left_out_is_taken_away() {
    let full =
        describe(&json!({"redirect_uris": ["https://a.example/cb"], "client_name": "A", "contacts": ["a@a.example"]})).unwrap();
    let bare: ClientMetadata =
        serde_json::from_value(json!({"redirect_uris": ["https://b.example/cb"]})).unwrap();
    let changed = bare.describe(full.clone(), &Schemes::default()).unwrap();
    assert_eq!((changed.id, changed.created_at), (full.id, full.created_at));
    assert_eq!((changed.name, changed.contacts.len()), (None, 0));
    assert_eq!(changed.redirect_uris[0].as_str(), "https://b.example/cb");
}
