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
mod tests;
