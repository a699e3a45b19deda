//! What a provider publishes, kept for as long as it allows: [`Cache`]. One caller fetches while
//! the others wait; a failure is never kept, but is not tried again at once; an old copy serves
//! while the provider is away. What is fetched is decided in [`crate::discovery`] and
//! [`crate::jwks`].

use std::{
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::provider::IdentityError;

/// How often the provider is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bounds of what `Cache-Control` may say, and what holds when it says nothing.
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
    pub(crate) unsaid: Duration,
    /// How long past its time a copy serves while the provider is away.
    pub(crate) stale: Duration,
    /// How long a failure is answered from memory, so that a provider in trouble is not hammered.
    pub(crate) backoff: Duration,
    /// How long no caller may fetch again after a fetch that did not help (F4).
    pub(crate) fruitless: Duration,
    /// How long a fetch may take when there is nothing to serve, and when there is an old copy.
    pub(crate) patience: Duration,
    pub(crate) patience_with_stale: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            shortest: Duration::from_secs(60),
            longest: Duration::from_secs(24 * 60 * 60),
            unsaid: Duration::from_secs(60 * 60),
            stale: Duration::from_secs(24 * 60 * 60),
            backoff: Duration::from_secs(1),
            fruitless: Duration::from_secs(10),
            patience: Duration::from_secs(4),
            patience_with_stale: Duration::from_millis(1500),
        }
    }
}

/// One published document.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    pace: Pace,
    held: RwLock<Option<Held<T>>>,
    /// The caller that holds it may fetch.
    turn: Mutex<Turn>,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    fetched: Instant,
    fresh_until: Instant,
}

#[derive(Debug, Default)]
struct Turn {
    failed: Option<(Instant, IdentityError)>,
    fruitless: Option<Instant>,
}

/// A document as it was fetched.
#[derive(Debug)]
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    pub(crate) max_age: Option<Duration>,
}

impl<T> Cache<T> {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, held: RwLock::new(None), turn: Mutex::default() }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh().is_some()
    }

    /// The document, from memory while it is fresh. `fetch` gets the time it may take.
    pub(crate) async fn load<F, Fut>(&self, fetch: F) -> Result<Arc<T>, IdentityError>
    where
        F: FnOnce(Duration) -> Fut,
        Fut: Future<Output = Result<Fetched<T>, IdentityError>>,
    {
        if let Some(value) = self.fresh() {
            return Ok(value);
        }
        let mut turn = self.turn.lock().await;
        if let Some(value) = self.fresh() {
            return Ok(value);
        }
        let stale = self.stale();
        let patience =
            if stale.is_some() { self.pace.patience_with_stale } else { self.pace.patience };
        match (self.fetch(&mut turn, patience, fetch).await, stale) {
            (Err(error), Some(stale)) => {
                tracing::warn!(%error, "a provider's published document could not be refreshed; the old copy serves");
                Ok(stale)
            }
            (answer, _) => answer,
        }
    }

    /// What `find` finds in the document, fetching it anew if it is not there. A copy fetched after
    /// `asked` is not fetched again; a fetch that found nothing bars the next one for a while (F4),
    /// one that did does not: keys may rotate as often as the provider likes.
    pub(crate) async fn find<R, F, Fut>(
        &self,
        asked: Instant,
        find: impl Fn(&T) -> Option<R>,
        fetch: F,
    ) -> Result<Option<R>, IdentityError>
    where
        F: FnOnce(Duration) -> Fut,
        Fut: Future<Output = Result<Fetched<T>, IdentityError>>,
    {
        let mut turn = self.turn.lock().await;
        if let Some((value, fetched)) = self.held() {
            if let Some(found) = find(&value) {
                return Ok(Some(found));
            }
            if fetched > asked {
                turn.fruitless = Some(fetched);
            }
        }
        if turn.fruitless.is_some_and(|at| at.elapsed() < self.pace.fruitless) {
            return Ok(None);
        }
        let value = self.fetch(&mut turn, self.pace.patience, fetch).await?;
        let found = find(&value);
        turn.fruitless = found.is_none().then(Instant::now);
        Ok(found)
    }

    async fn fetch<F, Fut>(
        &self,
        turn: &mut Turn,
        patience: Duration,
        fetch: F,
    ) -> Result<Arc<T>, IdentityError>
    where
        F: FnOnce(Duration) -> Fut,
        Fut: Future<Output = Result<Fetched<T>, IdentityError>>,
    {
        if let Some((at, error)) = &turn.failed
            && at.elapsed() < self.pace.backoff
        {
            return Err(error.clone());
        }
        match fetch(patience).await {
            Ok(Fetched { value, max_age }) => {
                turn.failed = None;
                Ok(self.keep(value, max_age))
            }
            Err(error) => {
                turn.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn keep(&self, value: T, max_age: Option<Duration>) -> Arc<T> {
        let value = Arc::new(value);
        let fetched = Instant::now();
        let fresh_for =
            max_age.unwrap_or(self.pace.unsaid).clamp(self.pace.shortest, self.pace.longest);
        let held = Held { value: Arc::clone(&value), fetched, fresh_until: fetched + fresh_for };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        value
    }

    fn held(&self) -> Option<(Arc<T>, Instant)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| (Arc::clone(&held.value), held.fetched))
    }

    fn fresh(&self) -> Option<Arc<T>> {
        self.until(Duration::ZERO)
    }

    fn stale(&self) -> Option<Arc<T>> {
        self.until(self.pace.stale)
    }

    fn until(&self, late: Duration) -> Option<Arc<T>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref()
            .filter(|held| Instant::now() < held.fresh_until + late)
            .map(|held| Arc::clone(&held.value))
    }
}

#[cfg(test)]
mod tests;
