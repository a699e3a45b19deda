//! How many requests one address may make (threat 25): a limit for each [`Gate`], one for each client at an address, and one for
//! failed authentications. Addresses of IPv6 count by their /64, which is what one subscriber has. Only who asks too much waits:
//! no limit is shared by strangers, and whoever proves themselves is never held up by others' failures
//! (`docs/decisions/0022-limits-by-address.md`).

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};
use http::{HeaderValue, StatusCode, header};
use portunus_core::{address_block::AddressBlock, secret::TokenHash};

use super::{
    browser::{PageContext, PageError},
    extensions::{FailedAuthentication, Peer, RequestId},
    oauth_answers,
};
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

    fn check(&self, gate: Gate, peer: IpAddr) -> Result<(), TooMany> {
        let limiter = match gate {
            Gate::Registration => &self.0.registration,
            Gate::Authorize => &self.0.authorize,
            Gate::Token => &self.0.token,
        };
        limiter.as_ref().map_or(Ok(()), |limiter| limiter.check(Key::of(peer)))
    }

    /// By address and client: a client's id is no secret, so for the id alone a stranger could use up what the client may do.
    pub fn check_client(&self, peer: IpAddr, client_id: &str) -> Result<(), TooMany> {
        self.0.token_client.as_ref().map_or(Ok(()), |limiter| limiter.check(Key::of(peer).and_client(client_id)))
    }

    fn count_failure(&self, peer: IpAddr) -> Result<(), TooMany> {
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
        let client = hash.as_bytes().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        Self { client, ..self }
    }
}

type Keyed = RateLimiter<Key, HashMapStateStore<Key>, DefaultClock>;

/// How many may be remembered.
const KEYS: usize = 100_000;
/// Checks from one tidying to the next; as many keys may have come meanwhile.
const TIDY_EVERY: usize = 1024;

/// One limit, for everybody who comes.
struct Limiter {
    quota: Quota,
    keyed: RwLock<Arc<Keyed>>,
    checks: AtomicUsize,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        // The configuration lets no shorter time through than has a period.
        let quota = Quota::with_period(rate.per / rate.count.get()).unwrap_or(Quota::per_second(NonZeroU32::MAX));
        let quota = quota.allow_burst(rate.count);
        let keyed = RwLock::new(Arc::new(RateLimiter::hashmap(quota)));
        Self { quota, keyed, checks: AtomicUsize::new(0) }
    }

    fn check(&self, key: Key) -> Result<(), TooMany> {
        let keyed = Arc::clone(&self.keyed.read().unwrap_or_else(PoisonError::into_inner));
        if self.checks.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.tidy(&keyed, KEYS);
        }
        keyed.check_key(&key).map_err(|refused| TooMany(refused.wait_time_from(DefaultClock::default().now())))
    }

    /// Forgets whoever has asked for nothing lately. If there are too many even so, the attack has more addresses than can be counted
    /// by, and counting begins anew: memory has a bound, whatever happens.
    fn tidy(&self, keyed: &Keyed, most: usize) {
        keyed.retain_recent();
        keyed.shrink_to_fit();
        if keyed.len() > most {
            tracing::warn!(addresses = keyed.len(), "too many addresses to count requests by: counting begins anew");
            *self.keyed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(RateLimiter::hashmap(self.quota));
        }
    }
}

/// What [`by_address`] needs.
#[derive(Clone)]
pub struct ThrottleState {
    pub throttle: Throttle,
    pub gate: Gate,
    /// For answers to people, who get a page.
    pub page_context: Option<PageContext>,
}

/// The layer in front of endpoints that cost us something before anybody has proven anything.
pub async fn by_address(State(room): State<ThrottleState>, request: Request, next: Next) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else { return next.run(request).await };
    let Err(too_many) = room.throttle.check(room.gate, peer) else { return next.run(request).await };
    tracing::info!(%peer, gate = ?room.gate, "too many requests from one address");
    match (&room.page_context, request.extensions().get::<RequestId>()) {
        (Some(page_context), Some(id)) => too_many.page(page_context, id),
        _ => too_many.answer(),
    }
}

/// Round everything: what failed to prove itself counts, and too many such answers become 429.
pub fn failures(throttle: &Throttle, peer: Option<Peer>, response: Response) -> Response {
    let has_failed = response.extensions().get::<FailedAuthentication>().is_some();
    match peer {
        Some(Peer(peer)) if has_failed => match throttle.count_failure(peer) {
            Ok(()) => response,
            Err(too_many) => {
                tracing::info!(%peer, "too many failed authentications from one address");
                too_many.answer()
            }
        },
        _ => response,
    }
}

impl TooMany {
    /// For clients: 429 (RFC 6585 section 4) with an error they know.
    pub fn answer(self) -> Response {
        self.on(oauth_answers::too_many())
    }

    fn page(self, page_context: &PageContext, id: &RequestId) -> Response {
        let error = PageError::new("Too many requests", "Your address has asked for this too often just now.")
            .hint("Please wait a minute, then try again.");
        self.on(page_context.error(StatusCode::TOO_MANY_REQUESTS, id, error))
    }

    fn on(self, mut response: Response) -> Response {
        let seconds = self.0.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

#[cfg(test)]
mod tests;
