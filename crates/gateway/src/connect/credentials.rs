//! The token that goes along, and what is done when there is none, or it is refused: read what
//! another process has got, refresh, sign in, in this order. One process at a time, by the lock of
//! [`super::token_store`]; within a process, one request at a time, in a task that goes on when
//! that request is given up: a refresh token is used up by its use, and its successor must be kept.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use portunus_core::{
    Clock, Entropy,
    oauth_client::{
        challenge::Challenge,
        scopes::{self, Known},
    },
    secret::SecretText,
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use url::Url;

use super::{
    browser::Opener,
    discovery::{Discovered, discover},
    error::ConnectError,
    fetch::Fetcher,
    options::{Options, SIGN_IN_LIMIT},
    sign_in::{SignInRequest, is_unknown_client},
    token_request::{TokenRequest, Tokens},
    token_store::{SignIn, TokenStore},
};

/// A token is refreshed so many seconds before its end.
const MARGIN: i64 = 30;
/// How long after a sign-in that failed no other is begun.
const PAUSE: Duration = Duration::from_secs(30);
/// How often the same scopes are asked for after they were refused.
const STEP_UPS: u32 = 2;
/// Sets of scopes that are counted.
const MAX_STEP_UPS: usize = 64;

/// What sign-ins need of the world.
#[derive(Clone)]
pub struct SignInMeans {
    pub store: TokenStore,
    pub opener: Opener,
    /// Standard input is a person, who may paste the address at which a browser ended.
    pub may_paste: bool,
    /// The authorization server may not know a registration that is kept any more: none is used.
    pub registers_anew: bool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

pub struct Credentials {
    options: Options,
    key: String,
    means: SignInMeans,
    current: ArcSwapOption<SignIn>,
    renewing: Arc<Mutex<Renewing>>,
    /// Refreshes that failed.
    failures: AtomicU64,
    /// Token requests whose answers are not kept yet.
    requests: TaskTracker,
}

/// Who changes the credentials, one at a time.
struct Turn {
    renewing: OwnedMutexGuard<Renewing>,
    /// How many refreshes had failed when this one began to wait.
    failures: u64,
}

#[derive(Default)]
struct Renewing {
    fetcher: Option<Arc<Fetcher>>,
    /// Why the last refresh failed.
    not_refreshed: Option<ConnectError>,
    /// A sign-in that ended, and why.
    failed: Option<(Instant, String)>,
    /// What was there before the authorization server refused it.
    before: Option<SignIn>,
    step_ups: HashMap<String, u32>,
}

impl Credentials {
    /// Reads what is kept.
    pub fn open(options: Options, means: SignInMeans) -> Result<Self, ConnectError> {
        let key = options.key();
        let kept = means.store.sign_in(&key)?;
        Ok(Self {
            options,
            key,
            means,
            current: ArcSwapOption::from(kept.map(Arc::new)),
            renewing: Arc::default(),
            failures: AtomicU64::new(0),
            requests: TaskTracker::new(),
        })
    }

    pub(super) fn is_signed_in(&self) -> bool {
        self.current.load().is_some()
    }

    /// Waits until the answer of a token request that is under way is kept.
    pub(super) async fn settle(&self) {
        self.requests.close();
        self.requests.wait().await;
    }

    /// The token to send, refreshed if it is about to end; `None`: there is none yet.
    pub(super) async fn token(self: &Arc<Self>) -> Result<Option<SecretText>, ConnectError> {
        let Some(current) = self.current.load_full() else { return Ok(None) };
        if self.means.store.has_sign_in(&self.key)? && !self.is_due(&current) {
            return Ok(Some(current.access_token.clone()));
        }
        let turn = self.turn().await;
        self.to_the_end(|all| async move { all.refreshed(turn).await }).await
    }

    async fn refreshed(&self, mut turn: Turn) -> Result<Option<SecretText>, ConnectError> {
        let _lock = self.lock().await?;
        if let Some(found) = self.adopt(&mut turn, None)? {
            return Ok(Some(found));
        }
        let Some(current) = self.current.load_full() else { return Ok(None) };
        let is_over = current.expires_at.is_some_and(|end| self.means.clock.now().as_secs() >= end);
        match self.refresh(&mut turn, &current).await {
            Ok(found) => Ok(found),
            Err(error) if is_over => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the token could not be refreshed, and is used to its end");
                Ok(Some(current.access_token.clone()))
            }
        }
    }

    /// A token in place of `failed`, which the server refused with this challenge, or did not get.
    pub(super) async fn renew(
        self: &Arc<Self>,
        failed: Option<&SecretText>,
        challenge: &Challenge,
    ) -> Result<SecretText, ConnectError> {
        let turn = self.turn().await;
        let (failed, challenge) = (failed.cloned(), challenge.clone());
        self.to_the_end(|all| async move { all.renewed(turn, failed.as_ref(), &challenge).await })
            .await
    }

    async fn renewed(
        &self,
        mut turn: Turn,
        failed: Option<&SecretText>,
        challenge: &Challenge,
    ) -> Result<SecretText, ConnectError> {
        if let Some(found) = self.other_than(failed)? {
            return Ok(found);
        }
        let _lock = self.lock().await?;
        if let Some(found) = self.adopt(&mut turn, failed)? {
            return Ok(found);
        }
        let fetcher = self.fetcher(&mut turn.renewing).await?;
        let found = discover(&fetcher, &self.options.server, challenge).await?;
        let mut before = self.before(&turn.renewing, &found)?;
        if let Some(kept) = before.as_ref().filter(|_| self.current.load().is_some())
            && kept.refresh_token.is_some()
        {
            if let Some(token) = self.refresh(&mut turn, kept).await? {
                return Ok(token);
            }
            before = self.before(&turn.renewing, &found)?;
        }
        self.sign_in(&mut turn.renewing, &fetcher, &found, before.as_ref(), challenge).await
    }

    /// A token with the scopes of the challenge beside those it had (MCP, "Step-Up Authorization
    /// Flow"); `None`: that was tried often enough.
    pub(super) async fn step_up(
        self: &Arc<Self>,
        failed: Option<&SecretText>,
        challenge: &Challenge,
    ) -> Result<Option<SecretText>, ConnectError> {
        let turn = self.turn().await;
        let (failed, challenge) = (failed.cloned(), challenge.clone());
        self.to_the_end(|all| async move { all.widened(turn, failed.as_ref(), &challenge).await })
            .await
    }

    async fn widened(
        &self,
        mut turn: Turn,
        failed: Option<&SecretText>,
        challenge: &Challenge,
    ) -> Result<Option<SecretText>, ConnectError> {
        if let Some(found) = self.other_than(failed)? {
            return Ok(Some(found));
        }
        let _lock = self.lock().await?;
        if let Some(found) = self.adopt(&mut turn, failed)? {
            return Ok(Some(found));
        }
        let renewing = &mut turn.renewing;
        let wanted = challenge.scope.clone().unwrap_or_default();
        if renewing.step_ups.len() >= MAX_STEP_UPS && !renewing.step_ups.contains_key(&wanted) {
            return Ok(None);
        }
        let tries = renewing.step_ups.entry(wanted).or_default();
        *tries += 1;
        if *tries > STEP_UPS {
            return Ok(None);
        }
        let fetcher = self.fetcher(renewing).await?;
        let found = discover(&fetcher, &self.options.server, challenge).await?;
        let before = self.before(renewing, &found)?;
        self.sign_in(renewing, &fetcher, &found, before.as_ref(), challenge).await.map(Some)
    }

    /// Waits for its turn. A request that is given up here has begun nothing.
    async fn turn(&self) -> Turn {
        let failures = self.failures.load(Ordering::Acquire);
        Turn { renewing: Arc::clone(&self.renewing).lock_owned().await, failures }
    }

    /// Does this to its end, also if its request is given up. As it has its [`Turn`], there is one
    /// of it at a time.
    async fn to_the_end<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, ConnectError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ConnectError>> + Send + 'static,
    {
        tokio::spawn(work(Arc::clone(self)))
            .await
            .unwrap_or_else(|_| Err(ConnectError::SignIn("it was broken off".to_owned())))
    }

    /// What of the past holds at this authorization server for this resource (threat 91).
    fn before(
        &self,
        renewing: &Renewing,
        found: &Discovered,
    ) -> Result<Option<SignIn>, ConnectError> {
        let before = self.current.load_full().map(|current| SignIn::clone(&current));
        let Some(before) = before.or_else(|| renewing.before.clone()) else { return Ok(None) };
        if before.issuer != found.issuer && self.options.client.id.is_some() {
            return Err(ConnectError::SignIn(format!(
                "the server's authorization server was {} and is {} now: --client-id is of the first. If that is meant, run portunus connect --logout, and give the client ID of the second",
                before.issuer, found.issuer
            )));
        }
        let is_same = before.issuer == found.issuer
            && before.resource == found.resource
            && before.token_endpoint == found.token_endpoint.as_str();
        Ok(is_same.then_some(before))
    }

    async fn sign_in(
        &self,
        renewing: &mut Renewing,
        fetcher: &Fetcher,
        found: &Discovered,
        before: Option<&SignIn>,
        challenge: &Challenge,
    ) -> Result<SecretText, ConnectError> {
        if let Some((at, why)) = &renewing.failed
            && at.elapsed() < PAUSE
        {
            return Err(ConnectError::SignIn(why.clone()));
        }
        let scope = scopes::wanted(Known {
            configured: self.options.scope.as_deref(),
            challenged: challenge.scope.as_deref(),
            of_resource: found.resource_scopes.as_deref(),
            of_server: found.server_scopes.as_deref(),
            before: before.and_then(|before| before.requested.as_deref()),
        });
        let request = SignInRequest {
            options: &self.options,
            store: &self.means.store,
            fetcher,
            found,
            scope: scope.as_deref(),
            may_paste: self.means.may_paste,
            registers_anew: self.means.registers_anew,
            opener: &self.means.opener,
            clock: &*self.means.clock,
            entropy: &*self.means.entropy,
        };
        let done = async {
            let granted = request.ask().await?;
            // From here on there is a code that is good for one request.
            let under_way = self.requests.token();
            let tokens = request.redeem(&granted).await?;
            Ok((granted.client, tokens, under_way))
        };
        let (client, tokens, _under_way) = match done.await {
            Ok(done) => done,
            Err(error) => {
                renewing.failed = Some((Instant::now(), said(&error)));
                return Err(error);
            }
        };
        renewing.failed = None;
        tracing::info!(issuer = %found.issuer, "signed in");
        let sign_in = SignIn {
            key: self.key.clone(),
            issuer: found.issuer.clone(),
            resource: found.resource.clone(),
            token_endpoint: found.token_endpoint.to_string(),
            client,
            requested: scope,
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_at: tokens.expires_at,
        };
        self.means.store.keep_sign_in(&sign_in)?;
        Ok(self.hold(sign_in))
    }

    /// `None`: there is nothing to refresh with, or it was refused, or taken away meanwhile.
    async fn refresh(
        &self,
        turn: &mut Turn,
        before: &SignIn,
    ) -> Result<Option<SecretText>, ConnectError> {
        // A request that waited while a refresh failed is told of that, and tries no other at once.
        if self.failures.load(Ordering::Acquire) != turn.failures
            && let Some(error) = &turn.renewing.not_refreshed
        {
            return Err(error.clone());
        }
        let renewing = &mut turn.renewing;
        let fetcher = self.fetcher(renewing).await?;
        let Some(refresh_token) = &before.refresh_token else {
            return self.forget(renewing, before).map(|()| None);
        };
        let endpoint = Url::parse(&before.token_endpoint).map_err(|_| {
            ConnectError::Store("the kept sign-in has no token endpoint".to_owned())
        })?;
        let request = TokenRequest {
            fetcher: &fetcher,
            endpoint: &endpoint,
            client: &before.client,
            resource: &before.resource,
            now: self.means.clock.now(),
        };
        let _under_way = self.requests.token();
        match request.refresh(refresh_token).await {
            Ok(Tokens { access_token, refresh_token, expires_at }) => {
                let next = SignIn { access_token, refresh_token, expires_at, ..before.clone() };
                if self.means.store.replace_sign_in(&next)? {
                    return Ok(Some(self.hold(next)));
                }
                self.let_go(renewing);
                Ok(None)
            }
            Err(error @ ConnectError::Refused { .. }) => {
                tracing::info!(%error, "the sign-in is over");
                if is_unknown_client(&error) {
                    self.means.store.remove_registration(&before.issuer)?;
                }
                self.forget(renewing, before).map(|()| None)
            }
            Err(error) => {
                renewing.not_refreshed = Some(error.clone());
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(error)
            }
        }
    }

    fn hold(&self, sign_in: SignIn) -> SecretText {
        let token = sign_in.access_token.clone();
        self.current.store(Some(Arc::new(sign_in)));
        token
    }

    fn forget(&self, renewing: &mut Renewing, before: &SignIn) -> Result<(), ConnectError> {
        self.means.store.remove_sign_in(&self.key)?;
        renewing.before = Some(before.clone());
        self.current.store(None);
        Ok(())
    }

    /// What was removed from the store is not used either.
    fn let_go(&self, renewing: &mut Renewing) {
        if self.current.swap(None).is_some() {
            renewing.before = None;
            tracing::warn!("the sign-in was removed on this machine: it is not used any more");
        }
    }

    fn other_than(&self, failed: Option<&SecretText>) -> Result<Option<SecretText>, ConnectError> {
        let Some(current) = self.current.load_full() else { return Ok(None) };
        let is_other = Some(&current.access_token) != failed;
        Ok((is_other && self.means.store.has_sign_in(&self.key)?)
            .then(|| current.access_token.clone()))
    }

    /// What another process has got meanwhile, or has removed.
    fn adopt(
        &self,
        turn: &mut Turn,
        failed: Option<&SecretText>,
    ) -> Result<Option<SecretText>, ConnectError> {
        let Some(kept) = self.means.store.sign_in(&self.key)? else {
            self.let_go(&mut turn.renewing);
            return Ok(None);
        };
        let token = kept.access_token.clone();
        let is_news = Some(&token) != failed && !self.is_due(&kept);
        self.current.store(Some(Arc::new(kept)));
        Ok(is_news.then_some(token))
    }

    fn is_due(&self, sign_in: &SignIn) -> bool {
        sign_in.expires_at.is_some_and(|end| self.means.clock.now().as_secs() + MARGIN >= end)
    }

    async fn lock(&self) -> Result<super::token_store::Lock, ConnectError> {
        self.means.store.lock(&self.key, Instant::now() + SIGN_IN_LIMIT + PAUSE).await
    }

    async fn fetcher(&self, renewing: &mut Renewing) -> Result<Arc<Fetcher>, ConnectError> {
        if let Some(fetcher) = &renewing.fetcher {
            return Ok(Arc::clone(fetcher));
        }
        let made = Arc::new(Fetcher::new(&self.options.server, self.options.allow_http).await?);
        renewing.fetcher = Some(Arc::clone(&made));
        Ok(made)
    }
}

fn said(error: &ConnectError) -> String {
    let text = error.to_string();
    text.strip_prefix("sign-in: ").unwrap_or(&text).to_owned()
}
