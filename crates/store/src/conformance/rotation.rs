//! The port for grants: the exchange of refresh tokens (threat 17). Codes and access tokens are in [`super::grants`].

use std::{sync::Arc, time::Duration};

use portunus_core::{
    grant::Grant,
    secret::TokenHash,
    store::{GrantStore, Rotated, Rotation, StoreError, Stores},
    token::{AccessToken, FoundRefresh},
};

use super::{
    Backend, RACERS, race,
    records::{GRACE, HOUR, NOW, TICK, access, granted, hash, refresh, rotation, scopes, successor_secret},
};

async fn rotate(stores: &Stores, used: u32, rotation: &Rotation) -> Rotated {
    stores.grants.rotate_refresh(&hash("refresh", used), rotation).await.unwrap()
}

async fn find_refresh(stores: &Stores, n: u32) -> Option<FoundRefresh> {
    stores.grants.find_refresh(&hash("refresh", n), NOW).await.unwrap()
}

async fn has_access(stores: &Stores, n: u32) -> bool {
    stores.grants.find_access(&hash("access", n), NOW).await.unwrap().is_some()
}

pub async fn first_use_keeps_successor_and_access<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let later = NOW + HOUR;
    let narrow = AccessToken { scopes: scopes("narrow"), expires_at: later + HOUR, ..access(2, &grant) };
    let rotation = Rotation { access: narrow.clone(), ..rotation(2, &grant, later) };
    assert_eq!(rotate(&stores, 1, &rotation).await, Rotated::Fresh);

    let used = FoundRefresh { token: refresh(1, &grant), grant: grant.clone(), used_at: Some(later) };
    assert_eq!(find_refresh(&stores, 1).await, Some(used));
    let successor = FoundRefresh { token: refresh(2, &grant), grant: grant.clone(), used_at: None };
    assert_eq!(find_refresh(&stores, 2).await, Some(successor));
    let found = stores.grants.find_access(&hash("access", 2), later).await.unwrap().unwrap();
    assert_eq!((found.token, found.grant), (narrow, grant));
    assert!(has_access(&stores, 1).await, "the earlier access token lives out its time");
}

pub async fn repeated_within_grace<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    assert_eq!(rotate(&stores, 1, &rotation(2, &grant, NOW)).await, Rotated::Fresh);
    for (n, now) in [(3, NOW), (4, NOW + GRACE - TICK), (5, NOW - TICK)] {
        let repeated = rotate(&stores, 1, &rotation(n, &grant, now)).await;
        assert_eq!(repeated, Rotated::Repeated { successor_secret: successor_secret(2) }, "{n}");
        assert!(has_access(&stores, n).await, "the new access token {n} is kept");
        assert_eq!(find_refresh(&stores, n).await, None, "the new successor {n} is not kept");
    }
    assert_eq!(find_refresh(&stores, 1).await.unwrap().used_at, Some(NOW), "repeating does not prolong the grace");
}

pub async fn reused_after_grace<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    assert_eq!(rotate(&stores, 1, &rotation(2, &grant, NOW)).await, Rotated::Fresh);
    for (n, now) in [(3, NOW + GRACE), (4, NOW + HOUR)] {
        assert_eq!(rotate(&stores, 1, &rotation(n, &grant, now)).await, Rotated::Reused(grant.id.clone()));
        assert!(!has_access(&stores, n).await, "access token {n} was written");
        assert_eq!(find_refresh(&stores, n).await, None, "successor {n} was written");
    }
    assert!(has_access(&stores, 1).await, "revoking is the caller's decision");
    assert_eq!(rotate(&stores, 1, &rotation(5, &grant, refresh(1, &grant).expires_at)).await, Rotated::Unknown, "expired");
}

pub async fn no_grace_at_all<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let strict = |n| Rotation { grace: Duration::ZERO, ..rotation(n, &grant, NOW) };
    assert_eq!(rotate(&stores, 1, &strict(2)).await, Rotated::Fresh);
    assert_eq!(rotate(&stores, 1, &strict(3)).await, Rotated::Reused(grant.id.clone()));
}

pub async fn nothing_to_rotate<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    assert_eq!(rotate(&stores, 9, &rotation(2, &grant, NOW)).await, Rotated::Unknown);
    let end = refresh(1, &grant).expires_at;
    assert_eq!(rotate(&stores, 1, &rotation(2, &grant, end)).await, Rotated::Unknown);
    assert!(!has_access(&stores, 2).await);
    assert_eq!(find_refresh(&stores, 2).await, None);
    assert_eq!(find_refresh(&stores, 1).await.unwrap().used_at, None);
    assert_eq!(rotate(&stores, 1, &rotation(2, &grant, end - TICK)).await, Rotated::Fresh);
}

pub async fn revoked_is_unknown<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    assert_eq!(rotate(&stores, 1, &rotation(2, &grant, NOW)).await, Rotated::Fresh);
    stores.grants.revoke_grant(&grant.id, NOW).await.unwrap();
    for used in [1, 2] {
        assert_eq!(rotate(&stores, used, &rotation(3, &grant, NOW)).await, Rotated::Unknown, "{used}");
    }
    assert_eq!(rotate(&stores, 1, &rotation(3, &grant, NOW + GRACE)).await, Rotated::Unknown);
    assert_eq!(find_refresh(&stores, 3).await, None);
    assert_eq!(find_refresh(&stores, 2).await.unwrap().used_at, None);
}

pub async fn failed_rotation_is_undone<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    // The hash of access token 1 is taken.
    let clashing = Rotation { access: access(1, &grant), ..rotation(2, &grant, NOW) };
    let refused = stores.grants.rotate_refresh(&hash("refresh", 1), &clashing).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(find_refresh(&stores, 2).await, None);
    assert_eq!(find_refresh(&stores, 1).await.unwrap().used_at, None);
    assert_eq!(rotate(&stores, 1, &rotation(2, &grant, NOW)).await, Rotated::Fresh);
}

pub async fn chain_of_successors<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    for n in 1..6 {
        assert_eq!(rotate(&stores, n, &rotation(n + 1, &grant, NOW)).await, Rotated::Fresh);
    }
    for n in 1..6 {
        let repeated = rotate(&stores, n, &rotation(100 + n, &grant, NOW)).await;
        assert_eq!(repeated, Rotated::Repeated { successor_secret: successor_secret(n + 1) });
        let reused = rotate(&stores, n, &rotation(200 + n, &grant, NOW + GRACE)).await;
        assert_eq!(reused, Rotated::Reused(grant.id.clone()));
    }
    assert_eq!(rotate(&stores, 6, &rotation(7, &grant, NOW + GRACE)).await, Rotated::Fresh, "the last one is unused");
}

pub async fn one_of_many_rotations_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    race_to_rotate(&[stores]).await;
}

pub async fn one_of_many_rotations_at_two_gateways_wins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    race_to_rotate(&gateways).await;
}

/// Without a grace window nobody is given the winner's successor, however close they were.
pub async fn one_of_many_rotations_without_grace_wins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let grant = granted(&gateways[0], 1).await;
    let outcomes = race(|number| {
        let grants = gateways[number % 2].grants.clone();
        let n = 100 + u32::try_from(number).unwrap();
        let strict = Rotation { grace: Duration::ZERO, ..rotation(n, &grant, NOW) };
        async move { (n, grants.rotate_refresh(&hash("refresh", 1), &strict).await.unwrap()) }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|(_, rotated)| *rotated == Rotated::Fresh).count(), 1);
    let reused = Rotated::Reused(grant.id.clone());
    assert_eq!(outcomes.iter().filter(|(_, rotated)| *rotated == reused).count(), RACERS - 1);
    for (n, rotated) in outcomes {
        assert_eq!(has_access(&gateways[0], n).await, rotated == Rotated::Fresh, "access token {n}");
    }
}

async fn race_to_rotate(gateways: &[Stores]) {
    let grant = granted(&gateways[0], 1).await;
    let outcomes = race(|number| {
        let grants = gateways[number % gateways.len()].grants.clone();
        let n = 100 + u32::try_from(number).unwrap();
        attempt(grants, n, hash("refresh", 1), grant.clone())
    })
    .await;
    let winners: Vec<u32> =
        outcomes.iter().filter(|(_, rotated)| *rotated == Rotated::Fresh).map(|(number, _)| *number).collect();
    let [winner] = winners[..] else { panic!("won by {winners:?}") };
    let repeated = Rotated::Repeated { successor_secret: successor_secret(winner) };
    assert_eq!(outcomes.iter().filter(|(_, rotated)| *rotated == repeated).count(), RACERS - 1);
    for (number, _) in outcomes {
        assert!(has_access(&gateways[0], number).await, "every racer has an access token");
        assert_eq!(find_refresh(&gateways[0], number).await.is_some(), number == winner, "successor {number}");
    }
}

async fn attempt(grants: Arc<dyn GrantStore>, n: u32, used: TokenHash, grant: Grant) -> (u32, Rotated) {
    (n, grants.rotate_refresh(&used, &rotation(n, &grant, NOW)).await.unwrap())
}
