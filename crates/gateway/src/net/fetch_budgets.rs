//! Budgets of the guarded fetcher (threat 55), counted by the address that a fetch is for: so many
//! in a minute, fewer of one host, and so many at once. What one address uses up, no other lacks.
//! Documents of clients with grants count for no address: they have a limit of their own, and only
//! their URL's own pace.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use portunus_core::{Timestamp, address_block::AddressBlock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::edge::keyed_limit::{KeyedLimit, Permit};

/// On whose behalf something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchOrigin {
    pub address: AddressBlock,
    /// Is it of a client that people have allowed something, or that the configuration names?
    pub in_use: bool,
}

/// Fetches for one address in [`WINDOW`], and those of one host among them.
pub const FETCHES_PER_ADDRESS: u32 = 30;
pub const FETCHES_PER_HOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Counts that are remembered: by address, and by address and host. The least used go first.
pub const MAX_COUNTS: u64 = 16_384;
/// Under way at once: for one address, for all addresses together, and for what is in use.
pub const AT_ONCE_PER_ADDRESS: usize = 4;
pub const AT_ONCE: usize = 256;
pub const AT_ONCE_IN_USE: usize = 32;
/// How often a fetch that has to wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Fetches since the beginning of a window.
struct Count {
    since: Timestamp,
    fetches: u32,
}

/// Counts fetches of addresses.
pub(super) struct Budgets {
    counts: Cache<(AddressBlock, Option<String>), Arc<Mutex<Count>>>,
}

impl Budgets {
    pub(super) fn new() -> Self {
        Self { counts: Cache::new(MAX_COUNTS) }
    }

    /// May this host be asked once more for this address? Counts.
    pub(super) fn admit(&self, origin: FetchOrigin, host: &str, now: Timestamp) -> bool {
        // The host first: what is refused for it takes nothing from others.
        origin.in_use
            || (self.count((origin.address, Some(host.to_owned())), FETCHES_PER_HOST, now)
                && self.count((origin.address, None), FETCHES_PER_ADDRESS, now))
    }

    fn count(&self, key: (AddressBlock, Option<String>), most: u32, now: Timestamp) -> bool {
        let count =
            self.counts.get_with(key, || Arc::new(Mutex::new(Count { since: now, fetches: 0 })));
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        if now < count.since || count.since + WINDOW <= now {
            *count = Count { since: now, fetches: 0 };
        }
        count.fetches = count.fetches.saturating_add(1);
        count.fetches <= most
    }
}

/// How much is under way, of fetches or of look-ups of names.
#[derive(Clone)]
pub(super) struct FetchLimit {
    all: Arc<Semaphore>,
    in_use: Arc<Semaphore>,
    by_address: KeyedLimit<AddressBlock>,
}

/// One fetch, or one look-up; given back when it is dropped.
pub(super) struct FetchPermit {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<Permit<AddressBlock>>,
}

impl FetchLimit {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            in_use: Arc::new(Semaphore::new(AT_ONCE_IN_USE)),
            by_address: KeyedLimit::default(),
        }
    }

    /// Waits for a permit: the caller has a deadline. `None` never comes, for the semaphores are
    /// never closed.
    pub(super) async fn take(&self, origin: FetchOrigin) -> Option<FetchPermit> {
        if origin.in_use {
            let of_all = Arc::clone(&self.in_use).acquire_owned().await.ok()?;
            return Some(FetchPermit { _of_all: of_all, _of_address: None });
        }
        let of_address = loop {
            match self.by_address.acquire(&origin.address, 1, AT_ONCE_PER_ADDRESS) {
                Some(permit) => break permit,
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(FetchPermit { _of_all: of_all, _of_address: Some(of_address) })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn origin(n: u8) -> FetchOrigin {
        FetchOrigin { address: AddressBlock::of(IpAddr::from([192, 0, 2, n])), in_use: false }
    }

    #[test]
    fn t55_budgets_are_each_askers_own() {
        let budgets = Budgets::new();
        let later = |secs| NOW + Duration::from_secs(secs);
        for n in 0..FETCHES_PER_HOST {
            assert!(budgets.admit(origin(1), "app.example", NOW), "{n}");
        }
        assert!(!budgets.admit(origin(1), "app.example", later(59)), "too often for this origin");
        assert!(budgets.admit(origin(2), "app.example", NOW), "another origin, the same host");
        assert!(budgets.admit(origin(1), "other.example", NOW), "another host");
        assert!(budgets.admit(origin(1), "app.example", later(60)));
        let in_use = FetchOrigin { in_use: true, ..origin(1) };
        assert!(
            (0..1000).all(|_| budgets.admit(in_use, "app.example", NOW)),
            "what is in use has its URL's own pace"
        );
        // Many hosts: the address has a budget too.
        let admitted =
            (0..100).filter(|n| budgets.admit(origin(3), &format!("h{n}.example"), NOW)).count();
        assert_eq!(admitted, FETCHES_PER_ADDRESS as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn t55_places_are_each_askers_own() {
        let limit = FetchLimit::new();
        let take = async |origin| {
            tokio::time::timeout(Duration::from_secs(5), limit.take(origin)).await.ok().flatten()
        };
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE_PER_ADDRESS {
            taken.push(take(origin(1)).await.unwrap());
        }
        assert!(take(origin(1)).await.is_none(), "as many as one address has");
        assert!(take(origin(2)).await.is_some(), "another one");
        assert!(take(FetchOrigin { in_use: true, ..origin(1) }).await.is_some(), "what is in use");
        taken.pop();
        assert!(take(origin(1)).await.is_some());
    }
}
