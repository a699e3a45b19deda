//! The port for people and their browsers' logins.

use portunus_core::{ids::ProviderName, principal::User, signin::Login, store::StoreError};

use super::{
    Backend, RACERS, race,
    records::{HOUR, NOW, TICK, hash, login, user},
};

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
        assert_eq!(
            stores.logins.find_login(&login(n).id, NOW).await.unwrap(),
            Some((login(n), user(n)))
        );
        assert_eq!(stores.logins.find_user(&user(n).id).await.unwrap(), Some(user(n)));
    }
    assert_eq!(stores.logins.find_login(&hash("login", 2), NOW).await.unwrap(), None);
    assert_eq!(stores.logins.find_user(&user(2).id).await.unwrap(), None);
}

pub async fn users_by_what_they_are_called<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let named = |n, email: &str| User { email: Some(email.to_owned()), ..user(n) };
    for described in [
        named(0, "alice@acme.com"),
        named(1, "Alice@ACME.com"),
        named(2, "bob@acme.com"),
        User { email: None, ..user(3) },
    ] {
        stores.logins.insert_user(&described).await.unwrap();
    }
    let found = async |called: &str| {
        let mut ids: Vec<_> = stores
            .logins
            .find_users(called)
            .await
            .unwrap()
            .into_iter()
            .map(|user| user.id)
            .collect();
        ids.sort();
        ids
    };
    let mut all: Vec<_> = stores.logins.list_users().await.unwrap();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let mut expected: Vec<_> = (0..4).map(|n| user(n).id).collect();
    expected.sort();
    assert_eq!(all.into_iter().map(|user| user.id).collect::<Vec<_>>(), expected);
    let mut both = vec![user(0).id, user(1).id];
    both.sort();
    assert_eq!(found("alice@acme.com").await, both, "one address, whoever has it");
    assert_eq!(found(user(3).id.as_str()).await, [user(3).id]);
    assert_eq!(found(&user(2).subject).await, [user(2).id]);
    for nobody in ["alice", "alice@acme", "", "%", "*"] {
        assert_eq!(found(nobody).await, [], "{nobody}");
    }
}

pub async fn the_latest_user_of_a_provider<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let of = |n, provider: &str, at| User {
        provider: ProviderName::from_text(provider),
        signed_in_at: at,
        read_at: None,
        ..user(n)
    };
    for described in [
        of(0, "okta", NOW),
        of(1, "okta", NOW + TICK),
        of(2, "okta", NOW - TICK),
        of(3, "google", NOW + HOUR),
    ] {
        stores.logins.insert_user(&described).await.unwrap();
    }
    let latest = async |provider: &str| {
        stores.logins.latest_user(&ProviderName::from_text(provider)).await.unwrap()
    };
    assert_eq!(latest("okta").await, Some(of(1, "okta", NOW + TICK)));
    assert_eq!(latest("google").await, Some(of(3, "google", NOW + HOUR)));
    assert_eq!(latest("github").await, None);
}

pub async fn id_taken<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let renamed = User { name: Some("Mallory".to_owned()), ..user(1) };
    let refused = stores.logins.insert_login(&renamed, &login(1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let found = stores.logins.find_login(&login(1).id, NOW).await.unwrap();
    assert_eq!(
        found,
        Some((login(1), user(1))),
        "the user was changed though the login was refused"
    );
}

pub async fn expire<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let end = login(1).expires_at;
    assert!(stores.logins.find_login(&login(1).id, end - TICK).await.unwrap().is_some());
    assert!(stores.logins.find_login(&login(1).id, end).await.unwrap().is_none());
    assert!(
        stores.logins.find_user(&user(1).id).await.unwrap().is_some(),
        "people do not expire with their logins"
    );
}

pub async fn user_is_as_last_described<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let moved = User { groups: vec!["sales".to_owned()], signed_in_at: NOW + HOUR, ..user(1) };
    let second = Login { id: hash("login", 99), ..login(1) };
    stores.logins.insert_login(&moved, &second).await.unwrap();
    assert_eq!(
        stores.logins.find_login(&login(1).id, NOW).await.unwrap(),
        Some((login(1), moved.clone()))
    );
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

pub async fn touched_end_later<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
    }
    let (id, end) = (login(1).id, login(1).expires_at);
    assert!(stores.logins.touch_login(&id, NOW + TICK, end + HOUR).await.unwrap());
    let touched = Login { last_seen_at: Some(NOW + TICK), expires_at: end + HOUR, ..login(1) };
    assert_eq!(stores.logins.find_login(&id, end).await.unwrap(), Some((touched.clone(), user(1))));
    assert!(stores.logins.touch_login(&id, NOW, end).await.unwrap());
    assert_eq!(
        stores.logins.find_login(&id, NOW).await.unwrap(),
        Some((touched, user(1))),
        "an earlier note came later"
    );
    assert!(stores.logins.find_login(&login(0).id, end).await.unwrap().is_none(), "another login");
}

pub async fn touching_revives_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let (id, end) = (login(1).id, login(1).expires_at);
    assert!(!stores.logins.touch_login(&id, end, end + HOUR).await.unwrap(), "it had ended");
    assert_eq!(stores.logins.find_login(&id, end).await.unwrap(), None);
    assert!(!stores.logins.touch_login(&hash("login", 2), NOW, end).await.unwrap(), "unknown");
    stores.logins.take_login(&id).await.unwrap();
    assert!(!stores.logins.touch_login(&id, NOW, end + HOUR).await.unwrap(), "it was taken out");
    assert_eq!(stores.logins.find_login(&id, NOW).await.unwrap(), None);
}

pub async fn last_of_many_touches_counts<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let id = login(1).id;
    let touches = race(|number| {
        let (logins, later) = (stores.logins.clone(), TICK * u32::try_from(number).unwrap());
        async move { logins.touch_login(&id, NOW + later, NOW + HOUR + later).await.unwrap() }
    })
    .await;
    assert_eq!(touches, [true; RACERS]);
    let last = TICK * (u32::try_from(RACERS).unwrap() - 1);
    let (found, _) = stores.logins.find_login(&id, NOW).await.unwrap().unwrap();
    assert_eq!((found.last_seen_at, found.expires_at), (Some(NOW + last), NOW + HOUR + last));
}

pub async fn all_of_a_user_are_taken<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
    }
    let second = Login { id: hash("login", 99), ..login(1) };
    stores.logins.insert_login(&user(1), &second).await.unwrap();
    let taken: u64 = race(|_| {
        let logins = stores.logins.clone();
        async move { logins.take_logins(&user(1).id).await.unwrap() }
    })
    .await
    .into_iter()
    .sum();
    assert_eq!(taken, 2, "each was counted once");
    for id in [login(1).id, second.id] {
        assert_eq!(stores.logins.find_login(&id, NOW).await.unwrap(), None);
    }
    assert!(stores.logins.find_login(&login(0).id, NOW).await.unwrap().is_some(), "another user's");
    assert_eq!(
        stores.logins.find_user(&user(1).id).await.unwrap(),
        Some(user(1)),
        "the user stays"
    );
}

pub async fn user_without_a_login<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_user(&user(1)).await.unwrap();
    assert_eq!(stores.logins.find_user(&user(1).id).await.unwrap(), Some(user(1)));
    let moved = User { groups: vec!["sales".to_owned()], ..user(1) };
    stores.logins.insert_user(&moved).await.unwrap();
    assert_eq!(stores.logins.find_user(&user(1).id).await.unwrap(), Some(moved));
}
