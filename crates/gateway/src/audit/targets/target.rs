//! What a target is to its follower: it takes a portion of records, or says why not.

use std::time::Duration;

use async_trait::async_trait;
use portunus_core::{
    audit::{ChainId, ChainedRecord},
    text::visible,
};

/// What takes records, one portion after the other.
#[async_trait]
pub(super) trait Target: Send {
    /// Takes the first of them, at least one; or says why not. What is not taken is given again.
    async fn send(&mut self, records: &[ChainedRecord]) -> Result<Taken, NotTaken>;

    /// The last record of the chain that it has, if it knows better than what was noted.
    async fn find_last(&mut self, _chain: &ChainId) -> Option<u64> {
        None
    }

    /// Nothing follows.
    async fn finish(&mut self) {}
}

/// The most characters of what a target says that are told.
const MOST_SAID: usize = 500;

/// What became of records that were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// So many, from the first on; those that were refused count.
    pub(super) count: usize,
    /// So many of them were refused for good, and why.
    pub(super) refused: u64,
    pub(super) why: String,
}

impl Taken {
    pub(super) const fn all(records: &[ChainedRecord]) -> Self {
        Self { count: records.len(), refused: 0, why: String::new() }
    }

    /// `why` may be what the target says.
    pub(super) fn but(self, refused: u64, why: &str) -> Self {
        Self { refused, why: said(why), ..self }
    }
}

/// Why nothing was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// When to come again, if it said so.
    pub(super) after: Option<Duration>,
}

impl NotTaken {
    /// `why` may be what the target says.
    pub(super) fn because(why: &str) -> Self {
        Self { why: said(why), after: None }
    }
}

/// Fit for the log and a terminal: what others say steers neither (threat 64).
fn said(why: &str) -> String {
    let mut said = visible(why);
    if let Some((end, _)) = said.char_indices().nth(MOST_SAID) {
        said.truncate(end);
        said.push('…');
    }
    said
}
