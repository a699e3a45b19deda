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

use super::{database::Database, keys, script};
use crate::{
    record::{key, not_opened},
    seal::Place,
};

pub(super) struct RedisSessionStore(pub(super) Arc<Database>);

pub(super) fn place(id: &TokenHash) -> Place<'_> {
    Place { table: "sessions", column: "state", key: key(id) }
}

#[async_trait]
impl SessionStore for RedisSessionStore {
    async fn keep_session(
        &self,
        id: &TokenHash,
        session: &SessionRecord,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let state = self.0.sealer.seal(place(id), &session.state).map_err(not_opened)?;
        let call = self.0.on_record(&script::KEEP, &keys::session(id)).arg(expires_at.as_millis());
        let call = call.arg("user").arg(session.user.as_str()).arg("state").arg(state);
        self.0.run::<u8>(&call).await.map(drop)
    }

    async fn find_session(
        &self,
        id: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let (shard, what) = keys::session(id);
        let found: (Option<i64>, Option<String>, Option<Vec<u8>>) = self
            .0
            .fields(&self.0.keys.record(shard, &what), &["expires_at", "user", "state"])
            .await?;
        let (Some(end), Some(user), Some(state)) = found else { return Ok(None) };
        if end <= now.as_millis() {
            return Ok(None);
        }
        let state = self.0.sealer.open(place(id), &state).map_err(not_opened)?.to_vec();
        Ok(Some(SessionRecord { user: UserId::from_text(user), state }))
    }

    async fn touch_session(
        &self,
        id: &TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let call = self.0.on_record(&script::TOUCH, &keys::session(id));
        self.0.run(&call.arg(expires_at.as_millis()).arg(now.as_millis())).await
    }

    async fn delete_session(&self, id: &TokenHash) -> Result<bool, StoreError> {
        self.0.run(&self.0.on_record(&script::DELETE_ENTRY, &keys::session(id))).await
    }
}
