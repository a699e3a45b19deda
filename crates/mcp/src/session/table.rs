//! All sessions, by user: looking one up takes the user's own lock and a short one on a shard,
//! never one that all requests share. Also counts what each user has open, against the caps (threat
//! 47).

use std::{
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use portunus_core::ids::UserId;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    id::SessionId,
    state::{Full, Session},
};
use crate::{
    caller::Caller,
    hash::{FastMap, Hasher},
    sync::locked,
};

const SHARDS: usize = 16;
/// How many calls of one user may wait for others of theirs to end, and how long each.
const MAX_QUEUED: usize = 256;
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Sessions {
    shards: Vec<Mutex<FastMap<UserId, Arc<UserUsage>>>>,
    hasher: Hasher,
    began: Instant,
}

/// What one user has.
#[derive(Default)]
pub(crate) struct UserUsage {
    sessions: Mutex<FastMap<SessionId, Arc<Session>>>,
    streams: Arc<AtomicUsize>,
    calls: Arc<Calls>,
    /// Cancels the calls of modern clients: they belong to no session. Another one for each that
    /// was cancelled.
    cancel: Mutex<CancellationToken>,
    /// Calls that wait for their client's input.
    waiting: Arc<AtomicUsize>,
    /// Bytes kept for streams that may be taken up again.
    pub(crate) kept: Arc<AtomicUsize>,
    /// Sessions on their way.
    opening: Arc<AtomicUsize>,
}

/// What all users have together, for those who watch the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of legacy clients.
    pub sessions: usize,
    /// Streams for messages of servers, of both eras.
    pub streams: usize,
    /// Calls at work.
    pub calls: usize,
    /// Bytes kept for streams that may be taken up again.
    pub kept_bytes: usize,
}

/// The calls of one user that are at work, and those that wait for a permit among them.
#[derive(Default)]
struct Calls {
    at_work: AtomicUsize,
    queued: Arc<AtomicUsize>,
    freed: Notify,
}

/// The right to be at work, given back when dropped.
pub(crate) struct CallPermit(Arc<Calls>);

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_waiters();
    }
}

impl Calls {
    fn take(self: &Arc<Self>, cap: usize) -> Option<CallPermit> {
        let taken = self
            .at_work
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < cap).then_some(n + 1));
        taken.is_ok().then(|| CallPermit(Arc::clone(self)))
    }
}

/// One of a counted number of places, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(count: &Arc<AtomicUsize>, cap: usize) -> Result<Self, Full> {
        let taken =
            count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < cap).then_some(n + 1));
        taken.map(|_| Self(Arc::clone(count))).map_err(|_| Full)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What came of adding a session.
#[derive(Debug)]
pub(crate) struct Added {
    /// It had to end for the new one.
    pub(crate) evicted: Option<Arc<Session>>,
    /// It was there already.
    pub(crate) already: Option<Arc<Session>>,
}

impl UserUsage {
    pub(crate) fn stream_permit(&self, cap: usize) -> Result<Permit, Full> {
        Permit::take(&self.streams, cap)
    }

    /// Cancelled when the user's calls are.
    pub(crate) fn cancel_token(&self) -> CancellationToken {
        locked(&self.cancel).child_token()
    }

    fn has_permits_taken(&self) -> bool {
        let calls =
            self.calls.at_work.load(Ordering::Acquire) + self.calls.queued.load(Ordering::Acquire);
        self.streams.load(Ordering::Acquire) + self.waiting.load(Ordering::Acquire) + calls > 0
    }

    /// A permit for a session that is about to begin. Those that could end for it count as free.
    pub(crate) fn opening(&self, cap: usize) -> Result<Permit, Full> {
        let busy = locked(&self.sessions).values().filter(|session| session.is_busy()).count();
        Permit::take(&self.opening, cap.saturating_sub(busy))
    }

    /// Does a session of this user begin just now? It is in no table yet, and may use what it
    /// shares with others already.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening.load(Ordering::SeqCst) > 0
    }

    /// A permit for a call. What comes in a burst, as an agent's do, waits a moment for one before
    /// it is refused (FB76).
    pub(crate) async fn call_permit(&self, cap: usize) -> Result<CallPermit, Full> {
        if let Some(permit) = self.calls.take(cap) {
            return Ok(permit);
        }
        let _queued = Permit::take(&self.calls.queued, MAX_QUEUED)?;
        let waiting = async {
            loop {
                let freed = self.calls.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if let Some(permit) = self.calls.take(cap) {
                    return permit;
                }
                freed.await;
            }
        };
        tokio::time::timeout(QUEUE_PATIENCE, waiting).await.map_err(|_| Full)
    }

    /// A permit for a call that waits for its client's input: it costs little, and is counted apart
    /// from those at work.
    pub(crate) fn suspension_permit(&self, cap: usize) -> Result<Permit, Full> {
        Permit::take(&self.waiting, cap)
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: Hasher::default(),
            began: Instant::now(),
        }
    }

    pub(crate) fn usage(&self, user: &UserId) -> Arc<UserUsage> {
        let mut shard = locked(self.shard(user));
        if let Some(usage) = shard.get(user) {
            return Arc::clone(usage);
        }
        let usage = Arc::new(UserUsage::default());
        shard.insert(user.clone(), Arc::clone(&usage));
        usage
    }

    /// The caller's session of this name. One that belongs to another user, client, resource or
    /// view is as unknown as one that never was (threat 36).
    pub(crate) fn find(&self, caller: &Caller, id: &SessionId) -> Option<Arc<Session>> {
        let usage = self.find_usage(&caller.principal.user)?;
        let session =
            locked(&usage.sessions).get(id).filter(|session| session.is_of(caller)).cloned()?;
        self.touch(&session);
        Some(session)
    }

    /// Adds a session, unless one of its name is there. If the user had `cap` already, one has to
    /// end for it; `Full` when all are busy.
    pub(crate) fn add(&self, session: &Arc<Session>, cap: usize) -> Result<Added, Full> {
        let usage = self.usage(&session.user);
        let mut sessions = locked(&usage.sessions);
        if let Some(there) = sessions.get(&session.id) {
            return Ok(Added { evicted: None, already: Some(Arc::clone(there)) });
        }
        let mut evicted = None;
        if sessions.len() >= cap {
            let idle = sessions.values().filter(|held| !held.is_busy());
            let oldest =
                idle.min_by_key(|held| held.last_used.load(Ordering::Relaxed)).ok_or(Full)?;
            let id = oldest.id.clone();
            evicted = sessions.remove(&id);
        }
        self.touch(session);
        sessions.insert(session.id.clone(), Arc::clone(session));
        Ok(Added { evicted, already: None })
    }

    pub(crate) fn remove(&self, session: &Session) {
        if let Some(usage) = self.find_usage(&session.user) {
            locked(&usage.sessions).remove(&session.id);
        }
    }

    /// Takes out the sessions that were not used for `idle`, and forgets users who have nothing.
    pub(crate) fn take_idle(&self, idle: Duration) -> Vec<Arc<Session>> {
        let now = self.now();
        let limit = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let mut ended = Vec::new();
        for shard in &self.shards {
            locked(shard).retain(|_, usage| {
                let mut sessions = locked(&usage.sessions);
                sessions.retain(|_, session| {
                    if session.is_busy() {
                        session.last_used.store(now, Ordering::Relaxed);
                        return true;
                    }
                    let keep =
                        now.saturating_sub(session.last_used.load(Ordering::Relaxed)) < limit;
                    if !keep {
                        ended.push(Arc::clone(session));
                    }
                    keep
                });
                // A request holds the usage right now when its count is above one: a session may be
                // on its way into it.
                !sessions.is_empty() || Arc::strong_count(usage) > 1 || usage.has_permits_taken()
            });
        }
        ended
    }

    /// Those who have a session.
    pub(crate) fn users(&self) -> Vec<UserId> {
        let has_sessions = |usage: &UserUsage| !locked(&usage.sessions).is_empty();
        let users = self.shards.iter().flat_map(|shard| {
            let shard = locked(shard);
            shard
                .iter()
                .filter(|(_, usage)| has_sessions(usage))
                .map(|(user, _)| user.clone())
                .collect::<Vec<_>>()
        });
        users.collect()
    }

    /// What all users have together, at about this moment.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            for usage in locked(shard).values() {
                totals.sessions += locked(&usage.sessions).len();
                totals.streams += usage.streams.load(Ordering::Relaxed);
                totals.calls += usage.calls.at_work.load(Ordering::Relaxed);
                totals.kept_bytes += usage.kept.load(Ordering::Relaxed);
            }
        }
        totals
    }

    /// Is a request of theirs under way?
    pub(crate) fn is_busy(&self, user: &UserId) -> bool {
        self.find_usage(user).is_some_and(|usage| {
            usage.calls.at_work.load(Ordering::Acquire) + usage.waiting.load(Ordering::Acquire) > 0
        })
    }

    /// Cancels what is under way of theirs beside their sessions.
    pub(crate) fn cancel_calls(&self, user: &UserId) {
        if let Some(usage) = self.find_usage(user) {
            std::mem::take(&mut *locked(&usage.cancel)).cancel();
        }
    }

    pub(crate) fn of_user(&self, user: &UserId) -> Vec<Arc<Session>> {
        self.find_usage(user)
            .map_or_else(Vec::new, |usage| locked(&usage.sessions).values().cloned().collect())
    }

    pub(crate) fn of_all_users(&self) -> Vec<Arc<Session>> {
        let rooms = self
            .shards
            .iter()
            .flat_map(|shard| locked(shard).values().cloned().collect::<Vec<_>>());
        rooms
            .flat_map(|usage| locked(&usage.sessions).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    pub(crate) fn touch(&self, session: &Session) {
        session.last_used.store(self.now(), Ordering::Relaxed);
    }

    fn find_usage(&self, user: &UserId) -> Option<Arc<UserUsage>> {
        locked(self.shard(user)).get(user).cloned()
    }

    fn shard(&self, user: &UserId) -> &Mutex<FastMap<UserId, Arc<UserUsage>>> {
        let shards = self.shards.len() as u64;
        let n = usize::try_from(self.hasher.hash_one(user) % shards).unwrap_or(0);
        &self.shards[n]
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
