//! The port for refresh tokens of identity providers.

use portunus_core::{
    entropy::SeededEntropy, ids::ProviderName, lifetimes::Lifetimes, provider_token::ProviderToken,
    secret::SecretText, store::Stores,
};

use super::{
    Backend, race,
    records::{HOUR, MINUTE, NOW, TICK, user, user_id},
};

/// That of person `n`.
pub(super) fn token(n: u32) -> ProviderToken {
    let (user, provider) = (user(n), ProviderName::from_text("okta"));
    let (token, lifetimes) = (SecretText::new(format!("rt-{n}-\u{e9}")), Lifetimes::default());
    let entropy = SeededEntropy::new(u64::from(n));
    let begun =
        ProviderToken::begin(&user.id, (&provider, &user.issuer), token, NOW, &lifetimes, &entropy);
    ProviderToken { expires_at: NOW + HOUR, ..begun }
}

async fn find(stores: &Stores, n: u32) -> Option<ProviderToken> {
    stores.provider_tokens.find_provider_token(&user_id(n), NOW).await.unwrap()
}

async fn keep(stores: &Stores, token: &ProviderToken) {
    stores.provider_tokens.keep_provider_token(token).await.unwrap();
}

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(find(&stores, 1).await, None);
    keep(&stores, &token(1)).await;
    keep(&stores, &token(2)).await;
    assert_eq!(find(&stores, 1).await, Some(token(1)));
    assert_eq!(find(&stores, 2).await, Some(token(2)));
    let user = user_id(1);
    let last = stores.provider_tokens.find_provider_token(&user, NOW + HOUR - TICK).await.unwrap();
    assert_eq!(last, Some(token(1)));
    assert_eq!(stores.provider_tokens.find_provider_token(&user, NOW + HOUR).await.unwrap(), None);
}

pub async fn the_newest_takes_the_place<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    keep(&stores, &token(1)).await;
    let newer = ProviderToken { version: 7, token: SecretText::new("newer"), ..token(1) };
    keep(&stores, &newer).await;
    assert_eq!(find(&stores, 1).await, Some(newer.clone()));
    let late = token(1).claimed(NOW);
    let provider_tokens = &stores.provider_tokens;
    assert!(!provider_tokens.change_provider_token(token(1).version, &late).await.unwrap());
    assert_eq!(find(&stores, 1).await, Some(newer));
}

pub async fn changed_only_as_it_was_found<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (found, provider_tokens) = (token(1), &stores.provider_tokens);
    let claimed = found.claimed(NOW);
    assert!(!provider_tokens.change_provider_token(found.version, &claimed).await.unwrap());
    assert_eq!(find(&stores, 1).await, None, "a change begins nothing");
    keep(&stores, &found).await;
    assert!(provider_tokens.change_provider_token(found.version, &claimed).await.unwrap());
    assert!(!provider_tokens.change_provider_token(found.version, &claimed).await.unwrap());
    let rotated = Some(SecretText::new("rotated"));
    let read = claimed.read(rotated, NOW + MINUTE, &Lifetimes::default());
    assert!(provider_tokens.change_provider_token(claimed.version, &read).await.unwrap());
    assert_eq!(find(&stores, 1).await, Some(read.clone()));
    let later = NOW + 2 * HOUR;
    let found = provider_tokens.find_provider_token(&user_id(1), later).await.unwrap();
    assert_eq!(found, Some(read), "it expires when the change says");
}

async fn one_wins<B: Backend>(gateways: usize) {
    let backend = B::fresh().await;
    let mut stores = Vec::new();
    for _ in 0..gateways {
        stores.push(backend.open().await);
    }
    keep(&stores[0], &token(1)).await;
    let outcomes = race(|number| {
        let provider_tokens = stores[number % gateways].provider_tokens.clone();
        let rotated = Some(SecretText::new(format!("rotated by {number}")));
        let (found, lifetimes) = (token(1), Lifetimes::default());
        let after = found.read(rotated, NOW, &lifetimes);
        async move {
            let won = provider_tokens.change_provider_token(found.version, &after).await.unwrap();
            won.then_some(after)
        }
    })
    .await;
    let winners: Vec<_> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(find(&stores[0], 1).await, winners.into_iter().next());
}

pub async fn one_of_many_changes_wins<B: Backend>() {
    one_wins::<B>(1).await;
}

pub async fn one_of_many_changes_at_two_gateways_wins<B: Backend>() {
    one_wins::<B>(2).await;
}

pub async fn deleted_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    keep(&stores, &token(1)).await;
    assert!(stores.provider_tokens.delete_provider_token(&user_id(1)).await.unwrap());
    assert!(!stores.provider_tokens.delete_provider_token(&user_id(1)).await.unwrap());
    assert_eq!(find(&stores, 1).await, None);
}

pub async fn found_after_a_restart_and_purged<B: Backend>() {
    let backend = B::fresh().await;
    keep(&backend.open().await, &token(1)).await;
    let stores = backend.open().await;
    assert_eq!(find(&stores, 1).await, Some(token(1)));
    assert_eq!(stores.upkeep.purge(NOW + HOUR - TICK, NOW).await.unwrap(), 0);
    assert_eq!(stores.upkeep.purge(NOW + HOUR, NOW).await.unwrap(), 1);
    assert_eq!(find(&stores, 1).await, None);
}
