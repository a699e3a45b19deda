//! Connections, by whose they are (threat 62). One belongs to the address it came from until a
//! request on it has proven who asks; then it is that person's. An address, and a person, has so
//! many and no more: one more closes the longest idle of theirs, and is refused only when none of
//! them is idle. A flood takes descriptors of its own address alone. Connections of trusted proxies
//! carry requests of many addresses and are not counted: their requests are, by the address that is
//! forwarded.
//!
//! The server opens and closes them ([`super::server`]); the resource server says whose they are
//! ([`super::resource_server::endpoint`]).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portunus_core::{address_block::AddressBlock, ids::UserId};
use tokio::{sync::Notify, time::Instant};

use crate::config::{Cidr, Limits};

/// Whose a connection is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LimitKey {
    Address(AddressBlock),
    Person(UserId),
}

/// How many there may be of each address and each person.
#[derive(Clone, Debug)]
pub struct Rules {
    pub per_address: usize,
    pub per_user: usize,
    /// Whose connections are not counted.
    pub trusted_proxies: Vec<Cidr>,
}

impl Rules {
    /// `descriptors` are all that the process may have: an address or a person gets a
    /// quarter of them at most.
    pub fn new(limits: &Limits, trusted_proxies: &[Cidr], descriptors: Option<usize>) -> Self {
        let share = descriptors.map_or(usize::MAX, |all| (all / 4).max(1));
        Self {
            per_address: limits.connections_per_address.min(share),
            per_user: limits.connections_per_user.min(share),
            trusted_proxies: trusted_proxies.to_vec(),
        }
    }
}

/// All connections that are open and counted.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    rules: RwLock<Rules>,
    held: Mutex<HashMap<LimitKey, HashMap<u64, Arc<State>>>>,
    next: AtomicU64,
    began: Instant,
}

/// What is known of one connection.
struct State {
    /// Requests under way, answers that are still being sent included.
    busy: AtomicUsize,
    /// Milliseconds since the table was made: when it was opened, or last had a request.
    last_used: AtomicU64,
    /// Did any request come on it?
    has_asked: AtomicBool,
    /// Tells it to end.
    end: Notify,
}

/// One connection; dropping it takes it out of the count.
pub struct Connection {
    connections: Connections,
    id: u64,
    state: Arc<State>,
    /// `None`: it is not counted.
    key: Mutex<Option<LimitKey>>,
}

/// A request under way on a connection, which is not idle as long as this lives.
pub struct Busy(Arc<Connection>);

impl Connections {
    pub fn new(rules: Rules) -> Self {
        let inner = Inner {
            rules: RwLock::new(rules),
            held: Mutex::default(),
            next: AtomicU64::new(0),
            began: Instant::now(),
        };
        Self(Arc::new(inner))
    }

    /// For connections that come from now on.
    pub fn change(&self, rules: Rules) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// How many are counted.
    pub fn count(&self) -> usize {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().map(HashMap::len).sum()
    }

    /// A new connection; `None` if its address has as many as it may, all of them in use.
    pub fn open(&self, address: IpAddr) -> Option<Arc<Connection>> {
        let (is_exempt, most) = {
            let rules = self.0.rules.read().unwrap_or_else(PoisonError::into_inner);
            (rules.trusted_proxies.iter().any(|proxy| proxy.contains(address)), rules.per_address)
        };
        let state = Arc::new(State {
            busy: AtomicUsize::new(0),
            last_used: AtomicU64::new(self.now()),
            has_asked: AtomicBool::new(false),
            end: Notify::new(),
        });
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let key = (!is_exempt).then(|| LimitKey::Address(AddressBlock::of(address)));
        if let Some(key) = &key
            && !self.admit(key.clone(), id, &state, most)
        {
            return None;
        }
        Some(Arc::new(Connection { connections: self.clone(), id, state, key: Mutex::new(key) }))
    }

    /// Closes the longest idle connection of the address or person with most of them: for when
    /// descriptors run out. `false` if none of them is idle.
    pub fn shed(&self) -> bool {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values_mut().max_by_key(|connections| connections.len()).is_some_and(end_longest_idle)
    }

    /// How many are counted.
    pub fn len(&self) -> usize {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).values().map(HashMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn admit(&self, key: LimitKey, id: u64, state: &Arc<State>, most: usize) -> bool {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = held.entry(key).or_default();
        if connections.len() >= most && !end_longest_idle(connections) {
            return false;
        }
        connections.insert(id, Arc::clone(state));
        true
    }

    fn remove(&self, key: &LimitKey, id: u64) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = held.get_mut(key) {
            connections.remove(&id);
            if connections.is_empty() {
                held.remove(key);
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Takes the longest idle one out of the count and tells it to end.
fn end_longest_idle(connections: &mut HashMap<u64, Arc<State>>) -> bool {
    let idle = connections.iter().filter(|(_, state)| state.busy.load(Ordering::Acquire) == 0);
    let Some(id) = idle
        .min_by_key(|(id, state)| (state.last_used.load(Ordering::Relaxed), **id))
        .map(|(id, _)| *id)
    else {
        return false;
    };
    if let Some(state) = connections.remove(&id) {
        state.end.notify_one();
    }
    true
}

impl Connection {
    /// A request has come.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.state.busy.fetch_add(1, Ordering::AcqRel);
        self.state.has_asked.store(true, Ordering::Release);
        Busy(Arc::clone(self))
    }

    /// A request on it has proven who asks: from now on it counts as theirs, if it counted as their
    /// address's. If they have as many as they may, all of them in use, it goes on to count for the
    /// address.
    pub fn proven(&self, user: &UserId) {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(address @ LimitKey::Address(_)) = key.as_ref() else { return };
        let most = self.connections.0.rules.read().unwrap_or_else(PoisonError::into_inner).per_user;
        let person = LimitKey::Person(user.clone());
        if self.connections.admit(person.clone(), self.id, &self.state, most) {
            self.connections.remove(address, self.id);
            *key = Some(person);
        }
    }

    /// It is no stranger's: a node on the same store has proven itself. It counts no longer.
    pub fn trusted(&self) {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = key.take() {
            self.connections.remove(&address, self.id);
        }
    }

    /// Resolves when it is to end: nothing was asked within `first`, or after that for as long as
    /// `idle`, or another needs its place. Frames that are no request, such as pings of HTTP/2, do
    /// not count.
    pub async fn over(&self, first: Duration, idle: Duration) -> &'static str {
        let idling = async {
            loop {
                let patience =
                    if self.state.has_asked.load(Ordering::Acquire) { idle } else { first };
                let since = Duration::from_millis(self.state.last_used.load(Ordering::Acquire));
                let is_busy = self.state.busy.load(Ordering::Acquire) > 0;
                let left = patience
                    .saturating_sub(self.connections.0.began.elapsed().saturating_sub(since));
                if left.is_zero() && !is_busy {
                    return "a connection was idle for too long";
                }
                // One that is busy may be so for hours; when it no longer is, it has `idle` left.
                tokio::time::sleep(if is_busy { idle } else { left.max(Duration::from_millis(1)) })
                    .await;
            }
        };
        tokio::select! {
            why = idling => why,
            () = self.state.end.notified() => "an idle connection made room for another one",
        }
    }
}

impl Busy {
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state.last_used.store(self.0.connections.now(), Ordering::Release);
        self.0.state.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let key = self.key.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(key) = key {
            self.connections.remove(&key, self.id);
        }
    }
}

#[cfg(test)]
mod tests;
