//! Why nothing came of a fetch by [`super::guarded`].

use std::{net::IpAddr, time::Duration};

use thiserror::Error;

/// How long a fetch may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// Why there is nothing. The detail is for the log: a stranger must not learn from us what is in
/// our network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    #[error("too many fetches are under way")]
    Busy,
    #[error("too much was fetched for this address of late")]
    TooOften,
    #[error("it took longer than {} s", DEADLINE.as_secs())]
    Timeout,
    #[error("its name cannot be resolved: {0}")]
    Unresolved(String),
    #[error("its name leads to {address} ({block}), which is not on the public Internet")]
    SpecialAddress { address: IpAddr, block: &'static str },
    #[error("no answer: {0}")]
    Transport(String),
    #[error("status {0} in place of 200")]
    Status(u16),
    #[error("the answer is not declared as JSON")]
    NotJson,
    #[error("the answer is compressed")]
    Encoded,
    #[error("the answer is longer than {limit} bytes")]
    TooLarge { limit: usize },
}

impl FetchError {
    /// Does it say that there is no way to the host, rather than what stands there?
    pub const fn is_of_the_way(&self) -> bool {
        matches!(self, Self::Timeout | Self::Unresolved(_) | Self::Transport(_))
    }

    /// May the same URL work in a while, without a change of what stands there?
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Busy
            | Self::TooOften
            | Self::Timeout
            | Self::Unresolved(_)
            | Self::Transport(_) => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::SpecialAddress { .. } | Self::NotJson | Self::Encoded | Self::TooLarge { .. } => {
                false
            }
        }
    }
}
