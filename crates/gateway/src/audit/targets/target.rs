//! What a target is to its follower: it takes a portion of records, or says why not.

use std::time::Duration;

use async_trait::async_trait;
use portunus_core::audit::{ChainId, ChainedRecord};

/// What takes records, one portion after the other.
#[async_trait]
pub(super) trait Target: Send {
    /// Takes them, all or none; or says why not. Then they are given again.
    async fn send(&mut self, records: &[ChainedRecord]) -> Result<Taken, NotTaken>;

    /// The last record of the chain that it has, if it knows better than what was noted.
    async fn find_last(&mut self, _chain: &ChainId) -> Option<u64> {
        None
    }

    /// Nothing follows.
    async fn finish(&mut self) {}
}

/// What became of a portion that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// So many of it were refused for good, and why.
    pub(super) refused: u64,
    pub(super) why: String,
}

/// Why a portion was not taken.
#[derive(Debug)]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// When to come again, if it said so.
    pub(super) after: Option<Duration>,
}

impl NotTaken {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), after: None }
    }
}
