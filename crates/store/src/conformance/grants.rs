//! The port for grants: codes, access tokens, revocation. The exchange of refresh tokens is in
//! [`super::rotation`].

use std::sync::Arc;

use portunus_core::{
    Timestamp,
    grant::Grant,
    ids::GrantId,
    principal::User,
    refresh::FoundRefresh,
    signin::Login,
    store::{GrantStore, GrantsOf, Redeemed, StoreError, Stores},
    token::{FoundAccess, FoundCode},
};

use super::{
    Backend, RACERS, race,
    records::{
        HOUR, NOW, TICK, access, code, family, grant, grant_as, granted, hash, login, refresh_key,
        user,
    },
};

pub async fn code_kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        stores.grants.insert_code(&code(n)).await.unwrap();
        let found = stores.grants.find_code(&hash("code", n), NOW).await.unwrap();
        assert_eq!(found, Some(FoundCode { code: code(n), redeemed: None }));
    }
    assert_eq!(stores.grants.find_code(&hash("code", 2), NOW).await.unwrap(), None);
}

pub async fn code_taken<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 1).await;
    let refused = stores.grants.insert_code(&code(1)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let found = stores.grants.find_code(&hash("code", 1), NOW).await.unwrap().unwrap();
    assert_eq!(found.redeemed, Some(grant(1).id), "a redeemed code came back to life");
}

pub async fn code_expires<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    stores.grants.insert_code(&code(1)).await.unwrap();
    let end = code(1).expires_at;
    assert!(stores.grants.find_code(&hash("code", 1), end).await.unwrap().is_none());
    assert_eq!(redeem(&stores, 1, &grant(1), end).await, Redeemed::Unknown);
    assert!(stores.grants.find_code(&hash("code", 1), end - TICK).await.unwrap().is_some());
    assert_eq!(redeem(&stores, 1, &grant(1), end - TICK).await, Redeemed::Fresh);
}

/// A replay ends the grant for as long as that lives (threat 70): so long a redeemed code is
/// remembered, and no longer.
pub async fn a_redeemed_code_is_remembered_as_long_as_its_grant<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    // Grant 2 says when it ends, grant 1 does not.
    for (n, end) in [(1, NOW + 24 * HOUR), (2, NOW + 48 * HOUR)] {
        let grant = granted(&stores, n).await;
        for now in [code(n).expires_at, NOW + HOUR, end - TICK] {
            stores.upkeep.purge(now, Timestamp::from_millis(0)).await.unwrap();
            let found = stores.grants.find_code(&hash("code", n), now).await.unwrap();
            assert_eq!(
                found,
                Some(FoundCode { code: code(n), redeemed: Some(grant.id.clone()) }),
                "{n} at {now}"
            );
        }
        let other = Grant { id: GrantId::from_text("other"), ..grant.clone() };
        let access = access(50, &other);
        let again = stores
            .grants
            .redeem_code(&hash("code", n), &other, &access, None, end - TICK)
            .await
            .unwrap();
        assert_eq!(again, Redeemed::Already(grant.id));
        assert_eq!(stores.grants.find_code(&hash("code", n), end).await.unwrap(), None);
        stores.upkeep.purge(end, Timestamp::from_millis(0)).await.unwrap();
        assert_eq!(stores.grants.find_code(&hash("code", n), NOW).await.unwrap(), None, "deleted");
    }
    // One that became a grant without refresh tokens ends with its access token; one that became
    // nothing in its own time.
    let alone = grant(3);
    stores.logins.insert_login(&user(3), &login(3)).await.unwrap();
    stores.grants.insert_code(&code(3)).await.unwrap();
    stores
        .grants
        .redeem_code(&hash("code", 3), &alone, &access(3, &alone), None, NOW)
        .await
        .unwrap();
    stores.grants.insert_code(&code(4)).await.unwrap();
    stores.upkeep.purge(NOW + HOUR - TICK, Timestamp::from_millis(0)).await.unwrap();
    assert!(stores.grants.find_code(&hash("code", 3), NOW + HOUR - TICK).await.unwrap().is_some());
    assert_eq!(
        stores.grants.find_code(&hash("code", 4), NOW).await.unwrap(),
        None,
        "never redeemed"
    );
    stores.upkeep.purge(NOW + HOUR, Timestamp::from_millis(0)).await.unwrap();
    assert_eq!(stores.grants.find_code(&hash("code", 3), NOW).await.unwrap(), None);
}

/// Redeems code 1 for access token and refresh token `n` of `grant`.
async fn redeem(stores: &Stores, n: u32, grant: &Grant, now: Timestamp) -> Redeemed {
    redeem_at(&stores.grants, n, grant, now).await.unwrap()
}

async fn redeem_at(
    grants: &Arc<dyn GrantStore>,
    n: u32,
    grant: &Grant,
    now: Timestamp,
) -> Result<Redeemed, StoreError> {
    grants
        .redeem_code(&hash("code", 1), grant, &access(n, grant), Some(&family(n, grant)), now)
        .await
}

pub async fn redeeming_keeps_grant_and_tokens<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        let grant = granted(&stores, n).await;
        let found = stores.grants.find_code(&hash("code", n), NOW).await.unwrap();
        assert_eq!(found, Some(FoundCode { code: code(n), redeemed: Some(grant.id.clone()) }));
        assert_eq!(stores.grants.find_grant(&grant.id).await.unwrap(), Some(grant.clone()));
        let found = stores.grants.find_access(&hash("access", n), NOW).await.unwrap();
        assert_eq!(
            found,
            Some(FoundAccess { token: access(n, &grant), grant: grant.clone(), user: user(n) })
        );
        let found = stores.grants.find_refresh(&refresh_key(n), NOW).await.unwrap();
        assert_eq!(
            found,
            Some(FoundRefresh { family: Some(family(n, &grant)), grant, earlier: None })
        );
    }
    assert_eq!(stores.grants.find_access(&hash("access", 2), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_refresh(&refresh_key(2), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_grant(&grant(2).id).await.unwrap(), None);
    // One kind of token is not another.
    assert_eq!(stores.grants.find_access(&hash("refresh", 1), NOW).await.unwrap(), None);
}

pub async fn redeeming_without_refresh<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    stores.grants.insert_code(&code(1)).await.unwrap();
    let grant = grant(1);
    let redeemed = stores
        .grants
        .redeem_code(&hash("code", 1), &grant, &access(1, &grant), None, NOW)
        .await
        .unwrap();
    assert_eq!(redeemed, Redeemed::Fresh);
    assert!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().is_some());
    assert_eq!(stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap(), None);
}

pub async fn redeemed_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let first = granted(&stores, 1).await;
    let second = Grant { id: GrantId::from_text("second"), ..grant(1) };
    assert_eq!(redeem(&stores, 2, &second, NOW).await, Redeemed::Already(first.id.clone()));
    assert_eq!(stores.grants.find_grant(&second.id).await.unwrap(), None);
    assert_eq!(stores.grants.find_access(&hash("access", 2), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_refresh(&refresh_key(2), NOW).await.unwrap(), None);
    assert!(
        stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().is_some(),
        "revoking is the caller's decision"
    );

    stores.grants.revoke_grant(&first.id, NOW).await.unwrap();
    assert_eq!(
        redeem(&stores, 2, &second, NOW).await,
        Redeemed::Already(first.id),
        "revoked, and still redeemed"
    );
}

pub async fn nothing_to_redeem<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    assert_eq!(redeem(&stores, 1, &grant(1), NOW).await, Redeemed::Unknown);
    assert_eq!(stores.grants.find_grant(&grant(1).id).await.unwrap(), None);
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap(), None);
}

pub async fn failed_redeeming_is_undone<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 2).await;
    stores.grants.insert_code(&code(1)).await.unwrap();
    let clashing = Grant { user: user(2).id, ..grant(1) };
    // The hashes of tokens 2 are taken, which is found out only after the grant was written.
    let refused = redeem_at(&stores.grants, 2, &clashing, NOW).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(stores.grants.find_grant(&clashing.id).await.unwrap(), None);
    assert_eq!(
        stores.grants.find_code(&hash("code", 1), NOW).await.unwrap().unwrap().redeemed,
        None
    );
    assert_eq!(redeem(&stores, 1, &clashing, NOW).await, Redeemed::Fresh);
}

pub async fn one_of_many_redeemers_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    race_to_redeem(&[stores]).await;
}

pub async fn one_of_many_redeemers_at_two_gateways_wins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    race_to_redeem(&gateways).await;
}

async fn race_to_redeem(gateways: &[Stores]) {
    gateways[0].logins.insert_login(&user(1), &login(1)).await.unwrap();
    gateways[0].grants.insert_code(&code(1)).await.unwrap();
    let grant_of = |n: u32| Grant { id: GrantId::from_text(format!("racer {n}")), ..grant(1) };
    let outcomes = race(|number| {
        let grants = gateways[number % gateways.len()].grants.clone();
        let n = u32::try_from(number).unwrap();
        let grant = grant_of(n);
        async move { (n, redeem_at(&grants, n, &grant, NOW).await.unwrap()) }
    })
    .await;
    let winners: Vec<u32> = outcomes
        .iter()
        .filter(|(_, redeemed)| *redeemed == Redeemed::Fresh)
        .map(|(number, _)| *number)
        .collect();
    let [winner] = winners[..] else { panic!("won by {winners:?}") };
    let already = Redeemed::Already(grant_of(winner).id);
    assert_eq!(outcomes.iter().filter(|(_, redeemed)| *redeemed == already).count(), RACERS - 1);
    for (number, _) in outcomes {
        let found = gateways[0].grants.find_access(&hash("access", number), NOW).await.unwrap();
        assert_eq!(found.is_some(), number == winner, "access token {number}");
    }
}

pub async fn access_expires<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let end = access(1, &grant).expires_at;
    assert!(stores.grants.find_access(&hash("access", 1), end - TICK).await.unwrap().is_some());
    assert!(stores.grants.find_access(&hash("access", 1), end).await.unwrap().is_none());
    let end = family(1, &grant).expires_at;
    assert!(stores.grants.find_refresh(&refresh_key(1), end - TICK).await.unwrap().is_some());
    assert!(stores.grants.find_refresh(&refresh_key(1), end).await.unwrap().is_none());
}

pub async fn access_gives_the_user_as_last_described<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 1).await;
    let moved = User { groups: vec!["sales".to_owned()], ..user(1) };
    stores.logins.insert_login(&moved, &Login { id: hash("login", 99), ..login(1) }).await.unwrap();
    let found = stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().unwrap();
    assert_eq!(found.user, moved);
}

pub async fn revoking_ends_access<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let (doomed, other) = (granted(&stores, 1).await, granted(&stores, 2).await);
    assert!(stores.grants.revoke_grant(&doomed.id, NOW + TICK).await.unwrap());
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);

    let revoked = Grant { revoked_at: Some(NOW + TICK), ..doomed };
    assert_eq!(stores.grants.find_grant(&revoked.id).await.unwrap(), Some(revoked.clone()));
    let found = stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap().unwrap();
    assert_eq!(
        found.grant, revoked,
        "a refresh token is found, and shows that its grant is revoked"
    );

    assert!(
        stores.grants.find_access(&hash("access", 2), NOW).await.unwrap().is_some(),
        "another grant"
    );
    assert_eq!(stores.grants.find_grant(&other.id).await.unwrap(), Some(other));
}

pub async fn revoked_once<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    assert!(!stores.grants.revoke_grant(&grant(1).id, NOW).await.unwrap(), "unknown");
    granted(&stores, 1).await;
    let outcomes = race(|number| {
        let (grants, at) = (stores.grants.clone(), NOW + TICK * u32::try_from(number).unwrap());
        async move { grants.revoke_grant(&grant(1).id, at).await.unwrap().then_some(at) }
    })
    .await;
    let winners: Vec<_> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let found = stores.grants.find_grant(&grant(1).id).await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(winners[0]), "the time of a revocation does not change");
}

pub async fn listed_newest_first<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let alice = user(1).id;
    stores
        .logins
        .insert_login(&user(1), &Login { id: hash("login", 99), ..login(1) })
        .await
        .unwrap();
    let mut grants = Vec::new();
    for (n, age) in [(10, 3), (11, 1), (12, 2), (13, 4)] {
        let grant = Grant { user: alice.clone(), created_at: NOW - HOUR * age, ..grant(n) };
        grant_as(&stores, n, &grant).await;
        grants.push(grant);
    }
    granted(&stores, 20).await;
    stores.grants.revoke_grant(&grants[2].id, NOW).await.unwrap();

    let [g10, g11, _, g13] = [&grants[0], &grants[1], &grants[2], &grants[3]].map(Clone::clone);
    assert_eq!(
        stores.grants.list_grants(&GrantsOf::User(alice.clone()), 10).await.unwrap(),
        [g11.clone(), g10.clone(), g13]
    );
    assert_eq!(
        stores.grants.list_grants(&GrantsOf::User(alice.clone()), 2).await.unwrap(),
        [g11, g10]
    );
    assert_eq!(stores.grants.list_grants(&GrantsOf::User(alice.clone()), 0).await.unwrap(), []);
    assert_eq!(stores.grants.list_grants(&GrantsOf::User(user(3).id), 10).await.unwrap(), []);
}
