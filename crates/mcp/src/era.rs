//! The revisions of MCP and the two eras they belong to.

/// How client and server get to know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// By a handshake, once for a session: revisions up to 2025-11-25.
    Legacy,
    /// In every request: 2026-07-28 and later.
    Modern,
}

impl Era {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Modern,
            Self::Modern => Self::Legacy,
        }
    }
}

/// Revisions with a handshake and sessions, oldest first.
pub const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The newest revision with a handshake: what we offer.
pub const LATEST_LEGACY: &str = "2025-11-25";
/// The stateless revision.
pub const MODERN: &str = "2026-07-28";

pub fn is_legacy(revision: &str) -> bool {
    LEGACY.contains(&revision)
}

/// Is it a revision with a handshake, one of those above or a draft between two of them? Servers
/// answer with such ones too: their messages are those of the one before.
pub fn has_handshake(revision: &str) -> bool {
    let is_date = revision.len() == MODERN.len()
        && revision
            .bytes()
            .zip(MODERN.bytes())
            .all(|(byte, model)| if model == b'-' { byte == b'-' } else { byte.is_ascii_digit() });
    is_date && (LEGACY[0]..MODERN).contains(&revision)
}

/// Everything the gateway speaks to clients, the newest first.
pub fn all() -> impl Iterator<Item = &'static str> {
    std::iter::once(MODERN).chain(LEGACY.into_iter().rev())
}
