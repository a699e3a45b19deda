//! How a store fails: one error for every port.

use thiserror::Error;

/// Why a store could not do what it was asked. The detail is for the log, never for a client.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store cannot be reached or written just now; the same call may work later. Answered as
    /// 503.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The id is taken already.
    #[error("already there")]
    Conflict,
    /// The person or the client that it is for is disabled ([`crate::disabled`]); nothing was
    /// written.
    #[error("disabled")]
    Disabled,
    /// As many of the kind are kept as may be.
    #[error("there are {0} already, which is the most")]
    Full(u32),
    /// What was read cannot be understood, or was sealed with a key we do not have.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}
