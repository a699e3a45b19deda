//! Port for MCP sessions of legacy clients, so that they outlive the node they were begun on.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{clock::Timestamp, node::SessionRecord, secret::TokenHash};

#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps a session until `expires_at`, in place of what was kept of it before. `id` is the hash
    /// of its name.
    async fn keep_session(
        &self,
        id: &TokenHash,
        session: &SessionRecord,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;

    async fn find_session(
        &self,
        id: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError>;

    /// It is in use: it expires later. `false` if it is not there, or has expired at `now`.
    async fn touch_session(
        &self,
        id: &TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// `false` if it was not there.
    async fn delete_session(&self, id: &TokenHash) -> Result<bool, StoreError>;
}
