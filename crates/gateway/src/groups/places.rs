//! How much this gateway asks of each identity provider at once, and until when it asks none: a
//! provider that is down or limits us is not asked for one person after the other.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use portunus_core::{Timestamp, ids::ProviderName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at one provider at once: Okta limits applications to a share of its own.
const AT_ONCE: usize = 8;
/// How long one waits for its turn. Who does not get it goes on with what is known.
const TURN: Duration = Duration::from_secs(2);
/// After a provider did not answer.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause that a provider may ask for.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// One place for each provider of the configuration. All clones share them, also after a new
/// configuration.
#[derive(Clone, Default)]
pub struct ProviderPlaces(Arc<Mutex<HashMap<ProviderName, Arc<ProviderPlace>>>>);

pub(super) struct ProviderPlace {
    turns: Arc<Semaphore>,
    /// In milliseconds since 1970.
    paused_until: AtomicI64,
}

impl ProviderPlaces {
    pub(super) fn of(&self, provider: &ProviderName) -> Arc<ProviderPlace> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(provider.clone()).or_insert_with(|| {
            Arc::new(ProviderPlace {
                turns: Arc::new(Semaphore::new(AT_ONCE)),
                paused_until: AtomicI64::new(i64::MIN),
            })
        });
        Arc::clone(place)
    }
}

impl ProviderPlace {
    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        now.as_millis() < self.paused_until.load(Ordering::SeqCst)
    }

    /// `None` if others are before one for too long.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok()?.ok()
    }

    /// Is asked nothing for a while, or until it wants to be.
    pub(super) fn pause(&self, now: Timestamp, wish: Option<Timestamp>) {
        let until = wish.unwrap_or(now).min(now + LONGEST).max(now + PAUSE);
        self.paused_until.fetch_max(until.as_millis(), Ordering::SeqCst);
    }
}
