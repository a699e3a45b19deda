//! Tokens that were looked up a while ago, by hash (threat 41). How long a look-up may be trusted
//! depends on what was heard since, which is [`super::invalidation_log`]'; [`super::bearer`] asks,
//! and compares the resource on every use.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use portunus_core::{
    principal::Principal, resource::Resource, secret::TokenHash, token::FoundAccess,
};
use tokio::time::Instant;

use super::{access::Remembered, invalidation_log::InvalidationLog};

/// For how long a look-up is trusted while every invalidation is heard.
pub const TRUSTED_FOR: Duration = Duration::from_secs(30);
/// And while it is not known whether one was missed: something may have been revoked elsewhere
/// meanwhile, which has to count within a second.
const TRUSTED_BLINDLY_FOR: Duration = Duration::from_secs(1);
const MOST: u64 = 100_000;

/// The cache. All clones share it.
#[derive(Clone)]
pub struct TokenCache {
    entries: Cache<TokenHash, Arc<Entry>>,
    trusted_for: Duration,
    invalidation_log: Arc<InvalidationLog>,
    checks: Arc<Checks>,
}

/// How many tokens were known, and how many the store was asked about.
#[derive(Debug, Default)]
pub struct Checks {
    pub known: AtomicU64,
    pub asked: AtomicU64,
}

/// One look-up.
pub struct Entry {
    pub found: FoundAccess,
    pub principal: Arc<Principal>,
    /// The same at the other resources of an agent key; no other token has any.
    elsewhere: Box<[Arc<Principal>]>,
    /// Of access rules, for as long as this is trusted.
    pub remembered: Remembered,
    asked_at: Instant,
    /// The number of the last invalidation of which it is known that it does not concern it.
    unconcerned: AtomicU64,
}

/// The moment before the store is asked. An invalidation that comes while it answers may tell of
/// what the answer does not know yet.
#[derive(Clone, Copy)]
pub struct Asking {
    at: Instant,
    number: u64,
}

impl Entry {
    /// Who calls with it at this resource; `None` if it is not for it (threat 30).
    pub fn principal_at(&self, resource: &Resource) -> Option<&Arc<Principal>> {
        let all = iter::once(&self.principal).chain(&self.elsewhere);
        all.into_iter().find(|principal| principal.resource == *resource)
    }

    /// The number of the last invalidation of which it is known that it does not concern it.
    pub fn unconcerned(&self) -> u64 {
        self.unconcerned.load(Ordering::SeqCst)
    }
}

impl TokenCache {
    pub fn new() -> Self {
        Self::that_trusts_for(TRUSTED_FOR)
    }

    pub fn that_trusts_for(trusted_for: Duration) -> Self {
        let entries = Cache::builder().max_capacity(MOST).time_to_live(trusted_for).build();
        let invalidation_log = Arc::new(InvalidationLog::new());
        Self { entries, trusted_for, invalidation_log, checks: Arc::default() }
    }

    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// About how many are remembered.
    pub fn count(&self) -> u64 {
        self.entries.entry_count()
    }

    /// What it judges by.
    pub const fn invalidation_log(&self) -> &Arc<InvalidationLog> {
        &self.invalidation_log
    }

    /// Is there anything remembered of this token, trusted or not?
    pub fn remembers(&self, hash: &TokenHash) -> bool {
        self.entries.contains_key(hash)
    }

    pub async fn find(&self, hash: &TokenHash) -> Option<Arc<Entry>> {
        let found = self.entries.get(hash).await.filter(|entry| self.is_trusted(entry));
        if found.is_some() {
            self.checks.known.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    pub fn ask(&self) -> Asking {
        self.checks.asked.fetch_add(1, Ordering::Relaxed);
        Asking { at: Instant::now(), number: self.invalidation_log.number() }
    }

    pub async fn keep(
        &self,
        asking: Asking,
        found: FoundAccess,
        principal: Principal,
    ) -> Arc<Entry> {
        let (hash, unconcerned) = (found.token.hash, AtomicU64::new(asking.number));
        let elsewhere = found.audience();
        let elsewhere = elsewhere.iter().filter(|resource| **resource != principal.resource);
        let elsewhere = elsewhere
            .map(|resource| Arc::new(Principal { resource: resource.clone(), ..principal.clone() }))
            .collect();
        let entry = Arc::new(Entry {
            found,
            principal: Arc::new(principal),
            elsewhere,
            remembered: Remembered::default(),
            asked_at: asking.at,
            unconcerned,
        });
        self.entries.insert(hash, Arc::clone(&entry)).await;
        entry
    }

    fn is_trusted(&self, entry: &Entry) -> bool {
        let now = Instant::now();
        let trusted_for = if self.invalidation_log.is_vouched_for(now) {
            self.trusted_for
        } else {
            TRUSTED_BLINDLY_FOR
        };
        if now.duration_since(entry.asked_at) >= trusted_for {
            return false;
        }
        let known = entry.unconcerned();
        let Some(last) = self.invalidation_log.unconcerned(known, &entry.found) else {
            return false;
        };
        if last > known {
            entry.unconcerned.fetch_max(last, Ordering::SeqCst);
        }
        true
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(crate) mod tests;
