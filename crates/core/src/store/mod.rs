//! The ports through which rules reach what is kept; `portunus-store` implements them and proves them with one suite.
//!
//! Words: `find_` gives `None` for what is absent, `take_` takes out atomically (of many callers one gets it), `insert_` fails
//! on what exists already. What has expired at the `now` given is absent. Every write is durable when its call returns.

mod archive;
mod assertions;
mod clients;
mod consents;
mod grants;
mod invalidations;
mod logins;
mod nodes;
mod pins;
mod sessions;
mod tasks;
mod transactions;

use std::sync::Arc;

pub use archive::{
    Archive, ArchiveError, Census, GrantWithTokens, KeptRefresh, Record, RecordKind, RecordSink, RecordSource, Unreadable,
    UsedRefresh,
};
pub use assertions::AssertionStore;
use async_trait::async_trait;
pub use clients::{ClientDeletion, ClientStore};
pub use consents::ConsentStore;
pub use grants::{FamilyChange, GrantStore, GrantsOf, Redeemed};
pub use invalidations::{InvalidationStore, InvalidationSubscription};
pub use logins::LoginStore;
pub use nodes::NodeStore;
pub use pins::{PinRecord, PinStore};
pub use sessions::SessionStore;
pub use tasks::TaskStore;
use thiserror::Error;
pub use transactions::TransactionStore;

use crate::clock::Timestamp;

/// Why a store could not do what it was asked. The detail is for the log, never for a client.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store cannot be reached or written just now; the same call may work later. Answered as 503.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The id is taken already.
    #[error("already there")]
    Conflict,
    /// What was read cannot be understood, or was sealed with a key we do not have.
    #[error("a stored record cannot be read: {0}")]
    Corrupt(String),
}

/// Everything the gateway keeps.
#[derive(Clone)]
pub struct Stores {
    pub clients: Arc<dyn ClientStore>,
    pub logins: Arc<dyn LoginStore>,
    pub transactions: Arc<dyn TransactionStore>,
    pub consents: Arc<dyn ConsentStore>,
    pub grants: Arc<dyn GrantStore>,
    pub assertions: Arc<dyn AssertionStore>,
    pub pins: Arc<dyn PinStore>,
    pub nodes: Arc<dyn NodeStore>,
    pub sessions: Arc<dyn SessionStore>,
    pub tasks: Arc<dyn TaskStore>,
    pub invalidations: Arc<dyn InvalidationStore>,
    pub upkeep: Arc<dyn Upkeep>,
    pub archive: Arc<dyn Archive>,
}

/// Care of the store as a whole.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Can the store be read and written right now?
    async fn ping(&self) -> Result<(), StoreError>;

    /// Deletes what has expired at `now`, and clients created before `unused_since` that never redeemed a code. Gives the
    /// number of records deleted. Used refresh tokens stay until they expire, so that their reuse is seen (threat 18).
    async fn purge(&self, now: Timestamp, unused_since: Timestamp) -> Result<u64, StoreError>;

    /// Seals with the current secret what was sealed with an earlier one, as opening the store does.
    async fn reseal(&self) -> Result<(), StoreError>;
}
