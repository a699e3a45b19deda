//! Invalidations. Their number stands in `meta` and moves on in the same transaction as what they
//! tell, so that a process beside the gateway (`portunus grants`) is noticed too; those of this
//! process are told as soon as they are on disk.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    invalidation::{Invalidation, Posted, Revision},
    store::{InvalidationStore, InvalidationSubscription, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::broadcast;

use super::{database::Database, failure::Failure};

pub(super) struct SqliteInvalidationStore(pub(super) Arc<Database>);

/// Counts the invalidation, as part of a job that hands it to [`Database::write_and_tell`].
pub(super) fn post(db: &Connection, invalidation: Invalidation) -> Result<Posted, Failure> {
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES ('bulletins', CAST(1 AS BLOB))
             ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS BLOB)
             RETURNING CAST(value AS INTEGER)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(Posted { before: revision(number - 1), invalidation, after: revision(number) })
}

/// The same if something came of the job.
pub(super) fn post_if(
    posts: bool,
    db: &Connection,
    invalidation: impl FnOnce() -> Invalidation,
) -> Result<Option<Posted>, Failure> {
    posts.then(|| post(db, invalidation())).transpose()
}

fn revision(number: i64) -> Revision {
    Revision::from_text(number.to_string())
}

#[async_trait]
impl InvalidationStore for SqliteInvalidationStore {
    async fn post(&self, invalidation: &Invalidation) -> Result<(), StoreError> {
        let invalidation = invalidation.clone();
        self.0.write_and_tell(move |db| Ok(((), Some(post(db, invalidation)?)))).await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.0
            .read(|db| {
                let number: Option<i64> = db
                    .prepare_cached(
                        "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'bulletins'",
                    )?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                Ok(revision(number.unwrap_or_default()))
            })
            .await
    }

    async fn listen(&self) -> Result<Box<dyn InvalidationSubscription>, StoreError> {
        Ok(Box::new(SqliteSubscription(self.0.invalidations.subscribe())))
    }
}

struct SqliteSubscription(broadcast::Receiver<Posted>);

#[async_trait]
impl InvalidationSubscription for SqliteSubscription {
    async fn next(&mut self) -> Option<Posted> {
        self.0.recv().await.ok()
    }
}
