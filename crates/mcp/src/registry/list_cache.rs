//! The keeping of one server's list for one owner: when it is good, when it is to be fetched anew,
//! what is said meanwhile. Pure state with the time as an argument; the fetching and waiting is
//! done in [`super::catalogue`].

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::list::List;
use crate::{sync::locked, upstream::UpstreamError};

/// After a failure, for so long the server is not asked again: enough for one merged list, which
/// asks for several kinds.
const REST: Duration = Duration::from_secs(1);
/// How long to wait for a server that kept callers waiting to the end the last time.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// A list whose server wants it fetched again and again is fetched no sooner than this for who only
/// looks something up in it: every call does.
const SHORTEST: Duration = Duration::from_secs(5);
/// A list is not fetched again for what it lacks before this time.
const LACKING: Duration = Duration::from_secs(1);
/// A fetch that is under way for so long has come to grief: it is given up and another one may
/// begin.
const LOST: Duration = Duration::from_secs(900);

pub(crate) struct ListCache {
    state: Mutex<State>,
    /// Counts finished fetches.
    finished: watch::Sender<u64>,
}

struct State {
    list: Option<Arc<List>>,
    fetched_at: Instant,
    /// How long the list is good, if its server says so; else the house decides.
    fresh_for: Option<Duration>,
    /// The server said that its list has changed since.
    changed: bool,
    fetching_since: Option<Instant>,
    failure: Option<Failure>,
    /// A caller was answered without this list, or with an old one: if the fetch brings another,
    /// they are told.
    missed: bool,
    used_at: Instant,
}

struct Failure {
    at: Instant,
    took: Duration,
    error: UpstreamError,
}

/// What the list is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To look something up: an old list will do, and is fetched anew behind the answer.
    Find,
    /// To show it, asked for at this moment. A list that is older than its server wants is fetched
    /// first.
    Show(Instant),
    /// To look for something that an old list lacks, asked for at this moment. One that was fetched
    /// before is fetched again, at most once a second: others go on with it meanwhile.
    Lacking(Instant),
}

/// What to do for who wants the list.
#[derive(Debug)]
pub(crate) enum Look {
    /// Take this one, and start a fetch behind it if `refresh`.
    Have {
        list: Arc<List>,
        refresh: bool,
        /// How long it is still good, if its server says so.
        good_for: Option<Duration>,
    },
    /// Wait for a fetch, at most so long; start it if `start`.
    Wait {
        start: bool,
        patience: Duration,
    },
    Failed(UpstreamError),
}

impl ListCache {
    pub(crate) fn new(now: Instant) -> Self {
        let state = State {
            list: None,
            fetched_at: now,
            fresh_for: None,
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

    /// Who is told to start a fetch must do so: it counts as begun. `period` is how long a list is
    /// good whose server does not say.
    pub(crate) fn look(
        &self,
        now: Instant,
        need: Need,
        period: Duration,
        deadline: Duration,
    ) -> Look {
        let mut state = locked(&self.state);
        state.used_at = now;
        if state.fetching_since.is_some_and(|since| now.duration_since(since) >= LOST) {
            state.fetching_since = None;
        }
        let resting = state
            .failure
            .as_ref()
            .filter(|failure| now.duration_since(failure.at) < REST)
            .map(|f| f.error.clone());
        let start = state.fetching_since.is_none() && resting.is_none();
        if let Some(list) = state.list.clone()
            && (!state.is_outdated(now, need) || resting.is_some())
        {
            let age = now.duration_since(state.fetched_at);
            let refresh =
                start && age >= state.fresh_for.map_or(period, |fresh_for| fresh_for.max(SHORTEST));
            if refresh {
                state.fetching_since = Some(now);
                state.missed = true;
            }
            return Look::Have {
                list,
                refresh,
                good_for: state.fresh_for.map(|fresh_for| fresh_for.saturating_sub(age)),
            };
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

    /// As it was fetched last, whatever its age.
    pub(crate) fn kept(&self) -> Option<Arc<List>> {
        locked(&self.state).list.clone()
    }

    /// Waiting was in vain: the old list, if there is one.
    pub(crate) fn give_up(&self) -> Option<Arc<List>> {
        let mut state = locked(&self.state);
        state.missed = true;
        state.list.clone()
    }

    /// The fetch ends. `true`: those who were answered meanwhile should look again.
    pub(crate) fn finish(
        &self,
        now: Instant,
        outcome: Result<List, UpstreamError>,
        fresh_for: Option<Duration>,
    ) -> bool {
        let tell = {
            let mut state = locked(&self.state);
            let began = state.fetching_since.take().unwrap_or(now);
            match outcome {
                Ok(list) => {
                    let differs = state.list.as_ref().is_none_or(|old| **old != list);
                    if differs {
                        state.list = Some(Arc::new(list));
                    }
                    (state.fetched_at, state.fresh_for) = (now, fresh_for);
                    state.failure = None;
                    std::mem::take(&mut state.missed) && differs
                }
                Err(error) => {
                    state.failure =
                        Some(Failure { at: now, took: now.duration_since(began), error });
                    state.missed = true;
                    false
                }
            }
        };
        self.finished.send_modify(|count| *count += 1);
        tell
    }

    /// The list is no longer kept here: callers that wait for it look again, elsewhere.
    pub(crate) fn clear(&self) {
        {
            let mut state = locked(&self.state);
            (state.list, state.failure, state.fetching_since, state.missed) =
                (None, None, None, false);
        }
        self.finished.send_modify(|count| *count += 1);
    }

    /// The fetch sets out: what changes from here on, it may miss.
    pub(crate) fn set_out(&self) {
        locked(&self.state).changed = false;
    }

    pub(crate) fn mark_changed(&self) {
        let mut state = locked(&self.state);
        // What was never fetched has not changed.
        state.changed = state.list.is_some() || state.fetching_since.is_some();
    }

    pub(crate) fn is_changed(&self) -> bool {
        locked(&self.state).changed
    }

    /// The list lacks what it could have, and callers that were answered with it should look again.
    pub(crate) fn mark_lacking(&self) {
        let mut state = locked(&self.state);
        (state.changed, state.missed) = (true, true);
    }

    pub(crate) fn used_at(&self) -> Instant {
        locked(&self.state).used_at
    }
}

impl State {
    /// Is there a list, but none to answer with?
    fn is_outdated(&self, now: Instant, need: Need) -> bool {
        let is_stale = |since| {
            let is_over = |fresh_for| now.duration_since(self.fetched_at) >= fresh_for;
            self.fresh_for.is_some_and(is_over) && self.fetched_at < since
        };
        let is_old =
            |since| self.fetched_at < since && now.duration_since(self.fetched_at) >= LACKING;
        self.changed
            || match need {
                Need::Find => false,
                Need::Show(since) => is_stale(since),
                Need::Lacking(since) => is_old(since),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(600);
    const DEADLINE: Duration = Duration::from_secs(10);

    /// How a look ends at a list that was fetched at second 0 and is good for so many milliseconds:
    /// `have` it, `behind` (and fetch it behind the answer), or `wait`.
    fn look(fresh_for: Option<u64>, after_ms: u64, need: impl Fn(Instant) -> Need) -> &'static str {
        let fetched = Instant::now();
        let list_cache = ListCache::new(fetched);
        list_cache.finish(fetched, Ok(List::default()), fresh_for.map(Duration::from_millis));
        let now = fetched + Duration::from_millis(after_ms);
        match list_cache.look(now, need(now), PERIOD, DEADLINE) {
            Look::Have { refresh: false, .. } => "have",
            Look::Have { refresh: true, .. } => "behind",
            Look::Wait { start: true, .. } => "wait",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn how_long_a_list_is_good() {
        for (fresh_for, after_ms, to_find, to_show) in [
            (None, 599_999, "have", "have"),
            (None, 600_000, "behind", "behind"),
            (Some(60_000), 59_999, "have", "have"),
            (Some(60_000), 60_000, "behind", "wait"),
            (Some(1), 4_999, "have", "wait"),
            (Some(1), 5_000, "behind", "wait"),
            (Some(0), 1, "have", "wait"),
            (Some(3_600_000), 600_000, "have", "have"),
        ] {
            let found =
                (look(fresh_for, after_ms, |_| Need::Find), look(fresh_for, after_ms, Need::Show));
            assert_eq!(found, (to_find, to_show), "{fresh_for:?} after {after_ms} ms");
        }
    }

    #[test]
    fn a_list_that_is_good_for_no_time_at_all_is_fetched_once_for_all_who_ask_meanwhile() {
        let began = Instant::now();
        let list_cache = ListCache::new(began);
        list_cache.finish(began, Ok(List::default()), Some(Duration::ZERO));
        let at = |ms| began + Duration::from_millis(ms);
        let look = |now, since| list_cache.look(now, Need::Show(since), PERIOD, DEADLINE);
        assert!(matches!(look(at(1), at(1)), Look::Wait { start: true, .. }));
        assert!(
            matches!(look(at(2), at(2)), Look::Wait { start: false, .. }),
            "the one that is under way does for both"
        );
        list_cache.finish(at(3), Ok(List::default()), Some(Duration::ZERO));
        for since in [1, 2] {
            let good_for = Some(Duration::ZERO);
            assert!(
                matches!(look(at(4), at(since)), Look::Have { refresh: false, good_for: g, .. } if g == good_for)
            );
        }
        assert!(
            matches!(look(at(4), at(4)), Look::Wait { start: true, .. }),
            "who asks later gets a later one"
        );
        list_cache.finish(at(5), Err(UpstreamError::Timeout), None);
        assert!(
            matches!(look(at(6), at(4)), Look::Have { refresh: false, .. }),
            "an old list is better than none"
        );
    }

    #[test]
    fn what_is_left_of_the_time() {
        let began = Instant::now();
        let list_cache = ListCache::new(began);
        list_cache.finish(began, Ok(List::default()), Some(Duration::from_secs(60)));
        let Look::Have { good_for, .. } =
            list_cache.look(began + Duration::from_secs(20), Need::Show(began), PERIOD, DEADLINE)
        else {
            panic!("it is good")
        };
        assert_eq!(good_for, Some(Duration::from_secs(40)));
        list_cache.mark_changed();
        let changed =
            list_cache.look(began + Duration::from_secs(21), Need::Find, PERIOD, DEADLINE);
        assert!(matches!(changed, Look::Wait { start: true, .. }), "a change counts at once");
    }
}
