//! What the guarded fetcher keeps: answers while they are fresh and for a while after, failures for
//! a moment. All of it bounded, for the URLs are chosen by strangers. How long an answer is fresh
//! is decided in [`super::freshness`], who may ask how often in [`super::fetch_budgets`].

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use moka::future::Cache;
use portunus_core::Timestamp;
use tokio::sync::Mutex;

use super::fetch_error::FetchError;

/// How many URLs are remembered of what is in use, and as many of all else; with the largest bodies
/// they come to 32 MB each.
pub const MAX_URLS: u64 = 512;
/// How long after a failure a URL is not asked again.
const BACK_OFF: Duration = Duration::from_secs(2);
/// How long after a fetch no other one is made because what was looked for is not in it.
const NEWEST: Duration = Duration::from_secs(10);

/// One URL. The holder of the lock may fetch; the others wait and find what was fetched.
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
        self.held
            .as_ref()
            .filter(|held| held.fetched_at <= now && now < held.fresh_until)
            .map(|held| held.body.clone())
    }

    /// The answer, if it is so new that another one is not to be had yet.
    pub(super) fn newest(&self, now: Timestamp) -> Option<Bytes> {
        self.held
            .as_ref()
            .filter(|held| held.fetched_at <= now && now < held.fetched_at + NEWEST)
            .map(|held| held.body.clone())
    }

    /// The failure of a moment ago.
    pub(super) fn failure(&self, now: Timestamp) -> Option<FetchError> {
        self.failed
            .as_ref()
            .filter(|(at, _)| *at <= now && now < *at + BACK_OFF)
            .map(|(_, error)| error.clone())
    }

    /// The answer, though it is fresh no longer: for a fetch that fails.
    pub(super) fn stale(&self, now: Timestamp, stale_for: Duration) -> Option<Bytes> {
        self.held
            .as_ref()
            .filter(|held| held.fetched_at <= now && now < held.fresh_until + stale_for)
            .map(|held| held.body.clone())
    }

    /// Notes how a fetch went. A failure that may pass takes nothing away from the answer before
    /// it; one that says that there is no such answer any more does, unless the answer is fresh
    /// still.
    pub(super) fn note(&mut self, outcome: &Result<(Bytes, Duration), FetchError>, now: Timestamp) {
        match outcome {
            Ok((body, lifetime)) => {
                self.failed = None;
                self.held = Some(Held {
                    body: body.clone(),
                    fetched_at: now,
                    fresh_until: now + *lifetime,
                });
            }
            Err(error) => {
                if !error.is_passing() && self.fresh(now).is_none() {
                    self.held = None;
                }
                self.failed = Some((now, error.clone()));
            }
        }
    }
}

/// All that is remembered. What strangers ask for drives out only what strangers asked for.
pub(super) struct ResponseCache {
    in_use: Cache<String, Slot>,
    others: Cache<String, Slot>,
}

impl ResponseCache {
    pub(super) fn new() -> Self {
        Self { in_use: Cache::new(MAX_URLS), others: Cache::new(MAX_URLS) }
    }

    pub(super) async fn slot(&self, url: &str, in_use: bool) -> Slot {
        if let Some(slot) = self.in_use.get(url).await {
            return slot;
        }
        if !in_use {
            return self.others.entry_by_ref(url).or_default().await.into_value();
        }
        // It may have come into use just now: what was fetched is kept.
        let known = self.others.remove(url).await.unwrap_or_default();
        self.in_use.entry_by_ref(url).or_insert_with(async { known }).await.into_value()
    }

    /// Is this URL's answer known and fresh? Does not count as asking for it.
    pub(super) async fn peek(&self, url: &str, now: Timestamp) -> Option<Bytes> {
        let slot = match self.in_use.get(url).await {
            Some(slot) => slot,
            None => self.others.get(url).await?,
        };
        slot.try_lock().ok()?.fresh(now)
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

    #[test]
    fn t55_an_old_answer_is_better_than_none_for_a_while() {
        let mut state = State::default();
        assert_eq!(state.stale(NOW, STALE), None);
        state.note(&Ok((Bytes::from_static(b"{}"), Duration::from_secs(60))), NOW);
        for failure in [FetchError::Timeout, FetchError::TooOften, FetchError::Status(503)] {
            state.note(&Err(failure), after(61));
        }
        assert!(state.fresh(after(61)).is_none());
        assert!(
            state.stale(after(60 + 3599), STALE).is_some()
                && state.stale(after(60 + 3600), STALE).is_none()
        );
        assert!(
            state.stale(NOW - Duration::from_secs(1), STALE).is_none(),
            "the clock was set back"
        );
        // What its host says of it counts: it is gone.
        state.note(&Err(FetchError::Status(404)), after(70));
        assert!(state.stale(after(71), STALE).is_none());
    }

    const STALE: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn t55_what_strangers_ask_for_drives_out_nothing_that_is_in_use() {
        let cache = ResponseCache::new();
        let slot = cache.slot("in use", false).await;
        slot.lock().await.note(&Ok((Bytes::from_static(b"{}"), Duration::from_secs(60))), NOW);
        assert!(
            cache.slot("in use", true).await.lock().await.fresh(NOW).is_some(),
            "what was fetched before is kept"
        );
        for n in 0..4 * MAX_URLS {
            cache.slot(&format!("stranger {n}"), false).await;
        }
        cache.others.run_pending_tasks().await;
        assert!(cache.others.entry_count() <= MAX_URLS);
        assert!(
            cache.peek("in use", NOW).await.is_some() && cache.peek("unknown", NOW).await.is_none()
        );
    }
}
