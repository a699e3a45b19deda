//! Assertions that were used: only their keys, which are hashes.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    secret::TokenHash,
    store::{AssertionStore, StoreError},
};
use rusqlite::params;

use super::database::Database;
use crate::record::key;

pub(super) struct SqliteAssertionStore(pub(super) Arc<Database>);

#[async_trait]
impl AssertionStore for SqliteAssertionStore {
    async fn use_once(
        &self,
        assertion: &TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let assertion = *assertion;
        self.0
            .write(move |db| {
                let noted = db
                    .prepare_cached(
                        "INSERT INTO assertions (hash, expires_at) VALUES (?1, ?2)
                         ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE assertions.expires_at <= ?3",
                    )?
                    .execute(params![key(&assertion), expires_at.as_millis(), now.as_millis()])?;
                Ok(noted > 0)
            })
            .await
    }
}
