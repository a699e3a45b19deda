//! How many requests one address may make (threat 25): a limit for each [`Gate`], one for each
//! client at an address, and one for failed authentications. Addresses of IPv6 count by their /64,
//! which is what one subscriber has. Only who asks too much waits: no limit is shared by strangers,
//! and a client that proves itself is never held up by others' failures
//! (`docs/decisions/0022-limits-by-address.md`). How a request that is too much is answered is
//! [`super::layer`]'s.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::response::Response;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};
use http::{HeaderValue, header};
use portunus_core::{address_block::AddressBlock, secret::TokenHash};

use crate::config::{Limits, Rate};

/// What is limited by address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Registration,
    Authorize,
    Token,
}

/// Too much was asked; it may work again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany(pub Duration);

/// Counts, and says when it is too much.
#[derive(Clone)]
pub struct Throttle(Arc<Limiters>);

struct Limiters {
    registration: Option<Limiter>,
    authorize: Option<Limiter>,
    token: Option<Limiter>,
    token_client: Option<Limiter>,
    failures: Option<Limiter>,
}

impl Throttle {
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Limiters {
            registration: limits.registration.map(Limiter::new),
            authorize: limits.authorize.map(Limiter::new),
            token: limits.token.map(Limiter::new),
            token_client: limits.token_client.map(Limiter::new),
            failures: limits.failures.map(Limiter::new),
        }))
    }

    pub(super) fn check(&self, gate: Gate, peer: IpAddr) -> Result<(), TooMany> {
        let limiter = match gate {
            Gate::Registration => &self.0.registration,
            Gate::Authorize => &self.0.authorize,
            Gate::Token => &self.0.token,
        };
        limiter.as_ref().map_or(Ok(()), |limiter| limiter.check(Key::of(peer)))
    }

    /// By address and client: a client's id is no secret, so for the id alone a stranger could use
    /// up what the client may do.
    pub fn check_client(&self, peer: IpAddr, client_id: &str) -> Result<(), TooMany> {
        self.0
            .token_client
            .as_ref()
            .map_or(Ok(()), |limiter| limiter.check(Key::of(peer).and_client(client_id)))
    }

    pub(super) fn count_failure(&self, peer: IpAddr) -> Result<(), TooMany> {
        self.0.failures.as_ref().map_or(Ok(()), |limiter| limiter.check(Key::of(peer)))
    }
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    block: AddressBlock,
    /// The start of the hash of its id, which may be of any length.
    client: u64,
}

impl Key {
    fn of(peer: IpAddr) -> Self {
        Self { block: AddressBlock::of(peer), client: 0 }
    }

    fn and_client(self, id: &str) -> Self {
        let hash = TokenHash::of(id);
        let client =
            hash.as_bytes().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        Self { client, ..self }
    }
}

type Keyed = RateLimiter<Key, HashMapStateStore<Key>, DefaultClock>;

/// How many may be remembered.
const KEYS: usize = 100_000;
/// Checks from one tidying to the next; as many keys may have come meanwhile.
const TIDY_EVERY: usize = 1024;

/// One limit, for all keys.
struct Limiter {
    quota: Quota,
    keyed: RwLock<Arc<Keyed>>,
    checks: AtomicUsize,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        // The configuration lets no shorter time through than has a period.
        let quota = Quota::with_period(rate.per / rate.count.get())
            .unwrap_or(Quota::per_second(NonZeroU32::MAX));
        let quota = quota.allow_burst(rate.count);
        let keyed = RwLock::new(Arc::new(RateLimiter::hashmap(quota)));
        Self { quota, keyed, checks: AtomicUsize::new(0) }
    }

    fn check(&self, key: Key) -> Result<(), TooMany> {
        let keyed = Arc::clone(&self.keyed.read().unwrap_or_else(PoisonError::into_inner));
        if self.checks.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.tidy(&keyed, KEYS);
        }
        keyed
            .check_key(&key)
            .map_err(|refused| TooMany(refused.wait_time_from(DefaultClock::default().now())))
    }

    /// Forgets keys that have asked for nothing lately. If there are too many even so, the attack
    /// has more addresses than can be counted by, and counting begins anew: memory has a bound,
    /// whatever happens.
    fn tidy(&self, keyed: &Keyed, most: usize) {
        keyed.retain_recent();
        keyed.shrink_to_fit();
        if keyed.len() > most {
            tracing::warn!(
                addresses = keyed.len(),
                "too many addresses to count requests by: counting begins anew"
            );
            *self.keyed.write().unwrap_or_else(PoisonError::into_inner) =
                Arc::new(RateLimiter::hashmap(self.quota));
        }
    }
}

impl TooMany {
    /// The answer, with the seconds after which it may work.
    pub fn with_retry_after(self, mut response: Response) -> Response {
        let seconds = self.0.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

#[cfg(test)]
mod tests;
