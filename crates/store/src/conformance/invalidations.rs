//! The port for invalidations: each is counted, and heard where it was posted; all that revokes
//! posts one. That another gateway hears it too is tested beside the stores where it does; all of
//! them count.

use std::time::Duration;

use portunus_core::{
    ids::{NodeId, ProviderName},
    invalidation::{Generation, Invalidation, Posted, Revision},
    principal::{SERVICES, User},
    signin::Login,
    store::{GrantsOf, InvalidationSubscription, Stores},
};

use super::{
    Backend, race,
    records::{NOW, client, client_id, granted, hash, login, rotate, user},
};

/// For what comes at once, unless it never does.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn next(hearing: &mut Box<dyn InvalidationSubscription>) -> Posted {
    let heard = tokio::time::timeout(PATIENCE, hearing.next()).await;
    heard.unwrap_or_else(|_| panic!("nothing is told")).unwrap_or_else(|| panic!("touch was lost"))
}

async fn revision(stores: &Stores) -> Revision {
    stores.invalidations.revision().await.unwrap()
}

pub async fn heard_between_its_marks<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut before = revision(&stores).await;
    assert_eq!(revision(&stores).await, before);
    let mut hearing = stores.invalidations.listen().await.unwrap();
    let generation = Generation { node: NodeId::from_text("node"), fingerprint: "abc".to_owned() };
    let all = [
        Invalidation::Everything,
        Invalidation::Configuration(generation),
        Invalidation::Grants(GrantsOf::Client(client_id(1))),
    ];
    for invalidation in all {
        stores.invalidations.post(&invalidation).await.unwrap();
        let after = revision(&stores).await;
        assert_ne!(after, before);
        assert_eq!(next(&mut hearing).await, Posted { before, invalidation, after: after.clone() });
        before = after;
    }
}

pub async fn what_is_revoked_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.clients.insert_client(&client(0)).await.unwrap();
    let grant = granted(&stores, 0).await;
    let mut hearing = stores.invalidations.listen().await.unwrap();
    let grants = &stores.grants;

    assert!(grants.revoke_access(&hash("access", 0)).await.unwrap());
    assert_eq!(next(&mut hearing).await.invalidation, Invalidation::Access(hash("access", 0)));
    assert!(grants.revoke_grant(&grant.id, NOW).await.unwrap());
    assert_eq!(next(&mut hearing).await.invalidation, Invalidation::Grant(grant.id));
    let whose = [
        GrantsOf::User(user(0).id),
        GrantsOf::Client(client_id(0)),
        GrantsOf::Login(login(0).id),
        GrantsOf::Everyone,
    ];
    for of in whose {
        grants.revoke_grants(&of, NOW).await.unwrap();
        assert_eq!(next(&mut hearing).await.invalidation, Invalidation::Grants(of));
    }
    stores.clients.delete_client(&client_id(0), NOW).await.unwrap();
    assert_eq!(
        next(&mut hearing).await.invalidation,
        Invalidation::Grants(GrantsOf::Client(client_id(0)))
    );
}

pub async fn who_is_described_anew_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut hearing = stores.invalidations.listen().await.unwrap();
    let begun = revision(&stores).await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let again = User { signed_in_at: NOW + Duration::from_secs(60), ..user(1) };
    stores
        .logins
        .insert_login(&user(1), &Login { id: hash("login", 11), ..login(1) })
        .await
        .unwrap();
    stores.logins.insert_user(&user(1)).await.unwrap();
    // A client that acts for itself never signed in.
    let service = User { provider: ProviderName::from_text(SERVICES), ..user(2) };
    stores.logins.insert_user(&service).await.unwrap();
    let later = User { signed_in_at: again.signed_in_at, ..service };
    stores.logins.insert_user(&later).await.unwrap();
    assert_eq!(revision(&stores).await, begun, "tokens say the same as before");

    // Access rules go by when a person signed in.
    stores.logins.insert_login(&again, &Login { id: hash("login", 13), ..login(1) }).await.unwrap();
    stores.logins.insert_user(&user(1)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(
            next(&mut hearing).await.invalidation,
            Invalidation::Grants(GrantsOf::User(user(1).id))
        );
    }

    let moved = User { groups: vec!["another group".to_owned()], ..user(1) };
    stores.logins.insert_login(&moved, &Login { id: hash("login", 12), ..login(1) }).await.unwrap();
    stores.logins.insert_user(&user(1)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(
            next(&mut hearing).await.invalidation,
            Invalidation::Grants(GrantsOf::User(user(1).id))
        );
    }
}

pub async fn the_mark_stays_where_nothing_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let begun = revision(&stores).await;
    granted(&stores, 1).await;
    assert!(rotate(&stores, 1, 2, NOW).await);
    stores.grants.find_access(&hash("access", 1), NOW).await.unwrap();
    stores.logins.take_login(&login(1).id).await.unwrap();
    assert!(!stores.grants.revoke_access(&hash("access", 77)).await.unwrap());
    assert_eq!(revision(&stores).await, begun);
}

pub async fn counted_for_other_gateways_and_later_ones<B: Backend>() {
    let backend = B::fresh().await;
    let begun = {
        let gateways = [backend.open().await, backend.open().await];
        let begun = revision(&gateways[1]).await;
        gateways[0].invalidations.post(&Invalidation::Everything).await.unwrap();
        let after = revision(&gateways[1]).await;
        assert_ne!(after, begun);
        assert_eq!(revision(&gateways[0]).await, after);
        after
    };
    let later = backend.open().await;
    assert_eq!(revision(&later).await, begun, "a restart of the gateway tells nothing");
}

pub async fn none_of_many_is_lost_in_the_count<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let revisions = race(|number| {
        let invalidations = gateways[number % 2].invalidations.clone();
        async move {
            let before = invalidations.revision().await.unwrap();
            invalidations.post(&Invalidation::Everything).await.unwrap();
            (before, invalidations.revision().await.unwrap())
        }
    })
    .await;
    for (before, after) in revisions {
        assert_ne!(before, after);
    }
}
