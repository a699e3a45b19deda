//! What Redis says when something goes wrong, told as the ports tell it ([`StoreError`]). What can
//! go wrong while opening is in [`super::open`].

use portunus_core::store::StoreError;
use redis::{ErrorKind, RedisError};

/// Never with what was sent: redis names commands and kinds of errors in its messages, not
/// arguments.
pub(super) fn told(error: &RedisError) -> StoreError {
    let text = error.code().map_or_else(|| error.to_string(), |code| format!("{code}: {error}"));
    match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => StoreError::Corrupt(text),
        _ if error.code() == Some("WRONGTYPE") => StoreError::Corrupt(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Must another connection be made? After what breaks one, after an answer that never came, and
/// when the server at its end has become a replica.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
}

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

pub(super) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}
