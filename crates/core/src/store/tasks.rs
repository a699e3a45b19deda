//! Port for whose tasks are whose, so that this holds after a restart and at every node (threat
//! 51). A record is kept under a hash of owner, server and the task's id, which may be a secret.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{clock::Timestamp, secret::TokenHash, task::TaskOwnership};

#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Keeps it until `expires_at`, in place of what was kept there before.
    async fn keep_task(
        &self,
        id: &TokenHash,
        task: &TaskOwnership,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// One answer for each id, in order.
    async fn find_tasks(
        &self,
        ids: &[TokenHash],
        now: Timestamp,
    ) -> Result<Vec<Option<TaskOwnership>>, StoreError>;

    /// `false` if it was not there.
    async fn delete_task(&self, id: &TokenHash) -> Result<bool, StoreError>;
}
