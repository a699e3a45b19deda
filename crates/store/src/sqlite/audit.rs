//! The audit trail: records as they were written, in the order of their chains, and beside each
//! chain its signed head.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    audit::{AuditFilter, ChainHead, ChainId, ChainedRecord, RecordHash, merge_by_time},
    store::{AuditStore, StoreError, StoredChain},
};
use rusqlite::{Connection, Row, Statement, params, types::ValueRef};

use super::{database::Database, failure::Failure};
use crate::record::{from_json, to_json};

pub(super) struct SqliteAuditStore(pub(super) Arc<Database>);

/// Of the chains that have records, found without reading all of them, and of those with a head.
const CHAINS: &str = "WITH RECURSIVE found (id) AS (
     SELECT min(chain) FROM audit_records
     UNION ALL SELECT (SELECT min(chain) FROM audit_records WHERE chain > found.id) FROM found WHERE found.id IS NOT NULL)
     SELECT ids.id, audit_chains.head FROM
     (SELECT id FROM found WHERE id IS NOT NULL UNION SELECT id FROM audit_chains) AS ids
     LEFT JOIN audit_chains ON audit_chains.id = ids.id ORDER BY ids.id";

/// A statement that appends as many records as it has words, all of one chain. Over nothing that
/// stands there already: it is left for `verify` to find. `OR FAIL`, since the append as a whole is
/// undone then: SQLite need not be able to undo the one statement.
macro_rules! append {
    ($($row:ident)+) => {
        concat!(
            "INSERT OR FAIL INTO audit_records (chain, seq, at, hash, record) VALUES ",
            append!(@rows $($row)+)
        )
    };
    (@rows $first:ident $($row:ident)*) => {
        concat!("(?1, ?, ?, ?, ?)", $(append!(@more $row)),*)
    };
    (@more $row:ident) => { ", (?1, ?, ?, ?, ?)" };
}

/// So many records at once, the most first: within a statement SQLite goes on where the record
/// before was put, and need not look for the place.
const APPEND: [(usize, &str); 3] =
    [(16, append!(r r r r r r r r r r r r r r r r)), (4, append!(r r r r)), (1, append!(r))];
const IMPORT: &str = "INSERT OR REPLACE INTO audit_records (chain, seq, at, hash, record) VALUES (?1, ?2, ?3, ?4, ?5)";

#[async_trait]
impl AuditStore for SqliteAuditStore {
    async fn list_chains(&self) -> Result<Vec<StoredChain>, StoreError> {
        self.0
            .read(|db| {
                let mut statement = db.prepare_cached(CHAINS)?;
                let mut rows = statement.query([])?;
                let mut chains = Vec::new();
                while let Some(row) = rows.next()? {
                    let head = text(row, 1)?;
                    chains.push(StoredChain {
                        id: ChainId::from_text(text(row, 0)?),
                        head: from_json("audit_chains", &head).ok(),
                    });
                }
                Ok(chains)
            })
            .await
    }

    async fn append(
        &self,
        before: Option<&ChainHead>,
        after: &ChainHead,
        records: &[ChainedRecord],
    ) -> Result<(), StoreError> {
        let (before, after, records) = (before.cloned(), after.clone(), records.to_vec());
        self.0
            .write(move |db| {
                replace_head(db, before.as_ref(), &after)?;
                append_records(db, &after.chain, &records).map_err(|failure| match failure.0 {
                    StoreError::Conflict => {
                        Failure::corrupt("audit_records: something stands where records belong")
                    }
                    error => Failure(error),
                })
            })
            .await
    }

    async fn read_records(
        &self,
        chain: &ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let chain = chain.as_str().to_owned();
        // With the first are those of negative numbers: no gateway writes them, and they are to be
        // found.
        let from = if from == 0 { Ok(i64::MIN) } else { i64::try_from(from) };
        let Ok(from) = from else { return Ok(Vec::new()) };
        self.0
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT chain, seq, at, hash, record FROM audit_records WHERE chain = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
                )?;
                let mut rows = statement.query(params![chain, from, number(limit as u64)])?;
                let mut records = Vec::new();
                while let Some(row) = rows.next()? {
                    records.push(read_record(row)?);
                }
                Ok(records)
            })
            .await
    }

    async fn find_records(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let filter = filter.clone();
        self.0
            .read(move |db| {
                let mut chains = Vec::new();
                for id in chain_ids(db)? {
                    chains.push(newest_of(db, &id, &filter, limit)?);
                }
                let mut merged = merge_by_time(chains);
                merged.drain(..merged.len().saturating_sub(limit));
                Ok(merged)
            })
            .await
    }

    async fn delete_records(
        &self,
        before: &ChainHead,
        after: &ChainHead,
    ) -> Result<(), StoreError> {
        let (before, after) = (before.clone(), after.clone());
        self.0
            .write(move |db| {
                replace_head(db, Some(&before), &after)?;
                db.prepare_cached(
                    "DELETE FROM audit_records WHERE chain = ?1 AND seq BETWEEN 1 AND ?2",
                )?
                .execute(params![after.chain.as_str(), number(after.deleted)])?;
                Ok(())
            })
            .await
    }
}

/// SQLite has no larger numbers; a chain never comes that far.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn replace_head(
    db: &Connection,
    before: Option<&ChainHead>,
    after: &ChainHead,
) -> Result<(), Failure> {
    let (id, head) = (after.chain.as_str(), to_json(after)?);
    let replaced = match before {
        None => db
            .prepare_cached("INSERT OR IGNORE INTO audit_chains (id, head) VALUES (?1, ?2)")?
            .execute(params![id, head])?,
        Some(before) => db
            .prepare_cached("UPDATE audit_chains SET head = ?2 WHERE id = ?1 AND head = ?3")?
            .execute(params![id, head, to_json(before)?])?,
    };
    if replaced == 0 { Err(Failure(StoreError::Conflict)) } else { Ok(()) }
}

pub(super) fn insert_head(db: &Connection, head: &ChainHead) -> Result<(), Failure> {
    db.prepare_cached("INSERT OR REPLACE INTO audit_chains (id, head) VALUES (?1, ?2)")?
        .execute(params![head.chain.as_str(), to_json(head)?])?;
    Ok(())
}

/// Records of one chain.
fn append_records(
    db: &Connection,
    chain: &ChainId,
    records: &[ChainedRecord],
) -> Result<(), Failure> {
    let mut rest = records;
    for (rows, statement) in APPEND {
        let mut statement = db.prepare_cached(statement)?;
        while let Some((some, behind)) = rest.split_at_checked(rows) {
            statement.raw_bind_parameter(1, chain.as_str())?;
            for (at, ChainedRecord { seq, at: time, text, hash, .. }) in some.iter().enumerate() {
                let first = 2 + 4 * at;
                statement.raw_bind_parameter(first, number(*seq))?;
                statement.raw_bind_parameter(first + 1, time.as_millis())?;
                statement.raw_bind_parameter(first + 2, hash.as_bytes())?;
                statement.raw_bind_parameter(first + 3, text)?;
            }
            statement.raw_execute()?;
            rest = behind;
        }
    }
    Ok(())
}

pub(super) fn insert_record(db: &Connection, record: &ChainedRecord) -> Result<(), Failure> {
    insert(&mut *db.prepare_cached(IMPORT)?, record)
}

fn insert(statement: &mut Statement<'_>, record: &ChainedRecord) -> Result<(), Failure> {
    let ChainedRecord { chain, seq, at, text, hash } = record;
    statement.execute(params![
        chain.as_str(),
        number(*seq),
        at.as_millis(),
        hash.as_bytes(),
        text
    ])?;
    Ok(())
}

fn chain_ids(db: &Connection) -> Result<Vec<String>, Failure> {
    let mut statement = db.prepare_cached(CHAINS)?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(text(row, 0)?);
    }
    Ok(ids)
}

/// Oldest first.
fn newest_of(
    db: &Connection,
    chain: &str,
    filter: &AuditFilter,
    limit: usize,
) -> Result<Vec<ChainedRecord>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT chain, seq, at, hash, record FROM audit_records WHERE chain = ?1 ORDER BY seq DESC",
    )?;
    let mut rows = statement.query([chain])?;
    let mut records = Vec::new();
    while records.len() < limit
        && let Some(row) = rows.next()?
    {
        let record = read_record(row)?;
        if filter.is_over(record.at) {
            break;
        }
        if record.read().is_some_and(|read| filter.matches(&read)) {
            records.push(record);
        }
    }
    records.reverse();
    Ok(records)
}

/// Of columns `chain, seq, at, hash, record`.
pub(super) fn read_record(row: &Row<'_>) -> Result<ChainedRecord, Failure> {
    // A hash of another length is one that does not fit.
    let hash: Vec<u8> = row.get(3)?;
    Ok(ChainedRecord {
        chain: ChainId::from_text(text(row, 0)?),
        seq: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
        at: Timestamp::from_millis(row.get(2)?),
        hash: RecordHash::from_bytes(hash.try_into().unwrap_or_default()),
        text: text(row, 4)?,
    })
}

/// A text, which may have been made no text by hand: that is read too, and does not fit.
fn text(row: &Row<'_>, column: usize) -> Result<String, Failure> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use portunus_core::{
        audit::{AuditKeys, Chain, Entry, Event, Origin, Person},
        entropy::SeededEntropy,
        ids::NodeId,
        secret::SecretText,
    };

    use crate::seal::Sealer;

    use super::*;

    /// Or what was put there by hand is shown and never verified, or read without an end.
    #[tokio::test]
    async fn records_of_any_number_are_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mcp.sqlite");
        let sealer =
            Sealer::new(&[SecretText::new("a secret")], Arc::new(SeededEntropy::new(1))).unwrap();
        let store = super::super::open(&path, sealer).unwrap().audit;
        let connection = Connection::open(&path).unwrap();
        for seq in [-7, 1, i64::MAX] {
            connection
                .execute(
                    "INSERT INTO audit_records (chain, seq, at, hash, record) VALUES ('a', ?1, 0, x'00', '{}')",
                    [seq],
                )
                .unwrap();
        }
        let chain = ChainId::from_text("a");
        let (mut read, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            let records = store.read_records(&chain, from, 1).await.unwrap();
            next = records.last().and_then(|last| last.seq.checked_add(1));
            read.extend(records.into_iter().map(|record| record.seq));
        }
        assert_eq!(read, [0, 1, i64::MAX as u64]);
    }
    /// Whatever statements of many records, of few and of one an append takes.
    #[tokio::test]
    async fn an_append_of_any_size_is_kept_in_order_or_not_at_all() {
        for (count, taken) in [(1, 1), (4, 3), (5, 5), (16, 9), (23, 21), (40, 33)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("mcp.sqlite");
            let sealer =
                Sealer::new(&[SecretText::new("a secret")], Arc::new(SeededEntropy::new(1)))
                    .unwrap();
            let store = super::super::open(&path, sealer).unwrap().audit;
            let at = Timestamp::from_millis(1);
            let mut chain = Chain::begin(ChainId::from_text("a"), NodeId::from_text("node"));
            let entry = || Entry {
                at,
                person: Person::default(),
                origin: Origin::default(),
                event: Event::Stopped,
            };
            let records: Vec<_> = (0..count).map(|_| chain.append(entry())).collect();
            let head = chain.head(&AuditKeys::new([[7; 32]]));

            let connection = Connection::open(&path).unwrap();
            let put = "INSERT INTO audit_records (chain, seq, at, hash, record) VALUES ('a', ?1, 0, x'00', '{}')";
            connection.execute(put, [taken]).unwrap();
            let refused = store.append(None, &head, &records).await;
            assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{count}: {refused:?}");
            let kept = store.read_records(chain.id(), 0, 100).await.unwrap();
            assert_eq!(kept.len(), 1, "{count}");
            assert_eq!(store.list_chains().await.unwrap()[0].head, None, "{count}");

            connection.execute("DELETE FROM audit_records", []).unwrap();
            store.append(None, &head, &records).await.unwrap();
            assert_eq!(store.read_records(chain.id(), 0, 100).await.unwrap(), records);
        }
    }
}
