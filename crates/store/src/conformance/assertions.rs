//! The port for used assertions (threat 20).

use super::{
    Backend, race,
    records::{MINUTE, NOW, TICK, hash},
};

pub async fn used_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let end = NOW + MINUTE;
    assert!(stores.assertions.use_once(&hash("assertion", 1), end, NOW).await.unwrap());
    assert!(!stores.assertions.use_once(&hash("assertion", 1), end, NOW).await.unwrap());
    assert!(
        !stores.assertions.use_once(&hash("assertion", 1), end + MINUTE, end - TICK).await.unwrap()
    );
    assert!(
        stores.assertions.use_once(&hash("assertion", 2), end, NOW).await.unwrap(),
        "another one"
    );
}

pub async fn a_refused_use_prolongs_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let end = NOW + MINUTE;
    assert!(stores.assertions.use_once(&hash("assertion", 1), end, NOW).await.unwrap());
    assert!(!stores.assertions.use_once(&hash("assertion", 1), end + MINUTE, NOW).await.unwrap());
    assert!(
        stores.assertions.use_once(&hash("assertion", 1), end + MINUTE, end).await.unwrap(),
        "it had expired"
    );
    assert!(!stores.assertions.use_once(&hash("assertion", 1), end + MINUTE, end).await.unwrap());
}

pub async fn one_of_many_uses_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let outcomes = race(|_| {
        let assertions = stores.assertions.clone();
        async move { assertions.use_once(&hash("assertion", 1), NOW + MINUTE, NOW).await.unwrap() }
    })
    .await;
    assert_eq!(outcomes.into_iter().filter(|first| *first).count(), 1);
}

pub async fn one_of_many_uses_at_two_gateways_wins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let outcomes = race(|number| {
        let assertions = gateways[number % 2].assertions.clone();
        async move { assertions.use_once(&hash("assertion", 1), NOW + MINUTE, NOW).await.unwrap() }
    })
    .await;
    assert_eq!(outcomes.into_iter().filter(|first| *first).count(), 1);
}

pub async fn used_stays_used_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    assert!(
        backend
            .open()
            .await
            .assertions
            .use_once(&hash("assertion", 1), NOW + MINUTE, NOW)
            .await
            .unwrap()
    );
    let stores = backend.open().await;
    assert!(!stores.assertions.use_once(&hash("assertion", 1), NOW + MINUTE, NOW).await.unwrap());
}

pub async fn expired_is_purged<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let end = NOW + MINUTE;
    assert!(stores.assertions.use_once(&hash("assertion", 1), end, NOW).await.unwrap());
    assert_eq!(stores.upkeep.purge(end - TICK, NOW).await.unwrap(), 0);
    assert!(
        !stores.assertions.use_once(&hash("assertion", 1), end, end - TICK).await.unwrap(),
        "not purged yet"
    );
    assert_eq!(stores.upkeep.purge(end, NOW).await.unwrap(), 1);
}
