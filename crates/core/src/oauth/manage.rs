//! Management of a registration by its client (RFC 7592): who may, and what a change comes to. The
//! address is that of [`super::register::PATH`] with the client's id below it.

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    client::Client,
    entropy::Entropy,
    oauth::{
        ErrorCode, OAuthError,
        client_metadata::{ClientMetadata, bad_metadata},
        register::Registration,
    },
    redirect::Schemes,
    secret::{SecretText, TokenKind, TokenSecret},
};

/// A registered client that has shown its registration token. Only [`admit`] makes one.
#[derive(Debug)]
pub struct ManagedClient {
    client: Client,
    token: TokenSecret,
}

/// Admits a client to its own registration. Every refusal is the same: the client may be unknown
/// (or deleted, and its token with it), known by a document or the configuration, or the token may
/// be another client's (RFC 7592 section 2.1).
pub fn admit(
    client: Option<Client>,
    presented: Option<TokenSecret>,
) -> Result<ManagedClient, OAuthError> {
    let token = presented.ok_or_else(refused)?;
    let client = client.ok_or_else(refused)?;
    let is_its_own = client.registration_token.is_some_and(|hash| hash.matches(token.expose()));
    if is_its_own { Ok(ManagedClient { client, token }) } else { Err(refused()) }
}

/// The one answer to a request that is not admitted.
pub fn refused() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidToken,
        "the registration access token is not valid for this client",
    )
}

/// A request to change a registration (RFC 7592 section 2.2): all metadata anew, and what names the
/// client.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UpdateRequest {
    client_id: Option<String>,
    client_secret: Option<SecretText>,
    registration_access_token: Option<IgnoredAny>,
    registration_client_uri: Option<IgnoredAny>,
    client_secret_expires_at: Option<IgnoredAny>,
    client_id_issued_at: Option<IgnoredAny>,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

impl UpdateRequest {
    /// Reads the body of a request. The error says where, never what: the body may hold the
    /// client's secret.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            bad_metadata(format!(
                "the metadata cannot be read: it is wrong at line {line}, column {column}"
            ))
        })
    }
}

impl ManagedClient {
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the client reads of itself. Its secret is not in it: only its hash is kept.
    pub fn read(self) -> Registration {
        Registration { client: self.client, secret: None, token: self.token }
    }

    /// Replaces the metadata. Id, registration token and secret stay; only a change of the
    /// authentication method brings a secret or takes it away.
    pub fn update(
        self,
        request: UpdateRequest,
        schemes: &Schemes,
        entropy: &dyn Entropy,
    ) -> Result<Registration, OAuthError> {
        self.check_names(&request)?;
        let Self { client, token } = self;
        let client = request.metadata.describe(client, schemes)?;
        let presented = request
            .client_secret
            .and_then(|secret| TokenSecret::parse(TokenKind::ClientSecret, secret.expose()));
        let (hash, secret) = match (client.auth_method.needs_secret(), client.secret) {
            (false, _) => (None, None),
            (true, Some(hash)) => (Some(hash), presented),
            (true, None) => {
                let secret = TokenSecret::generate(TokenKind::ClientSecret, entropy);
                (Some(secret.hash()), Some(secret))
            }
        };
        Ok(Registration { client: Client { secret: hash, ..client }, secret, token })
    }

    fn check_names(&self, request: &UpdateRequest) -> Result<(), OAuthError> {
        let not_the_clients = [
            ("registration_access_token", &request.registration_access_token),
            ("registration_client_uri", &request.registration_client_uri),
            ("client_secret_expires_at", &request.client_secret_expires_at),
            ("client_id_issued_at", &request.client_id_issued_at),
        ];
        if let Some((name, _)) = not_the_clients.iter().find(|(_, value)| value.is_some()) {
            return Err(OAuthError::invalid_request(format!("{name} must not be sent")));
        }
        if request.client_id.as_deref() != Some(self.client.id.as_str()) {
            return Err(bad_metadata("client_id must be sent, and cannot change"));
        }
        let is_its_own = |secret: &SecretText| {
            self.client.secret.is_some_and(|hash| hash.matches(secret.expose()))
        };
        if request.client_secret.as_ref().is_some_and(|secret| !is_its_own(secret)) {
            return Err(bad_metadata(
                "client_secret is not the one that was issued, and cannot be chosen",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
