//! The ports through which rules reach what is kept; `portunus-store` implements them and proves
//! them with one suite.
//!
//! Words: `find_` gives `None` for what is absent, `take_` takes out atomically (of many callers
//! one gets it), `insert_` fails on what exists already. What has expired at the `now` given is
//! absent. Every write is durable when its call returns.

mod archive;
mod assertions;
mod audit;
mod clients;
mod consents;
mod disabled;
mod error;
mod grants;
mod invalidations;
mod latency;
mod logins;
mod nodes;
mod pins;
mod provider_tokens;
mod sessions;
mod tasks;
mod transactions;
mod upkeep;

use std::sync::Arc;

pub use crate::grant::GrantsOf;
pub use archive::{
    Archive, ArchiveError, Census, GrantWithTokens, Record, RecordKind, RecordSink, RecordSource,
    StoredRefresh, Unreadable, UsedRefresh,
};
pub use assertions::AssertionStore;
pub use audit::{AuditStore, StoredChain};
pub use clients::{ClientDeletion, ClientStore};
pub use consents::ConsentStore;
pub use disabled::{DisabledStore, MOST_BUT_PERSONS};
pub use error::StoreError;
pub use grants::{FamilyChange, GrantStore, Redeemed};
pub use invalidations::{InvalidationStore, InvalidationSubscription};
pub use latency::StoreLatency;
pub use logins::LoginStore;
pub use nodes::NodeStore;
pub use pins::{PinRecord, PinStore};
pub use provider_tokens::ProviderTokenStore;
pub use sessions::SessionStore;
pub use tasks::TaskStore;
pub use transactions::TransactionStore;
pub use upkeep::Upkeep;

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
    pub disabled: Arc<dyn DisabledStore>,
    pub provider_tokens: Arc<dyn ProviderTokenStore>,
    pub nodes: Arc<dyn NodeStore>,
    pub sessions: Arc<dyn SessionStore>,
    pub tasks: Arc<dyn TaskStore>,
    pub invalidations: Arc<dyn InvalidationStore>,
    pub audit: Arc<dyn AuditStore>,
    pub upkeep: Arc<dyn Upkeep>,
    pub archive: Arc<dyn Archive>,
    /// How long it takes to answer.
    pub latency: Arc<StoreLatency>,
}
