//! Between the MCP half, which hands out what a session needs to go on, and the store, which keeps it: names become hashes here, and times
//! are added.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use portunus_core::{
    Clock,
    ids::UserId,
    node::KeptSession,
    secret::TokenHash,
    store::{SessionStore, StoreError},
};
use portunus_mcp::records::{RecordsDown, SessionRecords};

/// The sessions of the store.
pub struct StoredSessions {
    pub store: Arc<dyn SessionStore>,
    pub clock: Arc<dyn Clock>,
    /// How long a session is kept after its last use.
    pub keep_for: Duration,
}

fn down(error: &StoreError) -> RecordsDown {
    tracing::warn!(%error, "MCP sessions: the store could not be used");
    RecordsDown
}

#[async_trait]
impl SessionRecords for StoredSessions {
    async fn keep(&self, session: &str, user: &UserId, state: &[u8]) -> Result<(), RecordsDown> {
        let kept = KeptSession { user: user.clone(), state: state.to_vec() };
        let expires_at = self.clock.now() + self.keep_for;
        self.store.keep_session(&TokenHash::of(session), &kept, expires_at).await.map_err(|error| down(&error))
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
        self.store.touch_session(&TokenHash::of(session), now + self.keep_for, now).await.map(drop).map_err(|error| down(&error))
    }

    async fn forget(&self, session: &str) -> Result<(), RecordsDown> {
        self.store.delete_session(&TokenHash::of(session)).await.map(drop).map_err(|error| down(&error))
    }
}

impl fmt::Debug for StoredSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSessions").field("keep_for", &self.keep_for).finish_non_exhaustive()
    }
}
