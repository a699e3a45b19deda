//! What must outlive a process: everything acknowledged, and above all that what was used once
//! stays used (threat 18).

use portunus_core::{
    refresh::{PresentedRefresh, RefreshStatus},
    store::Redeemed,
};

use super::{
    Backend,
    records::{
        NOW, access, change, client, client_id, code, consent, family, grant, granted, hash, login,
        provider_request, refresh_key, resources, rotate, transaction, user,
    },
};

pub async fn everything_is_kept<B: Backend>() {
    let backend = B::fresh().await;
    {
        let stores = backend.open().await;
        stores.clients.insert_client(&client(0)).await.unwrap();
        granted(&stores, 0).await;
        stores.transactions.insert_transaction(&transaction(0)).await.unwrap();
        stores.transactions.insert_provider_request(&provider_request(0)).await.unwrap();
        stores.consents.save_consent(&consent(0)).await.unwrap();
        stores.grants.insert_code(&code(1)).await.unwrap();
    }
    let stores = backend.open().await;
    assert_eq!(stores.clients.find_client(&client_id(0)).await.unwrap(), Some(client(0)));
    assert_eq!(
        stores.logins.find_login(&login(0).id, NOW).await.unwrap(),
        Some((login(0), user(0)))
    );
    let found = stores.transactions.find_transaction(&transaction(0).id, NOW).await.unwrap();
    assert_eq!(found, Some(transaction(0)));
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(0).state, NOW).await.unwrap(),
        Some(provider_request(0))
    );
    let found =
        stores.consents.find_consent(&user(0).id, &client_id(0), &resources(0)).await.unwrap();
    assert_eq!(found, Some(consent(0)));
    assert_eq!(
        stores.grants.find_code(&hash("code", 1), NOW).await.unwrap().unwrap().code,
        code(1)
    );
    assert_eq!(stores.grants.find_grant(&grant(0).id).await.unwrap(), Some(grant(0)));
    let found = stores.grants.find_access(&hash("access", 0), NOW).await.unwrap().unwrap();
    assert_eq!((found.token, found.user), (access(0, &grant(0)), user(0)));
    let found = stores.grants.find_refresh(&refresh_key(0), NOW).await.unwrap().unwrap();
    assert_eq!((found.family, found.earlier), (Some(family(0, &grant(0))), None));
}

pub async fn redeemed_code_stays_redeemed<B: Backend>() {
    let backend = B::fresh().await;
    let first = granted(&backend.open().await, 1).await;
    let stores = backend.open().await;
    let second = grant(2);
    let again = stores
        .grants
        .redeem_code(&hash("code", 1), &second, &access(2, &second), None, NOW)
        .await
        .unwrap();
    assert_eq!(again, Redeemed::Already(first.id));
}

pub async fn used_refresh_token_stays_used<B: Backend>() {
    let backend = B::fresh().await;
    let first = {
        let stores = backend.open().await;
        let grant = granted(&stores, 1).await;
        assert!(rotate(&stores, 1, 2, NOW).await);
        family(1, &grant)
    };
    let stores = backend.open().await;
    let found = stores.grants.find_refresh(&refresh_key(1), NOW).await.unwrap().unwrap();
    let used = PresentedRefresh::parse(first.token().expose()).unwrap();
    assert_eq!(found.status(&used), RefreshStatus::Used { generations: 1, at: Some(NOW) });
    assert!(
        !stores.grants.change_family(&change(Some(&first), 3, &found.grant, NOW)).await.unwrap()
    );
}

pub async fn the_current_pair_is_made_again_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let grant = granted(&backend.open().await, 1).await;
    let exchange = change(Some(&family(1, &grant)), 2, &grant, NOW);
    assert!(backend.open().await.grants.change_family(&exchange).await.unwrap());
    let found =
        backend.open().await.grants.find_refresh(&refresh_key(1), NOW).await.unwrap().unwrap();
    assert_eq!(found.family.unwrap().token().expose(), exchange.after.token().expose());
}

pub async fn revoked_grant_stays_revoked<B: Backend>() {
    let backend = B::fresh().await;
    {
        let stores = backend.open().await;
        let grant = granted(&stores, 1).await;
        assert!(stores.grants.revoke_grant(&grant.id, NOW).await.unwrap());
    }
    let stores = backend.open().await;
    assert_eq!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap(), None);
    assert_eq!(
        stores.grants.find_grant(&grant(1).id).await.unwrap().unwrap().revoked_at,
        Some(NOW)
    );
}

pub async fn taken_stays_taken<B: Backend>() {
    let backend = B::fresh().await;
    {
        let stores = backend.open().await;
        stores.logins.insert_login(&user(1), &login(1)).await.unwrap();
        stores.transactions.insert_transaction(&transaction(1)).await.unwrap();
        stores.transactions.insert_provider_request(&provider_request(1)).await.unwrap();
        assert!(stores.logins.take_login(&login(1).id).await.unwrap().is_some());
        assert!(
            stores.transactions.take_transaction(&transaction(1).id, NOW).await.unwrap().is_some()
        );
        assert!(
            stores
                .transactions
                .take_provider_request(&provider_request(1).state, NOW)
                .await
                .unwrap()
                .is_some()
        );
    }
    let stores = backend.open().await;
    assert_eq!(stores.logins.take_login(&login(1).id).await.unwrap(), None);
    assert_eq!(stores.transactions.take_transaction(&transaction(1).id, NOW).await.unwrap(), None);
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(1).state, NOW).await.unwrap(),
        None
    );
}
