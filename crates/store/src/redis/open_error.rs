//! Why a Redis cannot be used, told when it is opened ([`super::open`]).

use portunus_core::store::StoreError;
use thiserror::Error;

use crate::seal::SealError;

/// Why a Redis cannot be used, and what to change. Holds no secret.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "Redis at {address} cannot be used: {}; check KVS_ADDR or REDIS_URL, user and password, and that it runs",
        told(cause)
    )]
    Store { address: String, cause: StoreError },
    #[error(
        "AUTH_SECRET differs from the one that sealed what is in Redis at {address}; restore it, or keep the old one in AUTH_SECRET_PREVIOUS while you rotate"
    )]
    WrongSecret { address: String },
    #[error(
        "Redis at {address} was last used by a newer Portunus (its layout is {found}, this one knows up to {known}); use that one or a newer one"
    )]
    Newer { address: String, found: i64, known: i64 },
    #[error(
        "a restore into Redis at {address} is under way or broke off: what is there is not whole; let it end, or run `portunus restore --replace` again"
    )]
    HalfRestored { address: String },
    #[error("what is in Redis at {address} cannot be sealed or unsealed: {source}")]
    Seal { address: String, source: SealError },
}

impl OpenError {
    pub(super) fn store(address: &str, cause: StoreError) -> Self {
        Self::Store { address: address.to_owned(), cause }
    }

    pub(super) fn seal(address: &str, source: SealError) -> Self {
        Self::Seal { address: address.to_owned(), source }
    }
}

fn told(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(why) => why.clone(),
        error => error.to_string(),
    }
}
