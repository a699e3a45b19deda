//! The targets of the configuration as the writer of the chain and their followers know them: how
//! far the store has come, how far each target has, and what is counted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portunus_core::audit::{ChainHead, ChainId};
use tokio::{sync::watch, time::Instant};

use crate::config::AuditConfig;

/// How often it is told of one target that it never gets some records.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Parts of chains that are followed: a chain is left only when another wrote to it.
const PARTS: usize = 8;

/// The targets of the configuration, and how far each has come. All clones share it.
#[derive(Clone)]
pub(in crate::audit) struct Targets(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) states: Vec<Arc<TargetState>>,
    pub(super) ends: watch::Sender<Ends>,
}

/// How far the store has come, in the order in which chains were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    pub(super) parts: Vec<Part>,
    /// Nothing follows.
    pub(super) is_over: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) chain: ChainId,
    pub(super) last: u64,
}

/// One target, as the writer and its follower know it.
pub(super) struct TargetState {
    pub(super) name: &'static str,
    /// Through which record of which chain it has them.
    place: Mutex<Option<(ChainId, u64)>>,
    pub(super) sent: AtomicU64,
    lost: AtomicU64,
    /// Of those, what is not recorded yet.
    untold: AtomicU64,
    /// When the log said so last, and how many it has not told since.
    logged: Mutex<(Option<Instant>, u64)>,
    pub(super) failures: AtomicU64,
}

/// Figures of one target since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetCounts {
    pub name: &'static str,
    /// Records that it took.
    pub sent: u64,
    /// Records that it never gets: deleted before it took them, or refused by it.
    pub lost: u64,
    /// Tries that failed.
    pub failures: u64,
    /// Records that wait in the store.
    pub waiting: u64,
    /// Through which record of its chain it has them.
    pub position: u64,
}

impl TargetState {
    fn new(name: &'static str) -> Self {
        let zero = AtomicU64::default;
        Self {
            name,
            place: Mutex::default(),
            sent: zero(),
            lost: zero(),
            untold: zero(),
            logged: Mutex::default(),
            failures: zero(),
        }
    }

    pub(super) fn place(&self) -> Option<(ChainId, u64)> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn come_to(&self, chain: &ChainId, through: u64) {
        let place = Some((chain.clone(), through));
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    pub(super) fn lose(&self, count: u64, why: &str) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        self.untold.fetch_add(count, Ordering::Relaxed);
        let Some(count) = self.to_be_logged(count, Instant::now()) else { return };
        tracing::error!(
            target_name = self.name,
            count,
            why,
            "audit records are not sent there; the store has them unless they were deleted"
        );
    }
}

impl TargetState {
    /// How many are told now, if it is not too soon: one that refuses each record is no flood.
    fn to_be_logged(&self, count: u64, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.1 += count;
        if logged.0.is_some_and(|at| now < at + TELL_EVERY) {
            return None;
        }
        logged.0 = Some(now);
        Some(std::mem::take(&mut logged.1))
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self::named([])
    }
}

impl Targets {
    /// Those that are configured.
    pub(in crate::audit) fn new(config: &AuditConfig) -> Self {
        let names = [
            config.file.as_ref().map(|_| "file"),
            config.syslog.as_ref().map(|_| "syslog"),
            config.otlp.as_ref().map(|_| "otlp"),
        ];
        Self::named(names.into_iter().flatten())
    }

    fn named(names: impl IntoIterator<Item = &'static str>) -> Self {
        let states = names.into_iter().map(|name| Arc::new(TargetState::new(name))).collect();
        Self(Arc::new(Shared { states, ends: watch::Sender::default() }))
    }

    /// The chain with this head is gone on with: each target where it was, one that is new from
    /// here on.
    pub(in crate::audit) fn begin(&self, head: &ChainHead) {
        for state in &self.0.states {
            let through = head.sent.get(state.name).copied().unwrap_or(head.last);
            state.come_to(&head.chain, through.min(head.last));
        }
        let part = Part { chain: head.chain.clone(), last: head.last };
        self.0.ends.send_replace(Ends { parts: vec![part], is_over: false });
    }

    /// A chain is written from this record on.
    pub(in crate::audit) fn begin_at(&self, chain: &ChainId, through: u64) {
        for state in &self.0.states {
            state.come_to(chain, through);
        }
        self.0.ends.send_replace(Ends::default());
    }

    /// The store has the chain up to this record.
    pub(in crate::audit) fn came_to(&self, chain: &ChainId, last: u64) {
        if self.0.states.is_empty() {
            return;
        }
        self.0.ends.send_modify(|ends| match ends.parts.last_mut() {
            Some(part) if part.chain == *chain => part.last = last,
            _ => {
                ends.parts.push(Part { chain: chain.clone(), last });
                if ends.parts.len() > PARTS {
                    ends.parts.remove(0);
                }
            }
        });
    }

    /// What the chain's head says of them.
    pub(in crate::audit) fn noted(&self, chain: &ChainId) -> BTreeMap<String, u64> {
        let noted = |state: &Arc<TargetState>| {
            let through = match state.place() {
                Some((of, through)) if of == *chain => through,
                _ => 0,
            };
            (state.name.to_owned(), through)
        };
        self.0.states.iter().map(noted).collect()
    }

    /// Records that targets never get, which are not recorded yet.
    pub(in crate::audit) fn take_lost(&self) -> Vec<(&'static str, u64)> {
        let lost = |state: &Arc<TargetState>| {
            let count = state.untold.swap(0, Ordering::Relaxed);
            (count > 0).then_some((state.name, count))
        };
        self.0.states.iter().filter_map(lost).collect()
    }

    pub(in crate::audit) fn counts(&self) -> Vec<TargetCounts> {
        let ends = self.0.ends.borrow();
        let counts = |state: &Arc<TargetState>| {
            let place = state.place();
            TargetCounts {
                name: state.name,
                sent: state.sent.load(Ordering::Relaxed),
                lost: state.lost.load(Ordering::Relaxed),
                failures: state.failures.load(Ordering::Relaxed),
                waiting: place.as_ref().map_or(0, |place| waiting(&ends.parts, place)),
                position: place.map_or(0, |(_, through)| through),
            }
        };
        self.0.states.iter().map(counts).collect()
    }

    pub(in crate::audit) fn is_empty(&self) -> bool {
        self.0.states.is_empty()
    }

    /// Nothing follows: followers end when they have handed on what there is.
    pub(in crate::audit) fn end(&self) {
        self.0.ends.send_modify(|ends| ends.is_over = true);
    }

    /// Has they all handed on what the store has?
    pub(in crate::audit) fn have_all(&self) -> bool {
        self.counts().iter().all(|counts| counts.waiting == 0)
    }
}

/// How many records a target at this place has before it.
fn waiting(parts: &[Part], (chain, through): &(ChainId, u64)) -> u64 {
    let at = parts.iter().position(|part| part.chain == *chain);
    let own = at.and_then(|at| parts.get(at)).map_or(0, |part| part.last.saturating_sub(*through));
    let later = parts.iter().skip(at.map_or(0, |at| at + 1)).map(|part| part.last);
    own + later.sum::<u64>()
}
