//! How long a look-up is trusted, and what ends it.

use futures::poll;
use portunus_core::{
    Timestamp,
    grant::Grant,
    ids::{ClientId, GrantId, ProviderName, UserId},
    invalidation::Invalidation,
    principal::User,
    resource::{Resource, ResourceSet},
    scope::ScopeSet,
    store::GrantsOf,
    token::AccessToken,
};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A token of a grant of its own.
pub(crate) fn found(name: &str) -> FoundAccess {
    let (now, resource) = (
        Timestamp::from_secs(1_790_000_000),
        Resource::from_stored("https://gw.example/mcp".to_owned()),
    );
    let scopes = ScopeSet::parse("mcp").unwrap();
    let user = User {
        id: UserId::from_text("user"),
        provider: ProviderName::from_text("okta"),
        issuer: "https://acme.example".to_owned(),
        subject: "00u1".to_owned(),
        name: None,
        email: None,
        email_verified: false,
        groups: Vec::new(),
        hosted_domain: None,
        no_groups: None,
        signed_in_at: now,
        read_at: None,
    };
    let grant = Grant {
        id: GrantId::from_text(name),
        user: user.id.clone(),
        client: ClientId::from_text("client"),
        application: None,
        resources: ResourceSet::from(resource.clone()),
        scopes: scopes.clone(),
        login: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        key: None,
    };
    let token = AccessToken {
        hash: TokenHash::of(name),
        grant: grant.id.clone(),
        resource,
        scopes,
        expires_at: now + HOUR,
    };
    FoundAccess { token, grant, user }
}

pub(crate) async fn look_up(cache: &TokenCache, name: &str) {
    keep(cache, cache.ask(), name).await;
}

async fn keep(cache: &TokenCache, asking: Asking, name: &str) {
    let found = found(name);
    let principal = super::super::bearer::principal_of(&found);
    cache.keep(asking, found, principal).await;
}

pub(crate) async fn knows(cache: &TokenCache, name: &str) -> bool {
    cache.find(&TokenHash::of(name)).await.is_some()
}

fn grant(name: &str) -> Invalidation {
    Invalidation::Grant(GrantId::from_text(name))
}

/// A cache for which revisions were just compared.
fn vouched_for() -> TokenCache {
    let cache = TokenCache::that_trusts_for(HOUR);
    cache.invalidation_log().compared(Instant::now());
    cache
}

#[tokio::test(start_paused = true)]
async fn t41_what_was_read_before_a_revocation_is_not_kept_after_it() {
    let cache = vouched_for();
    let (one, other) = (cache.ask(), cache.ask());
    cache.invalidation_log().hear(grant("one"));
    keep(&cache, one, "one").await;
    keep(&cache, other, "other").await;
    assert!(!knows(&cache, "one").await, "the store was asked before, and answered after");
    assert!(knows(&cache, "other").await);
    look_up(&cache, "one").await;
    assert!(knows(&cache, "one").await, "it was asked again since");
}

#[tokio::test(start_paused = true)]
async fn t41_whatever_was_revoked_is_looked_up_again() {
    let cases = [
        (grant("one"), true),
        (Invalidation::Access(TokenHash::of("one")), true),
        (Invalidation::Grants(GrantsOf::User(UserId::from_text("user"))), false),
        (Invalidation::Grants(GrantsOf::Client(ClientId::from_text("client"))), false),
        (Invalidation::Grants(GrantsOf::Everyone), false),
        (Invalidation::Everything, false),
    ];
    for (invalidation, other_stays) in cases {
        let cache = vouched_for();
        look_up(&cache, "one").await;
        look_up(&cache, "other").await;
        assert!(knows(&cache, "one").await);
        cache.invalidation_log().hear(invalidation.clone());
        assert!(!knows(&cache, "one").await, "{invalidation:?}");
        assert_eq!(knows(&cache, "other").await, other_stays, "{invalidation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn t41_more_than_can_be_remembered_concerns_everything() {
    let cache = vouched_for();
    look_up(&cache, "one").await;
    cache.invalidation_log().hear(grant("one"));
    for _ in 0..1000 {
        cache.invalidation_log().hear(grant("another"));
    }
    assert!(!knows(&cache, "one").await);
    look_up(&cache, "one").await;
    for _ in 0..10_000 {
        cache.invalidation_log().hear(grant("another"));
        assert!(knows(&cache, "one").await, "one that is in use has been looked through each time");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_it_hears_that_their_token_is_named() {
    let cache = vouched_for();
    cache.invalidation_log().hear(grant("one"));
    let (mut one, mut other) = (found("one"), found("other"));
    (one.grant.login, other.grant.login) = (Some(TokenHash::of("login")), None);
    let since = cache.invalidation_log().number();
    let mut waiting = Box::pin(cache.invalidation_log().until_named(since, &one));
    let mut other_waits = Box::pin(cache.invalidation_log().until_named(since, &other));
    for invalidation in [grant("another"), Invalidation::Everything, grant("another")] {
        assert!(poll!(&mut waiting).is_pending(), "that was before");
        assert!(poll!(&mut other_waits).is_pending());
        cache.invalidation_log().hear(invalidation);
    }
    cache.invalidation_log().hear(Invalidation::Grants(GrantsOf::Login(TokenHash::of("login"))));
    for _ in 0..10 {
        cache.invalidation_log().hear(grant("another"));
    }
    assert!(poll!(&mut waiting).is_ready());
    assert!(poll!(&mut other_waits).is_pending());
    let mut late = Box::pin(
        cache.invalidation_log().until_named(cache.invalidation_log().number() - 11, &one),
    );
    assert!(poll!(&mut late).is_ready(), "what came between the look-up and the wait counts");
    let mut later = Box::pin(cache.invalidation_log().until_named(since, &other));
    assert!(poll!(&mut later).is_ready(), "so does what is not remembered");
}

#[tokio::test(start_paused = true)]
async fn t41_nothing_is_trusted_blindly_for_longer_than_a_second() {
    let cache = TokenCache::that_trusts_for(HOUR);
    look_up(&cache, "one").await;
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(knows(&cache, "one").await);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!knows(&cache, "one").await, "no mark was ever compared");
}

#[tokio::test(start_paused = true)]
async fn t41_a_look_up_is_trusted_as_long_as_marks_are_compared() {
    let cache = vouched_for();
    look_up(&cache, "one").await;
    for _ in 0..1000 {
        tokio::time::advance(Duration::from_millis(400)).await;
        cache.invalidation_log().compared(Instant::now());
        assert!(knows(&cache, "one").await);
    }
    tokio::time::advance(Duration::from_millis(900)).await;
    assert!(!knows(&cache, "one").await, "nothing vouches for it");
    cache.invalidation_log().compared(Instant::now());
    assert!(!knows(&cache, "one").await, "nor for the time in between");
}

#[tokio::test(start_paused = true)]
async fn t41_marks_vouch_from_when_they_were_asked_for() {
    let cache = TokenCache::that_trusts_for(HOUR);
    let asked_at = Instant::now();
    tokio::time::advance(Duration::from_millis(600)).await;
    cache.invalidation_log().compared(asked_at);
    look_up(&cache, "one").await;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!knows(&cache, "one").await);
}

#[tokio::test(start_paused = true)]
async fn t41_no_look_up_is_trusted_for_ever() {
    let cache = vouched_for();
    look_up(&cache, "one").await;
    for _ in 0..HOUR.as_millis() / 400 {
        tokio::time::advance(Duration::from_millis(400)).await;
        cache.invalidation_log().compared(Instant::now());
    }
    assert!(!knows(&cache, "one").await);
}
