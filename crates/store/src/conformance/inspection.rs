//! Looking through a store finds nothing wrong where nothing is. That planted damage is found is
//! tested beside each store: what can be damaged is particular to it.

use portunus_core::{
    Timestamp,
    store::{GrantsOf, RecordKind},
};

use super::{
    Backend,
    archive::{Crate, assert_furnished, furnish},
    records::{HOUR, MINUTE, NOW, client_id, granted, hash, rotate, user_id},
};

const LONG_AGO: Timestamp = Timestamp::from_millis(0);

async fn assert_clean<B: Backend>(backend: &B, now: Timestamp) {
    let inspection = backend.inspect(now).await;
    assert_eq!(inspection.problems, []);
}

pub async fn nothing_is_wrong_with_what_ports_wrote<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_clean(&backend, NOW).await;
    furnish(&stores).await;
    let inspection = backend.inspect(NOW).await;
    assert_eq!(inspection.problems, []);
    assert_eq!(inspection.records, Crate::of(&stores).await.census());
    // 5 logins, 4 requests at providers, 4 families of refresh tokens, 1 session, 1 refresh token
    // of a provider.
    assert_eq!(inspection.seals, [15]);
    assert_furnished(&stores).await;
    assert_clean(&backend, NOW).await;
    stores.clients.delete_client(&client_id(0), NOW).await.unwrap();
    stores.logins.take_logins(&user_id(2)).await.unwrap();
    stores.grants.revoke_access(&hash("access", 1)).await.unwrap();
    assert_clean(&backend, NOW).await;
    for later in [MINUTE, HOUR, 25 * HOUR, 100 * HOUR] {
        assert_clean(&backend, NOW + later).await;
        stores.upkeep.purge(NOW + later, LONG_AGO).await.unwrap();
        assert_clean(&backend, NOW + later).await;
    }
    stores.grants.revoke_grants(&GrantsOf::Everyone, NOW).await.unwrap();
    assert_clean(&backend, NOW).await;
}

pub async fn nothing_is_wrong_with_what_was_imported<B: Backend>() {
    let (old, new) = (B::fresh().await, B::fresh().await);
    let source = old.open().await;
    furnish(&source).await;
    let stores = new.open().await;
    stores.archive.import(&mut Crate::of(&source).await).await.unwrap();
    assert_clean(&new, NOW).await;
    assert_furnished(&stores).await;
    assert_clean(&new, NOW).await;
}

/// What is in motion is not taken for damage.
pub async fn nothing_is_wrong_with_a_store_in_use<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 1).await;
    let moving = {
        let stores = stores.clone();
        tokio::spawn(async move {
            for next in 100..200 {
                assert!(rotate(&stores, 1, next, NOW).await);
                granted(&stores, 1000 + next).await;
                stores.logins.take_logins(&user_id(1000 + next)).await.unwrap();
            }
        })
    };
    while !moving.is_finished() {
        assert_clean(&backend, NOW).await;
    }
    moving.await.unwrap();
    assert_eq!(backend.inspect(NOW).await.records.of(RecordKind::Grant), 101);
}
