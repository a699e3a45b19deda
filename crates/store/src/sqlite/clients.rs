//! Registered clients.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    client::Client,
    ids::ClientId,
    invalidation::Invalidation,
    store::{ClientDeletion, ClientStore, GrantsOf, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{database::Database, failure::Failure, grants_of, invalidations::post};
use crate::record::{from_json, to_json};

pub(super) struct SqliteClientStore(pub(super) Arc<Database>);

const COUNT_UNUSED: &str = "SELECT count(*) FROM clients WHERE last_used_at IS NULL";
/// The oldest one of the address that has most; of several such, of the one whose oldest is the
/// oldest.
const TRIM_UNUSED: &str = "DELETE FROM clients WHERE id = (
         SELECT id FROM clients WHERE last_used_at IS NULL AND registered_from IS (
             SELECT registered_from FROM clients WHERE last_used_at IS NULL
             GROUP BY registered_from ORDER BY count(*) DESC, min(created_at) LIMIT 1)
         ORDER BY created_at, id LIMIT 1)";
/// More than a registration adds, so that a smaller limit is reached soon, and few enough that
/// other writers need not wait.
const TRIMMED_AT_ONCE: u64 = 32;

#[async_trait]
impl ClientStore for SqliteClientStore {
    async fn insert_client(&self, client: &Client) -> Result<(), StoreError> {
        let id = client.id.as_str().to_owned();
        let (created_at, last_used_at) =
            (client.created_at.as_millis(), client.last_used_at.map(Timestamp::as_millis));
        let record = to_json(client)?;
        self.0
            .write(move |db| {
                db.prepare_cached("INSERT INTO clients (id, created_at, last_used_at, record) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![id, created_at, last_used_at, record])?;
                Ok(())
            })
            .await
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let id = id.as_str().to_owned();
        self.0
            .read(move |db| {
                let row: Option<(String, Option<i64>)> = db
                    .prepare_cached("SELECT record, last_used_at FROM clients WHERE id = ?1")?
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                row.map(|(record, last_used_at)| read_client(&record, last_used_at)).transpose()
            })
            .await
    }

    async fn list_clients(&self, limit: u32) -> Result<Vec<Client>, StoreError> {
        self.0
            .read(move |db| {
                let mut statement =
                    db.prepare_cached("SELECT record, last_used_at FROM clients ORDER BY created_at DESC, id LIMIT ?1")?;
                let rows = statement.query_map([limit], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
                rows.map(|row| row.map_err(Failure::from).and_then(|(record, used)| read_client(&record, used))).collect()
            })
            .await
    }

    async fn update_client(&self, client: &Client) -> Result<bool, StoreError> {
        let id = client.id.as_str().to_owned();
        let record = to_json(client)?;
        self.0
            .write(move |db| {
                let updated = db
                    .prepare_cached("UPDATE clients SET record = ?2 WHERE id = ?1")?
                    .execute(params![id, record])?;
                Ok(updated > 0)
            })
            .await
    }

    async fn delete_client(
        &self,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<ClientDeletion, StoreError> {
        let id = id.clone();
        self.0
            .write_and_tell(move |db| {
                let deleted = delete(db, &id, now)?;
                Ok((deleted, Some(post(db, Invalidation::Grants(GrantsOf::Client(id)))?)))
            })
            .await
    }

    async fn touch_client(&self, id: &ClientId, now: Timestamp) -> Result<(), StoreError> {
        let id = id.as_str().to_owned();
        self.0
            .write(move |db| {
                db.prepare_cached("UPDATE clients SET last_used_at = ?2 WHERE id = ?1")?
                    .execute(params![id, now.as_millis()])?;
                Ok(())
            })
            .await
    }

    async fn trim_unused_clients(&self, most: u64) -> Result<u64, StoreError> {
        self.0
            .write(move |db| {
                let count: i64 =
                    db.prepare_cached(COUNT_UNUSED)?.query_row([], |row| row.get(0))?;
                let excess = u64::try_from(count)
                    .unwrap_or_default()
                    .saturating_sub(most)
                    .min(TRIMMED_AT_ONCE);
                let mut trim = db.prepare_cached(TRIM_UNUSED)?;
                let mut deleted = 0;
                for _ in 0..excess {
                    deleted += trim.execute([])? as u64;
                }
                Ok(deleted)
            })
            .await
    }

    async fn count_unused_clients(&self) -> Result<u64, StoreError> {
        self.0
            .read(|db| {
                let count: i64 =
                    db.prepare_cached(COUNT_UNUSED)?.query_row([], |row| row.get(0))?;
                Ok(u64::try_from(count).unwrap_or_default())
            })
            .await
    }

    async fn configured_clients(&self) -> Result<BTreeSet<ClientId>, StoreError> {
        self.0
            .read(|db| {
                let kept: Option<String> = db
                    .prepare_cached(
                        "SELECT CAST(value AS TEXT) FROM meta WHERE key = 'configured_clients'",
                    )?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                Ok(kept.map(|text| from_json("meta", &text)).transpose()?.unwrap_or_default())
            })
            .await
    }

    async fn remember_configured(&self, ids: &BTreeSet<ClientId>) -> Result<(), StoreError> {
        let text = to_json(ids)?;
        self.0
            .write(move |db| {
                db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('configured_clients', CAST(?1 AS BLOB))")?
                    .execute([text])?;
                Ok(())
            })
            .await
    }
}

/// A client from its record and the one column that changes.
pub(super) fn read_client(record: &str, last_used_at: Option<i64>) -> Result<Client, Failure> {
    let client: Client = from_json("clients", record)?;
    Ok(Client { last_used_at: last_used_at.map(Timestamp::from_millis), ..client })
}

fn delete(db: &Connection, id: &ClientId, now: Timestamp) -> Result<ClientDeletion, Failure> {
    let grants_revoked = grants_of::revoke(db, &GrantsOf::Client(id.clone()), now)?;
    let clients = db.prepare_cached("DELETE FROM clients WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(ClientDeletion { was_there: clients > 0, grants_revoked })
}
