//! Port for registered clients.

use async_trait::async_trait;

use super::StoreError;
use crate::{client::Client, clock::Timestamp, ids::ClientId};

#[async_trait]
pub trait ClientStore: Send + Sync {
    /// Keeps a new client; [`StoreError::Conflict`] if its id is taken.
    async fn insert_client(&self, client: &Client) -> Result<(), StoreError>;

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError>;

    /// Notes that the client redeemed a code.
    async fn touch_client(&self, id: &ClientId, now: Timestamp) -> Result<(), StoreError>;

    /// How many clients never redeemed a code.
    async fn count_unused_clients(&self) -> Result<u64, StoreError>;
}
