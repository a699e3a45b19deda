//! Whose tasks are whose.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    secret::TokenHash,
    store::{StoreError, TaskStore},
    task::TaskOwnership,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{database::Database, failure::Failure};
use crate::record::{from_json, key, to_json};

pub(super) struct SqliteTaskStore(pub(super) Arc<Database>);

pub(super) fn keep(
    db: &Connection,
    id: &TokenHash,
    task: &TaskOwnership,
    expires_at: Timestamp,
) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO tasks (id, user_id, expires_at, record) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![key(id), task.user.as_str(), expires_at.as_millis(), to_json(task)?])?;
    Ok(())
}

#[async_trait]
impl TaskStore for SqliteTaskStore {
    async fn keep_task(
        &self,
        id: &TokenHash,
        task: &TaskOwnership,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, task) = (*id, task.clone());
        self.0.write(move |db| keep(db, &id, &task, expires_at)).await
    }

    async fn find_tasks(
        &self,
        ids: &[TokenHash],
        now: Timestamp,
    ) -> Result<Vec<Option<TaskOwnership>>, StoreError> {
        let ids = ids.to_vec();
        self.0
            .read(move |db| {
                let mut statement = db
                    .prepare_cached("SELECT record FROM tasks WHERE id = ?1 AND expires_at > ?2")?;
                let mut found = Vec::with_capacity(ids.len());
                for id in &ids {
                    let record: Option<String> = statement
                        .query_row(params![key(id), now.as_millis()], |row| row.get(0))
                        .optional()?;
                    found.push(record.map(|record| from_json("tasks", &record)).transpose()?);
                }
                Ok(found)
            })
            .await
    }

    async fn delete_task(&self, id: &TokenHash) -> Result<bool, StoreError> {
        let id = *id;
        self.0
            .write(move |db| {
                let deleted = db
                    .prepare_cached("DELETE FROM tasks WHERE id = ?1")?
                    .execute(params![key(&id)])?;
                Ok(deleted > 0)
            })
            .await
    }
}
