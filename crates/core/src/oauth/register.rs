//! Dynamic client registration (RFC 7591 section 3): a new client, and what it is told. What it may
//! say of itself is decided in [`super::client_metadata`], whether it may register at all in
//! [`super::registration_policy`], what it may do later in [`super::manage`].

use serde::Serialize;
use serde_json::Value;

use crate::{
    client::{ApplicationType, Client, ClientKeys},
    clock::Timestamp,
    entropy::Entropy,
    ids::ClientId,
    oauth::{OAuthError, client_metadata::ClientMetadata},
    redirect::{RedirectUri, Schemes},
    resource::PublicUrl,
    secret::{TokenKind, TokenSecret},
};

/// The registration endpoint. Each client's own address is below it (RFC 7592).
pub const PATH: &str = "/auth/register";

/// A registered client with the secrets that are to be shown to it; the store has their hashes
/// only.
#[derive(Debug)]
pub struct Registration {
    pub client: Client,
    /// The client secret, when it is new or was just presented.
    pub secret: Option<TokenSecret>,
    /// With which the client manages its registration (RFC 7592).
    pub token: TokenSecret,
}

/// Checks the metadata and makes a client of it.
pub fn register(
    metadata: ClientMetadata,
    schemes: &Schemes,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Registration, OAuthError> {
    let client = metadata.describe(Client::new(ClientId::generate(entropy), now), schemes)?;
    let secret = client
        .auth_method
        .needs_secret()
        .then(|| TokenSecret::generate(TokenKind::ClientSecret, entropy));
    let token = TokenSecret::generate(TokenKind::Registration, entropy);
    let client = Client {
        secret: secret.as_ref().map(TokenSecret::hash),
        registration_token: Some(token.hash()),
        ..client
    };
    Ok(Registration { client, secret, token })
}

/// What a client is told of its registration (RFC 7591 section 3.2.1, RFC 7592 section 3).
#[derive(Debug, Serialize)]
pub struct RegistrationResponse<'a> {
    client_id: &'a str,
    client_id_issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// 0: the secret does not expire. Present exactly when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    registration_access_token: &'a str,
    registration_client_uri: String,
    redirect_uris: &'a [RedirectUri],
    token_endpoint_auth_method: &'static str,
    grant_types: Vec<&'static str>,
    response_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    application_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    contacts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_version: Option<&'a str>,
}

impl Registration {
    pub fn response(&self, public_url: &PublicUrl) -> RegistrationResponse<'_> {
        let client = &self.client;
        let (jwks, jwks_uri) = match &client.keys {
            None => (None, None),
            Some(ClientKeys::Inline(set)) => (Some(set), None),
            Some(ClientKeys::Remote(uri)) => (None, Some(uri.as_str())),
        };
        RegistrationResponse {
            client_id: client.id.as_str(),
            client_id_issued_at: client.created_at.as_secs(),
            client_secret: self.secret.as_ref().map(TokenSecret::expose),
            client_secret_expires_at: self.secret.as_ref().map(|_| 0),
            registration_access_token: self.token.expose(),
            registration_client_uri: public_url.at(&format!("{PATH}/{}", client.id)),
            redirect_uris: &client.redirect_uris,
            token_endpoint_auth_method: client.auth_method.as_str(),
            grant_types: client.grant_types.iter().map(|grant| grant.as_str()).collect(),
            response_types: ["code"],
            application_type: client.application_type.map(ApplicationType::as_str),
            client_name: client.name.as_deref(),
            client_uri: client.client_uri.as_deref(),
            logo_uri: client.logo_uri.as_deref(),
            policy_uri: client.policy_uri.as_deref(),
            tos_uri: client.tos_uri.as_deref(),
            scope: client.scopes.as_ref().map(ToString::to_string),
            contacts: &client.contacts,
            jwks,
            jwks_uri,
            software_id: client.software_id.as_deref(),
            software_version: client.software_version.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let (registration, response) =
            registered(json!({"redirect_uris": ["https://app.example/cb"]}));
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
}
