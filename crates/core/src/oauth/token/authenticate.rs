//! Client authentication (RFC 6749 section 2.3): what was presented, and does it prove the client.
//! Every grant in [`super`], and revocation and introspection, take an [`AuthenticatedClient`], so
//! none can forget it.

use crate::{
    client::{Client, ClientAuthMethod},
    oauth::{
        ErrorCode, OAuthError,
        assertion::{self, VerifiedAssertion},
        params::Params,
    },
    secret::SecretText,
};

/// What a client presented to prove itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentials {
    pub client_id: String,
    pub proof: Proof,
}

/// The ways to prove a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// None: for public clients.
    None,
    Secret {
        secret: SecretText,
        method: ClientAuthMethod,
    },
    /// A signed assertion as it came. It proves nothing until its signature, its claims and its
    /// newness are checked ([`crate::oauth::assertion`]), which makes it the other one.
    UncheckedAssertion(SecretText),
    Assertion(VerifiedAssertion),
}

/// A client that has proven itself the way it registered. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct AuthenticatedClient(Client);

impl AuthenticatedClient {
    pub const fn client(&self) -> &Client {
        &self.0
    }

    /// Has it proven more than that it knows its id? A public client has nothing to prove itself
    /// with.
    pub fn is_confidential(&self) -> bool {
        self.0.auth_method != ClientAuthMethod::None
    }

    /// Without a proof: for the tests of what comes after it.
    #[cfg(test)]
    pub(crate) const fn assumed(client: Client) -> Self {
        Self(client)
    }
}

/// Reads the credentials of a token request: an `Authorization: Basic` header already decoded, or
/// the form. Two ways at once are refused (RFC 6749 section 2.3).
pub fn credentials(
    basic: Option<(String, SecretText)>,
    form: &Params,
) -> Result<ClientCredentials, OAuthError> {
    let invalid = |description: &str| Err(OAuthError::invalid_request(description));
    let in_form = form.find("client_id");
    if let Some(jwt) = presented_assertion(form)? {
        if basic.is_some() || form.find("client_secret").is_some() {
            return invalid("send a client assertion or a client secret, not both");
        }
        let claimed = in_form
            .map(str::to_owned)
            .or_else(|| assertion::claimed_client(jwt).map(|id| id.to_string()));
        let client_id = claimed
            .ok_or_else(|| assertion::refuse("it is not a JSON Web Token that names a client"))?;
        return Ok(ClientCredentials {
            client_id,
            proof: Proof::UncheckedAssertion(SecretText::new(jwt)),
        });
    }
    let by = |method: ClientAuthMethod, secret: SecretText| Proof::Secret { secret, method };
    match (basic, in_form, form.find("client_secret")) {
        (Some(_), _, Some(_)) => {
            invalid("send client credentials in the header or in the body, not in both")
        }
        (Some((id, _)), Some(other), None) if id != other => {
            invalid("client_id in the header and in the body differ")
        }
        (Some((client_id, secret)), _, None) => Ok(ClientCredentials {
            client_id,
            proof: by(ClientAuthMethod::ClientSecretBasic, secret),
        }),
        (None, Some(id), Some(secret)) => {
            let proof = by(ClientAuthMethod::ClientSecretPost, SecretText::new(secret));
            Ok(ClientCredentials { client_id: id.to_owned(), proof })
        }
        (None, Some(id), None) => {
            Ok(ClientCredentials { client_id: id.to_owned(), proof: Proof::None })
        }
        (None, None, _) => Err(OAuthError::new(ErrorCode::InvalidClient, "client_id is required")),
    }
}

/// The assertion of a form, if it has one (RFC 7521 section 4.2).
fn presented_assertion(form: &Params) -> Result<Option<&str>, OAuthError> {
    match (form.find("client_assertion_type"), form.find("client_assertion")) {
        (None, None) => Ok(None),
        (Some(assertion::JWT_BEARER), Some(jwt)) => Ok(Some(jwt)),
        (Some(_), Some(_)) => Err(OAuthError::new(
            ErrorCode::InvalidClient,
            format!("client_assertion_type must be {}", assertion::JWT_BEARER),
        )),
        _ => Err(OAuthError::invalid_request(
            "client_assertion and client_assertion_type are of use together only",
        )),
    }
}

/// Proves the client: by the method it registered, its secret compared in constant time. A secret
/// proves as much in the header as in the body, and there are libraries that register the one and
/// use the other (FB14).
pub fn authenticate(
    client: Option<Client>,
    presented: &ClientCredentials,
) -> Result<AuthenticatedClient, OAuthError> {
    let refused = || {
        OAuthError::new(
            ErrorCode::InvalidClient,
            "the client is unknown, or did not authenticate as it registered",
        )
    };
    let client = client.ok_or_else(refused)?;
    let proven = match (client.auth_method, &presented.proof) {
        (ClientAuthMethod::None, Proof::None) => true,
        (
            ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost,
            Proof::Secret { secret, .. },
        ) => client.secret.as_ref().is_some_and(|hash| hash.matches(secret.expose())),
        (ClientAuthMethod::PrivateKeyJwt, Proof::Assertion(verified)) => {
            *verified.client() == client.id
        }
        _ => false,
    };
    if proven { Ok(AuthenticatedClient(client)) } else { Err(refused()) }
}

#[cfg(test)]
mod tests;
