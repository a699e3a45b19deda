//! What clients asked and what came of it, in the order of a clock that ticks with every beginning and every end: [`History`]. What may
//! be concluded from it is next door, in [`super::checker`].

use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
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

    /// Nobody but the gateway knows.
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
}

/// Written by all clients at once.
#[derive(Default)]
pub(crate) struct History {
    clock: AtomicU64,
    records: Mutex<Vec<Record>>,
}

impl History {
    /// An operation begins.
    pub(crate) fn begin(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// It has ended.
    pub(crate) fn end(&self, began: u64, operation: Operation, outcome: &Outcome) {
        let ended = self.begin();
        self.lock().push(Record { operation, outcome: outcome.clone(), began, ended });
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
