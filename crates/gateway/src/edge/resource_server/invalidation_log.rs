//! What was heard of late: which look-ups of tokens are out of date, and whether anything may have
//! been missed. [`super::cache`] judges by it; [`crate::invalidations`] hears, and compares
//! revisions.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portunus_core::{grant::GrantsOf, ids::UserId, invalidation::Invalidation, token::FoundAccess};
use tokio::{sync::Notify, time::Instant};

/// For how long revisions that were compared vouch for what is remembered. With the time of a
/// request that is just under way, a revocation counts within a second.
pub const VOUCHED_FOR: Duration = Duration::from_millis(900);
/// Invalidations that are remembered. What is older than the oldest of them is looked up again.
const MOST: usize = 256;

/// Invalidations, numbered as they came in.
pub struct InvalidationLog {
    began: Instant,
    /// When revisions were compared last, in milliseconds after `began`, and one more: 0 is never.
    compared: AtomicU64,
    /// The number of the last invalidation.
    heard: AtomicU64,
    recent: RwLock<VecDeque<Invalidation>>,
    more: Notify,
    /// Hears first of people who are described anew.
    people: OnceLock<PeopleListener>,
}

type PeopleListener = Box<dyn Fn(&UserId) + Send + Sync>;

impl InvalidationLog {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            compared: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            recent: RwLock::default(),
            more: Notify::new(),
            people: OnceLock::new(),
        }
    }

    /// Which invalidation was the last; to be read before the store is asked.
    pub fn number(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// From now on `listener` is told of each person whose grants ended or who is described anew,
    /// before anything else is: their clients are to hear of it before their streams end.
    pub fn tell_of_people(&self, listener: impl Fn(&UserId) + Send + Sync + 'static) {
        // A second listener is none.
        let _ = self.people.set(Box::new(listener));
    }

    pub fn hear(&self, invalidation: Invalidation) {
        if let Invalidation::Grants(GrantsOf::User(user)) = &invalidation
            && let Some(listener) = self.people.get()
        {
            listener(user);
        }
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        if invalidation == Invalidation::Everything {
            recent.clear();
        }
        recent.push_back(invalidation);
        if recent.len() > MOST {
            recent.pop_front();
        }
        self.heard.fetch_add(1, Ordering::SeqCst);
        drop(recent);
        self.more.notify_waiters();
    }

    /// Looks through the invalidations after this number. Gives the number up to which none
    /// concerns the token; `None` if one does, or if they are not remembered.
    pub fn unconcerned(&self, since: u64, found: &FoundAccess) -> Option<u64> {
        if self.number() == since {
            return Some(since);
        }
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let last = self.number();
        let unread = usize::try_from(last.saturating_sub(since)).unwrap_or(usize::MAX);
        if unread > recent.len()
            || recent.iter().rev().take(unread).any(|invalidation| invalidation.concerns(found))
        {
            return None;
        }
        Some(last)
    }

    /// Waits until an invalidation after this number names this token, or whose it is, or may have
    /// done so. That everything may be out of date is no such invalidation: all who wait would ask
    /// the store at the same moment, which may be the worst one.
    pub async fn until_named(&self, mut since: u64, found: &FoundAccess) {
        loop {
            let mut more = pin!(self.more.notified());
            more.as_mut().enable();
            let (last, named) = self.names_after(since, found);
            if named {
                return;
            }
            since = last;
            more.await;
        }
    }

    fn names_after(&self, since: u64, found: &FoundAccess) -> (u64, bool) {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let last = self.number();
        let unread = usize::try_from(last.saturating_sub(since)).unwrap_or(usize::MAX);
        let is_forgotten = unread > recent.len();
        let mut unread = recent.iter().rev().take(unread);
        (
            last,
            is_forgotten
                || unread.any(|invalidation| {
                    *invalidation != Invalidation::Everything && invalidation.concerns(found)
                }),
        )
    }

    /// Marks were compared, and all invalidations before the one that the store had at `asked_at`
    /// have been heard. If nothing vouched for what was remembered in between, it is forgotten.
    pub fn compared(&self, asked_at: Instant) {
        if !self.is_vouched_for(Instant::now()) {
            self.hear(Invalidation::Everything);
        }
        let millis =
            u64::try_from(asked_at.duration_since(self.began).as_millis()).unwrap_or(u64::MAX - 1);
        self.compared.store(millis + 1, Ordering::SeqCst);
    }

    /// Can nothing have been missed for longer than [`VOUCHED_FOR`]?
    pub fn is_vouched_for(&self, now: Instant) -> bool {
        let compared = self.compared.load(Ordering::SeqCst);
        compared > 0
            && now.duration_since(self.began) < Duration::from_millis(compared - 1) + VOUCHED_FOR
    }
}

impl Default for InvalidationLog {
    fn default() -> Self {
        Self::new()
    }
}
