//! Bulletins. Their number stands in `meta` and moves on in the same transaction as what they tell, so that a process beside the gateway
//! (`portunus grants`) is noticed too; those of this process are told as soon as they are on disk.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    bulletin::{Bulletin, Mark, Posted},
    store::{BulletinStore, Hearing, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::broadcast;

use super::{database::Database, failure::Failure};

pub(super) struct SqliteBulletinStore(pub(super) Arc<Database>);

/// Counts the bulletin, as part of a job that hands it to [`Database::write_and_tell`].
pub(super) fn post(db: &Connection, bulletin: Bulletin) -> Result<Posted, Failure> {
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES ('bulletins', CAST(1 AS BLOB))
             ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS BLOB)
             RETURNING CAST(value AS INTEGER)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(Posted { before: mark(number - 1), bulletin, after: mark(number) })
}

/// The same if something came of the job.
pub(super) fn post_if(posts: bool, db: &Connection, bulletin: impl FnOnce() -> Bulletin) -> Result<Option<Posted>, Failure> {
    posts.then(|| post(db, bulletin())).transpose()
}

fn mark(number: i64) -> Mark {
    Mark::from_text(number.to_string())
}

#[async_trait]
impl BulletinStore for SqliteBulletinStore {
    async fn post(&self, bulletin: &Bulletin) -> Result<(), StoreError> {
        let bulletin = bulletin.clone();
        self.0.write_and_tell(move |db| Ok(((), Some(post(db, bulletin)?)))).await
    }

    async fn mark(&self) -> Result<Mark, StoreError> {
        self.0
            .read(|db| {
                let number: Option<i64> = db
                    .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'bulletins'")?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                Ok(mark(number.unwrap_or_default()))
            })
            .await
    }

    async fn listen(&self) -> Result<Box<dyn Hearing>, StoreError> {
        Ok(Box::new(SqliteHearing(self.0.bulletins.subscribe())))
    }
}

struct SqliteHearing(broadcast::Receiver<Posted>);

#[async_trait]
impl Hearing for SqliteHearing {
    async fn next(&mut self) -> Option<Posted> {
        self.0.recv().await.ok()
    }
}
