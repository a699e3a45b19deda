//! The port for people and their browsers' logins.

use portunus_core::{principal::User, signin::Login, store::StoreError};

use super::{
    Backend, race,
    records::{HOUR, NOW, TICK, hash, login, user},
};

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
        assert_eq!(stores.logins.find_login(&login(n).id, NOW).await.unwrap(), Some((login(n), user(n))));
        assert_eq!(stores.logins.find_user(&user(n).id).await.unwrap(), Some(user(n)));
    }
    assert_eq!(stores.logins.find_login(&hash("login", 2), NOW).await.unwrap(), None);
    assert_eq!(stores.logins.find_user(&user(2).id).await.unwrap(), None);
}

pub async fn id_taken<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let renamed = User { name: Some("Mallory".to_owned()), ..user(1) };
    let refused = stores.logins.insert_login(&renamed, &login(1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let found = stores.logins.find_login(&login(1).id, NOW).await.unwrap();
    assert_eq!(found, Some((login(1), user(1))), "the user was changed though the login was refused");
}

pub async fn expire<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let end = login(1).expires_at;
    assert!(stores.logins.find_login(&login(1).id, end - TICK).await.unwrap().is_some());
    assert!(stores.logins.find_login(&login(1).id, end).await.unwrap().is_none());
    assert!(stores.logins.find_user(&user(1).id).await.unwrap().is_some(), "people do not expire with their logins");
}

pub async fn user_is_as_last_described<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let moved = User { groups: vec!["sales".to_owned()], signed_in_at: NOW + HOUR, ..user(1) };
    let second = Login { id: hash("login", 99), ..login(1) };
    stores.logins.insert_login(&moved, &second).await.unwrap();
    assert_eq!(stores.logins.find_login(&login(1).id, NOW).await.unwrap(), Some((login(1), moved.clone())));
    assert_eq!(stores.logins.find_login(&second.id, NOW).await.unwrap(), Some((second, moved)));
}

pub async fn taken_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
    }
    assert_eq!(stores.logins.take_login(&login(0).id).await.unwrap(), Some(login(0)));
    assert_eq!(stores.logins.take_login(&login(0).id).await.unwrap(), None);
    assert_eq!(stores.logins.find_login(&login(0).id, NOW).await.unwrap(), None);
    assert!(stores.logins.find_login(&login(1).id, NOW).await.unwrap().is_some(), "another login");
}

pub async fn one_of_many_takers_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(0), &login(0)).await.unwrap();
    let outcomes = race(|_| {
        let logins = stores.logins.clone();
        async move { logins.take_login(&login(0).id).await.unwrap() }
    })
    .await;
    assert_eq!(outcomes.into_iter().flatten().collect::<Vec<_>>(), [login(0)]);
}
