//! The port for bulletins: each is counted, and heard where it was posted; all that revokes posts one. That another gateway hears it too is
//! tested beside the stores where it does; all of them count.

use std::time::Duration;

use portunus_core::{
    bulletin::{Bulletin, Generation, Mark, Posted},
    ids::NodeId,
    principal::User,
    signin::Login,
    store::{GrantsOf, Hearing, Stores},
};

use super::{
    Backend, race,
    records::{NOW, client, client_id, granted, hash, login, rotate, user},
};

/// For what comes at once, unless it never does.
const PATIENCE: Duration = Duration::from_secs(60);

async fn next(hearing: &mut Box<dyn Hearing>) -> Posted {
    let heard = tokio::time::timeout(PATIENCE, hearing.next()).await;
    heard.unwrap_or_else(|_| panic!("nothing is told")).unwrap_or_else(|| panic!("touch was lost"))
}

async fn mark(stores: &Stores) -> Mark {
    stores.bulletins.mark().await.unwrap()
}

pub async fn heard_between_its_marks<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut before = mark(&stores).await;
    assert_eq!(mark(&stores).await, before);
    let mut hearing = stores.bulletins.listen().await.unwrap();
    let generation = Generation { node: NodeId::from_text("node"), fingerprint: "abc".to_owned() };
    let all = [Bulletin::Everything, Bulletin::Configuration(generation), Bulletin::Grants(GrantsOf::Client(client_id(1)))];
    for bulletin in all {
        stores.bulletins.post(&bulletin).await.unwrap();
        let after = mark(&stores).await;
        assert_ne!(after, before);
        assert_eq!(next(&mut hearing).await, Posted { before, bulletin, after: after.clone() });
        before = after;
    }
}

pub async fn what_is_revoked_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    stores.clients.insert_client(&client(0)).await.unwrap();
    let grant = granted(&stores, 0).await;
    let mut hearing = stores.bulletins.listen().await.unwrap();
    let grants = &stores.grants;

    assert!(grants.revoke_access(&hash("access", 0)).await.unwrap());
    assert_eq!(next(&mut hearing).await.bulletin, Bulletin::Access(hash("access", 0)));
    assert!(grants.revoke_grant(&grant.id, NOW).await.unwrap());
    assert_eq!(next(&mut hearing).await.bulletin, Bulletin::Grant(grant.id));
    let whose = [GrantsOf::User(user(0).id), GrantsOf::Client(client_id(0)), GrantsOf::Login(login(0).id), GrantsOf::Everyone];
    for of in whose {
        grants.revoke_grants(&of, NOW).await.unwrap();
        assert_eq!(next(&mut hearing).await.bulletin, Bulletin::Grants(of));
    }
    stores.clients.delete_client(&client_id(0), NOW).await.unwrap();
    assert_eq!(next(&mut hearing).await.bulletin, Bulletin::Grants(GrantsOf::Client(client_id(0))));
}

pub async fn who_is_described_anew_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let mut hearing = stores.bulletins.listen().await.unwrap();
    let begun = mark(&stores).await;
    stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
    let again = User { signed_in_at: NOW + Duration::from_secs(60), ..user(1) };
    stores.logins.insert_login(&again, &Login { id: hash("login", 11), ..login(1) }).await.unwrap();
    stores.logins.insert_user(&user(1)).await.unwrap();
    assert_eq!(mark(&stores).await, begun, "tokens say the same as before");

    let moved = User { groups: vec!["another group".to_owned()], ..user(1) };
    stores.logins.insert_login(&moved, &Login { id: hash("login", 12), ..login(1) }).await.unwrap();
    stores.logins.insert_user(&user(1)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(next(&mut hearing).await.bulletin, Bulletin::Grants(GrantsOf::User(user(1).id)));
    }
}

pub async fn the_mark_stays_where_nothing_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let begun = mark(&stores).await;
    granted(&stores, 1).await;
    assert!(rotate(&stores, 1, 2, NOW).await);
    stores.grants.find_access(&hash("access", 1), NOW).await.unwrap();
    stores.logins.take_login(&login(1).id).await.unwrap();
    assert!(!stores.grants.revoke_access(&hash("access", 77)).await.unwrap());
    assert_eq!(mark(&stores).await, begun);
}

pub async fn counted_for_other_gateways_and_later_ones<B: Backend>() {
    let backend = B::fresh().await;
    let begun = {
        let gateways = [backend.open().await, backend.open().await];
        let begun = mark(&gateways[1]).await;
        gateways[0].bulletins.post(&Bulletin::Everything).await.unwrap();
        let after = mark(&gateways[1]).await;
        assert_ne!(after, begun);
        assert_eq!(mark(&gateways[0]).await, after);
        after
    };
    let later = backend.open().await;
    assert_eq!(mark(&later).await, begun, "a restart of the gateway tells nothing");
}

pub async fn none_of_many_is_lost_in_the_count<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    let marks = race(|number| {
        let bulletins = gateways[number % 2].bulletins.clone();
        async move {
            let before = bulletins.mark().await.unwrap();
            bulletins.post(&Bulletin::Everything).await.unwrap();
            (before, bulletins.mark().await.unwrap())
        }
    })
    .await;
    for (before, after) in marks {
        assert_ne!(before, after);
    }
}
