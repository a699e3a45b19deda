//! Identifiers, one type each so that none can stand in for another. Secrets and their hashes live
//! in [`crate::secret`].

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::entropy::{Entropy, random_bytes};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes an identifier as it is written in a store or a request; it names nothing until
            /// it is looked up.
            pub fn from_text(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The `client_id` of an OAuth client (RFC 6749 section 2.2). Ours start with `ptn_client_`, so
    /// that no generated one can look like a metadata document's URL (threat 29).
    ClientId
}
text_id! {
    /// A person: derived from the identity provider's issuer and the subject there, never from an
    /// e-mail address (threat 42).
    UserId
}
text_id! {
    /// What one user allowed one client on one resource.
    GrantId
}
text_id! {
    /// A sign-in or authorization in flight. Opaque; of use only together with the browser's cookie
    /// it is bound to.
    TransactionId
}
text_id! {
    /// One run of one gateway, among those that share a store.
    NodeId
}
text_id! {
    /// An identity provider's name in the configuration: `okta`, `google`, …
    ProviderName
}

fn random_text(prefix: &str, entropy: &dyn Entropy) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random_bytes(entropy)))
}

/// The prefix of the ids of registered clients. No other id may start with it (threat 29).
pub const GENERATED_CLIENT: &str = "ptn_client_";

impl ClientId {
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_text(GENERATED_CLIENT, entropy))
    }

    /// Does the id look like a URL, so that it can only be a metadata document's?
    pub fn is_url(&self) -> bool {
        self.0.contains("://")
    }
}

/// The client of every agent key ([`crate::grant::Grant::key`]), as grants, access rules and
/// introspection name it. No client can be called so.
pub const AGENT_KEY: &str = "agent-key";

impl ClientId {
    /// The client of every agent key.
    pub fn agent_key() -> Self {
        Self(AGENT_KEY.to_owned())
    }

    /// What a key is to sessions and connections: a client of its own, so that no two keys of one
    /// person share a session or a process.
    pub fn of_key(key: &GrantId) -> Self {
        Self(format!("{AGENT_KEY}:{key}"))
    }

    /// The id of the key, if this stands for one.
    pub fn key(&self) -> Option<&str> {
        self.0.strip_prefix(AGENT_KEY)?.strip_prefix(':')
    }

    /// As access rules and the audit trail name it.
    pub fn named(&self) -> &str {
        if self.key().is_some() { AGENT_KEY } else { &self.0 }
    }

    /// Is it what a rule, or an administrator, means by `client`? `agent-key` means every key.
    pub fn is_meant_by(&self, client: &Self) -> bool {
        self.named() == client.0
    }

    /// Can no client be called so, since it stands for agent keys?
    pub fn is_reserved(&self) -> bool {
        self.0 == AGENT_KEY || self.key().is_some()
    }
}

impl NodeId {
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_text("ptn_node_", entropy))
    }
}

impl GrantId {
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_text("ptn_grant_", entropy))
    }
}

impl TransactionId {
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_text("ptn_txn_", entropy))
    }
}

impl UserId {
    /// The id of the person whom `issuer` calls `subject`. Both are length-delimited, so that no
    /// two pairs meet.
    pub fn of(issuer: &str, subject: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((issuer.len() as u64).to_be_bytes());
        hasher.update(issuer);
        hasher.update(subject);
        Self(format!("ptn_user_{}", URL_SAFE_NO_PAD.encode(&hasher.finalize()[..24])))
    }
}

/// The name of an MCP server in `mcp.json`: 1 to 64 of `a-z A-Z 0-9 _ - .`, not starting with a
/// dot. It stands in paths (`/mcp/{server}`), in tool names (`{server}_{name}`) and in scopes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ServerName(String);

/// A server name that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "server name {found:?} must be 1 to 64 letters, digits, `_`, `-` or `.`, and not start with a dot"
)]
pub struct BadServerName {
    pub found: String,
}

impl ServerName {
    pub fn parse(text: &str) -> Result<Self, BadServerName> {
        let fits = (1..=64).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadServerName { found: text.to_owned() }) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ServerName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_issuer_and_subject() {
        assert_eq!(UserId::of("https://a", "1"), UserId::of("https://a", "1"));
        assert_ne!(UserId::of("https://a", "1"), UserId::of("https://b", "1"));
        assert_ne!(UserId::of("https://a1", ""), UserId::of("https://a", "1"));
    }

    #[test]
    fn server_names() {
        for good in ["dice", "my-server", "a.b", "A_1"] {
            assert_eq!(ServerName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(ServerName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
