//! Port for the refresh tokens of identity providers ([`crate::provider_token`]): one for each
//! person.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{clock::Timestamp, ids::UserId, provider_token::ProviderToken};

#[async_trait]
pub trait ProviderTokenStore: Send + Sync {
    /// Keeps the token of a sign-in, in place of what was there for its person.
    async fn keep_provider_token(&self, token: &ProviderToken) -> Result<(), StoreError>;

    async fn find_provider_token(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<ProviderToken>, StoreError>;

    /// One atomic step: keeps `after` if the token of its person still has this version, of many
    /// callers for one. `false`, and nothing was written, if it has another one or is gone.
    async fn change_provider_token(
        &self,
        version: u64,
        after: &ProviderToken,
    ) -> Result<bool, StoreError>;

    /// Deletes the token of this person, whatever its version. `false` if there was none.
    async fn delete_provider_token(&self, user: &UserId) -> Result<bool, StoreError>;
}
