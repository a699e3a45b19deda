//! Cases for clients that live in a document.

use serde_json::{Value, json};

use super::*;
use crate::{
    client::{ApplicationType, ClientAuthMethod, GrantType},
    oauth::ErrorCode,
};

const ID: &str = "https://app.example/oauth/client.json";
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn sound() -> Value {
    json!({"client_id": ID, "client_name": "App", "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"]})
}

fn read(document: &Value) -> Result<Client, BadDocument> {
    client_of(
        &DocumentUrl::parse(ID).unwrap(),
        document.to_string().as_bytes(),
        NOW,
        &Schemes::default(),
    )
}

fn with(member: &str, value: Value) -> Value {
    let mut document = sound();
    document[member] = value;
    document
}

#[test]
fn t26_t29_which_urls_can_be_a_document() {
    use BadDocumentUrl::{NoPath, NotHttps, Parts, Spelling, TooLong};
    let long = format!("https://app.example/{}", "x".repeat(2048));
    let cases = [
        (ID, Ok(())),
        ("https://app.example/c", Ok(())),
        ("https://app.example:8443/c/", Ok(())),
        ("https://xn--exmple-cua.example/c%20d", Ok(())),
        ("https://app.example/a..b/.c", Ok(())),
        ("https://app.example", Err(NoPath)),
        ("https://app.example/", Err(NoPath)),
        ("https://app.example:443/", Err(NoPath)),
        ("http://app.example/c", Err(NotHttps)),
        ("ftp://app.example/c", Err(NotHttps)),
        ("https:", Err(NotHttps)),
        ("https://", Err(NotHttps)),
        ("ptn_client_x", Err(NotHttps)),
        ("", Err(NotHttps)),
        ("HTTPS://app.example/c", Err(Spelling)),
        ("https://APP.example/c", Err(Spelling)),
        ("https://exämple.example/c", Err(Spelling)),
        ("https://app.example./c", Err(Spelling)),
        ("https://app.example:443/c", Err(Spelling)),
        ("https://app.example:08443/c", Err(Spelling)),
        ("https:app.example/c", Err(Spelling)),
        ("https:\\\\app.example\\c", Err(Spelling)),
        ("https:///app.example/c", Err(Spelling)),
        ("https://0x7f.1/c", Err(Spelling)),
        (" https://app.example/c", Err(Spelling)),
        ("https://app.example/c\n", Err(Spelling)),
        ("https://app.exa\tmple/c", Err(Spelling)),
        ("https://app.example/c d", Err(Spelling)),
        ("https://app.example/a/../c", Err(Spelling)),
        ("https://app.example/./c", Err(Spelling)),
        ("https://app.example/%2e%2e/c", Err(Spelling)),
        ("https://app.example/a/.%2E/c", Err(Spelling)),
        ("https://app.example/c\\d", Err(Spelling)),
        ("https://u@app.example/c", Err(Parts)),
        ("https://u:p@app.example/c", Err(Parts)),
        ("https://:@app.example/c", Err(Parts)),
        ("https://@app.example/c", Err(Parts)),
        ("https://app.example/c?v=1", Err(Parts)),
        ("https://app.example/c?", Err(Parts)),
        ("https://app.example/c#", Err(Parts)),
        ("https://app.example/c#f", Err(Parts)),
        (&long, Err(TooLong)),
    ];
    for (text, expected) in cases {
        assert_eq!(DocumentUrl::parse(text).map(|_| ()), expected, "{text:?}");
    }
}

#[test]
fn a_document_makes_a_public_client() {
    let client = read(&sound()).unwrap();
    assert_eq!(
        (client.id.as_str(), client.source, client.name.as_deref()),
        (ID, ClientSource::MetadataDocument, Some("App"))
    );
    assert_eq!(
        (client.auth_method, client.application_type),
        (ClientAuthMethod::None, Some(ApplicationType::Native))
    );
    assert_eq!(
        (client.grant_types, client.secret, client.registration_token),
        (vec![GrantType::AuthorizationCode], None, None)
    );
    assert!(client.groups.is_empty() && !client.trusted);
}

type Expected = Box<dyn Fn(&BadDocument) -> bool>;

#[test]
fn fb12_what_cannot_be_shown_is_no_reason_to_refuse_a_document() {
    let client = read(&with("logo_uri", json!("http://app.example/logo.png"))).unwrap();
    assert_eq!(client.logo_uri, None);
    let client = read(&with("token_endpoint_auth_method", json!(""))).unwrap();
    assert_eq!(client.auth_method, ClientAuthMethod::None);
}

#[test]
fn what_documents_are_refused() {
    let metadata = |code: ErrorCode| move |bad: &BadDocument| matches!(bad, BadDocument::Metadata(error) if error.code == code);
    let is = |expected: BadDocument| move |bad: &BadDocument| *bad == expected;
    let shared = || Box::new(is(BadDocument::SharedSecret)) as Expected;
    let cases: Vec<(Value, Expected)> = vec![
        (
            with("client_id", json!("https://app.example/oauth/client.json/")),
            Box::new(is(BadDocument::ClientId)),
        ),
        (
            with("client_id", json!("https://app.example/oauth/CLIENT.json")),
            Box::new(is(BadDocument::ClientId)),
        ),
        (
            with("client_id", json!("https://evil.example/oauth/client.json")),
            Box::new(is(BadDocument::ClientId)),
        ),
        (with("client_id", json!(null)), Box::new(is(BadDocument::ClientId))),
        (with("client_name", json!(null)), Box::new(is(BadDocument::NoName))),
        (with("client_name", json!(" ")), Box::new(is(BadDocument::NoName))),
        (
            with("client_name", json!("x".repeat(257))),
            Box::new(metadata(ErrorCode::InvalidClientMetadata)),
        ),
        (with("redirect_uris", json!(null)), Box::new(is(BadDocument::NoRedirectUris))),
        (with("redirect_uris", json!([])), Box::new(metadata(ErrorCode::InvalidRedirectUri))),
        (
            with("redirect_uris", json!(["javascript:alert(1)"])),
            Box::new(metadata(ErrorCode::InvalidRedirectUri)),
        ),
        (
            with("redirect_uris", json!(["http://evil.example/"])),
            Box::new(metadata(ErrorCode::InvalidRedirectUri)),
        ),
        (with("client_secret", json!("x")), shared()),
        (with("client_secret_expires_at", json!(0)), shared()),
        (with("token_endpoint_auth_method", json!("client_secret_basic")), shared()),
        (with("token_endpoint_auth_method", json!("client_secret_post")), shared()),
        (with("token_endpoint_auth_method", json!("client_secret_jwt")), shared()),
        (
            with("token_endpoint_auth_method", json!("tls_client_auth")),
            Box::new(metadata(ErrorCode::InvalidClientMetadata)),
        ),
        (
            with("token_endpoint_auth_method", json!("private_key_jwt")),
            Box::new(metadata(ErrorCode::InvalidClientMetadata)),
        ),
        (
            with("jwks", json!({"keys": [{"kty": "oct", "k": "AQ"}]})),
            Box::new(metadata(ErrorCode::InvalidClientMetadata)),
        ),
        (
            with("grant_types", json!(["client_credentials"])),
            Box::new(metadata(ErrorCode::InvalidClientMetadata)),
        ),
        (json!([sound()]), Box::new(|bad| matches!(bad, BadDocument::Json(_)))),
        (
            with("redirect_uris", json!("https://app.example/")),
            Box::new(|bad| matches!(bad, BadDocument::Json(_))),
        ),
    ];
    for (document, expected) in cases {
        let bad = read(&document).unwrap_err();
        assert!(expected(&bad), "{document}: {bad:?}");
    }
    let url = DocumentUrl::parse(ID).unwrap();
    let twice = format!(
        r#"{{"client_id": "{ID}", "client_name": "a", "redirect_uris": [], "client_id": "{ID}"}}"#
    );
    for bytes in [b"".as_slice(), b"{", b"<html>", b"\xff\xfe{}", twice.as_bytes(), b"{} {}"] {
        assert!(
            matches!(client_of(&url, bytes, NOW, &Schemes::default()), Err(BadDocument::Json(_))),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn pages_of_strangers_are_left_out() {
    let mut document = with("client_uri", json!("https://claude.ai/"));
    document["logo_uri"] = json!("https://app.example.evil.example/logo");
    document["tos_uri"] = json!("https://app.example:444/terms");
    document["policy_uri"] = json!("https://app.example/policy");
    let client = read(&document).unwrap();
    assert_eq!((client.client_uri, client.logo_uri, client.tos_uri), (None, None, None));
    assert_eq!(client.policy_uri.as_deref(), Some("https://app.example/policy"));
}
