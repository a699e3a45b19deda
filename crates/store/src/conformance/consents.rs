//! The port for remembered consents.

use portunus_core::{
    grant::Consent,
    resource::{Resource, ResourceSet},
};

use super::{
    Backend,
    records::{NOW, TICK, client_id, consent, resources, scopes, user},
};

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let consents = &stores.consents;
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &resources(1)).await.unwrap(),
        None
    );
    consents.save_consent(&consent(1)).await.unwrap();
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &resources(1)).await.unwrap(),
        Some(consent(1))
    );

    let later =
        Consent { scopes: scopes("mcp offline_access"), given_at: NOW + TICK, ..consent(1) };
    consents.save_consent(&later).await.unwrap();
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &resources(1)).await.unwrap(),
        Some(later)
    );
}

pub async fn one_for_each_user_client_and_resource<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let consents = &stores.consents;
    consents.save_consent(&consent(1)).await.unwrap();
    let elsewhere = ResourceSet::from(Resource::from_stored("https://gateway.example/mcp"));
    assert_eq!(
        consents.find_consent(&user(2).id, &client_id(1), &resources(1)).await.unwrap(),
        None,
        "another user"
    );
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(2), &resources(1)).await.unwrap(),
        None,
        "another client"
    );
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &elsewhere).await.unwrap(),
        None,
        "another resource"
    );
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &resources(2)).await.unwrap(),
        None,
        "one resource more"
    );

    let wider = Consent { resources: elsewhere.clone(), ..consent(1) };
    consents.save_consent(&wider).await.unwrap();
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &elsewhere).await.unwrap(),
        Some(wider)
    );
    assert_eq!(
        consents.find_consent(&user(1).id, &client_id(1), &resources(1)).await.unwrap(),
        Some(consent(1))
    );
}

pub async fn deleted_for_a_client<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let consents = &stores.consents;
    let elsewhere = ResourceSet::from(Resource::from_stored("https://gateway.example/mcp"));
    let others = [
        Consent { user: user(2).id, ..consent(1) },
        Consent { client: client_id(2), ..consent(1) },
    ];
    consents.save_consent(&consent(1)).await.unwrap();
    consents.save_consent(&Consent { resources: elsewhere.clone(), ..consent(1) }).await.unwrap();
    for other in &others {
        consents.save_consent(other).await.unwrap();
    }
    consents.delete_consents(&user(1).id, &client_id(1)).await.unwrap();
    for gone in [&resources(1), &elsewhere] {
        assert_eq!(consents.find_consent(&user(1).id, &client_id(1), gone).await.unwrap(), None);
    }
    for other in others {
        assert_eq!(
            consents.find_consent(&other.user, &other.client, &resources(1)).await.unwrap(),
            Some(other)
        );
    }
    consents.delete_consents(&user(1).id, &client_id(1)).await.unwrap();
}
