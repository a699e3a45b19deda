//! Port for bulletins: how a gateway learns that what it remembers of the store is no longer so ([`crate::bulletin`]).
//!
//! Other ports post by themselves, before they answer, whatever makes an access token's look-up out of date: [`super::GrantStore`] and
//! [`super::ClientStore`] what they revoke, [`super::LoginStore`] a user who is described otherwise than before.
//!
//! Bulletins are heard at once, as a rule; a message may get lost. The mark never does: whoever compares it with the last one heard knows
//! whether something was missed.

use async_trait::async_trait;

use super::StoreError;
use crate::bulletin::{Bulletin, Mark, Posted};

#[async_trait]
pub trait BulletinStore: Send + Sync {
    /// Tells every gateway on this store, this one too. When it answers, [`BulletinStore::mark`] is another one than before.
    async fn post(&self, bulletin: &Bulletin) -> Result<(), StoreError>;

    /// How far the bulletins have come. Everything that was acknowledged before this was asked stands before the mark.
    async fn mark(&self) -> Result<Mark, StoreError>;

    /// Hears every bulletin that is posted after this has answered, in the order of their marks, as long as nothing goes wrong.
    async fn listen(&self) -> Result<Box<dyn Hearing>, StoreError>;
}

/// An ear for bulletins.
#[async_trait]
pub trait Hearing: Send {
    /// The next one. `None` when touch was lost, for good: listen again, and compare marks. Nothing is lost by giving up waiting.
    async fn next(&mut self) -> Option<Posted>;
}
