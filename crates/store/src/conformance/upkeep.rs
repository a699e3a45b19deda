//! The port for care of the store as a whole. That something was deleted, and not merely expired,
//! is seen by asking for it at a time when it had not expired yet.

use portunus_core::{
    Timestamp,
    client::Client,
    refresh::{PresentedRefresh, RefreshStatus},
    signin::{Login, ProviderRequest, Transaction},
    token::AuthorizationCode,
};

use super::{
    Backend,
    records::{
        HOUR, MINUTE, NOW, TICK, access, change, client, client_id, code, family, granted, hash,
        login, provider_request, refresh_key, transaction, user,
    },
};

/// Before every client's creation: purges no client.
const LONG_AGO: Timestamp = Timestamp::from_millis(0);

pub async fn well<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for _ in 0..3 {
        stores.upkeep.ping().await.unwrap();
    }
    assert_eq!(stores.upkeep.purge(NOW, NOW).await.unwrap(), 0);
}

pub async fn expired_is_deleted<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let end = NOW + MINUTE;
    stores.logins.insert_login(&user(1), &Login { expires_at: end, ..login(1) }).await.unwrap();
    stores
        .transactions
        .insert_transaction(&Transaction { expires_at: end, ..transaction(1) })
        .await
        .unwrap();
    stores
        .transactions
        .insert_provider_request(&ProviderRequest { expires_at: end, ..provider_request(1) })
        .await
        .unwrap();
    stores.grants.insert_code(&AuthorizationCode { expires_at: end, ..code(1) }).await.unwrap();
    assert_eq!(
        stores.upkeep.purge(end - TICK, LONG_AGO).await.unwrap(),
        0,
        "nothing has expired yet"
    );
    assert_eq!(stores.upkeep.purge(end, LONG_AGO).await.unwrap(), 4);

    assert_eq!(stores.logins.take_login(&login(1).id).await.unwrap(), None);
    assert_eq!(stores.transactions.find_transaction(&transaction(1).id, NOW).await.unwrap(), None);
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(1).state, NOW).await.unwrap(),
        None
    );
    assert_eq!(stores.grants.find_code(&hash("code", 1), NOW).await.unwrap(), None);
    assert_eq!(stores.upkeep.purge(end, LONG_AGO).await.unwrap(), 0);
}

pub async fn living_is_left_alone<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    stores.transactions.insert_transaction(&transaction(1)).await.unwrap();
    stores.transactions.insert_provider_request(&provider_request(1)).await.unwrap();
    assert_eq!(stores.upkeep.purge(NOW, LONG_AGO).await.unwrap(), 0);
    assert!(stores.logins.find_login(&login(1).id, NOW).await.unwrap().is_some());
    assert!(stores.transactions.take_transaction(&transaction(1).id, NOW).await.unwrap().is_some());
    assert!(
        stores
            .transactions
            .take_provider_request(&provider_request(1).state, NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        stores.grants.find_code(&hash("code", 1), NOW).await.unwrap().unwrap().redeemed,
        Some(grant.id)
    );
    assert!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().is_some());
    assert!(stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap().is_some());
}

pub async fn refresh_tokens_stay_until_the_last_one_expires<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let (first, later) = (family(1, &grant), NOW + 2 * HOUR);
    let exchange = change(Some(&first), 2, &grant, later);
    assert!(stores.grants.change_family(&exchange).await.unwrap());
    let end = exchange.after.expires_at;
    for now in [first.expires_at, end - TICK] {
        stores.upkeep.purge(now, LONG_AGO).await.unwrap();
        let found = stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap().unwrap();
        let used = PresentedRefresh::parse(first.token().expose()).unwrap();
        let expected = RefreshStatus::Used { generations: 1, at: Some(later) };
        assert_eq!(found.status(&used), expected, "its reuse could no longer be seen");
        assert_eq!(
            stores.grants.find_grant(&grant.id).await.unwrap(),
            Some(grant.clone()),
            "a grant stays with its tokens"
        );
    }
    stores.upkeep.purge(end, LONG_AGO).await.unwrap();
    assert_eq!(stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_grant(&grant.id).await.unwrap(), None);
}

pub async fn grant_goes_with_its_last_token<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    stores.upkeep.purge(access(1, &grant).expires_at, LONG_AGO).await.unwrap();
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_grant(&grant.id).await.unwrap(), Some(grant.clone()));
    let deleted = stores.upkeep.purge(family(1, &grant).expires_at, LONG_AGO).await.unwrap();
    assert_eq!(deleted, 3, "the refresh tokens, the code, and the grant");
    assert_eq!(stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_grant(&grant.id).await.unwrap(), None);
}

pub async fn unused_clients_go<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for (n, created_at) in [(1, NOW), (2, NOW + MINUTE), (3, NOW)] {
        stores.clients.insert_client(&Client { created_at, ..client(n) }).await.unwrap();
    }
    stores.clients.touch_client(&client_id(3), NOW).await.unwrap();
    assert_eq!(
        stores.upkeep.purge(NOW, NOW).await.unwrap(),
        0,
        "created at the time, not before it"
    );
    assert_eq!(stores.upkeep.purge(NOW, NOW + TICK).await.unwrap(), 1);
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), None);
    assert!(stores.clients.find_client(&client_id(2)).await.unwrap().is_some(), "registered later");
    assert!(stores.clients.find_client(&client_id(3)).await.unwrap().is_some(), "used once");
    assert_eq!(stores.clients.count_unused_clients().await.unwrap(), 1);
}
