//! What the guarded fetcher keeps: answers while they are fresh, failures for a moment, and how often each host was asked. All of
//! it bounded, for the keys are chosen by strangers. How long an answer is fresh is decided in [`super::freshness`].

use std::{
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use moka::future::Cache;
use portunus_core::Timestamp;
use tokio::sync::Mutex;

use super::guarded::FetchError;

/// How many URLs are remembered; with the largest bodies they come to 32 MB.
const MAX_URLS: u64 = 512;
/// How many hosts are counted.
const MAX_HOSTS: u64 = 4096;
/// How often a host is asked within [`WINDOW`].
const REQUESTS: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// How long after a failure a URL is not asked again.
const BACK_OFF: Duration = Duration::from_secs(2);
/// How long after a fetch nobody may ask for another one because what they look for is not in it.
const NEWEST: Duration = Duration::from_secs(10);

/// One URL. Whoever holds the lock may fetch; the others wait and find what was fetched.
pub(super) type Slot = Arc<Mutex<State>>;

#[derive(Debug, Default)]
pub(super) struct State {
    held: Option<Held>,
    failed: Option<(Timestamp, FetchError)>,
}

#[derive(Debug)]
struct Held {
    body: Bytes,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

impl State {
    /// The answer, while it is fresh. A clock that was set back makes it stale.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<Bytes> {
        self.held.as_ref().filter(|held| held.fetched_at <= now && now < held.fresh_until).map(|held| held.body.clone())
    }

    /// The answer, if it is so new that another one is not to be had yet.
    pub(super) fn newest(&self, now: Timestamp) -> Option<Bytes> {
        self.held.as_ref().filter(|held| held.fetched_at <= now && now < held.fetched_at + NEWEST).map(|held| held.body.clone())
    }

    /// The failure of a moment ago.
    pub(super) fn failure(&self, now: Timestamp) -> Option<FetchError> {
        self.failed.as_ref().filter(|(at, _)| *at <= now && now < *at + BACK_OFF).map(|(_, error)| error.clone())
    }

    /// Notes how a fetch went. A failure takes nothing away from an answer that is fresh still.
    pub(super) fn note(&mut self, outcome: &Result<(Bytes, Duration), FetchError>, now: Timestamp) {
        match outcome {
            Ok((body, lifetime)) => {
                self.failed = None;
                self.held = Some(Held { body: body.clone(), fetched_at: now, fresh_until: now + *lifetime });
            }
            Err(error) => self.failed = Some((now, error.clone())),
        }
    }
}

/// All that is remembered.
pub(super) struct Shelf {
    urls: Cache<String, Slot>,
    hosts: Cache<String, Arc<SyncMutex<Count>>>,
}

/// How often a host was asked since the beginning of a window.
struct Count {
    since: Timestamp,
    requests: u32,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self { urls: Cache::new(MAX_URLS), hosts: Cache::new(MAX_HOSTS) }
    }

    pub(super) async fn slot(&self, url: &str) -> Slot {
        self.urls.entry_by_ref(url).or_default().await.into_value()
    }

    /// May this host be asked once more? Counts.
    pub(super) async fn admit(&self, host: &str, now: Timestamp) -> bool {
        let fresh = async { Arc::new(SyncMutex::new(Count { since: now, requests: 0 })) };
        let count = self.hosts.entry_by_ref(host).or_insert_with(fresh).await.into_value();
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        if now < count.since || count.since + WINDOW <= now {
            *count = Count { since: now, requests: 0 };
        }
        count.requests = count.requests.saturating_add(1);
        count.requests <= REQUESTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn after(secs: u64) -> Timestamp {
        NOW + Duration::from_secs(secs)
    }

    #[test]
    fn answers_are_kept_and_failures_only_for_a_moment() {
        let mut state = State::default();
        state.note(&Err(FetchError::Timeout), NOW);
        assert_eq!(state.failure(after(1)), Some(FetchError::Timeout));
        assert_eq!(state.failure(after(2)), None);
        assert_eq!(state.fresh(NOW), None);

        state.note(&Ok((Bytes::from_static(b"{}"), Duration::from_secs(60))), NOW);
        assert_eq!(state.failure(NOW), None);
        assert!(state.fresh(after(59)).is_some() && state.fresh(after(60)).is_none());
        assert!(state.newest(after(9)).is_some() && state.newest(after(10)).is_none());
        assert!(state.fresh(NOW - Duration::from_secs(1)).is_none(), "the clock was set back");

        state.note(&Err(FetchError::Timeout), after(20));
        assert!(state.fresh(after(21)).is_some(), "the answer is fresh still");
    }

    #[tokio::test]
    async fn a_host_is_asked_ten_times_a_minute() {
        let shelf = Shelf::new();
        for n in 0..REQUESTS {
            assert!(shelf.admit("app.example", NOW).await, "{n}");
        }
        assert!(!shelf.admit("app.example", after(59)).await);
        assert!(shelf.admit("other.example", NOW).await);
        assert!(shelf.admit("app.example", after(60)).await);
    }
}
