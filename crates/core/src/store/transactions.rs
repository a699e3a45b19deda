//! Port for sign-ins in flight.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{
    address_block::AddressTag,
    clock::Timestamp,
    ids::TransactionId,
    secret::TokenHash,
    signin::{ProviderRequest, Transaction},
};

#[async_trait]
pub trait TransactionStore: Send + Sync {
    async fn insert_transaction(&self, transaction: &Transaction) -> Result<(), StoreError>;

    /// Deletes the oldest transactions that were begun from this address until at most `most` are
    /// left (threat 63). Gives how many went.
    async fn trim_transactions(
        &self,
        begun_from: &AddressTag,
        most: u64,
    ) -> Result<u64, StoreError>;

    async fn find_transaction(
        &self,
        id: &TransactionId,
        now: Timestamp,
    ) -> Result<Option<Transaction>, StoreError>;

    /// Overwrites a transaction that is there; `false` if it is not (it was taken meanwhile).
    async fn update_transaction(&self, transaction: &Transaction) -> Result<bool, StoreError>;

    /// Takes the transaction out: of many callers one gets it.
    async fn take_transaction(
        &self,
        id: &TransactionId,
        now: Timestamp,
    ) -> Result<Option<Transaction>, StoreError>;

    async fn insert_provider_request(
        &self,
        provider_request: &ProviderRequest,
    ) -> Result<(), StoreError>;

    /// Looks at the request to the provider, and leaves it where it is. A request never changes, so
    /// what was checked of it holds for the one that
    /// [`take_provider_request`](Self::take_provider_request) gives.
    async fn find_provider_request(
        &self,
        state: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ProviderRequest>, StoreError>;

    /// Takes the request at the provider out, by the hash of its `state`: of many callers one gets
    /// it.
    async fn take_provider_request(
        &self,
        state: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ProviderRequest>, StoreError>;
}
