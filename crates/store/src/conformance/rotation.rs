//! The port for grants: the exchange of refresh tokens (threat 17). Which exchange is asked for is
//! decided in `portunus_core`; here is that it happens once, or not at all, and what it costs.
//! Codes and access tokens are in [`super::grants`].

use std::sync::Arc;

use portunus_core::{
    Timestamp,
    grant::Grant,
    ids::GrantId,
    refresh::{
        EarlierRefresh, FoundRefresh, PresentedRefresh, RefreshFamily, RefreshKey, RefreshStatus,
    },
    secret::TokenHash,
    store::{
        FamilyChange, GrantStore, GrantWithTokens, Record, RecordKind, StoreError, StoredRefresh,
        Stores, UsedRefresh,
    },
    token::{AccessToken, RefreshToken},
};

use super::{
    Backend, RACERS,
    archive::Crate,
    race,
    records::{
        HOUR, MINUTE, NOW, TICK, access, change, family, grant, granted, hash, login, refresh_key,
        scopes, user,
    },
};

async fn find_refresh(stores: &Stores, n: u32) -> Option<FoundRefresh> {
    stores.grants.find_refresh(&refresh_key(n), NOW).await.unwrap()
}

async fn has_access(stores: &Stores, n: u32) -> bool {
    stores.grants.find_access(&hash("access", n), NOW).await.unwrap().is_some()
}

/// The current token of a family, as its client sends it.
fn presented(family: &RefreshFamily) -> PresentedRefresh {
    PresentedRefresh::parse(family.token().expose()).unwrap()
}

pub async fn an_exchange_keeps_family_and_access<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let first = family(1, &grant);
    let found = FoundRefresh { grant: grant.clone(), family: Some(first.clone()), earlier: None };
    assert_eq!(find_refresh(&stores, 1).await, Some(found.clone()));

    let later = NOW + HOUR;
    let exchange = change(Some(&first), 2, &grant, later);
    let narrow = AccessToken { scopes: scopes("narrow"), ..exchange.access.clone() };
    let exchange = FamilyChange { access: narrow.clone(), ..exchange };
    assert!(stores.grants.change_family(&exchange).await.unwrap());
    let rotated = find_refresh(&stores, 1).await.unwrap();
    assert_eq!(rotated, FoundRefresh { family: Some(exchange.after.clone()), ..found });
    assert_eq!(
        rotated.status(&presented(&first)),
        RefreshStatus::Used { generations: 1, at: Some(later) }
    );
    assert_eq!(rotated.status(&presented(&exchange.after)), RefreshStatus::Current);
    let found = stores.grants.find_access(&hash("access", 2), later).await.unwrap().unwrap();
    assert_eq!((found.token, found.grant), (narrow, grant));
    assert!(has_access(&stores, 1).await, "the earlier access token lives out its time");
    let end = exchange.after.expires_at;
    assert!(
        stores.grants.find_refresh(&refresh_key(1), end - TICK).await.unwrap().is_some(),
        "from its use anew"
    );
    assert_eq!(stores.grants.find_refresh(&refresh_key(1), end).await.unwrap(), None);
}

pub async fn the_family_of_a_grant<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let first_grant = granted(&stores, 1).await;
    let first = family(1, &first_grant);
    let found =
        FoundRefresh { grant: first_grant.clone(), family: Some(first.clone()), earlier: None };
    assert_eq!(stores.grants.find_family(&first_grant.id).await.unwrap(), Some(found.clone()));
    let exchange = change(Some(&first), 2, &first_grant, NOW);
    assert!(stores.grants.change_family(&exchange).await.unwrap());
    let found = FoundRefresh { family: Some(exchange.after), ..found };
    assert_eq!(stores.grants.find_family(&first_grant.id).await.unwrap(), Some(found));
    stores.grants.revoke_grant(&first_grant.id, NOW).await.unwrap();
    let revoked = stores.grants.find_family(&first_grant.id).await.unwrap();
    assert_eq!(
        revoked.and_then(|found| found.grant.revoked_at),
        Some(NOW),
        "it is told of a revoked one too"
    );
    let other = grant(3);
    stores.logins.insert_user(&user(3)).await.unwrap();
    stores.grants.insert_grant(&other, &access(3, &other)).await.unwrap();
    let alone = FoundRefresh { grant: other.clone(), family: None, earlier: None };
    assert_eq!(stores.grants.find_family(&other.id).await.unwrap(), Some(alone));
    assert_eq!(
        stores.grants.find_family(&GrantId::from_text("ptn_grant_unknown")).await.unwrap(),
        None
    );
}

pub async fn a_family_changes_only_as_it_was_found<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let first = family(1, &grant);
    let second = change(Some(&first), 2, &grant, NOW);
    assert!(stores.grants.change_family(&second).await.unwrap());
    for stale in [change(Some(&first), 3, &grant, NOW), change(None, 3, &grant, NOW)] {
        assert!(!stores.grants.change_family(&stale).await.unwrap());
        assert!(!has_access(&stores, 3).await, "nothing was written");
    }
    assert_eq!(find_refresh(&stores, 1).await.unwrap().family, Some(second.after.clone()));
    // Another access token in the same generation.
    let mut after = second.after.clone();
    after.state.began_at = NOW - TICK;
    let beside = FamilyChange {
        before: Some(second.after.clone()),
        after,
        access: access(4, &grant),
        now: NOW,
    };
    assert!(stores.grants.change_family(&beside).await.unwrap());
    assert!(
        !stores.grants.change_family(&change(Some(&second.after), 5, &grant, NOW)).await.unwrap()
    );
    assert!(
        stores.grants.change_family(&change(Some(&beside.after), 5, &grant, NOW)).await.unwrap()
    );
    for n in [2, 4, 5] {
        assert!(has_access(&stores, n).await, "{n}");
    }
}

pub async fn nothing_to_exchange<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 1).await;
    assert_eq!(find_refresh(&stores, 9).await, None);
    assert_eq!(
        stores.grants.find_refresh(&RefreshKey::Earlier(hash("refresh", 1)), NOW).await.unwrap(),
        None
    );
    let unknown = grant(9);
    assert!(
        !stores
            .grants
            .change_family(&change(Some(&family(9, &unknown)), 2, &unknown, NOW))
            .await
            .unwrap()
    );
    assert!(!stores.grants.change_family(&change(None, 2, &unknown, NOW)).await.unwrap());
    assert!(!has_access(&stores, 2).await);
}

pub async fn revoked_changes_no_more<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let second = change(Some(&family(1, &grant)), 2, &grant, NOW);
    assert!(stores.grants.change_family(&second).await.unwrap());
    stores.grants.revoke_grant(&grant.id, NOW).await.unwrap();
    assert!(
        !stores.grants.change_family(&change(Some(&second.after), 3, &grant, NOW)).await.unwrap()
    );
    let found = find_refresh(&stores, 1).await.unwrap();
    assert_eq!((found.family, found.grant.revoked_at), (Some(second.after), Some(NOW)));
    assert!(!has_access(&stores, 3).await);
}

pub async fn failed_exchange_is_undone<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let first = family(1, &grant);
    // The hash of access token 1 is taken.
    let clashing =
        FamilyChange { access: access(1, &grant), ..change(Some(&first), 2, &grant, NOW) };
    let refused = stores.grants.change_family(&clashing).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(find_refresh(&stores, 1).await.unwrap().family, Some(first.clone()));
    assert!(stores.grants.change_family(&change(Some(&first), 2, &grant, NOW)).await.unwrap());
}

pub async fn one_of_many_exchanges_wins<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    race_to_exchange(&[stores]).await;
}

pub async fn one_of_many_exchanges_at_two_gateways_wins<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    race_to_exchange(&gateways).await;
}

async fn race_to_exchange(gateways: &[Stores]) {
    let grant = granted(&gateways[0], 1).await;
    let first = family(1, &grant);
    let outcomes = race_from(gateways, Some(&first), &grant).await;
    let found = find_refresh(&gateways[0], 1).await.unwrap().family.unwrap();
    assert_eq!(found.state.generation, 1);
    assert_one_won(&gateways[0], &outcomes).await;
}

/// Every racer found the same.
async fn race_from(
    gateways: &[Stores],
    before: Option<&RefreshFamily>,
    grant: &Grant,
) -> Vec<(u32, bool)> {
    race(|number| {
        let grants: Arc<dyn GrantStore> = gateways[number % gateways.len()].grants.clone();
        let n = 100 + u32::try_from(number).unwrap();
        let exchange = change(before, n, grant, NOW);
        async move { (n, grants.change_family(&exchange).await.unwrap()) }
    })
    .await
}

async fn assert_one_won(stores: &Stores, outcomes: &[(u32, bool)]) {
    assert_eq!(outcomes.len(), RACERS);
    assert_eq!(outcomes.iter().filter(|(_, won)| *won).count(), 1);
    for (n, won) in outcomes {
        assert_eq!(has_access(stores, *n).await, *won, "access token {n}");
    }
}

/// Used tokens are not kept: what a grant costs does not depend on how often it was refreshed
/// (FB16).
pub async fn fb16_a_thousand_exchanges_cost_what_ten_do<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = Grant { expires_at: None, ..grant(1) };
    super::records::grant_as(&stores, 1, &grant).await;
    let (first, mut last, mut sizes) = (family(1, &grant), family(1, &grant), Vec::new());
    for n in 1..=1000_u32 {
        // After the first login and the first access token have ended.
        let now = NOW + HOUR + MINUTE * n;
        let exchange = change(Some(&last), 100 + n, &grant, now);
        let access = AccessToken { expires_at: now + TICK, ..exchange.access.clone() };
        assert!(
            stores
                .grants
                .change_family(&FamilyChange { access, ..exchange.clone() })
                .await
                .unwrap()
        );
        last = exchange.after;
        if n == 10 || n == 1000 {
            stores.upkeep.purge(now + TICK, Timestamp::from_millis(0)).await.unwrap();
            let packed = Crate::of(&stores).await;
            let kept = packed
                .portions
                .iter()
                .flatten()
                .find(|record| matches!(record, Record::Grant(_)))
                .unwrap();
            let inspection = backend.inspect(now).await;
            assert_eq!(inspection.problems, []);
            sizes.push((packed.census(), serde_json::to_string(kept).unwrap().len()));
        }
    }
    assert_eq!(sizes[0], sizes[1]);
    assert_eq!(
        (sizes[1].0.of(RecordKind::RefreshToken), sizes[1].0.of(RecordKind::AccessToken)),
        (1, 0)
    );
    let found = stores
        .grants
        .find_refresh(&refresh_key(1), NOW + HOUR + MINUTE * 1000)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(
            found.status(&presented(&first)),
            RefreshStatus::Used { generations: 1000, at: Some(_) }
        ),
        "and it is recognised"
    );
}

fn earlier(n: u32, grant: &Grant, used: Option<Timestamp>) -> StoredRefresh {
    let token = RefreshToken {
        hash: hash("refresh", n),
        grant: grant.id.clone(),
        expires_at: NOW + 24 * HOUR,
    };
    StoredRefresh { token, used: used.map(|at| UsedRefresh { at }) }
}

/// A grant as an earlier version left it: token 1 was exchanged for token 2.
async fn left_by_an_earlier_version(stores: &Stores) -> Grant {
    let grant = grant(1);
    let kept = GrantWithTokens {
        grant: grant.clone(),
        tokens_until: NOW + 24 * HOUR,
        access: vec![access(1, &grant)],
        family: None,
        refresh: vec![earlier(1, &grant, Some(NOW)), earlier(2, &grant, None)],
    };
    let records = vec![Record::User(user(1)), Record::Login(login(1)), Record::Grant(kept)];
    stores
        .archive
        .import(&mut Crate { portions: [records].into(), ..Crate::default() })
        .await
        .unwrap();
    grant
}

pub async fn tokens_of_earlier_versions_are_found_and_become_a_family<B: Backend>() {
    let backend = B::fresh().await;
    let grant = left_by_an_earlier_version(&backend.open().await).await;
    // After a restart.
    let stores = backend.open().await;
    let find = async |n: u32, now| {
        stores.grants.find_refresh(&RefreshKey::Earlier(hash("refresh", n)), now).await.unwrap()
    };
    let expected = |used_at, family| {
        let earlier = Some(EarlierRefresh { expires_at: NOW + 24 * HOUR, used_at });
        Some(FoundRefresh { grant: grant.clone(), family, earlier })
    };
    assert_eq!(find(1, NOW).await, expected(Some(NOW), None));
    assert_eq!(find(2, NOW).await, expected(None, None));
    assert_eq!(find(2, NOW + 24 * HOUR).await, None, "expired");
    let begun = change(None, 3, &grant, NOW);
    assert!(stores.grants.change_family(&begun).await.unwrap());
    assert!(
        !stores.grants.change_family(&change(None, 4, &grant, NOW)).await.unwrap(),
        "it has one"
    );
    assert_eq!(find(1, NOW).await, expected(Some(NOW), Some(begun.after.clone())));
    assert_eq!(find(2, NOW).await, expected(None, Some(begun.after.clone())));
    let key = RefreshKey::Family(begun.after.id);
    let found = stores.grants.find_refresh(&key, NOW).await.unwrap().unwrap();
    assert_eq!((found.family, found.earlier), (Some(begun.after.clone()), None));
    assert!(
        stores.grants.change_family(&change(Some(&begun.after), 4, &grant, NOW)).await.unwrap()
    );
    assert_eq!(backend.inspect(NOW).await.problems, []);
    // They go when they expire, and the grant stays with its family.
    stores.upkeep.purge(NOW + 24 * HOUR - TICK, Timestamp::from_millis(0)).await.unwrap();
    assert!(find(2, NOW).await.is_some());
}

pub async fn one_of_many_makes_the_family_of_an_earlier_grant<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let grant = left_by_an_earlier_version(&gateways[0]).await;
    let outcomes = race_from(&gateways, None, &grant).await;
    assert_one_won(&gateways[0], &outcomes).await;
    assert_eq!(backend.inspect(NOW).await.problems, []);
}

/// A hash is no family, and a family no hash: neither is looked for as the other.
pub async fn a_hash_is_no_family<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let grant = granted(&stores, 1).await;
    let token = family(1, &grant).token();
    let by_hash = stores
        .grants
        .find_refresh(&RefreshKey::Earlier(TokenHash::of(token.expose())), NOW)
        .await
        .unwrap();
    assert_eq!(by_hash, None);
}
