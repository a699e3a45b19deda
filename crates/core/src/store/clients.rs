//! Port for registered clients.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::error::StoreError;
use crate::{client::Client, clock::Timestamp, ids::ClientId};

/// What deleting a client came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientDeletion {
    /// Was the client kept in the store?
    pub was_there: bool,
    /// How many grants were live until now.
    pub grants_revoked: u64,
}

#[async_trait]
pub trait ClientStore: Send + Sync {
    /// Keeps a new client; [`StoreError::Conflict`] if its id is taken.
    async fn insert_client(&self, client: &Client) -> Result<(), StoreError>;

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError>;

    /// The clients that registered last, newest first, at most `limit`.
    async fn list_clients(&self, limit: u32) -> Result<Vec<Client>, StoreError>;

    /// Overwrites a client that is there, but not when it was created and last used; `false` if it
    /// is not there.
    async fn update_client(&self, client: &Client) -> Result<bool, StoreError>;

    /// One atomic step: deletes the client if it is kept here, forgets every consent given to it
    /// and every code it has not redeemed, and revokes its grants. The last three also for a client
    /// that lives in a document or the configuration.
    async fn delete_client(
        &self,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<ClientDeletion, StoreError>;

    /// Notes that the client redeemed a code.
    async fn touch_client(&self, id: &ClientId, now: Timestamp) -> Result<(), StoreError>;

    /// Deletes clients that never redeemed a code until at most `most` are left, or a portion of
    /// them if there are many more: each time the oldest one of the address that has most of them,
    /// so that a flood drives out itself (threat 55). Gives how many went.
    async fn trim_unused_clients(&self, most: u64) -> Result<u64, StoreError>;

    /// How many clients never redeemed a code.
    async fn count_unused_clients(&self) -> Result<u64, StoreError>;

    /// The ids that the configuration had when it was last remembered. Such clients are not kept
    /// here; that they were there is, so that their grants can be ended when they are not any more.
    async fn configured_clients(&self) -> Result<BTreeSet<ClientId>, StoreError>;

    /// Remembers the ids that the configuration has, in place of those before.
    async fn remember_configured(&self, ids: &BTreeSet<ClientId>) -> Result<(), StoreError>;
}
