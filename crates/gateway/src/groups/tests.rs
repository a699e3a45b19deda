//! One person read anew, at a provider that answers as it is told: what is kept and what is ended
//! when gateways, sign-ins and answers cross. Over HTTP it is tested in `tests/http/groups.rs`.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use portunus_core::{
    Clock as _, Timestamp,
    admission::{Allow, Unread},
    clock::FixedClock,
    entropy::SeededEntropy,
    ids::{ProviderName, UserId},
    lifetimes::Lifetimes,
    principal::User,
    provider_token::{CLAIM, ProviderToken},
    resource::PublicUrl,
    secret::{SecretText, TokenHash},
    signin::Login,
    store::{ProviderTokenStore, StoreError, Stores},
};
use portunus_identity::provider::{
    IdentityError, Inbound, Outbound, Provider, ProviderRequestSecrets, RefreshError, Refreshed,
    SignedIn,
};
use portunus_store::{seal::Sealer, sqlite};
use portunus_testkit::wait::eventually;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use url::Url;

use super::{GroupReader, ProviderPlaces, ReaderParts, reader::ONCE_MORE};
use crate::{
    audit::AuditLog,
    edge::providers::{ProviderEntry, Providers},
};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const ISSUER: &str = "https://idp.example";
const CLIENT: &str = "client";

/// Writes nothing so many times.
struct FailsToWrite {
    tokens: Arc<dyn ProviderTokenStore>,
    times: AtomicU32,
}

#[async_trait]
impl ProviderTokenStore for FailsToWrite {
    async fn keep_provider_token(&self, token: &ProviderToken) -> Result<(), StoreError> {
        self.tokens.keep_provider_token(token).await
    }

    async fn find_provider_token(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<ProviderToken>, StoreError> {
        self.tokens.find_provider_token(user, now).await
    }

    async fn change_provider_token(
        &self,
        version: u64,
        after: &ProviderToken,
    ) -> Result<bool, StoreError> {
        let is_rotated = after.token.expose() != "first";
        let left = |times: u32| times.checked_sub(1).filter(|_| is_rotated);
        if self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
            return Err(StoreError::Unavailable("it fails over".to_owned()));
        }
        self.tokens.change_provider_token(version, after).await
    }

    async fn delete_provider_token(&self, user: &UserId) -> Result<bool, StoreError> {
        self.tokens.delete_provider_token(user).await
    }
}

/// Answers in turn. What happens `meanwhile` is a token that another gateway keeps.
struct Scripted {
    name: ProviderName,
    answers: Mutex<VecDeque<Refreshed>>,
    presented: Mutex<Vec<String>>,
    meanwhile: Mutex<Option<(Stores, ProviderToken)>>,
    gate: Semaphore,
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn label(&self) -> &'static str {
        "IdP"
    }

    fn is_issuer(&self, iss: &str) -> bool {
        iss == ISSUER
    }

    fn client_id(&self) -> Option<&str> {
        Some(CLIENT)
    }

    fn gives_refresh_tokens(&self) -> bool {
        true
    }

    async fn refresh(&self, token: &SecretText, _: &str, _: Timestamp) -> Refreshed {
        self.presented.lock().unwrap().push(token.expose().to_owned());
        let _passed = self.gate.acquire().await.unwrap();
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some((stores, token)) = meanwhile {
            stores.provider_tokens.keep_provider_token(&token).await.unwrap();
        }
        self.answers.lock().unwrap().pop_front().expect("an answer")
    }

    async fn authorization_url(&self, _: &Outbound<'_>) -> Result<Url, IdentityError> {
        unreachable!("nobody signs in")
    }

    async fn complete(
        &self,
        _: &Inbound,
        _: &ProviderRequestSecrets<'_>,
        _: Timestamp,
    ) -> Result<SignedIn, IdentityError> {
        unreachable!("nobody signs in")
    }

    async fn sign_out_url(
        &self,
        _: Option<&SecretText>,
        _: &str,
        _: &str,
    ) -> Result<Option<Url>, IdentityError> {
        Ok(None)
    }

    async fn probe(&self, _: &str) -> Result<(), IdentityError> {
        Ok(())
    }
}

struct Fixture {
    _folder: TempDir,
    stores: Stores,
    clock: Arc<FixedClock>,
    provider: Arc<Scripted>,
    reader: GroupReader,
    tokens: Arc<FailsToWrite>,
}

fn person(groups: &[&str]) -> SignedIn {
    SignedIn {
        issuer: ISSUER.to_owned(),
        subject: "alice".to_owned(),
        name: None,
        email: None,
        email_verified: false,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        hosted_domain: None,
        no_groups: None,
        unread: Unread::default(),
        id_token: None,
        refresh_token: None,
    }
}

fn answer(rotated: &str, person: Result<SignedIn, RefreshError>) -> Refreshed {
    Refreshed { rotated: Some(SecretText::new(rotated)), person }
}

fn ended() -> Refreshed {
    Refreshed { rotated: None, person: Err(RefreshError::Ended("gone".to_owned())) }
}

fn down() -> Refreshed {
    let error = IdentityError::Unavailable {
        provider: ProviderName::from_text("idp"),
        detail: "down".to_owned(),
        hint: String::new(),
    };
    Refreshed { rotated: None, person: Err(error.into()) }
}

fn user(subject: &str, issuer: &str) -> User {
    User {
        id: UserId::of(issuer, subject),
        provider: ProviderName::from_text("idp"),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        name: None,
        email: None,
        email_verified: false,
        groups: vec!["engineering".to_owned()],
        hosted_domain: None,
        no_groups: None,
        signed_in_at: NOW,
        read_at: None,
    }
}

impl Fixture {
    async fn new(answers: impl IntoIterator<Item = Refreshed>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Arc::new(SeededEntropy::new(1));
        let sealer = Sealer::new(&[SecretText::new("a secret")], entropy).unwrap();
        let stores = sqlite::open(&folder.path().join("mcp.sqlite"), sealer).unwrap();
        let clock = Arc::new(FixedClock::at(NOW));
        let provider = Arc::new(Scripted {
            name: ProviderName::from_text("idp"),
            answers: Mutex::new(answers.into_iter().collect()),
            presented: Mutex::default(),
            meanwhile: Mutex::default(),
            gate: Semaphore::new(1),
        });
        let entry = ProviderEntry {
            provider: Arc::clone(&provider) as _,
            label: "IdP".to_owned(),
            redirect_uri: String::new(),
            is_shared: false,
            allow: Allow::Anyone,
        };
        let lifetimes = Lifetimes::default();
        let public_url = PublicUrl::parse("https://gw.example").unwrap();
        let tokens = Arc::clone(&stores.provider_tokens);
        let tokens = Arc::new(FailsToWrite { tokens, times: AtomicU32::new(0) });
        let reader = GroupReader::new(ReaderParts {
            tokens: Arc::clone(&tokens) as _,
            logins: Arc::clone(&stores.logins),
            grants: Arc::clone(&stores.grants),
            providers: Providers::new(vec![entry], &public_url, lifetimes, Arc::clone(&clock) as _),
            places: ProviderPlaces::default(),
            lifetimes,
            audit: AuditLog::off(),
            clock: Arc::clone(&clock) as _,
        });
        let fixture = Self { _folder: folder, stores, clock, provider, reader, tokens };
        fixture.signed_in("alice", ISSUER).await;
        fixture.clock.advance(lifetimes.groups_pause());
        fixture
    }

    /// The person has signed in; gives who that is.
    async fn signed_in(&self, subject: &str, issuer: &str) -> UserId {
        let user = user(subject, issuer);
        let login = Login {
            id: TokenHash::of(subject),
            user: user.id.clone(),
            provider: user.provider.clone(),
            id_token: None,
            created_at: NOW,
            expires_at: NOW + Lifetimes::default().login,
            last_seen_at: None,
        };
        self.stores.logins.insert_login(&user, &login).await.unwrap();
        let token = token_of(&user, "first");
        self.stores.provider_tokens.keep_provider_token(&token).await.unwrap();
        user.id
    }

    async fn read(&self) {
        self.reader.read(&alice()).await;
    }

    async fn kept(&self) -> Option<String> {
        let tokens = &self.stores.provider_tokens;
        let found = tokens.find_provider_token(&alice(), self.clock.now()).await.unwrap();
        found.map(|token| token.token.expose().to_owned())
    }

    async fn groups(&self) -> Vec<String> {
        self.stores.logins.find_user(&alice()).await.unwrap().unwrap().groups
    }

    async fn is_signed_in(&self) -> bool {
        let id = TokenHash::of("alice");
        self.stores.logins.find_login(&id, self.clock.now()).await.unwrap().is_some()
    }

    fn presented(&self) -> Vec<String> {
        self.provider.presented.lock().unwrap().clone()
    }

    /// While the provider answers, this token takes the place of the one it was asked with.
    fn meanwhile(&self, token: &str) {
        let token = ProviderToken { version: 5, ..token_of(&user("alice", ISSUER), token) };
        *self.provider.meanwhile.lock().unwrap() = Some((self.stores.clone(), token));
    }
}

fn alice() -> UserId {
    UserId::of(ISSUER, "alice")
}

fn token_of(user: &User, token: &str) -> ProviderToken {
    let (lifetimes, entropy) = (Lifetimes::default(), SeededEntropy::new(2));
    let from = (&user.provider, user.issuer.as_str());
    ProviderToken::begin(&user.id, from, SecretText::new(token), NOW, &lifetimes, &entropy)
}

#[tokio::test]
async fn what_was_read_and_the_rotated_token_are_kept() {
    let fixture = Fixture::new([answer("second", Ok(person(&["sales"])))]).await;
    fixture.read().await;
    fixture.read().await;
    assert_eq!(
        (fixture.groups().await, fixture.presented()),
        (vec!["sales".to_owned()], vec!["first".to_owned()])
    );
    assert_eq!(fixture.kept().await.as_deref(), Some("second"));
}

#[tokio::test]
async fn the_end_of_a_token_that_another_has_used_since_ends_nothing() {
    let fixture = Fixture::new([ended(), ended()]).await;
    fixture.meanwhile("of another gateway");
    fixture.read().await;
    assert!(fixture.is_signed_in().await);
    assert_eq!(fixture.kept().await.as_deref(), Some("of another gateway"));
    // The end of the one of now ends everything.
    fixture.read().await;
    assert!(!fixture.is_signed_in().await);
    assert_eq!(fixture.kept().await, None);
}

#[tokio::test]
async fn a_sign_in_meanwhile_counts() {
    let fixture = Fixture::new([answer("second", Ok(person(&["sales"])))]).await;
    fixture.meanwhile("of the sign-in");
    fixture.read().await;
    assert_eq!(fixture.groups().await, ["engineering"]);
    assert_eq!(fixture.kept().await.as_deref(), Some("of the sign-in"));
}

#[tokio::test]
async fn a_rotated_token_is_kept_when_the_request_is_given_up() {
    let fixture = Fixture::new([answer("second", Ok(person(&["sales"])))]).await;
    let closed = fixture.provider.gate.acquire().await.unwrap();
    let alice = alice();
    let mut given_up = Box::pin(fixture.reader.read(&alice));
    assert!(futures::poll!(&mut given_up).is_pending());
    eventually("the provider is asked", async || !fixture.presented().is_empty()).await;
    drop(given_up);
    drop(closed);
    eventually("it is kept", async || fixture.kept().await.as_deref() == Some("second")).await;
    eventually("it is read", async || fixture.groups().await == ["sales"]).await;
}

/// A claim ends by itself, and the token of before is presented once more.
#[tokio::test]
async fn a_gateway_that_died_leaves_the_token_to_the_next() {
    let fixture = Fixture::new([answer("second", Ok(person(&["sales"])))]).await;
    let found = token_of(&user("alice", ISSUER), "first");
    let claimed = found.claimed(fixture.clock.now());
    let tokens = &fixture.stores.provider_tokens;
    assert!(tokens.change_provider_token(found.version, &claimed).await.unwrap());
    fixture.read().await;
    assert!(fixture.presented().is_empty(), "one gateway at a time");
    fixture.clock.advance(CLAIM);
    fixture.read().await;
    assert_eq!(fixture.presented(), ["first"]);
    assert_eq!(fixture.groups().await, ["sales"]);
}

#[tokio::test]
async fn what_was_not_read_whole_changes_nothing() {
    let unread = SignedIn { unread: Unread { email: false, groups: true }, ..person(&[]) };
    let fixture = Fixture::new([answer("second", Ok(unread))]).await;
    fixture.read().await;
    assert_eq!(fixture.groups().await, ["engineering"]);
    assert_eq!(fixture.kept().await.as_deref(), Some("second"), "it is rotated all the same");
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_for_one_person() {
    let fixture = Fixture::new([down()]).await;
    let bob = fixture.signed_in("bob", ISSUER).await;
    fixture.read().await;
    fixture.reader.read(&bob).await;
    assert_eq!(fixture.presented().len(), 1);
}

/// Whatever is called by the provider's name now (threat 53).
#[tokio::test]
async fn t53_a_token_goes_to_the_issuer_that_gave_it() {
    let fixture = Fixture::new([ended()]).await;
    let carol = fixture.signed_in("carol", "https://earlier.example").await;
    fixture.reader.read(&carol).await;
    assert!(fixture.presented().is_empty());
}

/// The administrator has moved to another application of the same issuer.
#[tokio::test]
async fn a_token_of_another_client_id_is_forgotten_and_ends_nothing() {
    let fixture = Fixture::new([ended()]).await;
    let tokens = &fixture.stores.provider_tokens;
    let user = user("alice", ISSUER);
    let due = || {
        let token = token_of(&user, "first");
        ProviderToken { due_at: NOW, ..token }
    };
    tokens.keep_provider_token(&due().given_to(Some("before"))).await.unwrap();
    fixture.read().await;
    assert!(fixture.presented().is_empty(), "it is of another");
    assert_eq!((fixture.kept().await, fixture.is_signed_in().await), (None, true));

    tokens.keep_provider_token(&due().given_to(Some(CLIENT))).await.unwrap();
    fixture.read().await;
    assert_eq!((fixture.presented().len(), fixture.is_signed_in().await), (1, false));
}

/// Nothing of theirs works before they sign in, and an agent key would not come back.
#[tokio::test]
async fn a_token_that_ended_while_its_person_was_away_for_long_ends_nothing() {
    let fixture = Fixture::new([ended(), ended()]).await;
    let week = Lifetimes::default().groups.unwrap();
    for (away, is_signed_in) in [(week, true), (week / 2, false)] {
        let known = User { signed_in_at: NOW - away, read_at: None, ..user("alice", ISSUER) };
        fixture.stores.logins.insert_user(&known).await.unwrap();
        let token = ProviderToken { due_at: NOW, ..token_of(&known, "first") };
        fixture.stores.provider_tokens.keep_provider_token(&token).await.unwrap();
        fixture.read().await;
        assert_eq!((fixture.kept().await, fixture.is_signed_in().await), (None, is_signed_in));
    }
}

/// The store fails over in the very moment: the token that the provider rotated is the only one.
#[tokio::test]
async fn a_rotated_token_outlives_a_store_that_fails_for_a_while() {
    let fixture = Fixture::new([answer("second", Ok(person(&["sales"])))]).await;
    fixture.tokens.times.store(1, Ordering::SeqCst);
    fixture.read().await;
    eventually("it is kept", async || fixture.kept().await.as_deref() == Some("second")).await;
    assert_eq!(fixture.tokens.times.load(Ordering::SeqCst), 0, "it has failed");
}

/// What another request has made of the token meanwhile counts.
#[tokio::test]
async fn an_answer_that_came_to_another_request_is_not_asked_for_once_more() {
    let fixture = Fixture::new([down(), answer("second", Ok(person(&["sales"])))]).await;
    fixture.read().await;
    fixture.clock.advance(ONCE_MORE);
    fixture.read().await;
    assert_eq!(fixture.presented().len(), 2);
    fixture.clock.advance(Lifetimes::default().groups_pause());
    tokio::time::pause();
    tokio::time::advance(ONCE_MORE).await;
    tokio::time::resume();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.presented().len(), 2);
}

/// Whether or not the person is about: the grace of the provider is short.
#[tokio::test]
async fn an_answer_that_did_not_come_is_asked_for_once_more_by_itself() {
    let fixture = Fixture::new([down(), answer("second", Ok(person(&["sales"])))]).await;
    fixture.read().await;
    assert_eq!(fixture.kept().await.as_deref(), Some("first"));
    fixture.clock.advance(ONCE_MORE);
    tokio::time::pause();
    tokio::time::advance(ONCE_MORE).await;
    tokio::time::resume();
    eventually("it is asked again", async || fixture.presented().len() == 2).await;
    eventually("it is kept", async || fixture.kept().await.as_deref() == Some("second")).await;
}
