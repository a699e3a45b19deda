//! Port for the assertions of clients that were used (threat 20).

use async_trait::async_trait;

use super::error::StoreError;
use crate::{clock::Timestamp, secret::TokenHash};

#[async_trait]
pub trait AssertionStore: Send + Sync {
    /// Notes that the assertion with this key was used, until `expires_at`: from then on it is
    /// refused for its age. `true` for the first use; of many callers one gets it.
    async fn use_once(
        &self,
        key: &TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}
