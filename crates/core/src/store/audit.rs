//! Port for the audit trail. What a chain is, and whether one is what was written, is
//! [`crate::audit`]'s; a store keeps what it is given, and each append as a whole.

use async_trait::async_trait;

use super::error::StoreError;
use crate::audit::{AuditFilter, ChainHead, ChainId, ChainedRecord};

/// A chain as it is found: a head that is gone or cannot be read is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChain {
    pub id: ChainId,
    pub head: Option<ChainHead>,
}

#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Every chain of which there is anything, by id, damaged ones too.
    async fn list_chains(&self) -> Result<Vec<StoredChain>, StoreError>;

    /// Appends records, and puts the head `after` in place of `before` (`None`: the chain is new),
    /// in one step. [`StoreError::Conflict`] if the chain's head is not `before`,
    /// [`StoreError::Corrupt`] if something stands where the records belong: nothing is written
    /// then. After [`StoreError::Unavailable`] they may be there or not.
    async fn append(
        &self,
        before: Option<&ChainHead>,
        after: &ChainHead,
        records: &[ChainedRecord],
    ) -> Result<(), StoreError>;

    /// The records of a chain from number `from` on, in their order, `limit` at most.
    async fn read_records(
        &self,
        chain: &ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError>;

    /// The newest records of all chains that the filter wants, `limit` at most, oldest first.
    async fn find_records(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError>;

    /// Deletes the records up to `after.deleted`, and puts `after` in place of `before`, in one
    /// step. [`StoreError::Conflict`] as with [`Self::append`].
    async fn delete_records(&self, before: &ChainHead, after: &ChainHead)
    -> Result<(), StoreError>;
}
