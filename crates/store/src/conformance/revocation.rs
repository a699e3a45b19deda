//! The port for grants: those that no code became, and what ends many grants, or one token, at
//! once. The end of one grant is in [`super::grants`].

use portunus_core::{
    grant::{Consent, Grant},
    store::{GrantsOf, Redeemed, StoreError, Stores},
    token::{AccessToken, AuthorizationCode, FoundAccess},
};

use super::{
    Backend, RACERS, race,
    records::{
        HOUR, NOW, TICK, access, client_id, code, consent, family, grant, grant_as, granted, hash,
        login, resources, rotate, user,
    },
};

pub async fn grant_without_a_code<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_user(&user(1)).await.unwrap();
    let grant = grant(1);
    stores.grants.insert_grant(&grant, &access(1, &grant)).await.unwrap();
    let found = stores.grants.find_access(&hash("access", 1), NOW).await.unwrap();
    assert_eq!(
        found,
        Some(FoundAccess { token: access(1, &grant), grant: grant.clone(), user: user(1) })
    );
    assert_eq!(stores.grants.find_grant(&grant.id).await.unwrap(), Some(grant));
}

pub async fn failed_grant_is_undone<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let first = granted(&stores, 1).await;
    let clashing = AccessToken { hash: hash("access", 1), ..access(2, &grant(2)) };
    stores.logins.insert_user(&user(2)).await.unwrap();
    let refused = stores.grants.insert_grant(&grant(2), &clashing).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(stores.grants.find_grant(&grant(2).id).await.unwrap(), None);
    let refused = stores.grants.insert_grant(&first, &access(3, &first)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(stores.grants.find_access(&hash("access", 3), NOW).await.unwrap(), None);
    let nobodys = Grant { user: user(9).id, ..grant(9) };
    assert!(
        stores.grants.insert_grant(&nobodys, &access(9, &nobodys)).await.is_err(),
        "no such user"
    );
}

pub async fn token_keeps_its_own_resource<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_user(&user(1)).await.unwrap();
    let elsewhere =
        portunus_core::resource::Resource::from_stored("https://gateway.example/mcp/uuid");
    let token = AccessToken { resource: elsewhere, ..access(1, &grant(1)) };
    stores.grants.insert_grant(&grant(1), &token).await.unwrap();
    let found = stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().unwrap();
    assert_eq!((found.token, found.grant), (token, grant(1)));
}

/// Four grants: 10 and 12 of user 1, 12 and 14 of client 2, 10 and 14 given in login 7; each with a
/// code and a consent beside it. And number 20, which has nothing in common with them.
async fn four_grants(stores: &Stores) {
    for n in [1, 5, 7] {
        stores.logins.insert_login(&user(n), &login(n)).await.unwrap();
    }
    for (n, of_user, of_client, of_login) in
        [(10, 1, 1, Some(7)), (12, 1, 2, None), (14, 5, 2, Some(7))]
    {
        let of_login = of_login.map(|n| hash("login", n));
        let (user, client) = (user(of_user).id, client_id(of_client));
        let grant =
            Grant { user: user.clone(), client: client.clone(), login: of_login, ..grant(n) };
        grant_as(stores, n, &grant).await;
        let unredeemed = AuthorizationCode {
            user: user.clone(),
            client: client.clone(),
            login: of_login,
            ..code(100 + n)
        };
        stores.grants.insert_code(&unredeemed).await.unwrap();
        stores.consents.save_consent(&Consent { user, client, ..consent(n) }).await.unwrap();
    }
    granted(stores, 20).await;
    stores.grants.insert_code(&code(120)).await.unwrap();
    stores.consents.save_consent(&consent(20)).await.unwrap();
}

/// Which of them live, going by the access token; the code beside a grant lives and dies with it.
async fn living(stores: &Stores) -> Vec<u32> {
    let mut living = Vec::new();
    for n in [10, 12, 14, 20] {
        let is_live = stores.grants.find_access(&hash("access", n), NOW).await.unwrap().is_some();
        let has_code =
            stores.grants.find_code(&hash("code", 100 + n), NOW).await.unwrap().is_some();
        assert_eq!(is_live, has_code, "{n}");
        let rotated = rotate(stores, n, 200 + n, NOW).await;
        assert_eq!(is_live, rotated, "{n}");
        if is_live {
            living.push(n);
        }
    }
    living
}

async fn consented(stores: &Stores) -> Vec<u32> {
    let mut consented = Vec::new();
    for (n, of_user, of_client) in [(10, 1, 1), (12, 1, 2), (14, 5, 2), (20, 20, 20)] {
        if stores
            .consents
            .find_consent(&user(of_user).id, &client_id(of_client), &resources(n))
            .await
            .unwrap()
            .is_some()
        {
            consented.push(n);
        }
    }
    consented
}

pub async fn revoked_together<B: Backend>() {
    let cases = [
        (GrantsOf::User(user(1).id), 2, vec![14, 20], vec![14, 20]),
        (GrantsOf::Client(client_id(2)), 2, vec![10, 20], vec![10, 20]),
        (GrantsOf::Login(hash("login", 7)), 2, vec![12, 20], vec![10, 12, 14, 20]),
        (GrantsOf::Everyone, 4, vec![], vec![]),
        (GrantsOf::User(user(3).id), 0, vec![10, 12, 14, 20], vec![10, 12, 14, 20]),
    ];
    for (of, expected, left, consents) in cases {
        let backend = B::fresh().await;
        let stores = backend.open().await;
        four_grants(&stores).await;
        assert_eq!(stores.grants.revoke_grants(&of, NOW + TICK).await.unwrap(), expected, "{of:?}");
        assert_eq!(living(&stores).await, left, "{of:?}");
        assert_eq!(consented(&stores).await, consents, "{of:?}");
        assert_eq!(
            stores.grants.revoke_grants(&of, NOW + HOUR).await.unwrap(),
            0,
            "{of:?}: a second time"
        );
        if expected > 0 {
            let revoked = [10, 12, 14, 20].into_iter().find(|n| !left.contains(n)).unwrap();
            let found = stores.grants.find_grant(&grant(revoked).id).await.unwrap().unwrap();
            assert_eq!(found.revoked_at, Some(NOW + TICK), "{of:?}: the first revocation's time");
        }
    }
}

pub async fn listed_by_whose_they_are<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    four_grants(&stores).await;
    let cases = [
        (GrantsOf::User(user(1).id), vec![10, 12]),
        (GrantsOf::Client(client_id(2)), vec![12, 14]),
        (GrantsOf::Login(hash("login", 7)), vec![10, 14]),
        (GrantsOf::Everyone, vec![10, 12, 14, 20]),
        (GrantsOf::Client(client_id(3)), vec![]),
    ];
    for (of, expected) in cases {
        let found = stores.grants.list_grants(&of, 10).await.unwrap();
        let mut ids: Vec<_> = found.into_iter().map(|grant| grant.id).collect();
        ids.sort();
        assert_eq!(ids, expected.into_iter().map(|n| grant(n).id).collect::<Vec<_>>(), "{of:?}");
    }
}

pub async fn revoking_beats_redeeming<B: Backend>() {
    let backend = B::fresh().await;
    let stores = [backend.open().await, backend.open().await];
    stores[0].logins.insert_login(&user(1), &login(1)).await.unwrap();
    let numbers = 0..u32::try_from(RACERS).unwrap();
    for n in numbers.clone() {
        stores[0]
            .grants
            .insert_code(&AuthorizationCode { user: user(1).id, ..code(n) })
            .await
            .unwrap();
    }
    // Every racer redeems a code of its own; one in ten revokes everything of the user afterwards.
    race(|number| {
        let grants = stores[number % 2].grants.clone();
        let n = u32::try_from(number).unwrap();
        let grant = Grant { user: user(1).id, ..grant(n) };
        async move {
            let (access, refresh) = (access(n, &grant), family(n, &grant));
            let redeemed = grants
                .redeem_code(&hash("code", n), &grant, &access, Some(&refresh), NOW)
                .await
                .unwrap();
            assert_ne!(redeemed, Redeemed::Already(grant.id));
            if number % 10 == 0 {
                grants.revoke_grants(&GrantsOf::User(user(1).id), NOW).await.unwrap();
            }
        }
    })
    .await;
    stores[0].grants.revoke_grants(&GrantsOf::User(user(1).id), NOW).await.unwrap();
    for n in numbers {
        assert_eq!(
            stores[1].grants.find_access(&hash("access", n), NOW).await.unwrap(),
            None,
            "{n}"
        );
    }
}

pub async fn one_token_ends_alone<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    assert!(rotate(&stores, 1, 2, NOW).await);
    let outcomes = race(|_| {
        let grants = stores.grants.clone();
        async move { grants.revoke_access(&hash("access", 1)).await.unwrap() }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|ended| **ended).count(), 1);
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);
    assert!(
        stores.grants.find_access(&hash("access", 2), NOW).await.unwrap().is_some(),
        "another token of the grant"
    );
    assert_eq!(
        stores.grants.find_grant(&grant.id).await.unwrap(),
        Some(grant),
        "the grant lives on"
    );
    assert!(!stores.grants.revoke_access(&hash("access", 3)).await.unwrap(), "unknown");
}
