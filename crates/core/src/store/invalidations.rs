//! Port for invalidations: how a gateway learns that what it remembers of the store is no longer
//! true ([`crate::invalidation`]).
//!
//! Other ports post by themselves, before they answer, whatever makes an access token's look-up out
//! of date: [`super::GrantStore`] and [`super::ClientStore`] what they revoke,
//! [`super::LoginStore`] a user who is described otherwise than before.
//!
//! Subscribers get an invalidation at once, as a rule; a message may get lost. The revision does
//! not: a gateway that compares it with the last one it got knows whether it missed something.

use async_trait::async_trait;

use super::error::StoreError;
use crate::invalidation::{Invalidation, Posted, Revision};

#[async_trait]
pub trait InvalidationStore: Send + Sync {
    /// Tells every gateway on this store, this one too. When it answers,
    /// [`InvalidationStore::revision`] is another one than before.
    async fn post(&self, invalidation: &Invalidation) -> Result<(), StoreError>;

    /// How far the invalidations have come. Everything that was acknowledged before this was asked
    /// stands before the revision.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// Subscribes to every invalidation that is posted after this has answered, in the order of
    /// their revisions, as long as nothing goes wrong.
    async fn listen(&self) -> Result<Box<dyn InvalidationSubscription>, StoreError>;
}

/// A subscription to the invalidations of a store.
#[async_trait]
pub trait InvalidationSubscription: Send {
    /// The next invalidation. `None` when the connection was lost, for good: subscribe again, and
    /// compare revisions. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Posted>;
}
