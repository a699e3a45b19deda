//! The ways in which a server can fail its callers. `Display` is fixed text for the caller;
//! [`UpstreamError::detail`] is for the log.

use std::time::Duration;

use thiserror::Error;

use crate::wire::WireError;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpstreamError {
    #[error("there is no such server")]
    NotFound,
    #[error("the server's program could not be started")]
    Spawn { detail: String },
    #[error("the server cannot be reached")]
    Connect { detail: String },
    #[error("the server did not complete the MCP handshake")]
    Handshake { detail: String },
    /// With the server's own text, which the caller may see as it would without the gateway.
    #[error("the server answered with HTTP status {status}{}{words}", if words.is_empty() { "" } else { ": " })]
    Status { status: u16, words: String },
    #[error("the server failed and will be tried again in {} s", seconds(*.retry_in))]
    Backoff { retry_in: Duration, detail: String },
    #[error("too many connections to servers are open; try again later")]
    TooMany,
    /// Told to the person whose children they are.
    #[error(
        "you have {limit} server processes at work, and one person may have no more (limits.children_per_user): end some of what they do, or \
         try again later"
    )]
    ShareUsedUp { limit: usize },
    #[error("the server has too many calls in flight; try again later")]
    Busy,
    #[error("the server did not answer in time")]
    Timeout,
    #[error(
        "the connection to the server ended before it answered: the call may or may not have run"
    )]
    Closed { detail: String },
    /// The server no longer has the session and did nothing: the request may be made again on a new
    /// connection.
    #[error("the session with the server ended")]
    SessionExpired,
    /// Another node ran the server, and the call with it: whether it was done is unknown.
    #[error("the node that runs the server is gone: the call may or may not have run")]
    Lost,
    #[error("the call was cancelled")]
    Cancelled,
    #[error("the server's answer is too large")]
    TooLarge,
    /// The caller's own parameters cannot be sent on.
    #[error(transparent)]
    Params(#[from] WireError),
    #[error("the server broke the protocol")]
    Protocol { detail: String },
}

impl UpstreamError {
    /// What happened, for the log and never for the caller.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Spawn { detail }
            | Self::Connect { detail }
            | Self::Handshake { detail }
            | Self::Backoff { detail, .. }
            | Self::Closed { detail }
            | Self::Protocol { detail } => Some(detail),
            _ => None,
        }
    }

    pub(crate) fn closed(detail: impl Into<String>) -> Self {
        Self::Closed { detail: detail.into() }
    }

    pub(super) fn handshake(detail: impl Into<String>) -> Self {
        Self::Handshake { detail: detail.into() }
    }

    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::Protocol { detail: detail.into() }
    }
}

/// Rounded up, so that a client that waits so long is not refused again.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The beginning of a server's text, for a detail.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(300).collect()
}
