//! MCP sessions of legacy clients. What a session knows of its client is sealed.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::UserId,
    node::SessionRecord,
    secret::TokenHash,
    store::{SessionStore, StoreError},
};
use rusqlite::{OptionalExtension as _, params};

use super::database::Database;
use crate::{
    record::{key, not_opened},
    seal::Place,
};

pub(super) struct SqliteSessionStore(pub(super) Arc<Database>);

pub(super) fn place(id: &TokenHash) -> Place<'_> {
    Place { table: "sessions", column: "state", key: key(id) }
}

#[async_trait]
impl SessionStore for SqliteSessionStore {
    async fn keep_session(
        &self,
        id: &TokenHash,
        session: &SessionRecord,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, owner) = (*id, session.user.as_str().to_owned());
        let state = self.0.sealer.seal(place(&id), &session.state).map_err(not_opened)?;
        self.0
            .write(move |db| {
                db.prepare_cached(
                    "INSERT INTO sessions (id, user_id, expires_at, state) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, expires_at = excluded.expires_at, state = excluded.state",
                )?
                .execute(params![key(&id), owner, expires_at.as_millis(), state])?;
                Ok(())
            })
            .await
    }

    async fn find_session(
        &self,
        id: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let id = *id;
        let sealer = Arc::clone(&self.0.sealer);
        self.0
            .read(move |db| {
                let found: Option<(String, Vec<u8>)> = db
                    .prepare_cached(
                        "SELECT user_id, state FROM sessions WHERE id = ?1 AND expires_at > ?2",
                    )?
                    .query_row(params![key(&id), now.as_millis()], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                let Some((owner, state)) = found else { return Ok(None) };
                let state = sealer.open(place(&id), &state)?.to_vec();
                Ok(Some(SessionRecord { user: UserId::from_text(owner), state }))
            })
            .await
    }

    async fn touch_session(
        &self,
        id: &TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = *id;
        self.0
            .write(move |db| {
                let touched = db
                    .prepare_cached("UPDATE sessions SET expires_at = max(expires_at, ?2) WHERE id = ?1 AND expires_at > ?3")?
                    .execute(params![key(&id), expires_at.as_millis(), now.as_millis()])?;
                Ok(touched > 0)
            })
            .await
    }

    async fn delete_session(&self, id: &TokenHash) -> Result<bool, StoreError> {
        let id = *id;
        self.0
            .write(move |db| {
                let deleted = db
                    .prepare_cached("DELETE FROM sessions WHERE id = ?1")?
                    .execute(params![key(&id)])?;
                Ok(deleted > 0)
            })
            .await
    }
}
