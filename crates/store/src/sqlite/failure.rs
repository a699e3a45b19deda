//! What SQLite says when something goes wrong, told as the ports tell it ([`StoreError`]). What can
//! go wrong while opening is in [`super::connection::OpenError`].

use portunus_core::store::StoreError;
use rusqlite::{Error, ErrorCode, ffi};

use crate::seal::SealError;

/// A [`StoreError`] that `?` makes from SQLite's errors.
#[derive(Debug)]
pub(super) struct Failure(pub(super) StoreError);

impl Failure {
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self(StoreError::Corrupt(what.into()))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::corrupt(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(match &error {
            Error::SqliteFailure(cause, _) => match cause.code {
                ErrorCode::ConstraintViolation if is_taken(*cause) => StoreError::Conflict,
                ErrorCode::ConstraintViolation
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase => StoreError::Corrupt(error.to_string()),
                _ => StoreError::Unavailable(error.to_string()),
            },
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => StoreError::Corrupt(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        })
    }
}

fn is_taken(cause: ffi::Error) -> bool {
    matches!(cause.extended_code, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE)
}
