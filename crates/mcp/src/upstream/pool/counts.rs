//! How connections went, by server. What there is at one moment is in [`super::state`].

/// How connections to one server went since the gateway began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// They began, or a child was started.
    pub started: u64,
    /// They could not begin.
    pub failed: u64,
    /// They ended and the gateway had not closed them: a child exited, a server forgot its session.
    pub lost: u64,
}
