//! The port for registered clients.

use portunus_core::{client::Client, store::StoreError};

use super::{
    Backend, RACERS, race,
    records::{MINUTE, NOW, client, client_id},
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
    assert_eq!(stores.clients.find_client(&client_id(2)).await.unwrap(), Some(client(2)), "another client");
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

pub async fn one_of_many_inserts_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let outcomes = race(|_| {
        let clients = stores.clients.clone();
        async move { clients.insert_client(&client(1)).await }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Conflict))).count();
    assert_eq!(refused, RACERS - 1);
}
