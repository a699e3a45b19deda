//! Everything there is, out of the file and into it. Each way has a connection and a thread of its
//! own, so that the gateway's readers and its writer are free: [`export`] reads one snapshot,
//! [`import`] is one transaction. Next door: [`super::database`], for everything else.

pub(super) mod export;
mod import;
mod tables;

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::store::{Archive, ArchiveError, RecordSink, RecordSource, StoreError};
use tokio::{
    sync::mpsc,
    task::{self, JoinError},
};

use self::{export::Portion, import::Order, tables::TABLES};
use super::{database::Database, failure::Failure};

/// Portions on their way between the thread and the task.
const AHEAD: usize = 4;

pub(super) struct SqliteArchive(pub(super) Arc<Database>);

#[async_trait]
impl Archive for SqliteArchive {
    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.0
            .read(|db| {
                for table in TABLES.into_iter().chain(["pins"]) {
                    let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
                    if db.query_row(&sql, [], |row| row.get(0))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
            .await
    }

    async fn export(&self, sink: &mut dyn RecordSink) -> Result<(), ArchiveError> {
        let (out, mut portions) = mpsc::channel(AHEAD);
        let database = Arc::clone(&self.0);
        let reading = task::spawn_blocking(move || export::run(&database, &out));
        while let Some(portion) = portions.recv().await {
            match portion {
                Portion::Records(records) => sink.put(records).await?,
                Portion::LeftOut(record) => sink.leave_out(record).await?,
            }
        }
        Ok(reading.await.map_err(broken)?.map_err(|Failure(error)| error)?)
    }

    async fn import(&self, source: &mut dyn RecordSource) -> Result<(), ArchiveError> {
        let (orders, taken) = mpsc::channel(AHEAD);
        let database = Arc::clone(&self.0);
        let writing = task::spawn_blocking(move || import::run(&database, taken));
        let given = give(source, orders).await;
        // Without the order to commit it undoes everything; that is waited for too.
        let written = writing.await.map_err(broken)?;
        given?;
        Ok(written.map_err(|Failure(error)| error)?)
    }
}

async fn give(
    source: &mut dyn RecordSource,
    orders: mpsc::Sender<Order>,
) -> Result<(), ArchiveError> {
    while let Some(records) = source.next().await? {
        if orders.send(Order::Keep(records)).await.is_err() {
            // The thread is gone, and says why.
            return Ok(());
        }
    }
    let _gone = orders.send(Order::Commit).await;
    Ok(())
}

fn broken(_: JoinError) -> StoreError {
    StoreError::Unavailable("its work panicked or was stopped".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use portunus_core::{entropy::SeededEntropy, secret::SecretText};

    use super::{tables::MORE_TABLES, *};
    use crate::seal::Sealer;

    /// Or it would be lost in every backup.
    #[test]
    fn every_table_is_known_here() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mcp.sqlite");
        let sealer =
            Sealer::new(&[SecretText::new("a secret")], Arc::new(SeededEntropy::new(1))).unwrap();
        drop(super::super::open(&path, sealer).unwrap());
        let connection = rusqlite::Connection::open(&path).unwrap();
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let tables: BTreeSet<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let known = TABLES.into_iter().chain(MORE_TABLES).chain(["meta"]).map(str::to_owned);
        assert_eq!(tables, known.collect());
    }
}
