//! Between the MCP half, which hands out what a session needs to go on and whose a task is, and the
//! store, which keeps it: names become hashes here, and times are added.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use portunus_core::{
    Clock,
    ids::{ServerName, UserId},
    node::SessionRecord,
    secret::TokenHash,
    store::{SessionStore, StoreError, TaskStore},
    task::TaskOwnership,
};
use portunus_mcp::records::{OwnedTask, RecordsDown, SessionRecords, TaskOwner, TaskRecords};

/// The sessions of the store.
pub struct StoredSessions {
    pub store: Arc<dyn SessionStore>,
    pub clock: Arc<dyn Clock>,
    /// How long a session is kept after its last use.
    pub keep_for: Duration,
}

fn down(error: &StoreError) -> RecordsDown {
    tracing::warn!(%error, "MCP sessions and tasks: the store could not be used");
    RecordsDown
}

#[async_trait]
impl SessionRecords for StoredSessions {
    async fn keep(&self, session: &str, user: &UserId, state: &[u8]) -> Result<(), RecordsDown> {
        let kept = SessionRecord { user: user.clone(), state: state.to_vec() };
        let expires_at = self.clock.now() + self.keep_for;
        self.store
            .keep_session(&TokenHash::of(session), &kept, expires_at)
            .await
            .map_err(|error| down(&error))
    }

    async fn find(&self, session: &str) -> Result<Option<(UserId, Vec<u8>)>, RecordsDown> {
        match self.store.find_session(&TokenHash::of(session), self.clock.now()).await {
            Ok(found) => Ok(found.map(|kept| (kept.user, kept.state))),
            // Written with a secret that we no longer have: the client begins anew.
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::warn!(%error, "an MCP session cannot be read");
                Ok(None)
            }
            Err(error) => Err(down(&error)),
        }
    }

    async fn touch(&self, session: &str) -> Result<(), RecordsDown> {
        let now = self.clock.now();
        self.store
            .touch_session(&TokenHash::of(session), now + self.keep_for, now)
            .await
            .map(drop)
            .map_err(|error| down(&error))
    }

    async fn forget(&self, session: &str) -> Result<(), RecordsDown> {
        self.store
            .delete_session(&TokenHash::of(session))
            .await
            .map(drop)
            .map_err(|error| down(&error))
    }
}

impl fmt::Debug for StoredSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSessions").field("keep_for", &self.keep_for).finish_non_exhaustive()
    }
}

/// For how long it is kept whose a task is, since it was made: longer than any server keeps one.
const TASKS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whose tasks are whose, in the store.
pub struct StoredTasks {
    pub store: Arc<dyn TaskStore>,
    pub clock: Arc<dyn Clock>,
}

/// One task of one owner at one server. The task's id may be a secret, so the name is kept as a
/// hash.
fn name(owner: &TaskOwner, server: &ServerName, id: &str) -> TokenHash {
    let parts = [owner.user.as_str(), owner.client.as_str(), server.as_str(), id];
    TokenHash::of(&format!("task {}", serde_json::json!(parts)))
}

#[async_trait]
impl TaskRecords for StoredTasks {
    async fn keep_task(&self, owner: &TaskOwner, task: &OwnedTask) -> Result<(), RecordsDown> {
        let kept = TaskOwnership {
            user: owner.user.clone(),
            client: owner.client.clone(),
            server: task.server.clone(),
            tool: task.tool.clone(),
        };
        let id = name(owner, &task.server, &task.id);
        self.store
            .keep_task(&id, &kept, self.clock.now() + TASKS_KEPT)
            .await
            .map_err(|error| down(&error))
    }

    async fn find_tasks(
        &self,
        owner: &TaskOwner,
        server: &ServerName,
        ids: &[&str],
    ) -> Result<Vec<OwnedTask>, RecordsDown> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = ids.iter().map(|id| name(owner, server, id)).collect();
        let found =
            self.store.find_tasks(&names, self.clock.now()).await.map_err(|error| down(&error))?;
        let own = ids.iter().zip(found).filter_map(|(id, kept)| {
            // The name says whose it is; what is written there has to say the same.
            let kept = kept.filter(|kept| {
                kept.user == owner.user && kept.client == owner.client && kept.server == *server
            })?;
            Some(OwnedTask { server: kept.server, id: (*id).to_owned(), tool: kept.tool })
        });
        Ok(own.collect())
    }

    async fn forget_task(
        &self,
        owner: &TaskOwner,
        server: &ServerName,
        id: &str,
    ) -> Result<(), RecordsDown> {
        self.store
            .delete_task(&name(owner, server, id))
            .await
            .map(drop)
            .map_err(|error| down(&error))
    }
}

impl fmt::Debug for StoredTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredTasks")
    }
}
