//! Records as columns hold them: JSON, or JSON sealed where the record's type holds secrets. The sealing itself is
//! [`crate::seal`].

use portunus_core::{secret::TokenHash, store::StoreError};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::seal::{Place, Sealer};

pub(super) fn to_json<T: Serialize>(record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| StoreError::Corrupt(format!("cannot be written: {error}")))
}

pub(super) fn from_json<T: DeserializeOwned>(table: &str, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| unreadable(table, &error))
}

/// The whole record is sealed, so that a secret field added to its type later cannot be forgotten.
pub(super) fn seal_json<T: Serialize>(sealer: &Sealer, place: Place<'_>, record: &T) -> Result<Vec<u8>, StoreError> {
    let json = Zeroizing::new(to_json(record)?);
    sealer.seal(place, json.as_bytes()).map_err(|error| Failure::from(error).0)
}

pub(super) fn open_json<T: DeserializeOwned>(sealer: &Sealer, place: Place<'_>, ciphertext: &[u8]) -> Result<T, Failure> {
    let json = sealer.open(place, ciphertext)?;
    serde_json::from_slice(&json).map_err(|error| unreadable(place.table, &error))
}

/// Says where and how, never what: serde quotes values in its messages, and they may be secret.
fn unreadable(table: &str, error: &serde_json::Error) -> Failure {
    Failure::corrupt(format!("{table}.record: {:?} error at column {}", error.classify(), error.column()))
}

/// A hash as a primary key.
pub(super) fn key(hash: &TokenHash) -> &[u8] {
    hash.as_bytes()
}
