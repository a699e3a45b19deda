//! What an administrator disabled, as this gateway knows it: a small set in memory that requests
//! ask, kept up to date by invalidations. Disabling something is [`change`]'s, and what ends at
//! this node because of it [`follow`]'s. The rules are `portunus_core::disabled`.
//!
//! The store decides by itself about grants, codes and logins, in the step that would keep them.
//! What is known here makes the rest quick: servers and tools that are to be gone, and streams,
//! calls and connections that are to end.

pub mod change;
pub mod follow;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use portunus_core::{
    disabled::{Disableable, DisabledSet},
    invalidation::Invalidation,
    store::{DisabledStore, StoreError},
};
use tokio::sync::watch;

/// Persons held in memory: those who were disabled last. What the others had has ended, and the
/// store lets nothing new come about.
const MOST_PERSONS: u32 = 2000;
/// So many more may come in before the set is read anew.
const SLACK: usize = 500;

/// The set. All clones share it.
#[derive(Clone)]
pub struct Disabled(Arc<Inner>);

struct Inner {
    set: ArcSwap<DisabledSet>,
    /// Held by who changes the set; never by who reads it.
    changing: Mutex<Pending>,
    /// Something may have been missed: the store is to be asked.
    is_out_of_date: AtomicBool,
    changes: watch::Sender<u64>,
    /// How often what the set hides changed, for requests: they wait for no lock.
    hides: AtomicU64,
}

/// What came in, and was not followed yet.
#[derive(Default)]
struct Pending {
    /// How often something came in.
    number: u64,
    disabled: BTreeSet<Disableable>,
    /// Something that lists show was enabled.
    has_shown: bool,
}

impl Disabled {
    /// What is disabled now; it is looked at, and let go.
    pub fn now(&self) -> Guard<Arc<DisabledSet>> {
        self.0.set.load()
    }

    /// Another number, and a greater one, when other things are hidden.
    pub fn hides(&self) -> u64 {
        self.0.hides.load(Ordering::SeqCst)
    }

    /// Changes whenever the set does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Returns when `is_meant` is true of the set.
    pub async fn until(&self, is_meant: impl Fn(&DisabledSet) -> bool) {
        let mut changes = self.changes();
        while !is_meant(&self.now()) {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes in what was posted.
    pub fn hear(&self, invalidation: &Invalidation) {
        let (what, is_disabled) = match invalidation {
            Invalidation::Disabled(what) => (what, true),
            Invalidation::Enabled(what) => (what, false),
            // It may have been about anything.
            Invalidation::Everything => return self.miss(),
            _ => return,
        };
        let mut pending = self.changing();
        let mut set = DisabledSet::clone(&self.now());
        if is_disabled {
            set.insert(what.clone());
            pending.disabled.insert(what.clone());
        } else {
            set.remove(what);
            pending.has_shown |= what.is_listed();
        }
        if set.persons() > MOST_PERSONS as usize + SLACK {
            self.miss();
        }
        self.put(&mut pending, set);
    }

    /// Something may not have been heard of.
    pub fn miss(&self) {
        self.0.is_out_of_date.store(true, Ordering::SeqCst);
    }

    /// Asks the store, if anything may have been missed. If it cannot be asked, what is known stays
    /// as it is, and the next call asks again.
    pub async fn catch_up(&self, store: &dyn DisabledStore) -> Result<(), StoreError> {
        if !self.0.is_out_of_date.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let loaded = self.load(store).await;
        if loaded.is_err() {
            self.miss();
        }
        loaded
    }

    /// Reads it whole.
    pub async fn load(&self, store: &dyn DisabledStore) -> Result<(), StoreError> {
        loop {
            let before = self.changing().number;
            let records = store.list_disabled(MOST_PERSONS).await?;
            let set: DisabledSet = records.into_iter().map(|record| record.what).collect();
            let mut pending = self.changing();
            // What came in meanwhile may not be in what was read.
            if pending.number != before {
                continue;
            }
            let known = self.now();
            if *set_of(&known) == set {
                return Ok(());
            }
            pending.disabled.extend(set.iter().filter(|what| !known.contains(what)));
            pending.has_shown |= known.iter().any(|what| what.is_listed() && !set.contains(&what));
            self.put(&mut pending, set);
            return Ok(());
        }
    }

    fn put(&self, pending: &mut Pending, set: DisabledSet) {
        pending.number += 1;
        let hides_the_same = self.now().hides_the_same(&set);
        self.0.set.store(Arc::new(set));
        if !hides_the_same {
            self.0.hides.fetch_add(1, Ordering::SeqCst);
        }
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// What was disabled since this was asked last, and whether anything
    /// that lists show was enabled.
    fn take_pending(&self) -> (BTreeSet<Disableable>, bool) {
        let mut pending = self.changing();
        (std::mem::take(&mut pending.disabled), std::mem::take(&mut pending.has_shown))
    }

    fn changing(&self) -> MutexGuard<'_, Pending> {
        self.0.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set_of(guard: &Guard<Arc<DisabledSet>>) -> &DisabledSet {
    guard
}

impl Default for Disabled {
    fn default() -> Self {
        Self(Arc::new(Inner {
            set: ArcSwap::default(),
            changing: Mutex::default(),
            is_out_of_date: AtomicBool::new(false),
            changes: watch::Sender::new(0),
            hides: AtomicU64::new(0),
        }))
    }
}

impl fmt::Debug for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Disabled").field(&*self.now()).finish()
    }
}

#[cfg(test)]
mod tests;
