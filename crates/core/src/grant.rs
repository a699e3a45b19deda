//! Grants and consents: what one user allowed one client on one resource. The tokens of a grant live in [`crate::token`].

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    ids::{ClientId, GrantId, UserId},
    resource::Resource,
    scope::ScopeSet,
    secret::TokenHash,
};

/// The unit of revocation: every token of a grant ends with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    pub user: UserId,
    pub client: ClientId,
    pub resource: Resource,
    pub scopes: ScopeSet,
    /// The login it was given in, for ending both together.
    pub login: Option<TokenHash>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl Grant {
    pub fn is_live(&self) -> bool {
        self.revoked_at.is_none()
    }
}

/// A remembered consent, one for each user, client and resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub user: UserId,
    pub client: ClientId,
    pub resource: Resource,
    pub scopes: ScopeSet,
    pub given_at: Timestamp,
}
