//! The guarded fetcher: the one way to URLs that we did not configure, which are clients' metadata
//! documents and key sets (threats 26, 27; `docs/decisions/0012-urls-of-strangers.md`). Which URLs
//! and addresses will do are rules of `portunus_core::{outside_url, net_address}`; what is kept is
//! next door in [`super::response_cache`], who may have how much fetched in
//! [`super::fetch_budgets`].

use std::{
    error::Error as _,
    io, iter,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portunus_core::{Clock, net_address, outside_url::OutsideUrl};
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::{
    task_local,
    time::{Instant, timeout_at},
};
use url::Url;

pub use super::fetch_error::FetchError;
use super::{
    NetError,
    fetch_budgets::{Budgets, FetchLimit, FetchOrigin, FetchPermit},
    fetch_error::DEADLINE,
    freshness,
    reach::Reach,
    response_cache::{ResponseCache, Slot, State},
};

/// How long a fetch may wait before it begins: for permits of its address, and for another fetch of
/// the same URL.
const WAIT: Duration = Duration::from_secs(5);
/// A name with more addresses than these is not looked at any further.
const MAX_ADDRESSES: usize = 32;

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A client ID metadata document: 5 KB, as its draft recommends.
    ClientDocument,
    /// A JWK Set.
    KeySet,
}

impl Content {
    pub const fn limit(self) -> usize {
        match self {
            Self::ClientDocument => 5 * 1024,
            Self::KeySet => 64 * 1024,
        }
    }

    /// How long it is still used when it is fresh no longer and cannot be fetched. Keys for an hour
    /// alone: one may have been given up.
    const fn stale_for(self) -> Duration {
        match self {
            Self::ClientDocument => Duration::from_secs(24 * 60 * 60),
            Self::KeySet => Duration::from_secs(60 * 60),
        }
    }
}

/// The world outside: [`Internet`], or what a test puts in its place. There is no setting for it.
#[async_trait]
pub trait Outside: Send + Sync {
    /// All addresses of a name.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;

    /// Where the connection to an address goes that was checked and found public.
    fn route(&self, checked: IpAddr) -> SocketAddr {
        SocketAddr::new(checked, 0)
    }

    /// What the machine says of its way there.
    fn reach(&self) -> Reach {
        Reach::default()
    }

    /// Certificates to trust beside the machine's own.
    fn roots(&self) -> Vec<Certificate> {
        Vec::new()
    }
}

/// The Internet, by the machine's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct Internet;

#[async_trait]
impl Outside for Internet {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }

    fn reach(&self) -> Reach {
        Reach::of_this_machine()
    }
}

/// Fetches what strangers' URLs hold, and keeps it while it is fresh.
pub struct GuardedFetcher {
    direct: Client,
    /// The way through the configured proxy, in place of the direct one.
    proxied: ArcSwapOption<(Url, Client)>,
    roots: Vec<Certificate>,
    /// Can documents be had at all?
    pub reach: Reach,
    clock: Arc<dyn Clock>,
    fetches: FetchLimit,
    lookups: FetchLimit,
    budgets: Budgets,
    cache: ResponseCache,
}

impl GuardedFetcher {
    pub fn new(outside: Arc<dyn Outside>, clock: Arc<dyn Clock>) -> Result<Self, NetError> {
        let (roots, reach) = (outside.roots(), outside.reach());
        let resolver = PublicOnly { outside };
        let direct = super::guarded_client(Arc::new(resolver), roots.clone(), DEADLINE)?;
        Ok(Self {
            direct,
            proxied: ArcSwapOption::empty(),
            roots,
            reach,
            clock,
            fetches: FetchLimit::new(),
            lookups: FetchLimit::new(),
            budgets: Budgets::new(),
            cache: ResponseCache::new(),
        })
    }

    /// Asks through this proxy from now on, or directly. Whether a name leads to the public
    /// Internet is then for the proxy to say; what a URL must look like is not.
    pub fn use_proxy(&self, proxy: Option<&Url>) -> Result<(), NetError> {
        if self.proxied.load().as_ref().map(|kept| &kept.0) == proxy {
            return Ok(());
        }
        let client = proxy.map(|proxy| {
            Ok::<_, NetError>((
                proxy.clone(),
                super::proxied_client(proxy, self.roots.clone(), DEADLINE)?,
            ))
        });
        self.proxied.store(client.transpose()?.map(Arc::new));
        self.reach.found();
        Ok(())
    }

    /// What the URL holds, if that is known and fresh: nothing is fetched.
    pub async fn peek(&self, url: &OutsideUrl, content: Content) -> Option<Bytes> {
        self.cache.peek(&key(url, content), self.clock.now()).await
    }

    /// What the URL holds: from memory while it is fresh, and for a while after if it cannot be
    /// fetched.
    pub async fn load(
        &self,
        url: &OutsideUrl,
        content: Content,
        origin: FetchOrigin,
    ) -> Result<Bytes, FetchError> {
        self.fetch(url, content, origin, false).await
    }

    /// What the URL holds by now, for a caller that did not find what it looks for in what
    /// [`Self::load`] gave. At most one fetch in ten seconds, however many ask (threat 21).
    pub async fn reload(
        &self,
        url: &OutsideUrl,
        content: Content,
        origin: FetchOrigin,
    ) -> Result<Bytes, FetchError> {
        self.fetch(url, content, origin, true).await
    }

    async fn fetch(
        &self,
        url: &OutsideUrl,
        content: Content,
        origin: FetchOrigin,
        anew: bool,
    ) -> Result<Bytes, FetchError> {
        let patience = Instant::now() + WAIT;
        let slot = self.cache.slot(&key(url, content), origin.in_use).await;
        if let Ok(state) = slot.try_lock()
            && let Some(known) = self.known(&state, content, anew)
        {
            return known;
        }
        // Permits come first: an address without one must not keep the URL from others while it
        // waits (threat 55).
        let permit = timeout_at(patience, self.fetches.take(origin)).await.ok().flatten();
        let lookup = timeout_at(patience, self.lookups.take(origin)).await.ok().flatten();
        let locked = timeout_at(patience, slot.lock()).await;
        let (Some(_permit), Some(lookup), Ok(mut state)) = (permit, lookup, locked) else {
            return self.busy(&slot, content);
        };
        if let Some(known) = self.known(&state, content, anew) {
            return known;
        }
        if !self.budgets.admit(origin, url.host(), self.clock.now()) {
            tracing::warn!(%url, "a stranger's URL is not fetched: too much was fetched for this address of late");
            return self.stale_or(FetchError::TooOften, &state, content);
        }
        let asking = LOOKUP.scope(Mutex::new(Some(lookup)), self.ask(url, content));
        let outcome =
            tokio::time::timeout(DEADLINE, asking).await.unwrap_or(Err(FetchError::Timeout));
        state.note(&outcome, self.clock.now());
        match &outcome {
            Ok((body, lifetime)) => tracing::debug!(%url, bytes = body.len(), ?lifetime, "fetched"),
            Err(error) => tracing::warn!(%url, %error, "a stranger's URL could not be fetched"),
        }
        outcome.map(|(body, _)| body).or_else(|error| self.stale_or(error, &state, content))
    }

    /// What needs no fetch: an answer that is fresh, or the failure of a moment ago.
    fn known(
        &self,
        state: &State,
        content: Content,
        anew: bool,
    ) -> Option<Result<Bytes, FetchError>> {
        let now = self.clock.now();
        let found = if anew { state.newest(now) } else { state.fresh(now) };
        found
            .map(Ok)
            .or_else(|| state.failure(now).map(|error| self.stale_or(error, state, content)))
    }

    /// An old copy does until a fetch works again: keeping the URL's host busy, or the fetcher,
    /// locks no user of the client out.
    fn stale_or(
        &self,
        error: FetchError,
        state: &State,
        content: Content,
    ) -> Result<Bytes, FetchError> {
        match state.stale(self.clock.now(), content.stale_for()) {
            Some(body) if error.is_passing() => Ok(body),
            _ => Err(error),
        }
    }

    /// There was no permit in time. That says nothing about the URL.
    fn busy(&self, slot: &Slot, content: Content) -> Result<Bytes, FetchError> {
        match slot.try_lock() {
            Ok(state) => self.stale_or(FetchError::Busy, &state, content),
            Err(_) => Err(FetchError::Busy),
        }
    }

    /// One request, and an answer that is what it must be.
    async fn ask(
        &self,
        url: &OutsideUrl,
        content: Content,
    ) -> Result<(Bytes, Duration), FetchError> {
        let client =
            self.proxied.load().as_ref().map_or_else(|| self.direct.clone(), |kept| kept.1.clone());
        let request = client.get(url.url().clone()).header(header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| trouble(&error))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        check_headers(response.headers())?;
        let limit = content.limit();
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(FetchError::TooLarge { limit });
        }
        let lifetime = freshness::lifetime(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body.into(), lifetime))
    }
}

fn key(url: &OutsideUrl, content: Content) -> String {
    format!("{content:?} {url}")
}

/// Exactly one `Content-Type`, and it is JSON or a kind of it; nothing encoded, for a small bomb is
/// a large body.
fn check_headers(headers: &HeaderMap) -> Result<(), FetchError> {
    let encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(encoded) {
        return Err(FetchError::Encoded);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return Err(FetchError::NotJson) };
    let essence = only
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_json = essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"));
    if is_json { Ok(()) } else { Err(FetchError::NotJson) }
}

/// What became of a request that has no answer. What [`PublicOnly`] said is at the end of the chain
/// of causes.
fn trouble(error: &reqwest::Error) -> FetchError {
    let causes = || iter::successors(error.source(), |&cause| cause.source());
    if let Some(refused) = causes().find_map(|cause| cause.downcast_ref::<FetchError>()) {
        return refused.clone();
    }
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    FetchError::Transport(
        causes().last().map_or_else(|| "the request failed".to_owned(), ToString::to_string),
    )
}

/// The only resolver of the client: gives addresses if all of a name's are public, and those are
/// what it connects to.
struct PublicOnly {
    outside: Arc<dyn Outside>,
}

task_local! {
    /// The permit of the one look-up of the fetch under way: the client hands nothing on to its
    /// resolver.
    static LOOKUP: Mutex<Option<FetchPermit>>;
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let outside = Arc::clone(&self.outside);
        let permit = LOOKUP
            .try_with(|permit| permit.lock().unwrap_or_else(PoisonError::into_inner).take())
            .ok()
            .flatten();
        Box::pin(async move {
            let permit = permit.ok_or(FetchError::Busy)?;
            // A task of its own: a look-up that no request waits for any more occupies a thread
            // until it is over, and counts as long.
            let lookup = tokio::spawn(async move {
                let _permit = permit;
                let found = outside.lookup(name.as_str()).await;
                let found = found.map_err(|error| FetchError::Unresolved(error.to_string()))?;
                let routed: Vec<_> = check_addresses(&found)?
                    .iter()
                    .map(|&address| outside.route(address))
                    .collect();
                Ok::<_, FetchError>(routed)
            });
            let addresses: Addrs = Box::new(lookup.await??.into_iter());
            Ok(addresses)
        })
    }
}

/// All of them public, or none will do: a name that leads to both is no mistake (threat 26).
fn check_addresses(found: &[IpAddr]) -> Result<&[IpAddr], FetchError> {
    if found.is_empty() || found.len() > MAX_ADDRESSES {
        return Err(FetchError::Unresolved(format!("{} addresses", found.len())));
    }
    match found.iter().find_map(|&address| Some((address, net_address::special_use(address)?))) {
        Some((address, block)) => Err(FetchError::SpecialAddress { address, block }),
        None => Ok(found),
    }
}

#[cfg(test)]
pub(crate) mod tests;
