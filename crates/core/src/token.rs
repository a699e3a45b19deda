//! What the store keeps of codes and access tokens: hashes, never the secrets (those are
//! [`crate::secret::TokenSecret`]). Refresh tokens are kept by families: [`crate::refresh`].

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    grant::Grant,
    ids::{ClientId, GrantId, UserId},
    pkce::CodeChallenge,
    principal::User,
    redirect::RedirectUri,
    resource::{Resource, ResourceSet},
    scope::ScopeSet,
    secret::TokenHash,
};

/// An authorization code (RFC 6749 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationCode {
    pub hash: TokenHash,
    pub client: ClientId,
    pub user: UserId,
    pub redirect_uri: RedirectUri,
    pub code_challenge: CodeChallenge,
    #[serde(alias = "resource")]
    pub resources: ResourceSet,
    pub scopes: ScopeSet,
    pub login: Option<TokenHash>,
    pub expires_at: Timestamp,
}

/// A code as found: with the grant it became, if it was redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCode {
    pub code: AuthorizationCode,
    pub redeemed: Option<GrantId>,
}

/// An access token: valid on its resource until `expires_at` or until the grant is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    pub hash: TokenHash,
    pub grant: GrantId,
    /// The one resource it is for, of those of its grant (RFC 8707). An agent key is for all of
    /// them ([`FoundAccess::is_for`]): this is the first.
    pub resource: Resource,
    /// A refresh may narrow the grant's scopes (RFC 6749 section 6).
    pub scopes: ScopeSet,
    pub expires_at: Timestamp,
}

/// An access token as found, with all that a request needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAccess {
    pub token: AccessToken,
    pub grant: Grant,
    pub user: User,
}

impl FoundAccess {
    /// Is the token for this resource (threat 30)? One that a client was given is for a single one;
    /// an agent key, which is not exchanged for another, is for each that it was made for.
    pub fn is_for(&self, resource: &Resource) -> bool {
        match &self.grant.key {
            None => self.token.resource == *resource,
            Some(_) => self.grant.resources.contains(resource),
        }
    }

    /// All that it is for.
    pub fn audience(&self) -> ResourceSet {
        match &self.grant.key {
            None => self.token.resource.clone().into(),
            Some(_) => self.grant.resources.clone(),
        }
    }
}

/// A refresh token of before there were families ([`crate::refresh`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshToken {
    pub hash: TokenHash,
    pub grant: GrantId,
    pub expires_at: Timestamp,
}
