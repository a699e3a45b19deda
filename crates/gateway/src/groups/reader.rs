//! Reads one person anew: the token is claimed in the store, so that one gateway asks at a time;
//! the provider is asked; its rotated token is kept before anything else; then the person is
//! written, or what they have is ended.

use std::{sync::Arc, time::Duration};

use portunus_core::{
    Clock, Timestamp,
    audit::{Event, Origin, Person},
    ids::UserId,
    lifetimes::Lifetimes,
    principal::User,
    provider_token::ProviderToken,
    secret::SecretText,
    store::{GrantStore, GrantsOf, LoginStore, ProviderTokenStore, StoreError},
};
use portunus_identity::provider::{IdentityError, RefreshError, Refreshed, SignedIn};

use super::places::{ProviderPlace, ProviderPlaces};
use crate::{
    audit::AuditLog,
    edge::providers::{ProviderEntry, Providers, user_of},
};

/// How long a request waits for what is read. The reading goes on without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a token that the provider rotated is given to the store, and how long between: it is
/// the only one that the provider still takes.
const TRIES: u32 = 8;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// When an answer did not come, the token is presented once more, whether or not its person is
/// about: within the grace of providers that rotate, since the answer may have been lost.
pub(super) const ONCE_MORE: Duration = Duration::from_secs(11);

/// Reads people anew, as this configuration has it.
#[derive(Clone)]
pub struct GroupReader(Arc<Parts>);

/// What a reader is made of.
pub struct Parts {
    pub tokens: Arc<dyn ProviderTokenStore>,
    pub logins: Arc<dyn LoginStore>,
    pub grants: Arc<dyn GrantStore>,
    pub providers: Providers,
    pub places: ProviderPlaces,
    pub lifetimes: Lifetimes,
    pub audit: AuditLog,
    pub clock: Arc<dyn Clock>,
}

/// A token that this gateway has claimed, and whose it is.
struct Claim {
    token: ProviderToken,
    known: User,
    place: Arc<ProviderPlace>,
}

impl GroupReader {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Reads the person anew if that is due and their provider lets it be. Never fails: what is
    /// known of them goes on to count, for as long as `lifetimes.groups` says. It goes on in a task
    /// of its own, so that a token which the provider rotates is kept when the request is given up.
    pub async fn read(&self, user: &UserId) {
        if !self.0.providers.iter().any(|entry| entry.provider.gives_refresh_tokens()) {
            return;
        }
        let (reader, user) = (self.clone(), user.clone());
        let reading = self.0.audit.see_through(async move { reader.read_to_the_end(user).await });
        if tokio::time::timeout(PATIENCE, reading).await.is_err() {
            tracing::debug!("a person is still being read anew: the request goes on without");
        }
    }

    /// The same for a person who was just met, without waiting for it.
    pub fn nudge(&self, user: &User) {
        let parts = &self.0;
        let entry = parts.providers.find(&user.provider);
        if !entry.is_some_and(|entry| entry.provider.gives_refresh_tokens())
            || parts.clock.now() < user.described_at() + parts.lifetimes.groups_pause()
            || parts.places.of(&user.provider).is_paused(parts.clock.now())
        {
            return;
        }
        let (reader, user) = (self.clone(), user.id.clone());
        parts.audit.see_through(async move { reader.read_to_the_end(user).await });
    }

    async fn read_to_the_end(self, user: UserId) {
        if let Reading::Unanswered(version) = self.0.read(&user, None).await {
            // Not awaited when the gateway stops: another one, or its next life, presents it.
            let audit = self.0.audit.clone();
            tokio::spawn(async move {
                tokio::time::sleep(ONCE_MORE).await;
                audit.see_through(async move { self.0.read(&user, Some(version)).await });
            });
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Done,
    /// The provider did not answer; the version of the token after that.
    Unanswered(u64),
}

impl Parts {
    /// With a version, only if nothing was made of the token since then.
    async fn read(&self, user: &UserId, version: Option<u64>) -> Reading {
        self.try_read(user, version).await.unwrap_or_else(|error| {
            tracing::warn!(%user, %error, "a person could not be read anew: the store failed");
            Reading::Done
        })
    }

    async fn try_read(&self, user: &UserId, version: Option<u64>) -> Result<Reading, StoreError> {
        let now = self.clock.now();
        let found = match self.tokens.find_provider_token(user, now).await {
            Err(error @ StoreError::Corrupt(_)) => {
                // For good: the person is read at their next sign-in.
                tracing::warn!(%user, %error, "the provider's refresh token of a person cannot be opened, and is forgotten");
                self.tokens.delete_provider_token(user).await?;
                None
            }
            found => found?,
        };
        let is_meant = |found: &ProviderToken| {
            found.is_due(now) && version.is_none_or(|version| version == found.version)
        };
        let Some(found) = found.filter(is_meant) else { return Ok(Reading::Done) };
        let Some(known) = self.logins.find_user(user).await? else { return Ok(Reading::Done) };
        // Only to the issuer that gave it, whatever is called by its name now (threat 53).
        let entry = self.providers.find(&found.provider);
        let of_it = |entry: &&ProviderEntry| {
            entry.provider.is_issuer(&found.issuer) && entry.provider.gives_refresh_tokens()
        };
        let Some(entry) = entry.filter(of_it) else { return Ok(Reading::Done) };
        if found.is_of_another(entry.provider.client_id()) {
            // It says nothing of the person: they are read at their next sign-in.
            tracing::info!(%user, provider = %found.provider, "a provider's refresh token of another client ID is forgotten");
            self.tokens.delete_provider_token(user).await?;
            return Ok(Reading::Done);
        }
        let place = self.places.of(&found.provider);
        if place.is_paused(now) {
            return Ok(Reading::Done);
        }
        let Some(_turn) = place.turn().await else { return Ok(Reading::Done) };
        let now = self.clock.now();
        // A request that had a turn before may have been told to wait.
        if place.is_paused(now) {
            return Ok(Reading::Done);
        }
        let token = found.claimed(now);
        // Another gateway, or another request, asks already.
        if !self.tokens.change_provider_token(found.version, &token).await? {
            return Ok(Reading::Done);
        }
        let Refreshed { rotated, person } =
            entry.provider.refresh(&token.token, &known.subject, now).await;
        let claim = Claim { token, known, place };
        match person {
            Ok(person) if person.unread.groups || person.unread.email => {
                let why = "the provider did not tell all of it".to_owned();
                self.put_off(&claim, rotated, None, why).await?;
            }
            Ok(person) => self.keep(claim, rotated, &person).await?,
            Err(RefreshError::Ended(why)) => self.end(&claim, why).await?,
            Err(RefreshError::Failed { error, retry_at }) => {
                let is_unanswered = matches!(error, IdentityError::Unavailable { .. });
                if is_unanswered {
                    claim.place.pause(self.clock.now(), retry_at);
                }
                self.put_off(&claim, rotated, retry_at, error.to_string()).await?;
                if is_unanswered && claim.token.failures == 0 && retry_at.is_none() {
                    return Ok(Reading::Unanswered(claim.token.version + 1));
                }
            }
        }
        Ok(Reading::Done)
    }

    /// Writes what an answer made of the token. The store may fail over in this very moment.
    async fn change(&self, version: u64, after: &ProviderToken) -> Result<bool, StoreError> {
        // bounded
        for _ in 1..TRIES {
            match self.tokens.change_provider_token(version, after).await {
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(BETWEEN_TRIES).await,
                outcome => return outcome,
            }
        }
        self.tokens.change_provider_token(version, after).await
    }

    /// The token first: without it the person is not read again.
    async fn keep(
        &self,
        Claim { token, known, .. }: Claim,
        rotated: Option<SecretText>,
        person: &SignedIn,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let after = token.read(rotated, now, &self.lifetimes);
        if !self.change(token.version, &after).await? {
            tracing::debug!(user = %known.id, "a person signed in while they were read anew: the sign-in counts");
            return Ok(());
        }
        let written = self.write(&known, person, now).await;
        if written.is_err() {
            self.tokens.change_provider_token(after.version, &after.unread(now)).await?;
        }
        written
    }

    async fn write(
        &self,
        known: &User,
        person: &SignedIn,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let latest = self.logins.find_user(&known.id).await?;
        let signed_in_at = latest.map_or(known.signed_in_at, |latest| latest.signed_in_at);
        if signed_in_at > known.signed_in_at {
            return Ok(());
        }
        let described = user_of(person, &known.provider, now);
        let user = User { signed_in_at, read_at: Some(now), ..described };
        self.logins.insert_user(&user).await?;
        if let Some(event) = Event::groups_changed(&known.groups, &user.groups) {
            tracing::info!(user = %user.id, provider = %user.provider, groups = user.groups.len(), "groups changed at the provider");
            self.audit.record(Person::user(&user), Origin::default(), event);
        }
        Ok(())
    }

    /// What is known goes on to count; the provider is asked again later.
    async fn put_off(
        &self,
        Claim { token, known, .. }: &Claim,
        rotated: Option<SecretText>,
        retry_at: Option<Timestamp>,
        why: String,
    ) -> Result<(), StoreError> {
        let after = token.put_off(rotated, self.clock.now(), retry_at);
        // Told once, however often it fails after.
        if token.failures == 0 {
            tracing::warn!(user = %known.id, provider = %known.provider, why, "groups could not be read anew: those of before count");
            let event = Event::GroupsNotRead { why };
            self.audit.record(Person::user(known), Origin::default(), event);
        }
        self.change(token.version, &after).await.map(drop)
    }

    /// The provider does not honour the token any more. If it is still the one of now: a gateway
    /// that was slow may have presented one that another has used since.
    async fn end(&self, claim: &Claim, why: String) -> Result<(), StoreError> {
        let Claim { token, known, .. } = claim;
        let now = self.clock.now();
        if !self.tokens.change_provider_token(token.version, &token.claimed(now)).await? {
            return Ok(());
        }
        let latest = self.logins.find_user(&known.id).await?;
        let has_signed_in = latest.is_some_and(|latest| latest.signed_in_at > known.signed_in_at);
        // Nothing of theirs works before they sign in, and that shows whether they still may. What
        // rests until then is not ended: a token that was not used for long ends by itself at some
        // providers (Okta: 7 days), and an agent key that is ended does not come back.
        if has_signed_in || !self.lifetimes.is_described_lately(known, now) {
            tracing::info!(user = %known.id, provider = %known.provider, why, "the provider's refresh token of a person has ended");
            return self.tokens.delete_provider_token(&known.id).await.map(drop);
        }
        // The token goes last: what breaks off in between is done again.
        let grants = self.grants.revoke_grants(&GrantsOf::User(known.id.clone()), now).await?;
        self.logins.take_logins(&known.id).await?;
        self.tokens.delete_provider_token(&known.id).await?;
        tracing::warn!(
            user = %known.id, provider = %known.provider, grants, why,
            "the provider does not honour a person's sign-in any more (invalid_grant): what they allowed is ended"
        );
        let provider = known.provider.as_str().to_owned();
        let event = Event::EndedByProvider { provider, why, grants };
        self.audit.record(Person::user(known), Origin::default(), event);
        Ok(())
    }
}
