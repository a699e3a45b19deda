//! The port for sign-ins in flight.

use portunus_core::{
    signin::{ProviderRequest, Transaction},
    store::StoreError,
};

use super::{
    Backend, race,
    records::{HOUR, NOW, TICK, address, hash, provider_request, transaction},
};

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.transactions.insert_transaction(&transaction(n)).await.unwrap();
        let found = stores.transactions.find_transaction(&transaction(n).id, NOW).await.unwrap();
        assert_eq!(found, Some(transaction(n)));
    }
    assert_eq!(stores.transactions.find_transaction(&transaction(2).id, NOW).await.unwrap(), None);
}

pub async fn id_taken<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.transactions.insert_transaction(&transaction(1)).await.unwrap();
    let refused = stores.transactions.insert_transaction(&transaction(1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    stores.transactions.insert_provider_request(&provider_request(1)).await.unwrap();
    let other = ProviderRequest { browser: hash("browser", 2), ..provider_request(1) };
    let refused = stores.transactions.insert_provider_request(&other).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(1).state, NOW).await.unwrap(),
        Some(provider_request(1))
    );
}

pub async fn expire<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.transactions.insert_transaction(&transaction(1)).await.unwrap();
    let (id, end) = (transaction(1).id, transaction(1).expires_at);
    assert!(stores.transactions.find_transaction(&id, end).await.unwrap().is_none());
    assert!(stores.transactions.take_transaction(&id, end).await.unwrap().is_none());
    assert!(stores.transactions.find_transaction(&id, end - TICK).await.unwrap().is_some());
    assert!(stores.transactions.take_transaction(&id, end - TICK).await.unwrap().is_some());
}

pub async fn updated_only_while_there<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let changed =
        Transaction { consented_at: Some(NOW + TICK), expires_at: NOW + HOUR, ..transaction(1) };
    assert!(!stores.transactions.update_transaction(&changed).await.unwrap());
    assert_eq!(
        stores.transactions.find_transaction(&changed.id, NOW).await.unwrap(),
        None,
        "an update is no insert"
    );

    stores.transactions.insert_transaction(&transaction(1)).await.unwrap();
    assert!(stores.transactions.update_transaction(&changed).await.unwrap());
    let late = transaction(1).expires_at + TICK;
    assert_eq!(
        stores.transactions.find_transaction(&changed.id, late).await.unwrap(),
        Some(changed.clone())
    );

    stores.transactions.take_transaction(&changed.id, NOW).await.unwrap();
    assert!(
        !stores.transactions.update_transaction(&changed).await.unwrap(),
        "it was taken meanwhile"
    );
}

pub async fn taken_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.transactions.insert_transaction(&transaction(n)).await.unwrap();
    }
    let id = transaction(0).id;
    assert_eq!(stores.transactions.take_transaction(&id, NOW).await.unwrap(), Some(transaction(0)));
    assert_eq!(stores.transactions.take_transaction(&id, NOW).await.unwrap(), None);
    assert_eq!(stores.transactions.find_transaction(&id, NOW).await.unwrap(), None);
    assert!(
        stores.transactions.find_transaction(&transaction(1).id, NOW).await.unwrap().is_some(),
        "another one"
    );
}

/// What one address has begun and not finished has a bound, and the oldest go first (threat 63).
pub async fn the_oldest_of_an_address_go_first<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let of = |n: u32, from: Option<u32>| Transaction {
        begun_from: from.map(address),
        created_at: NOW + TICK * n,
        ..transaction(n)
    };
    for n in 0..6 {
        stores.transactions.insert_transaction(&of(n, Some(1))).await.unwrap();
    }
    for (n, from) in [(6, Some(2)), (7, None)] {
        stores.transactions.insert_transaction(&of(n, from)).await.unwrap();
    }
    stores.transactions.take_transaction(&transaction(5).id, NOW).await.unwrap();
    let prolonged = Transaction { expires_at: NOW + HOUR, ..of(1, Some(1)) };
    assert!(stores.transactions.update_transaction(&prolonged).await.unwrap());
    assert_eq!(
        stores.transactions.trim_transactions(&address(1), 5).await.unwrap(),
        0,
        "what is over does not count"
    );
    assert_eq!(stores.transactions.trim_transactions(&address(1), 3).await.unwrap(), 2);
    for (n, is_left) in
        [(0, false), (1, false), (2, true), (3, true), (4, true), (6, true), (7, true)]
    {
        let found = stores.transactions.find_transaction(&transaction(n).id, NOW).await.unwrap();
        assert_eq!(found.is_some(), is_left, "{n}");
    }
}

pub async fn provider_request_taken_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.transactions.insert_provider_request(&provider_request(n)).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(
            stores
                .transactions
                .find_provider_request(&provider_request(0).state, NOW)
                .await
                .unwrap(),
            Some(provider_request(0)),
            "a look takes nothing out"
        );
    }
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(0).state, NOW).await.unwrap(),
        Some(provider_request(0))
    );
    assert_eq!(
        stores.transactions.find_provider_request(&provider_request(0).state, NOW).await.unwrap(),
        None
    );
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(0).state, NOW).await.unwrap(),
        None
    );
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(1).state, NOW).await.unwrap(),
        Some(provider_request(1)),
        "another one"
    );
}

pub async fn provider_request_expires<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.transactions.insert_provider_request(&provider_request(1)).await.unwrap();
    let end = provider_request(1).expires_at;
    assert!(
        stores
            .transactions
            .find_provider_request(&provider_request(1).state, end)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        stores
            .transactions
            .find_provider_request(&provider_request(1).state, end - TICK)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        stores
            .transactions
            .take_provider_request(&provider_request(1).state, end)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        stores
            .transactions
            .take_provider_request(&provider_request(1).state, end - TICK)
            .await
            .unwrap()
            .is_some()
    );
}

pub async fn one_of_many_takers_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.transactions.insert_transaction(&transaction(1)).await.unwrap();
    let outcomes = race(|_| {
        let transactions = stores.transactions.clone();
        async move { transactions.take_transaction(&transaction(1).id, NOW).await.unwrap() }
    })
    .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<_>>(), [transaction(1)]);
}

pub async fn one_of_many_takers_of_a_provider_request_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.transactions.insert_provider_request(&provider_request(1)).await.unwrap();
    let outcomes =
        race(|_| {
            let transactions = stores.transactions.clone();
            async move {
                transactions.take_provider_request(&provider_request(1).state, NOW).await.unwrap()
            }
        })
        .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<_>>(), [provider_request(1)]);
}
