//! What clients asked and what came of it, in the order of a clock that ticks with every beginning
//! and every end: [`History`]. What may be concluded from it is next door, in [`super::checker`].

use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What a client asked for. Tokens, codes and clients are named by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Register,
    Authorize { client: String },
    Redeem { code: String },
    Refresh { token: String },
    RevokeRefresh { token: String },
    RevokeAccess { token: String },
    Use { token: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Registered {
        client: String,
    },
    Code(String),
    Tokens {
        access: String,
        refresh: String,
    },
    /// Revoked, or used.
    Done,
    /// A definite no, with the error's code.
    Refused(String),
    /// The gateway says that it cannot: the operation may have happened.
    Unavailable,
    /// No answer came: it may have happened.
    Unknown,
}

impl Outcome {
    /// Did it happen, for all that the client knows?
    pub(crate) fn is_acknowledged(&self) -> bool {
        !matches!(self, Self::Refused(_)) && !self.is_unclear()
    }

    /// Only the gateway knows whether it happened.
    pub(crate) fn is_unclear(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Unknown)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) operation: Operation,
    pub(crate) outcome: Outcome,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    /// The same by the wall's clock, since the history began.
    pub(crate) began_at: Duration,
    pub(crate) ended_at: Duration,
}

/// An operation that is under way.
pub(crate) struct Beginning {
    tick: u64,
    at: Duration,
}

/// Written by all clients at once.
pub(crate) struct History {
    since: Instant,
    clock: AtomicU64,
    records: Mutex<Vec<Record>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), clock: AtomicU64::new(0), records: Mutex::default() }
    }

    /// An operation begins.
    pub(crate) fn begin(&self) -> Beginning {
        Beginning { tick: self.clock.fetch_add(1, Ordering::SeqCst), at: self.since.elapsed() }
    }

    /// It has ended.
    pub(crate) fn end(
        &self,
        Beginning { tick, at }: Beginning,
        operation: Operation,
        outcome: &Outcome,
    ) {
        // Either clock says no less than it took: the end was before now.
        let (ended_at, ended) = (self.since.elapsed(), self.clock.fetch_add(1, Ordering::SeqCst));
        let outcome = outcome.clone();
        self.lock().push(Record { operation, outcome, began: tick, ended, began_at: at, ended_at });
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap()
    }
}

/// How the operations of a history ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) unavailable: usize,
    pub(crate) unknown: usize,
}

impl Counts {
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut counts = Self::default();
        for record in records {
            *match record.outcome {
                Outcome::Refused(_) => &mut counts.refused,
                Outcome::Unavailable => &mut counts.unavailable,
                Outcome::Unknown => &mut counts.unknown,
                _ => &mut counts.acknowledged,
            } += 1;
        }
        counts
    }
}
