//! Client authentication (RFC 6749 section 2.3): what was presented, and does it prove the client. Every grant in [`super`], and
//! revocation and introspection, take an [`AuthenticatedClient`], so none can forget it.

use crate::{
    client::{Client, ClientAuthMethod},
    oauth::{ErrorCode, OAuthError, params::Params},
    secret::SecretText,
};

/// What a client presented to prove itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    pub client_id: String,
    pub secret: Option<SecretText>,
    pub method: ClientAuthMethod,
}

/// A client that has proven itself the way it registered. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient<'a>(&'a Client);

impl AuthenticatedClient<'_> {
    pub fn client(&self) -> &Client {
        self.0
    }
}

#[cfg(test)]
impl<'a> AuthenticatedClient<'a> {
    /// Without a proof: for the tests of what comes after it.
    pub(super) const fn assumed(client: &'a Client) -> Self {
        Self(client)
    }
}

/// Reads the credentials of a token request: an `Authorization: Basic` header already decoded, or the form. Both at once are
/// refused (RFC 6749 section 2.3).
pub fn credentials(basic: Option<(String, SecretText)>, form: &Params) -> Result<ClientCredentials, OAuthError> {
    let in_form = form.find("client_id");
    let secret_in_form = form.find("client_secret");
    match (basic, in_form, secret_in_form) {
        (Some(_), _, Some(_)) => {
            Err(OAuthError::new(ErrorCode::InvalidRequest, "send client credentials in the header or in the body, not in both"))
        }
        (Some((id, _)), Some(other), None) if id != other => {
            Err(OAuthError::new(ErrorCode::InvalidRequest, "client_id in the header and in the body differ"))
        }
        (Some((client_id, secret)), _, None) => {
            Ok(ClientCredentials { client_id, secret: Some(secret), method: ClientAuthMethod::ClientSecretBasic })
        }
        (None, Some(id), Some(secret)) => Ok(ClientCredentials {
            client_id: id.to_owned(),
            secret: Some(SecretText::new(secret)),
            method: ClientAuthMethod::ClientSecretPost,
        }),
        (None, Some(id), None) => {
            Ok(ClientCredentials { client_id: id.to_owned(), secret: None, method: ClientAuthMethod::None })
        }
        (None, None, _) => Err(OAuthError::new(ErrorCode::InvalidClient, "client_id is required")),
    }
}

/// Proves the client: by the very method it registered, its secret compared in constant time.
pub fn authenticate<'a>(
    client: Option<&'a Client>,
    presented: &ClientCredentials,
) -> Result<AuthenticatedClient<'a>, OAuthError> {
    let refused = || OAuthError::new(ErrorCode::InvalidClient, "the client is unknown, or did not authenticate as it registered");
    let client = client.ok_or_else(refused)?;
    let proven = match (client.auth_method, presented.method, &client.secret, &presented.secret) {
        (ClientAuthMethod::None, ClientAuthMethod::None, _, None) => true,
        (registered, used, Some(hash), Some(secret)) if registered == used => hash.matches(secret.expose()),
        _ => false,
    };
    if proven { Ok(AuthenticatedClient(client)) } else { Err(refused()) }
}

#[cfg(test)]
mod tests;
