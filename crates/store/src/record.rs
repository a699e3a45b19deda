//! Records as every store holds them: JSON, or JSON sealed where the record's type holds secrets.
//! The sealing itself is [`crate::seal`].

use portunus_core::{
    Timestamp,
    disabled::DisabledRecord,
    grant::Grant,
    ids::UserId,
    principal::User,
    refresh::RefreshFamily,
    secret::{SecretText, TokenHash},
    store::StoreError,
    token::AccessToken,
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::seal::{Place, SealError, Sealer};

pub(crate) fn to_json<T: Serialize>(record: &T) -> Result<String, StoreError> {
    serde_json::to_string(record)
        .map_err(|error| StoreError::Corrupt(format!("cannot be written: {error}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(table: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| unreadable(table, &error))
}

pub(crate) fn from_json_bytes<T: DeserializeOwned>(
    table: &str,
    json: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| unreadable(table, &error))
}

/// What is disabled, by what it stands under: a record of something else is none.
pub(crate) fn disabled_from_json(
    kind: &str,
    id: &str,
    json: &str,
) -> Result<DisabledRecord, StoreError> {
    let record: DisabledRecord = from_json("disabled", json)?;
    if record.what.kind() == kind && record.what.id() == id {
        Ok(record)
    } else {
        Err(StoreError::Corrupt("disabled.record: of something else".to_owned()))
    }
}

/// The whole record is sealed, so that a secret field added to its type later cannot be forgotten.
pub(crate) fn seal_json<T: Serialize>(
    sealer: &Sealer,
    place: Place<'_>,
    record: &T,
) -> Result<Vec<u8>, StoreError> {
    let json = Zeroizing::new(to_json(record)?);
    sealer.seal(place, json.as_bytes()).map_err(not_opened)
}

pub(crate) fn open_json<T: DeserializeOwned>(
    sealer: &Sealer,
    place: Place<'_>,
    ciphertext: &[u8],
) -> Result<T, StoreError> {
    let json = sealer.open(place, ciphertext).map_err(not_opened)?;
    serde_json::from_slice(&json).map_err(|error| unreadable(place.table, &error))
}

/// The secret of a family of refresh tokens, once its seal is off.
pub(crate) fn read_family_secret(plaintext: &[u8]) -> Result<SecretText, StoreError> {
    let text = std::str::from_utf8(plaintext)
        .map_err(|_| StoreError::Corrupt("the secret of a family is not text".to_owned()))?;
    Ok(SecretText::new(text))
}

/// Until when a redeemed code is remembered: as long as its grant may live, a replay ends it
/// (threat 70).
pub(crate) fn remembered_until(
    grant: &Grant,
    access: &AccessToken,
    refresh: Option<&RefreshFamily>,
) -> Timestamp {
    match refresh {
        Some(family) => grant.expires_at.unwrap_or(family.expires_at).max(access.expires_at),
        None => access.expires_at,
    }
}

pub(crate) fn not_opened(error: SealError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// Says where and how, never what: serde quotes values in its messages, and they may be secret.
fn unreadable(table: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!(
        "{table}.record: {:?} error at column {}",
        error.classify(),
        error.column()
    ))
}

/// Do tokens tell something else of the user than what was kept? Not of a user of whom nothing was
/// kept: there are no tokens yet.
pub(crate) fn is_described_anew(kept: Option<&str>, user: &User) -> bool {
    kept.is_some_and(|kept| {
        !from_json::<User>("users", kept).is_ok_and(|kept| kept.is_described_like(user))
    })
}

/// What the refresh token of an identity provider is kept under: one for each person.
pub(crate) fn provider_token_id(user: &UserId) -> TokenHash {
    TokenHash::of(user.as_str())
}

/// A version as a store holds it.
pub(crate) const fn version_to_store(version: u64) -> i64 {
    version.cast_signed()
}

/// A hash as a primary key.
pub(crate) fn key(hash: &TokenHash) -> &[u8] {
    hash.as_bytes()
}
