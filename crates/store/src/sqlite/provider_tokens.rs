//! Refresh tokens of identity providers, one for each person. The whole record is sealed; beside it
//! stands its version, which is compared when it changes.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::UserId,
    provider_token::ProviderToken,
    secret::TokenHash,
    store::{ProviderTokenStore, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{database::Database, failure::Failure};
use crate::{
    record::{key, open_json, provider_token_id, seal_json, version_to_store},
    seal::{Place, Sealer},
};

pub(super) struct SqliteProviderTokenStore(pub(super) Arc<Database>);

pub(super) fn place(id: &TokenHash) -> Place<'_> {
    Place { table: "provider_tokens", column: "record", key: key(id) }
}

/// Keeps the token, in place of what was there for its person.
pub(super) fn keep(db: &Connection, sealer: &Sealer, token: &ProviderToken) -> Result<(), Failure> {
    let id = provider_token_id(&token.user);
    let record = seal_json(sealer, place(&id), token)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO provider_tokens (id, version, expires_at, record) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        key(&id),
        version_to_store(token.version),
        token.expires_at.as_millis(),
        record
    ])?;
    Ok(())
}

/// Deletes the token that is kept under the id. `false` if there was none.
pub(super) fn delete(db: &Connection, id: &TokenHash) -> Result<bool, Failure> {
    let mut statement = db.prepare_cached("DELETE FROM provider_tokens WHERE id = ?1")?;
    Ok(statement.execute(params![key(id)])? > 0)
}

#[async_trait]
impl ProviderTokenStore for SqliteProviderTokenStore {
    async fn keep_provider_token(&self, token: &ProviderToken) -> Result<(), StoreError> {
        let (token, sealer) = (token.clone(), Arc::clone(&self.0.sealer));
        self.0.write(move |db| keep(db, &sealer, &token)).await
    }

    async fn find_provider_token(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<ProviderToken>, StoreError> {
        let (id, sealer) = (provider_token_id(user), Arc::clone(&self.0.sealer));
        self.0
            .read(move |db| {
                let record: Option<Vec<u8>> = db
                    .prepare_cached(
                        "SELECT record FROM provider_tokens WHERE id = ?1 AND expires_at > ?2",
                    )?
                    .query_row(params![key(&id), now.as_millis()], |row| row.get(0))
                    .optional()?;
                Ok(record.map(|record| open_json(&sealer, place(&id), &record)).transpose()?)
            })
            .await
    }

    async fn change_provider_token(
        &self,
        version: u64,
        after: &ProviderToken,
    ) -> Result<bool, StoreError> {
        let (id, after) = (provider_token_id(&after.user), after.clone());
        let record = seal_json(&self.0.sealer, place(&id), &after)?;
        self.0
            .write(move |db| {
                let changed = db
                    .prepare_cached(
                        "UPDATE provider_tokens SET version = ?3, expires_at = ?4, record = ?5 WHERE id = ?1 AND version = ?2",
                    )?
                    .execute(params![
                        key(&id),
                        version_to_store(version),
                        version_to_store(after.version),
                        after.expires_at.as_millis(),
                        record
                    ])?;
                Ok(changed > 0)
            })
            .await
    }

    async fn delete_provider_token(&self, user: &UserId) -> Result<bool, StoreError> {
        let id = provider_token_id(user);
        self.0.write(move |db| delete(db, &id)).await
    }
}
