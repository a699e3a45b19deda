//! Whose tasks are whose.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    secret::TokenHash,
    store::{StoreError, TaskStore},
    task::TaskOwnership,
};

use super::{database::Database, keys, script};
use crate::record::{from_json, to_json};

pub(super) struct RedisTaskStore(pub(super) Arc<Database>);

#[async_trait]
impl TaskStore for RedisTaskStore {
    async fn keep_task(
        &self,
        id: &TokenHash,
        task: &TaskOwnership,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let call = self.0.on_record(&script::KEEP, &keys::task(id)).arg(expires_at.as_millis());
        self.0.run::<u8>(&call.arg("record").arg(to_json(task)?)).await.map(drop)
    }

    async fn find_tasks(
        &self,
        ids: &[TokenHash],
        now: Timestamp,
    ) -> Result<Vec<Option<TaskOwnership>>, StoreError> {
        let found = ids.iter().map(|id| async move {
            let (shard, what) = keys::task(id);
            let found: (Option<i64>, Option<String>) =
                self.0.fields(&self.0.keys.record(shard, &what), &["expires_at", "record"]).await?;
            match found {
                (Some(end), Some(record)) if end > now.as_millis() => {
                    from_json("tasks", &record).map(Some)
                }
                _ => Ok(None),
            }
        });
        futures::future::try_join_all(found).await
    }

    async fn delete_task(&self, id: &TokenHash) -> Result<bool, StoreError> {
        self.0.run(&self.0.on_record(&script::DELETE_ENTRY, &keys::task(id))).await
    }
}
