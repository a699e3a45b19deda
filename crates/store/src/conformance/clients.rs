//! The port for registered clients.

use std::collections::BTreeSet;

use portunus_core::{
    client::Client,
    store::{ClientDeletion, StoreError},
    token::AuthorizationCode,
};

use super::{
    Backend, RACERS, race,
    records::{
        MINUTE, NOW, TICK, address, client, client_id, code, consent, grant, granted, hash,
        resources, user,
    },
};

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.clients.insert_client(&client(n)).await.unwrap();
        assert_eq!(stores.clients.find_client(&client_id(n)).await.unwrap(), Some(client(n)));
    }
    let used = Client { last_used_at: Some(NOW), ..client(2) };
    stores.clients.insert_client(&used).await.unwrap();
    assert_eq!(stores.clients.find_client(&client_id(2)).await.unwrap(), Some(used));
}

pub async fn id_taken<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.clients.insert_client(&client(1)).await.unwrap();
    let other = Client { name: Some("Another".to_owned()), ..client(1) };
    let refused = stores.clients.insert_client(&other).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), Some(client(1)));
}

pub async fn absent<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), None);
    // A client known by its metadata document or the configuration is used without being stored.
    stores.clients.touch_client(&client_id(1), NOW).await.unwrap();
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), None);
}

pub async fn touched<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [1, 2] {
        stores.clients.insert_client(&client(n)).await.unwrap();
    }
    stores.clients.touch_client(&client_id(1), NOW + MINUTE).await.unwrap();
    let touched = Client { last_used_at: Some(NOW + MINUTE), ..client(1) };
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), Some(touched));
    assert_eq!(
        stores.clients.find_client(&client_id(2)).await.unwrap(),
        Some(client(2)),
        "another client"
    );
}

pub async fn listed_newest_first<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [1, 2, 3] {
        let created_at = NOW + MINUTE * (n % 3);
        stores.clients.insert_client(&Client { created_at, ..client(n) }).await.unwrap();
    }
    stores.clients.touch_client(&client_id(1), NOW + MINUTE).await.unwrap();
    let listed = stores.clients.list_clients(2).await.unwrap();
    assert_eq!(
        listed.iter().map(|client| client.id.clone()).collect::<Vec<_>>(),
        [client_id(2), client_id(1)]
    );
    assert_eq!(listed[1].last_used_at, Some(NOW + MINUTE));
}

pub async fn updated_only_while_there<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert!(!stores.clients.update_client(&client(1)).await.unwrap());
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), None, "not inserted");
    stores.clients.insert_client(&client(1)).await.unwrap();
    stores.clients.touch_client(&client_id(1), NOW + MINUTE).await.unwrap();
    let renamed = Client { name: Some("Another".to_owned()), ..client(1) };
    assert!(stores.clients.update_client(&renamed).await.unwrap());
    let kept = Client { last_used_at: Some(NOW + MINUTE), ..renamed };
    assert_eq!(
        stores.clients.find_client(&client_id(1)).await.unwrap(),
        Some(kept),
        "its use is not forgotten"
    );
}

pub async fn deleted_with_all_it_was_given<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [1, 2] {
        stores.clients.insert_client(&client(n)).await.unwrap();
        granted(&stores, n).await;
        stores.consents.save_consent(&consent(n)).await.unwrap();
    }
    let pending = AuthorizationCode { client: client_id(1), ..code(3) };
    stores.grants.insert_code(&pending).await.unwrap();
    stores.grants.insert_code(&code(4)).await.unwrap();

    let deleted = stores.clients.delete_client(&client_id(1), NOW).await.unwrap();
    assert_eq!(deleted, ClientDeletion { was_there: true, grants_revoked: 1 });
    assert_eq!(stores.clients.find_client(&client_id(1)).await.unwrap(), None);
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);
    assert!(!stores.grants.find_grant(&grant(1).id).await.unwrap().unwrap().is_live(NOW));
    assert_eq!(
        stores.consents.find_consent(&user(1).id, &client_id(1), &resources(1)).await.unwrap(),
        None
    );
    assert_eq!(
        stores.grants.find_code(&pending.hash, NOW).await.unwrap(),
        None,
        "a code on its way"
    );

    assert_eq!(
        stores.clients.find_client(&client_id(2)).await.unwrap(),
        Some(client(2)),
        "another client"
    );
    assert!(
        stores.grants.find_access(&hash("access", 2), NOW).await.unwrap().is_some(),
        "another client's"
    );
    assert!(
        stores
            .consents
            .find_consent(&user(2).id, &client_id(2), &resources(2))
            .await
            .unwrap()
            .is_some()
    );
    assert!(stores.grants.find_code(&hash("code", 4), NOW).await.unwrap().is_some());

    let again = stores.clients.delete_client(&client_id(1), NOW).await.unwrap();
    assert_eq!(again, ClientDeletion { was_there: false, grants_revoked: 0 });
}

pub async fn deleted_though_never_kept<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 1).await;
    let deleted = stores.clients.delete_client(&client_id(1), NOW).await.unwrap();
    assert_eq!(deleted, ClientDeletion { was_there: false, grants_revoked: 1 });
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);
}

pub async fn unused_are_counted<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert_eq!(stores.clients.count_unused_clients().await.unwrap(), 0);
    for n in 0..5 {
        stores.clients.insert_client(&client(n)).await.unwrap();
    }
    stores.clients.touch_client(&client_id(3), NOW).await.unwrap();
    stores.clients.touch_client(&client_id(3), NOW + MINUTE).await.unwrap();
    assert_eq!(stores.clients.count_unused_clients().await.unwrap(), 4);
}

/// Of those that were never used the oldest go first, of the address that has most of them: a flood
/// drives out itself (threat 55).
pub async fn unused_go_oldest_first_of_who_has_most<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let insert = async |n: u32, from: Option<u32>| {
        let client =
            Client { registered_from: from.map(address), created_at: NOW + TICK * n, ..client(n) };
        stores.clients.insert_client(&client).await.unwrap();
    };
    // One honest client long before, a used one and a deleted one of the flood's own address, then
    // the flood, and one more honest one.
    insert(1, Some(1)).await;
    for n in 2..10 {
        insert(n, Some(2)).await;
    }
    insert(10, Some(3)).await;
    stores.clients.touch_client(&client_id(2), NOW).await.unwrap();
    stores.clients.delete_client(&client_id(3), NOW).await.unwrap();
    assert_eq!(stores.clients.trim_unused_clients(8).await.unwrap(), 0, "as many as may be");
    assert_eq!(stores.clients.trim_unused_clients(5).await.unwrap(), 3);
    let left = async || {
        let mut left = Vec::new();
        for n in 1..=10 {
            if stores.clients.find_client(&client_id(n)).await.unwrap().is_some() {
                left.push(n);
            }
        }
        left
    };
    assert_eq!(left().await, [1, 2, 7, 8, 9, 10]);
    // Now each address has one: the oldest of all goes.
    stores.clients.trim_unused_clients(2).await.unwrap();
    assert_eq!(left().await, [2, 9, 10], "each in turn, and none that was used");
    stores.clients.trim_unused_clients(0).await.unwrap();
    assert_eq!((left().await, stores.clients.count_unused_clients().await.unwrap()), (vec![2], 0));
}

pub async fn unused_ones_without_an_address_go_too<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in 1..5 {
        let client = Client { registered_from: None, created_at: NOW + TICK * n, ..client(n) };
        stores.clients.insert_client(&client).await.unwrap();
    }
    assert_eq!(stores.clients.trim_unused_clients(1).await.unwrap(), 3);
    assert!(stores.clients.find_client(&client_id(4)).await.unwrap().is_some(), "the newest");
}

pub async fn one_of_many_inserts_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let outcomes = race(|_| {
        let clients = stores.clients.clone();
        async move { clients.insert_client(&client(1)).await }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Conflict))).count();
    assert_eq!(refused, RACERS - 1);
}

pub async fn configured_ones_are_remembered_by_id<B: Backend>() {
    let backend = B::fresh().await;
    {
        let stores = backend.open().await;
        assert_eq!(
            stores.clients.configured_clients().await.unwrap(),
            BTreeSet::new(),
            "nothing at first"
        );
        for ids in [
            BTreeSet::from([client_id(1), client_id(2)]),
            BTreeSet::new(),
            BTreeSet::from([client_id(2), client_id(3)]),
        ] {
            stores.clients.remember_configured(&ids).await.unwrap();
            assert_eq!(stores.clients.configured_clients().await.unwrap(), ids);
        }
        assert_eq!(
            stores.clients.find_client(&client_id(2)).await.unwrap(),
            None,
            "they are not kept"
        );
    }
    let stores = backend.open().await;
    let after_a_restart = stores.clients.configured_clients().await.unwrap();
    assert_eq!(after_a_restart, BTreeSet::from([client_id(2), client_id(3)]));
}
