//! Port for what an administrator disabled ([`crate::disabled`]). What it ends is ended by the same
//! call, and what would come is refused by the ports that would keep it:
//! [`super::LoginStore::insert_login`] and [`super::GrantStore`] give [`StoreError::Disabled`].

use async_trait::async_trait;

use super::error::StoreError;
use crate::{
    clock::Timestamp,
    disabled::{Disableable, DisabledRecord, Disabling},
};

/// Clients, servers, paths and tools that can be disabled at once: gateways hold all of them in
/// memory. Persons have no such bound: what they had has ended in the store, which lets nothing new
/// come about.
pub const MOST_BUT_PERSONS: u32 = 2000;

#[async_trait]
pub trait DisabledStore: Send + Sync {
    /// Disables it, in place of an earlier record. From the moment that it is kept, no grant, code
    /// or login of a person, and no grant or code of a client, comes about, and none that was about
    /// to is of use; before the call answers, those there are have ended, and an invalidation says
    /// so. A person's consents stay; a client's are forgotten.
    ///
    /// A call that fails may have done a part of it: called again it does the rest.
    /// [`StoreError::Full`]: there are [`MOST_BUT_PERSONS`] of all else already.
    async fn disable(
        &self,
        record: &DisabledRecord,
        now: Timestamp,
    ) -> Result<Disabling, StoreError>;

    /// Lifts it, and posts an invalidation. `false` if it was not disabled. What was ended stays
    /// so.
    async fn enable(&self, what: &Disableable) -> Result<bool, StoreError>;

    async fn find_disabled(&self, what: &Disableable)
    -> Result<Option<DisabledRecord>, StoreError>;

    /// Of persons the `most` that were disabled last, and everything else: newest first.
    async fn list_disabled(&self, most: u32) -> Result<Vec<DisabledRecord>, StoreError>;
}
