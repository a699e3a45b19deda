//! One resource, and the addresses at which clients reach it. Which ones exist is known by
//! [`super::Resources`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// The URL a token is for (RFC 8707). Only [`super::Resources`] makes one from a request, so a
/// `Resource` is always one of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(pub(super) String);

impl Resource {
    /// Takes a resource as a store holds it.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URL at which a client reaches a resource, as the client writes it: with a trailing slash,
/// with the `server_name` that `/mcp` takes. What is below a proxied path is all one resource, of
/// one address. The metadata found from it names it in the same way (RFC 9728 section 3.3), and as
/// a `resource` parameter it stands for the resource ([`super::Resources::parse`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAddress {
    /// Path and query, as they follow the public URL.
    pub(super) after_host: String,
}

impl ResourceAddress {
    pub fn path_and_query(&self) -> &str {
        &self.after_host
    }
}
