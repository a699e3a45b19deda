//! Port for the store as a whole: is it there, deleting what has expired, sealing anew.

use async_trait::async_trait;

use super::error::StoreError;
use crate::clock::Timestamp;

/// Care of the store as a whole.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Can the store be read and written right now?
    async fn ping(&self) -> Result<(), StoreError>;

    /// Deletes what has expired at `now`, and clients created before `unused_since` that never
    /// redeemed a code. Gives the number of records deleted. Used refresh tokens stay until they
    /// expire, so that their reuse is seen (threat 18).
    async fn purge(&self, now: Timestamp, unused_since: Timestamp) -> Result<u64, StoreError>;

    /// Seals with the current secret what was sealed with an earlier one, as opening the store
    /// does.
    async fn reseal(&self) -> Result<(), StoreError>;
}
