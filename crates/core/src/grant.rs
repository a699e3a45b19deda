//! Grants and consents: what one user allowed one client on one resource, or on several. The tokens
//! of a grant live in [`crate::token`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    ids::{ClientId, GrantId, UserId},
    resource::ResourceSet,
    scope::ScopeSet,
    secret::TokenHash,
};

/// The unit of revocation: every token of a grant ends with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    pub user: UserId,
    pub client: ClientId,
    #[serde(alias = "resource")]
    pub resources: ResourceSet,
    pub scopes: ScopeSet,
    /// What the client was known as ([`crate::client::Client::application`]); `None` of older
    /// versions too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<TokenHash>,
    /// The login it was given in, for ending both together.
    pub login: Option<TokenHash>,
    pub created_at: Timestamp,
    /// When it ends whatever its tokens say; those of older versions have no end of their own.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// What an agent key is known by; `None` for every other grant ([`crate::agent_key`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyLabel>,
}

impl Grant {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// The end of a token that would live for `lifetime`: no token outlives its grant.
    pub fn token_end(&self, now: Timestamp, lifetime: Duration) -> Timestamp {
        let end = now + lifetime;
        self.expires_at.map_or(end, |grant_end| end.min(grant_end))
    }
}

/// What people know an agent key by ([`crate::agent_key`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLabel {
    pub name: String,
    /// Its first characters.
    pub shown: String,
}

/// Whose grants are meant, where several are listed or revoked at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantsOf {
    User(UserId),
    Client(ClientId),
    /// Those given in this login.
    Login(TokenHash),
    /// All there are.
    Everyone,
}

/// A remembered consent, one for each user, client and set of resources: what was allowed on two
/// together says nothing of each alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub user: UserId,
    pub client: ClientId,
    #[serde(alias = "resource")]
    pub resources: ResourceSet,
    pub scopes: ScopeSet,
    pub given_at: Timestamp,
    /// What the client was when it was given ([`crate::oauth::consent::fingerprint`]). That of a
    /// record from before there were any fits no client.
    #[serde(default = "unknown")]
    pub fingerprint: TokenHash,
}

fn unknown() -> TokenHash {
    TokenHash::of("")
}
