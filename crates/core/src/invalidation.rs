//! Invalidations: what one gateway tells the others on its store, so that they forget what is no
//! longer true. How an invalidation gets from one to the next is in
//! [`crate::store::InvalidationStore`].
//!
//! An invalidation needs no proof of its sender. It holds no secret, and all it can do is make a
//! gateway ask the store, or read its own files, once more than it had to.

use serde::{Deserialize, Serialize};

use crate::{
    disabled::Disableable,
    grant::GrantsOf,
    ids::{GrantId, NodeId},
    secret::TokenHash,
    token::FoundAccess,
};

/// The most bytes of an invalidation. A longer one is sent, and read, as
/// [`Invalidation::Everything`].
const LONGEST: usize = 4096;

/// What is no longer so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invalidation {
    /// What was known of this access token.
    Access(TokenHash),
    /// What was known of the tokens of this grant.
    Grant(GrantId),
    /// The same of these grants: they were revoked, or their user is described anew.
    Grants(GrantsOf),
    /// This is disabled from now on, and what it had has ended.
    Disabled(Disableable),
    /// This is no longer disabled.
    Enabled(Disableable),
    /// A node runs with a new configuration. Those that share its files read them again.
    Configuration(Generation),
    /// Anything that was known. Also what is said by a newer version and cannot be understood, and
    /// what was too long to be said.
    Everything,
}

/// One configuration of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    pub node: NodeId,
    /// Short, and the same on nodes with the same configuration.
    pub fingerprint: String,
}

impl Invalidation {
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string(self).ok().filter(|text| text.len() <= LONGEST);
        text.unwrap_or_else(|| r#""everything""#.to_owned())
    }

    pub fn parse(text: &str) -> Self {
        let known = (text.len() <= LONGEST).then(|| serde_json::from_str(text).ok()).flatten();
        known.unwrap_or(Self::Everything)
    }

    /// Must the token be looked up again?
    pub fn concerns(&self, found: &FoundAccess) -> bool {
        match self {
            Self::Access(hash) => found.token.hash == *hash,
            Self::Grant(id) => found.grant.id == *id,
            Self::Grants(GrantsOf::User(id)) | Self::Disabled(Disableable::Person(id)) => {
                found.grant.user == *id
            }
            Self::Grants(GrantsOf::Client(id)) | Self::Disabled(Disableable::Client(id)) => {
                found.grant.client == *id
            }
            Self::Grants(GrantsOf::Login(hash)) => found.grant.login == Some(*hash),
            Self::Grants(GrantsOf::Everyone) | Self::Everything => true,
            Self::Disabled(_) | Self::Enabled(_) | Self::Configuration(_) => false,
        }
    }
}

/// How far the invalidations of a store have come: another one after each of them. All that can be
/// done with two is to ask whether they are the same: a store that lost its last second goes back,
/// and counts on from there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An invalidation as it was posted: between which revisions. A reader that knew the one before has
/// missed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub before: Revision,
    pub invalidation: Invalidation,
    pub after: Revision,
}

#[cfg(test)]
mod tests;
