//! Care of the store: is it well, and what can be thrown away.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    store::{StoreError, Upkeep},
};
use rusqlite::params;

use super::{database::Database, key_check};

/// Rows deleted in one job, so that a long purge lets others write in between.
const CHUNK: usize = 500;

/// What is deleted: table, primary key, condition on `?1`. Grants come after their tokens, which
/// refer to them.
const EXPIRED: [(&str, &str, &str); 12] = [
    ("legs", "state", "expires_at <= ?1"),
    ("transactions", "id", "expires_at <= ?1"),
    ("logins", "hash", "expires_at <= ?1"),
    ("codes", "hash", "expires_at <= ?1"),
    ("access_tokens", "hash", "expires_at <= ?1"),
    ("refresh_tokens", "hash", "expires_at <= ?1"),
    ("refresh_families", "id", "expires_at <= ?1"),
    ("assertions", "hash", "expires_at <= ?1"),
    ("sessions", "id", "expires_at <= ?1"),
    ("tasks", "id", "expires_at <= ?1"),
    ("provider_tokens", "id", "expires_at <= ?1"),
    ("grants", "id", "tokens_until <= ?1"),
];
const UNUSED_CLIENTS: (&str, &str, &str) =
    ("clients", "id", "last_used_at IS NULL AND created_at < ?1");

pub(super) struct SqliteUpkeep(pub(super) Arc<Database>);

#[async_trait]
impl Upkeep for SqliteUpkeep {
    async fn ping(&self) -> Result<(), StoreError> {
        // A real write, flushed to the disk: a full or read-only disk is seen here before a token
        // is lost to it.
        self.0
            .write(|db| {
                db.prepare_cached(
                    "INSERT INTO meta (key, value) VALUES ('ping', x'01')
                     ON CONFLICT (key) DO UPDATE SET value = CASE value WHEN x'01' THEN x'02' ELSE x'01' END",
                )?
                .execute([])?;
                Ok(())
            })
            .await?;
        self.0
            .read(|db| {
                db.prepare_cached("SELECT value FROM meta WHERE key = 'ping'")?
                    .query_row([], |_| Ok(()))?;
                Ok(())
            })
            .await
    }

    async fn purge(&self, now: Timestamp, unused_since: Timestamp) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for rows in EXPIRED {
            deleted += self.delete(rows, now).await?;
        }
        Ok(deleted + self.delete(UNUSED_CLIENTS, unused_since).await?)
    }

    async fn reseal(&self) -> Result<(), StoreError> {
        let sealer = Arc::clone(&self.0.sealer);
        self.0.write(move |db| key_check::renew_open(db, &sealer)).await
    }
}

impl SqliteUpkeep {
    async fn delete(
        &self,
        (table, key, condition): (&str, &str, &str),
        time: Timestamp,
    ) -> Result<u64, StoreError> {
        let sql: Arc<str> =
            format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {CHUNK})").into();
        self.in_chunks(sql, time).await
    }

    /// Repeats a statement that changes at most [`CHUNK`] rows until it has nothing more to change.
    async fn in_chunks(&self, sql: Arc<str>, time: Timestamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let sql = Arc::clone(&sql);
            let changed = self
                .0
                .write(move |db| Ok(db.prepare_cached(&sql)?.execute(params![time.as_millis()])?))
                .await?;
            total += changed as u64;
            if changed < CHUNK {
                return Ok(total);
            }
        }
    }
}
