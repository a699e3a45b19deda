//! What an administrator disabled. That it is, and the end of what it had, are one transaction of
//! the one writer; whatever keeps a grant, a code or a login asks [`refuse`] in its own.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    disabled::{Disableable, DisabledRecord, Disabling, Ended},
    ids::{ClientId, UserId},
    invalidation::Invalidation,
    store::{DisabledStore, GrantsOf, MOST_BUT_PERSONS, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    database::Database,
    failure::Failure,
    grants_of,
    invalidations::{post, post_if},
    provider_tokens,
};
use crate::record::{disabled_from_json, provider_token_id, to_json};

pub(super) struct SqliteDisabledStore(pub(super) Arc<Database>);

/// [`StoreError::Disabled`] if either is; a part of the transaction that would keep something of
/// theirs.
pub(super) fn refuse(
    db: &Connection,
    user: Option<&UserId>,
    client: Option<&ClientId>,
) -> Result<(), Failure> {
    let is_disabled: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM disabled WHERE kind = 'person' AND id = ?1
             UNION ALL SELECT 1 FROM disabled WHERE kind = 'client' AND id = ?2)",
        )?
        .query_row(params![user.map(UserId::as_str), client.map(ClientId::as_str)], |row| {
            row.get(0)
        })?;
    if is_disabled { Err(Failure(StoreError::Disabled)) } else { Ok(()) }
}

/// Keeps it, in place of an earlier record.
pub(super) fn keep(db: &Connection, record: &DisabledRecord) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO disabled (kind, id, at, record) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        record.what.kind(),
        record.what.id(),
        record.at.as_millis(),
        to_json(record)?
    ])?;
    Ok(())
}

#[async_trait]
impl DisabledStore for SqliteDisabledStore {
    async fn disable(
        &self,
        record: &DisabledRecord,
        now: Timestamp,
    ) -> Result<Disabling, StoreError> {
        let record = record.clone();
        self.0
            .write_and_tell(move |db| {
                let was_disabled = find(db, &record.what)?.is_some();
                if !was_disabled && !record.what.is_person() {
                    make_sure_of_room(db)?;
                }
                keep(db, &record)?;
                let ended = end(db, &record.what, now)?;
                let posted = post(db, Invalidation::Disabled(record.what))?;
                Ok((Disabling { was_disabled, ended }, Some(posted)))
            })
            .await
    }

    async fn enable(&self, what: &Disableable) -> Result<bool, StoreError> {
        let what = what.clone();
        self.0
            .write_and_tell(move |db| {
                let lifted = db
                    .prepare_cached("DELETE FROM disabled WHERE kind = ?1 AND id = ?2")?
                    .execute(params![what.kind(), what.id()])?
                    > 0;
                Ok((lifted, post_if(lifted, db, || Invalidation::Enabled(what))?))
            })
            .await
    }

    async fn find_disabled(
        &self,
        what: &Disableable,
    ) -> Result<Option<DisabledRecord>, StoreError> {
        let what = what.clone();
        self.0
            .read(move |db| {
                let record = find(db, &what)?;
                Ok(record
                    .map(|record| disabled_from_json(what.kind(), &what.id(), &record))
                    .transpose()?)
            })
            .await
    }

    async fn list_disabled(&self, most: u32) -> Result<Vec<DisabledRecord>, StoreError> {
        self.0
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT kind, id, record, at FROM (
                       SELECT * FROM (SELECT * FROM disabled WHERE kind = 'person' ORDER BY at DESC, kind, id LIMIT ?1)
                       UNION ALL SELECT * FROM disabled WHERE kind <> 'person'
                     ) ORDER BY at DESC, kind, id",
                )?;
                let mut rows = statement.query(params![most])?;
                let mut records = Vec::new();
                while let Some(row) = rows.next()? {
                    let (kind, id, record): (String, String, String) =
                        (row.get(0)?, row.get(1)?, row.get(2)?);
                    records.push(disabled_from_json(&kind, &id, &record)?);
                }
                Ok(records)
            })
            .await
    }
}

fn find(db: &Connection, what: &Disableable) -> Result<Option<String>, Failure> {
    Ok(db
        .prepare_cached("SELECT record FROM disabled WHERE kind = ?1 AND id = ?2")?
        .query_row(params![what.kind(), what.id()], |row| row.get(0))
        .optional()?)
}

fn make_sure_of_room(db: &Connection) -> Result<(), Failure> {
    let others: u32 = db
        .prepare_cached("SELECT count(*) FROM disabled WHERE kind <> 'person'")?
        .query_row([], |row| row.get(0))?;
    if others < MOST_BUT_PERSONS {
        Ok(())
    } else {
        Err(Failure(StoreError::Full(MOST_BUT_PERSONS)))
    }
}

/// Ends what it has in the store.
fn end(db: &Connection, what: &Disableable, now: Timestamp) -> Result<Ended, Failure> {
    let delete = |sql: &str, id: &str| -> Result<u64, Failure> {
        Ok(db.prepare_cached(sql)?.execute([id])? as u64)
    };
    match what {
        Disableable::Person(user) => {
            provider_tokens::delete(db, &provider_token_id(user))?;
            Ok(Ended {
                logins: delete("DELETE FROM logins WHERE user_id = ?1", user.as_str())?,
                grants: grants_of::end(db, &GrantsOf::User(user.clone()), now)?,
                sessions: delete("DELETE FROM sessions WHERE user_id = ?1", user.as_str())?,
                tasks: delete("DELETE FROM tasks WHERE user_id = ?1", user.as_str())?,
            })
        }
        Disableable::Client(client) => Ok(Ended {
            grants: grants_of::revoke(db, &GrantsOf::Client(client.clone()), now)?,
            // Those of a key are of a client of its own (`ClientId::of_key`).
            tasks: delete(
                "DELETE FROM tasks WHERE record ->> '$.client' = ?1 OR (?1 = 'agent-key' AND record ->> '$.client' LIKE 'agent-key:%')",
                client.as_str(),
            )?,
            ..Ended::default()
        }),
        Disableable::Server(_) | Disableable::Proxy(_) | Disableable::Tool { .. } => {
            Ok(Ended::default())
        }
    }
}
