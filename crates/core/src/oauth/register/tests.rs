//! What a registration may say and what it becomes (RFC 7591), as tables.

use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::{client::ClientSource, entropy::SeededEntropy, oauth::snapshots::members};

/// What the client is told, with names in place of what was made for it.
fn registered(metadata: Value) -> (Registration, String) {
    let metadata: ClientMetadata = serde_json::from_value(metadata).unwrap();
    let registration = register(
        metadata,
        &Schemes::default(),
        Timestamp::from_secs(1_000),
        &SeededEntropy::new(7),
    )
    .unwrap();
    let url = PublicUrl::parse("https://gw.example").unwrap();
    let mut response = members(&registration.response(&url))
        .replace(registration.client.id.as_str(), "{id}")
        .replace(registration.token.expose(), "{registration token}");
    if let Some(secret) = &registration.secret {
        response = response.replace(secret.expose(), "{secret}");
    }
    (registration, response)
}

#[test]
fn a_public_client() {
    let (registration, response) = registered(json!({
        "redirect_uris": ["http://127.0.0.1:33418/cb"], "client_name": "Cursor", "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token", "implicit"], "response_types": ["code"], "unknown": {"x": 1}
    }));
    assert!(registration.secret.is_none() && registration.client.secret.is_none());
    assert_eq!(registration.client.source, ClientSource::Registered);
    assert_snapshot!(response, @r#"
    client_id: "{id}"
    client_id_issued_at: 1000
    registration_access_token: "{registration token}"
    registration_client_uri: "https://gw.example/auth/register/{id}"
    redirect_uris: ["http://127.0.0.1:33418/cb"]
    token_endpoint_auth_method: "none"
    grant_types: ["authorization_code","refresh_token"]
    response_types: ["code"]
    application_type: "native"
    client_name: "Cursor"
    "#);
}

#[test]
fn all_that_is_registered_is_echoed() {
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AQ", "kid": "k"}]});
    let mut metadata = json!({
        "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code"], "response_types": ["code"], "application_type": "web",
        "client_name": "A", "client_uri": "https://app.example/", "logo_uri": "https://app.example/l",
        "policy_uri": "https://app.example/p", "tos_uri": "https://app.example/t", "scope": "a b", "contacts": ["x@app.example"],
        "jwks": keys, "software_id": "id", "software_version": "1"
    });
    let (_, response) = registered(metadata.clone());
    assert_snapshot!(response, @r#"
    client_id: "{id}"
    client_id_issued_at: 1000
    client_secret: "{secret}"
    client_secret_expires_at: 0
    registration_access_token: "{registration token}"
    registration_client_uri: "https://gw.example/auth/register/{id}"
    redirect_uris: ["https://app.example/cb"]
    token_endpoint_auth_method: "client_secret_post"
    grant_types: ["authorization_code"]
    response_types: ["code"]
    application_type: "web"
    client_name: "A"
    client_uri: "https://app.example/"
    logo_uri: "https://app.example/l"
    policy_uri: "https://app.example/p"
    tos_uri: "https://app.example/t"
    scope: "a b"
    contacts: ["x@app.example"]
    jwks: {"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQ","kid":"k"}]}
    software_id: "id"
    software_version: "1"
    "#);
    metadata["jwks"].take();
    metadata["jwks_uri"] = json!("https://app.example/jwks");
    let (_, response) = registered(metadata);
    let keys: Vec<_> = response.lines().filter(|line| line.starts_with("jwks")).collect();
    assert_eq!(keys, [r#"jwks_uri: "https://app.example/jwks""#]);
}

#[test]
fn secrets_are_kept_as_hashes() {
    let (registration, response) = registered(json!({"redirect_uris": ["https://app.example/cb"]}));
    let Registration { client, secret, token } = registration;
    assert_eq!(client.secret, secret.as_ref().map(TokenSecret::hash));
    assert_eq!(client.registration_token, Some(token.hash()));
    assert!(token.expose().starts_with("ptn_rg_"));
    assert_snapshot!(response, @r#"
    client_id: "{id}"
    client_id_issued_at: 1000
    client_secret: "{secret}"
    client_secret_expires_at: 0
    registration_access_token: "{registration token}"
    registration_client_uri: "https://gw.example/auth/register/{id}"
    redirect_uris: ["https://app.example/cb"]
    token_endpoint_auth_method: "client_secret_basic"
    grant_types: ["authorization_code"]
    response_types: ["code"]
    application_type: "web"
    "#);
}

#[test]
fn t29_generated_ids_never_look_like_a_url() {
    for seed in 0..200 {
        let id = ClientId::generate(&SeededEntropy::new(seed));
        assert!(
            id.as_str().starts_with("ptn_client_") && !id.as_str().contains([':', '/', '.']),
            "{id}"
        );
        assert!(!id.is_url());
    }
}
