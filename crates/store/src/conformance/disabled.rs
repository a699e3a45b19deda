//! The port for what an administrator disabled: what it ends, what it refuses from then on, and
//! that no race gets past it.

use portunus_core::{
    disabled::{Disableable, DisabledRecord, Disabling, Ended},
    grant::Grant,
    ids::{ClientId, GrantId, ServerName},
    invalidation::Invalidation,
    node::SessionRecord,
    signin::Login,
    store::{GrantsOf, MOST_BUT_PERSONS, Redeemed, StoreError, Stores},
    token::{AccessToken, AuthorizationCode},
};

use super::{
    Backend, provider_tokens, race,
    records::{
        HOUR, MINUTE, NOW, access, client_id, code, consent, grant, granted, hash, login,
        resources, rotate, user, user_id,
    },
    tasks,
};

/// A record of it; the number tells one from another.
pub(super) fn record(what: Disableable, n: u32) -> DisabledRecord {
    DisabledRecord {
        what,
        name: n.is_multiple_of(2).then(|| "Zwölf <b>".to_owned()),
        reason: (!n.is_multiple_of(2)).then(|| "left the company".to_owned()),
        by: "uid 0".to_owned(),
        at: NOW + n * MINUTE,
    }
}

pub(super) fn person(n: u32) -> Disableable {
    Disableable::Person(user_id(n))
}

pub(super) fn server(name: &str) -> Disableable {
    Disableable::Server(ServerName::parse(name).unwrap())
}

pub(super) fn tool(name: &str) -> Disableable {
    Disableable::Tool { server: ServerName::parse("dice").unwrap(), tool: name.to_owned() }
}

async fn disable(stores: &Stores, what: Disableable) -> Disabling {
    stores.disabled.disable(&record(what, 1), NOW).await.unwrap()
}

fn is_refused<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> bool {
    match outcome {
        Err(StoreError::Disabled) => true,
        Err(error) => panic!("{error}"),
        Ok(_) => false,
    }
}

/// Another grant for the same person and client as the sample.
fn another(n: u32, of: u32) -> Grant {
    Grant { id: GrantId::from_text(format!("another {n}")), ..grant(of) }
}

pub async fn kept_whole<B: Backend>() {
    let backend = B::fresh().await;
    let all = [
        record(person(1), 1),
        record(Disableable::Client(client_id(2)), 2),
        record(server("dice"), 3),
        record(Disableable::Proxy("/grafana/:rest*".to_owned()), 4),
        record(tool("roll: \"ü\" / x"), 5),
    ];
    let stores = backend.open().await;
    for record in &all {
        assert_eq!(stores.disabled.find_disabled(&record.what).await.unwrap(), None);
        let outcome = stores.disabled.disable(record, NOW).await.unwrap();
        assert_eq!(outcome, Disabling::default(), "{}", record.what);
    }
    drop(stores);
    let stores = backend.open().await;
    let newest_first: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(stores.disabled.list_disabled(10).await.unwrap(), newest_first);
    assert_eq!(stores.disabled.list_disabled(0).await.unwrap(), newest_first[..4]);
    let newer = record(person(3), 9);
    stores.disabled.disable(&newer, NOW).await.unwrap();
    let persons = stores.disabled.list_disabled(1).await.unwrap();
    assert_eq!((persons.len(), &persons[0]), (5, &newer), "the newest person alone");
    assert!(stores.disabled.enable(&newer.what).await.unwrap());
    for record in &all {
        let found = stores.disabled.find_disabled(&record.what).await.unwrap();
        assert_eq!(found.as_ref(), Some(record));
    }
    let again = DisabledRecord { at: NOW + HOUR, ..record(person(1), 2) };
    let outcome = stores.disabled.disable(&again, NOW).await.unwrap();
    assert_eq!(outcome, Disabling { was_disabled: true, ended: Ended::default() });
    assert_eq!(stores.disabled.list_disabled(10).await.unwrap()[0], again, "in its place");
    for record in &all {
        assert!(stores.disabled.enable(&record.what).await.unwrap());
        assert!(!stores.disabled.enable(&record.what).await.unwrap());
    }
    assert_eq!(stores.disabled.list_disabled(10).await.unwrap(), []);
}

pub async fn a_person_loses_everything_but_consents<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        granted(&stores, n).await;
        stores.consents.save_consent(&consent(n)).await.unwrap();
        let session = SessionRecord { user: user_id(n), state: vec![1] };
        stores.sessions.keep_session(&hash("session", n), &session, NOW + HOUR).await.unwrap();
        let task = portunus_core::task::TaskOwnership { user: user_id(n), ..tasks::task(1) };
        stores.tasks.keep_task(&hash("task", n), &task, NOW + HOUR).await.unwrap();
        let token = provider_tokens::token(n);
        stores.provider_tokens.keep_provider_token(&token).await.unwrap();
    }
    let second = Login { id: hash("login", 10), ..login(0) };
    stores.logins.insert_login(&user(0), &second).await.unwrap();
    let open = AuthorizationCode { user: user_id(0), ..code(20) };
    stores.grants.insert_code(&open).await.unwrap();

    let ended = Ended { grants: 1, logins: 2, sessions: 1, tasks: 1 };
    let outcome = disable(&stores, person(0)).await;
    assert_eq!(outcome, Disabling { was_disabled: false, ended });
    for (n, is_kept) in [(0, false), (1, true)] {
        let found = stores.provider_tokens.find_provider_token(&user_id(n), NOW).await.unwrap();
        assert_eq!(found.is_some(), is_kept, "the provider's refresh token of {n}");
    }
    let find = async |n| stores.grants.find_access(&hash("access", n), NOW).await.unwrap();
    assert_eq!(find(0).await, None);
    let owner = async |n, now| stores.grants.find_owner(&hash("access", n), now).await.unwrap();
    for n in [0, 1] {
        assert_eq!(owner(n, NOW).await, Some((user_id(n), client_id(n))), "revoked or not");
    }
    assert_eq!((owner(0, NOW + HOUR).await, owner(77, NOW).await), (None, None));
    assert!(!rotate(&stores, 0, 30, NOW).await, "nothing is refreshed");
    for id in [login(0).id, second.id] {
        assert_eq!(stores.logins.find_login(&id, NOW).await.unwrap(), None);
    }
    assert_eq!(stores.grants.find_code(&open.hash, NOW).await.unwrap(), None);
    assert_eq!(stores.sessions.find_session(&hash("session", 0), NOW).await.unwrap(), None);
    let kept = async |n| {
        stores.consents.find_consent(&user_id(n), &client_id(n), &resources(n)).await.unwrap()
    };
    assert_eq!(kept(0).await, Some(consent(0)));
    assert!(stores.logins.find_user(&user_id(0)).await.unwrap().is_some(), "they are still known");
    // Another person has lost nothing.
    assert!(find(1).await.is_some() && rotate(&stores, 1, 31, NOW).await);
    assert!(stores.logins.find_login(&login(1).id, NOW).await.unwrap().is_some());
    assert!(stores.sessions.find_session(&hash("session", 1), NOW).await.unwrap().is_some());
    let left = stores.tasks.find_tasks(&[hash("task", 0), hash("task", 1)], NOW).await.unwrap();
    assert_eq!(left.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    assert_eq!(kept(1).await, Some(consent(1)));
}

pub async fn nothing_new_for_a_person_until_they_are_enabled<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 0).await;
    stores.logins.insert_login(&user(2), &login(2)).await.unwrap();
    disable(&stores, person(0)).await;
    let new_login = Login { id: hash("login", 10), ..login(0) };
    let new_code = AuthorizationCode { user: user_id(0), ..code(20) };
    let new = another(1, 0);
    let (token, of_code) = (access(40, &new), access(41, &new));
    assert!(is_refused(stores.logins.insert_login(&user(0), &new_login).await));
    assert_eq!(stores.logins.find_login(&new_login.id, NOW).await.unwrap(), None);
    assert!(is_refused(stores.grants.insert_code(&new_code).await));
    assert!(is_refused(stores.grants.insert_grant(&new, &token).await));
    // A code of another user that would become a grant of theirs.
    stores.grants.insert_code(&code(2)).await.unwrap();
    let redeemed = stores.grants.redeem_code(&hash("code", 2), &new, &of_code, None, NOW).await;
    assert!(is_refused(redeemed));
    let live = stores.grants.list_grants(&GrantsOf::User(user_id(0)), 10).await.unwrap();
    assert_eq!(live, []);

    assert!(stores.disabled.enable(&person(0)).await.unwrap());
    assert_eq!(stores.grants.find_access(&hash("access", 0), NOW).await.unwrap(), None, "ended");
    stores.logins.insert_login(&user(0), &new_login).await.unwrap();
    stores.grants.insert_code(&new_code).await.unwrap();
    stores.grants.insert_grant(&new, &token).await.unwrap();
    assert!(stores.grants.find_access(&token.hash, NOW).await.unwrap().is_some());
}

pub async fn a_client_loses_grants_and_codes_and_gets_no_more<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    for n in [0, 1] {
        granted(&stores, n).await;
    }
    stores
        .grants
        .insert_code(&AuthorizationCode { client: client_id(0), ..code(20) })
        .await
        .unwrap();
    stores.tasks.keep_task(&hash("task", 1), &tasks::task(1), NOW + HOUR).await.unwrap();
    let what = Disableable::Client(client_id(0));
    assert_eq!(disable(&stores, what.clone()).await.ended, Ended { grants: 1, ..Ended::default() });
    assert_eq!(stores.grants.find_access(&hash("access", 0), NOW).await.unwrap(), None);
    assert_eq!(stores.grants.find_code(&hash("code", 20), NOW).await.unwrap(), None);
    assert!(stores.logins.find_login(&login(0).id, NOW).await.unwrap().is_some());
    assert!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().is_some());
    // For a person who is not disabled.
    let new = Grant { user: user_id(1), login: None, ..another(1, 0) };
    assert!(is_refused(stores.grants.insert_grant(&new, &access(40, &new)).await));
    let new_code = AuthorizationCode { client: client_id(0), user: user_id(1), ..code(21) };
    assert!(is_refused(stores.grants.insert_code(&new_code).await));
    assert!(stores.disabled.enable(&what).await.unwrap());
    stores.grants.insert_grant(&new, &access(40, &new)).await.unwrap();
    let tasks_of = Disableable::Client(tasks::task(1).client);
    assert_eq!(disable(&stores, tasks_of).await.ended.tasks, 1);
}

/// What is disabled as `agent-key` is every key's, and no client's whose id only begins so.
pub async fn tasks_of_agent_keys_end_together<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let clients = ["agent-key:one", "agent-key:two", "agent-keys", "other"];
    for (n, client) in (0..).zip(clients) {
        let task = portunus_core::task::TaskOwnership {
            client: ClientId::from_text(client),
            ..tasks::task(n)
        };
        stores.tasks.keep_task(&hash("task", n), &task, NOW + HOUR).await.unwrap();
    }
    let every_key = Disableable::Client(ClientId::agent_key());
    assert_eq!(disable(&stores, every_key).await.ended.tasks, 2);
    let left = stores.tasks.find_tasks(&[0, 1, 2, 3].map(|n| hash("task", n)), NOW).await.unwrap();
    let left: Vec<_> = left.iter().map(Option::is_some).collect();
    assert_eq!(left, [false, false, true, true]);
}

pub async fn a_server_or_a_tool_ends_nothing_here<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 0).await;
    for what in [server("dice"), tool("roll"), Disableable::Proxy("/dice".to_owned())] {
        assert_eq!(disable(&stores, what).await, Disabling::default());
    }
    assert!(stores.grants.find_access(&hash("access", 0), NOW).await.unwrap().is_some());
    stores.grants.insert_code(&code(1)).await.unwrap();
}

pub async fn all_but_persons_have_a_bound<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    let all: Vec<_> = (0..MOST_BUT_PERSONS).map(|n| record(tool(&n.to_string()), n)).collect();
    let disabling = all.iter().map(|record| stores.disabled.disable(record, NOW));
    futures::future::try_join_all(disabling).await.unwrap();
    let full = stores.disabled.disable(&record(server("dice"), 0), NOW).await;
    assert!(matches!(full, Err(StoreError::Full(MOST_BUT_PERSONS))), "{full:?}");
    assert!(disable(&stores, tool("7")).await.was_disabled, "what is there may be changed");
    disable(&stores, person(1)).await;
    assert!(stores.disabled.enable(&tool("7")).await.unwrap());
    disable(&stores, server("dice")).await;
}

pub async fn what_is_disabled_and_enabled_is_told<B: Backend>() {
    let backend = B::fresh().await;
    let stores = backend.open().await;
    granted(&stores, 0).await;
    let mut hearing = stores.invalidations.listen().await.unwrap();
    for what in [person(0), Disableable::Client(client_id(0)), server("dice"), tool("roll")] {
        disable(&stores, what.clone()).await;
        let told = super::invalidations::next(&mut hearing).await;
        assert_eq!(told.invalidation, Invalidation::Disabled(what.clone()));
        stores.disabled.enable(&what).await.unwrap();
        let told = super::invalidations::next(&mut hearing).await;
        assert_eq!(told.invalidation, Invalidation::Enabled(what));
    }
}

/// Codes are redeemed, grants made and people signed in at two gateways, while one of them
/// disables the person: in whatever order, nothing is of use in the end.
pub async fn whatever_comes_at_the_same_moment_is_of_no_use<B: Backend>() {
    let backend = B::fresh().await;
    let gateways = [backend.open().await, backend.open().await];
    stores_with_codes(&gateways[0]).await;
    let outcomes = race(|number| {
        let stores = gateways[number % 2].clone();
        let n = u32::try_from(number).unwrap() + 100;
        async move {
            match number % 4 {
                _ if number == 20 => disable(&stores, person(0)).await.was_disabled,
                0 => matches!(
                    redeem(&stores, n).await,
                    Ok(Redeemed::Fresh | Redeemed::Unknown) | Err(StoreError::Disabled)
                ),
                1 => {
                    let new = another(n, 0);
                    let kept = stores.grants.insert_grant(&new, &access(n, &new)).await;
                    matches!(kept, Ok(()) | Err(StoreError::Disabled))
                }
                2 => {
                    let login = Login { id: hash("login", n), ..login(0) };
                    let kept = stores.logins.insert_login(&user(0), &login).await;
                    matches!(kept, Ok(()) | Err(StoreError::Disabled))
                }
                _ => {
                    let code = AuthorizationCode { user: user_id(0), ..code(n + 1000) };
                    let kept = stores.grants.insert_code(&code).await;
                    matches!(kept, Ok(()) | Err(StoreError::Disabled))
                }
            }
        }
    })
    .await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, number != 20, "{number}");
    }
    let stores = &gateways[0];
    for n in 100..150 {
        assert_eq!(stores.grants.find_access(&hash("access", n), NOW).await.unwrap(), None, "{n}");
        assert_eq!(stores.logins.find_login(&hash("login", n), NOW).await.unwrap(), None, "{n}");
        assert_eq!(stores.grants.find_code(&hash("code", n + 1000), NOW).await.unwrap(), None);
    }
    let left = stores.grants.list_grants(&GrantsOf::User(user_id(0)), 100).await.unwrap();
    assert_eq!(left, []);
    // Nor later: what is dead stays so.
    assert!(stores.disabled.enable(&person(0)).await.unwrap());
    for n in 100..150 {
        assert_eq!(stores.grants.find_access(&hash("access", n), NOW).await.unwrap(), None, "{n}");
        assert_eq!(stores.grants.find_code(&hash("code", n + 1000), NOW).await.unwrap(), None);
    }
}

async fn stores_with_codes(stores: &Stores) {
    stores.logins.insert_login(&user(0), &login(0)).await.unwrap();
    for n in (100..150).step_by(4) {
        let code = AuthorizationCode { user: user_id(0), client: client_id(0), ..code(n) };
        stores.grants.insert_code(&code).await.unwrap();
    }
}

async fn redeem(stores: &Stores, n: u32) -> Result<Redeemed, StoreError> {
    let new = another(n, 0);
    let token: AccessToken = access(n, &new);
    stores.grants.redeem_code(&hash("code", n), &new, &token, None, NOW).await
}
