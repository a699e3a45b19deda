//! The keeping of one server's list for one owner: when it is good, when it is to be fetched anew, what is said meanwhile. Pure
//! state with the time as an argument; the fetching and waiting is done in [`super::catalogue`].

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::list::List;
use crate::{sync::locked, upstream::UpstreamError};

/// After a failure, for so long the server is not asked again: enough for one merged list, which asks for several kinds.
const REST: Duration = Duration::from_secs(1);
/// How long to wait for a server that kept callers waiting to the end the last time.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// A fetch that is under way for so long has come to grief: it is given up and another one may begin.
const LOST: Duration = Duration::from_secs(900);

pub(crate) struct Shelf {
    state: Mutex<State>,
    /// Counts finished fetches.
    finished: watch::Sender<u64>,
}

struct State {
    list: Option<Arc<List>>,
    fetched_at: Instant,
    /// The server said that its list has changed since.
    changed: bool,
    fetching_since: Option<Instant>,
    failure: Option<Failure>,
    /// Somebody was answered without this list, or with an old one: if the fetch brings another, they are told.
    missed: bool,
    used_at: Instant,
}

struct Failure {
    at: Instant,
    took: Duration,
    error: UpstreamError,
}

/// What to do for who wants the list.
#[derive(Debug)]
pub(crate) enum Look {
    /// Take this one, and start a fetch behind it if `refresh`.
    Have {
        list: Arc<List>,
        refresh: bool,
    },
    /// Wait for a fetch, at most so long; start it if `start`.
    Wait {
        start: bool,
        patience: Duration,
    },
    Failed(UpstreamError),
}

impl Shelf {
    pub(crate) fn new(now: Instant) -> Self {
        let state = State {
            list: None,
            fetched_at: now,
            changed: false,
            fetching_since: None,
            failure: None,
            missed: false,
            used_at: now,
        };
        Self { state: Mutex::new(state), finished: watch::Sender::new(0) }
    }

    pub(crate) fn finished(&self) -> watch::Receiver<u64> {
        self.finished.subscribe()
    }

    /// Who is told to start a fetch must do so: it counts as begun.
    pub(crate) fn look(&self, now: Instant, ttl: Duration, deadline: Duration) -> Look {
        let mut state = locked(&self.state);
        state.used_at = now;
        if state.fetching_since.is_some_and(|since| now.duration_since(since) >= LOST) {
            state.fetching_since = None;
        }
        let resting = state.failure.as_ref().filter(|failure| now.duration_since(failure.at) < REST).map(|f| f.error.clone());
        let start = state.fetching_since.is_none() && resting.is_none();
        if let Some(list) = state.list.clone()
            && (!state.changed || resting.is_some())
        {
            let refresh = start && now.duration_since(state.fetched_at) >= ttl;
            if refresh {
                state.fetching_since = Some(now);
                state.missed = true;
            }
            return Look::Have { list, refresh };
        }
        if let Some(error) = resting {
            return Look::Failed(error);
        }
        let was_slow = state.failure.as_ref().is_some_and(|failure| failure.took >= deadline);
        let waited = state.fetching_since.map_or(Duration::ZERO, |since| now.duration_since(since));
        let patience = if was_slow || waited >= deadline { IMPATIENCE } else { deadline };
        if start {
            state.fetching_since = Some(now);
        }
        Look::Wait { start, patience }
    }

    /// Waiting was in vain: the old list, if there is one.
    pub(crate) fn give_up(&self) -> Option<Arc<List>> {
        let mut state = locked(&self.state);
        state.missed = true;
        state.list.clone()
    }

    /// The fetch ends. `true`: those who were answered meanwhile should look again.
    pub(crate) fn finish(&self, now: Instant, outcome: Result<List, UpstreamError>) -> bool {
        let tell = {
            let mut state = locked(&self.state);
            let began = state.fetching_since.take().unwrap_or(now);
            match outcome {
                Ok(list) => {
                    let differs = state.list.as_ref().is_none_or(|old| **old != list);
                    if differs {
                        state.list = Some(Arc::new(list));
                    }
                    state.fetched_at = now;
                    state.failure = None;
                    std::mem::take(&mut state.missed) && differs
                }
                Err(error) => {
                    state.failure = Some(Failure { at: now, took: now.duration_since(began), error });
                    state.missed = true;
                    false
                }
            }
        };
        self.finished.send_modify(|count| *count += 1);
        tell
    }

    /// The fetch sets out: what changes from here on, it may miss.
    pub(crate) fn set_out(&self) {
        locked(&self.state).changed = false;
    }

    pub(crate) fn mark_changed(&self) {
        let mut state = locked(&self.state);
        state.changed = true;
    }

    /// The list lacks what it could have, and whoever was answered with it should look again.
    pub(crate) fn mark_lacking(&self) {
        let mut state = locked(&self.state);
        (state.changed, state.missed) = (true, true);
    }

    pub(crate) fn used_at(&self) -> Instant {
        locked(&self.state).used_at
    }
}
