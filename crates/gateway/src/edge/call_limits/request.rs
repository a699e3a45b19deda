//! One request, as it is counted: by which counters, and what it holds of them. The counters are in
//! [`super::counters`]; where a request is told to begin, to be at work and to end is the hub's
//! (`portunus_mcp::limits`), and `resource_server::endpoint`'s for proxied ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portunus_core::{
    call_limits::{CallLimit, Counter, Moment, Part, Refusal, Target},
    ids::ServerName,
    principal::Principal,
};
use portunus_mcp::limits::{Limited, RequestLimits};

use super::counters::{Counters, Key, Place};

/// A limit, and what it is known by: a limit that a reload leaves as it was goes on counting.
pub(super) struct LimitInForce {
    pub(super) limit: CallLimit,
    pub(super) id: u64,
}

/// A request that is counted, by the limits that were in force when it came.
pub struct CountedRequest {
    counters: Arc<Counters>,
    limits: Arc<Vec<LimitInForce>>,
    principal: Arc<Principal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: u64,
    /// The limits that have counted it, by their place in the list.
    counted: Vec<(usize, Place)>,
    /// Where it is at work, and under which key that is.
    at_work: Vec<(Place, Key)>,
    is_paused: bool,
}

impl CountedRequest {
    pub(super) fn new(
        counters: Arc<Counters>,
        limits: Arc<Vec<LimitInForce>>,
        principal: Arc<Principal>,
    ) -> Self {
        Self { counters, limits, principal, state: Mutex::default() }
    }

    /// A request has come for what is of this server, or proxied there, with so many bytes so far.
    pub fn begin(&self, server: Option<&str>, bytes: usize) -> Result<(), Box<Limited>> {
        let mut state = self.state();
        state.bytes = bytes as u64;
        self.count(&mut state, Target { server, tool: None })
    }

    /// It is at work from now on, at this server.
    pub fn enter(&self, target: Target<'_>) -> Result<(), Box<Limited>> {
        let mut state = self.state();
        self.count(&mut state, target)?;
        let now = self.counters.now();
        let bounded = |one: &LimitInForce| one.limit.concurrent.is_some();
        for (n, place) in self.fitting(target).filter(|(n, _)| bounded(&self.limits[*n])) {
            let limit = &self.limits[n].limit;
            match self.counters.change(place, now, |counter| counter.begin_work(limit)) {
                (key, Ok(())) => state.at_work.push((place, key)),
                (_, Err(refusal)) => {
                    self.end_work(&mut state);
                    return Err(Box::new(self.refused(n, refusal, now)));
                }
            }
        }
        Ok(())
    }

    /// More bytes of it have come, or of its answer.
    pub fn add_bytes(&self, bytes: usize) {
        let (now, state) = (self.counters.now(), self.state());
        for (n, place) in &state.counted {
            self.count_bytes(*n, *place, now, bytes as u64);
        }
    }

    /// Counts it by the limits that fit and have not yet. All are asked before any counts.
    fn count(&self, state: &mut State, target: Target<'_>) -> Result<(), Box<Limited>> {
        let is_new = |n: &usize| state.counted.iter().all(|(counted, _)| counted != n);
        let fitting: Vec<_> = self.fitting(target).filter(|(n, _)| is_new(n)).collect();
        let now = self.counters.now();
        let refusal = |(n, place): &(usize, Place)| {
            let refused = self.counters.look(*place, now).decide(&self.limits[*n].limit, now);
            Some((*n, refused.err()?))
        };
        let strictest =
            fitting.iter().filter_map(refusal).max_by_key(|(_, refusal)| refusal.retry_after);
        if let Some((n, refusal)) = strictest {
            return Err(Box::new(self.refused(n, refusal, now)));
        }
        for (n, place) in fitting {
            // Another request may have come in between.
            let limit = &self.limits[n].limit;
            let one_more = |counter: &mut Counter| {
                counter.decide(limit, now).map(|()| counter.count(limit, now))
            };
            if let (_, Err(refusal)) = self.counters.change(place, now, one_more) {
                return Err(Box::new(self.refused(n, refusal, now)));
            }
            state.counted.push((n, place));
            self.count_bytes(n, place, now, state.bytes);
        }
        Ok(())
    }

    fn count_bytes(&self, n: usize, place: Place, now: Moment, bytes: u64) {
        let limit = &self.limits[n].limit;
        if limit.bytes.is_some() && bytes > 0 {
            self.counters.change(place, now, |counter| counter.count_bytes(limit, now, bytes));
        }
    }

    /// The limits that are about this, and where each counts it.
    fn fitting<'a>(&'a self, target: Target<'a>) -> impl Iterator<Item = (usize, Place)> + 'a {
        let fits = move |one: &LimitInForce| one.limit.fits(&self.principal, target);
        let limits = self.limits.iter().enumerate().filter(move |(_, one)| fits(one));
        limits.map(move |(n, one)| (n, self.place(one, target)))
    }

    fn place(&self, LimitInForce { limit, id }: &LimitInForce, target: Target<'_>) -> Place {
        let CallLimit { each, .. } = limit;
        let has = |part| each.contains(&part);
        let user = self.principal.user.as_str();
        let counted_apart = (
            id,
            has(Part::Person).then_some(user),
            has(Part::Client).then(|| self.principal.client.as_str()),
            target.server.filter(|_| has(Part::Server) || has(Part::Tool)),
            target.tool.filter(|_| has(Part::Tool)),
        );
        let counters = &self.counters;
        Place {
            key: counters.key(&counted_apart),
            rest: counters.key(&("rest", id, user)),
            person: counters.key(&("person", user)),
        }
    }

    /// What is told of a refusal. The name of the limit is the administrator's, and may be seen.
    fn refused(&self, n: usize, refusal: Refusal, now: Moment) -> Limited {
        let LimitInForce { limit, id } = &self.limits[n];
        let Refusal { exceeded, retry_after } = refusal;
        let user = self.principal.user.as_str();
        let told = self.counters.note_refusal(self.counters.key(&("refused", id, user)), now);
        let mut limited =
            Limited { limit: limit.name.clone(), text: String::new(), retry_after, told };
        let seconds = limited.seconds();
        limited.text =
            format!("Limit `{}` reached: {exceeded}. Try again in {seconds} s", limit.name);
        if told.is_some() {
            tracing::info!(
                user, client_id = %self.principal.client, limit = limit.name, %exceeded,
                "a limit is reached: further refusals of this minute are told of in the lines of their requests alone"
            );
        }
        limited
    }

    fn end_work(&self, state: &mut State) {
        for (_, key) in state.at_work.drain(..) {
            if !state.is_paused {
                self.counters.change_held(key, Counter::end_work);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestLimits for CountedRequest {
    fn begin(&self, server: Option<&ServerName>, bytes: usize) -> Result<(), Box<Limited>> {
        self.begin(server.map(ServerName::as_str), bytes)
    }

    fn enter(&self, server: Option<&ServerName>, tool: Option<&str>) -> Result<(), Box<Limited>> {
        self.enter(Target { server: server.map(ServerName::as_str), tool })
    }

    fn pause(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_paused, true) {
            for (_, key) in &state.at_work {
                self.counters.change_held(*key, Counter::end_work);
            }
        }
    }

    fn resume(&self) {
        let (now, mut state) = (self.counters.now(), self.state());
        if std::mem::take(&mut state.is_paused) {
            // The counter may have been forgotten meanwhile.
            for (place, key) in &mut state.at_work {
                (*key, ()) = self.counters.change(*place, now, Counter::go_on_with_work);
            }
        }
    }

    fn answered(&self, bytes: usize) {
        self.add_bytes(bytes);
    }

    fn leave(&self) {
        self.end_work(&mut self.state());
    }
}

/// Whatever becomes of it, it is at work no more.
impl Drop for CountedRequest {
    fn drop(&mut self) {
        self.end_work(&mut self.state());
    }
}
