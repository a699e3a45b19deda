//! Each way to revoke, over a real store whose invalidations are not listened to: what is forgotten
//! is forgotten by the decorator.

use std::time::Duration;

use portunus_core::{entropy::SeededEntropy, ids::UserId, secret::SecretText};
use portunus_store::{seal::Sealer, sqlite};
use portunus_testkit::wait::eventually;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::edge::resource_server::cache::tests::{knows, look_up};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

struct Fixture {
    directory: TempDir,
    cache: TokenCache,
    stores: Stores,
}

impl Fixture {
    /// With a look-up of each of two tokens. The grants of both are of one user and one client; the
    /// store knows neither.
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let sealer = Sealer::new(
            &[SecretText::new("a secret of the tests")],
            Arc::new(SeededEntropy::new(1)),
        )
        .unwrap();
        let cache = TokenCache::that_trusts_for(Duration::from_secs(3600));
        let stores = forgetting(
            sqlite::open(&directory.path().join("grants.sqlite"), sealer).unwrap(),
            &cache,
            &Disabled::default(),
        );
        let fixture = Self { directory, cache, stores };
        fixture.looked_up().await;
        fixture
    }

    async fn looked_up(&self) {
        self.cache.invalidation_log().compared(Instant::now());
        for name in ["one", "other"] {
            look_up(&self.cache, name).await;
        }
        assert_eq!(self.known().await, [true, true]);
    }

    async fn known(&self) -> [bool; 2] {
        self.cache.invalidation_log().compared(Instant::now());
        [knows(&self.cache, "one").await, knows(&self.cache, "other").await]
    }
}

#[tokio::test]
async fn t19_each_way_to_revoke_is_forgotten_at_once_and_no_more_than_that() {
    let fixture = Fixture::open().await;
    let Stores { grants, clients, .. } = &fixture.stores;
    grants.revoke_grant(&GrantId::from_text("one"), NOW).await.unwrap();
    assert_eq!(fixture.known().await, [false, true], "a grant");
    fixture.looked_up().await;
    grants.revoke_access(&TokenHash::of("one")).await.unwrap();
    assert_eq!(fixture.known().await, [false, true], "an access token");
    for of in [
        GrantsOf::User(UserId::from_text("user")),
        GrantsOf::Client(ClientId::from_text("client")),
        GrantsOf::Everyone,
    ] {
        fixture.looked_up().await;
        grants.revoke_grants(&of, NOW).await.unwrap();
        assert_eq!(fixture.known().await, [false, false], "{of:?}");
    }
    fixture.looked_up().await;
    clients.delete_client(&ClientId::from_text("another"), NOW).await.unwrap();
    assert_eq!(fixture.known().await, [true, true], "another client");
    clients.delete_client(&ClientId::from_text("client"), NOW).await.unwrap();
    assert_eq!(fixture.known().await, [false, false], "a client");
}

#[tokio::test]
async fn t41_a_made_up_token_pushes_nothing_out() {
    let fixture = Fixture::open().await;
    let before = fixture.cache.invalidation_log().number();
    for n in 0..10 {
        fixture.stores.grants.revoke_access(&TokenHash::of(&format!("made up {n}"))).await.unwrap();
    }
    assert_eq!(fixture.cache.invalidation_log().number(), before);
}

#[tokio::test]
async fn t19_a_store_that_fails_may_have_revoked() {
    let fixture = Fixture::open().await;
    let other = Connection::open(fixture.directory.path().join("grants.sqlite")).unwrap();
    other
        .execute_batch(
            "ALTER TABLE grants RENAME TO gone; ALTER TABLE access_tokens RENAME TO gone_too",
        )
        .unwrap();
    fixture.stores.grants.revoke_grant(&GrantId::from_text("one"), NOW).await.unwrap_err();
    assert_eq!(fixture.known().await, [false, true]);
    fixture.looked_up().await;
    fixture.stores.grants.revoke_access(&TokenHash::of("one")).await.unwrap_err();
    assert_eq!(fixture.known().await, [false, true]);
}

#[tokio::test]
async fn t19_a_request_that_is_given_up_revokes_all_the_same() {
    let fixture = Fixture::open().await;
    let one = GrantId::from_text("one");
    let mut given_up = Box::pin(fixture.stores.grants.revoke_grant(&one, NOW));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    eventually("it is forgotten", async || fixture.known().await == [false, true]).await;
}
