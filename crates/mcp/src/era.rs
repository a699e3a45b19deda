//! The revisions of MCP and the two eras they belong to.

/// Revisions with a handshake and sessions, oldest first.
pub const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The newest revision with a handshake: what we offer.
pub const LATEST_LEGACY: &str = "2025-11-25";
/// The stateless revision.
pub const MODERN: &str = "2026-07-28";

pub fn is_legacy(revision: &str) -> bool {
    LEGACY.contains(&revision)
}
