//! The name of a session, as `Mcp-Session-Id` has it.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::entropy::{Entropy, random_bytes};

/// The name of a session: 256 random bits in base64url, so visible ASCII. It is no credential (a
/// token is asked for at every request, and the session is bound to its user), yet it prints
/// shortened.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(Arc<str>);

impl SessionId {
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes(entropy)).into())
    }

    /// Takes what a client presents; it names nothing until it is looked up.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.chars().take(6).collect::<String>())
    }
}
