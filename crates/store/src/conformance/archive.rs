//! The port for everything as a whole: taken out of one store, put into another, it answers as it
//! did before. Between stores of different kinds it is tested in `tests/moving.rs`.

use std::collections::VecDeque;

use async_trait::async_trait;
use portunus_core::{
    disabled::DisabledRecord,
    grant::KeyLabel,
    ids::ServerName,
    node::SessionRecord,
    pins::{Definition, Fingerprint, PinKind, PinSubject, SeenItem},
    refresh::{PresentedRefresh, RefreshStatus},
    store::{
        ArchiveError, Census, GrantWithTokens, GrantsOf, Record, RecordKind, RecordSink,
        RecordSource, Redeemed, Stores, Unreadable,
    },
    token::AccessToken,
};

use super::{
    Backend, audit, disabled, provider_tokens,
    records::{
        HOUR, MINUTE, NOW, access, client, client_id, code, consent, family, grant, granted, hash,
        login, provider_request, refresh_key, resources, rotate, transaction, user, user_id,
    },
    tasks,
};

/// Records on their way, and what was left out.
#[derive(Default)]
pub struct Crate {
    pub portions: VecDeque<Vec<Record>>,
    pub left_out: Vec<Unreadable>,
}

impl Crate {
    /// Everything that is in a store.
    pub async fn of(stores: &Stores) -> Self {
        let mut packed = Self::default();
        stores.archive.export(&mut packed).await.unwrap();
        packed
    }

    pub fn census(&self) -> Census {
        let mut census = Census::default();
        self.portions.iter().flatten().for_each(|record| census.count(record));
        census
    }

    /// In an order that depends on what there is alone.
    fn sorted(&self) -> Vec<String> {
        let sort = |record: &Record| match record.clone() {
            Record::Grant(mut grant) => {
                grant.access.sort_by_key(|token| token.hash);
                grant.refresh.sort_by_key(|kept| kept.token.hash);
                Record::Grant(grant)
            }
            record => record,
        };
        let mut texts: Vec<_> =
            self.portions.iter().flatten().map(|record| format!("{:?}", sort(record))).collect();
        texts.sort();
        texts
    }
}

#[async_trait]
impl RecordSink for Crate {
    async fn put(&mut self, records: Vec<Record>) -> Result<(), ArchiveError> {
        self.portions.push_back(records);
        Ok(())
    }

    async fn leave_out(&mut self, record: Unreadable) -> Result<(), ArchiveError> {
        self.left_out.push(record);
        Ok(())
    }
}

#[async_trait]
impl RecordSource for Crate {
    async fn next(&mut self) -> Result<Option<Vec<Record>>, ArchiveError> {
        Ok(self.portions.pop_front())
    }
}

/// Some of everything, in every state it can be in.
pub async fn furnish(stores: &Stores) {
    for n in 0..4 {
        stores.clients.insert_client(&client(n)).await.unwrap();
        stores.consents.save_consent(&consent(n)).await.unwrap();
        stores.transactions.insert_transaction(&transaction(n)).await.unwrap();
        stores.transactions.insert_provider_request(&provider_request(n)).await.unwrap();
    }
    stores.clients.touch_client(&client_id(1), NOW + MINUTE).await.unwrap();
    // 0 and 1: their refresh tokens were exchanged once. 2: revoked. 3: of a user who is revoked
    // altogether.
    for n in 0..4 {
        granted(stores, n).await;
    }
    assert!(rotate(stores, 0, 10, NOW).await && rotate(stores, 1, 11, NOW + MINUTE).await);
    assert!(stores.grants.revoke_grant(&grant(2).id, NOW + MINUTE).await.unwrap());
    stores.grants.insert_code(&code(20)).await.unwrap();
    stores
        .grants
        .insert_code(&portunus_core::token::AuthorizationCode { user: user_id(3), ..code(21) })
        .await
        .unwrap();
    assert_eq!(
        stores.grants.revoke_grants(&GrantsOf::User(user_id(3)), NOW + MINUTE).await.unwrap(),
        1
    );
    // A second token of a grant; a grant without a code, which is an agent key.
    let machine = portunus_core::grant::Grant {
        user: user_id(1),
        client: client_id(1),
        login: None,
        key: Some(KeyLabel { name: "nightly job".to_owned(), shown: "key 4".to_owned() }),
        ..grant(4)
    };
    stores.grants.insert_grant(&machine, &access(4, &machine)).await.unwrap();
    stores.logins.insert_login(&user(5), &login(5)).await.unwrap();
    assert!(stores.logins.touch_login(&login(5).id, NOW + MINUTE, NOW + 2 * HOUR).await.unwrap());
    assert!(stores.assertions.use_once(&hash("assertion", 1), NOW + HOUR, NOW).await.unwrap());
    let session = SessionRecord { user: user_id(1), state: vec![0, 1, 254, 255] };
    stores.sessions.keep_session(&hash("session", 1), &session, NOW + HOUR).await.unwrap();
    stores.provider_tokens.keep_provider_token(&provider_tokens::token(5)).await.unwrap();
    for n in 1..3 {
        stores.tasks.keep_task(&hash("task", n), &tasks::task(n), NOW + HOUR).await.unwrap();
    }
    let (dice, uuid) = (server("dice"), server("uuid"));
    stores.pins.pin_items(&dice, &[tool("roll", 1), tool("stats", 1)], NOW).await.unwrap();
    stores.pins.quarantine(&dice, &[tool("roll", 3)], 8, NOW + MINUTE).await.unwrap();
    stores.pins.quarantine(&dice, &[tool("roll", 2)], 8, NOW + HOUR).await.unwrap();
    assert!(stores.pins.approve(&dice, &tool("roll", 3).fingerprint, NOW + HOUR).await.unwrap());
    let greet = SeenItem { subject: greet(), ..tool("greet", 4) };
    stores.pins.pin_items(&uuid, &[greet], NOW).await.unwrap();
    for record in disabled() {
        stores.disabled.disable(&record, NOW).await.unwrap();
    }
    audit::Written::begin("gateway-1").append(stores, NOW, 3).await;
}

/// What is disabled, newest first.
fn disabled() -> [DisabledRecord; 3] {
    [
        disabled::record(disabled::tool("roll"), 3),
        disabled::record(disabled::server("uuid"), 2),
        disabled::record(disabled::person(9), 1),
    ]
}

/// What the tests of a store know the refresh tokens of grant `n` by.
pub fn family_id(n: u32) -> String {
    family(n, &grant(n)).id.to_string()
}

/// And user `n`.
pub fn user_id_of(n: u32) -> String {
    user_id(n).to_string()
}

fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

fn greet() -> PinSubject {
    PinSubject::new(PinKind::Prompt, "greet")
}

fn tool(name: &str, version: u8) -> SeenItem {
    SeenItem {
        subject: PinSubject::tool(name),
        fingerprint: Fingerprint::from_bytes([version; 32]),
        meaning: Fingerprint::from_bytes([version; 32]),
        definition: Definition::from_stored(format!(
            "{{\"name\":\"{name}\",\"version\":{version}}}"
        )),
    }
}

/// Everything answers as if it had been written here by [`furnish`]. Uses some of it up.
pub async fn assert_furnished(stores: &Stores) {
    assert_eq!(stores.clients.list_clients(10).await.unwrap().len(), 4);
    assert_eq!(stores.clients.find_client(&client_id(0)).await.unwrap(), Some(client(0)));
    let used = stores.clients.find_client(&client_id(1)).await.unwrap().unwrap();
    assert_eq!(
        used,
        portunus_core::client::Client { last_used_at: Some(NOW + MINUTE), ..client(1) }
    );
    assert_eq!(stores.clients.count_unused_clients().await.unwrap(), 3);
    for n in 0..3 {
        let kept =
            stores.consents.find_consent(&user_id(n), &client_id(n), &resources(n)).await.unwrap();
        assert_eq!(kept, Some(consent(n)));
    }
    assert_eq!(
        stores.consents.find_consent(&user_id(3), &client_id(3), &resources(3)).await.unwrap(),
        None,
        "revoked"
    );
    assert_eq!(
        stores.transactions.take_transaction(&transaction(1).id, NOW).await.unwrap(),
        Some(transaction(1))
    );
    assert_eq!(stores.transactions.take_transaction(&transaction(1).id, NOW).await.unwrap(), None);
    assert_eq!(
        stores.transactions.take_provider_request(&provider_request(2).state, NOW).await.unwrap(),
        Some(provider_request(2))
    );
    assert_logins(stores).await;
    assert!(
        !stores.assertions.use_once(&hash("assertion", 1), NOW + HOUR, NOW).await.unwrap(),
        "used once, used for ever"
    );
    let session = SessionRecord { user: user_id(1), state: vec![0, 1, 254, 255] };
    assert_eq!(
        stores.sessions.find_session(&hash("session", 1), NOW).await.unwrap(),
        Some(session)
    );
    assert_eq!(stores.sessions.find_session(&hash("session", 1), NOW + HOUR).await.unwrap(), None);
    assert_eq!(
        stores.provider_tokens.find_provider_token(&user_id(5), NOW).await.unwrap(),
        Some(provider_tokens::token(5))
    );
    let ids = [hash("task", 1), hash("task", 2)];
    assert_eq!(
        stores.tasks.find_tasks(&ids, NOW).await.unwrap(),
        [Some(tasks::task(1)), Some(tasks::task(2))]
    );
    audit::assert_whole(stores, "gateway-1", 3).await;
    assert_eq!(stores.tasks.find_tasks(&ids, NOW + HOUR).await.unwrap(), [None, None]);
    assert_pins(stores).await;
    assert_eq!(stores.disabled.list_disabled(10).await.unwrap(), disabled());
    assert_grants(stores).await;
}

async fn assert_logins(stores: &Stores) {
    let touched = portunus_core::signin::Login {
        last_seen_at: Some(NOW + MINUTE),
        expires_at: NOW + 2 * HOUR,
        ..login(5)
    };
    assert_eq!(
        stores.logins.find_login(&login(5).id, NOW + HOUR).await.unwrap(),
        Some((touched, user(5)))
    );
    assert_eq!(
        stores.logins.find_login(&login(0).id, NOW).await.unwrap(),
        Some((login(0), user(0)))
    );
    assert_eq!(stores.logins.take_logins(&user_id(0)).await.unwrap(), 1);
    assert_eq!(stores.logins.take_login(&login(0).id).await.unwrap(), None);
}

async fn assert_pins(stores: &Stores) {
    let pins = stores.pins.find_pins(&server("dice")).await.unwrap();
    assert_eq!(
        pins.iter().map(|pin| pin.subject.name.as_str()).collect::<Vec<_>>(),
        ["roll", "stats"]
    );
    assert_eq!(
        pins[0].approved,
        [tool("roll", 1).fingerprint, tool("roll", 3).fingerprint],
        "in the order they were seen in"
    );
    assert_eq!(pins[0].quarantined, [tool("roll", 2).fingerprint]);
    let records = stores.pins.list_pins(Some(&server("dice"))).await.unwrap();
    let times: Vec<_> = records.iter().map(|pin| (pin.seen_at, pin.approved_at)).collect();
    let seen =
        [(NOW, Some(NOW)), (NOW + MINUTE, Some(NOW + HOUR)), (NOW + HOUR, None), (NOW, Some(NOW))];
    assert_eq!(times, seen);
    assert_eq!(records[1].definition, tool("roll", 3).definition);
    assert_eq!(stores.pins.forget(&server("uuid"), Some(&greet())).await.unwrap(), 1);
}

async fn assert_grants(stores: &Stores) {
    let grants = &stores.grants;
    let found = grants.find_access(&hash("access", 0), NOW).await.unwrap().unwrap();
    assert_eq!((found.token, found.grant, found.user), (access(0, &grant(0)), grant(0), user(0)));
    assert!(grants.find_access(&hash("access", 4), NOW).await.unwrap().is_some());
    for revoked in [2, 3] {
        assert_eq!(
            grants.find_access(&hash("access", revoked), NOW).await.unwrap(),
            None,
            "revoked stays revoked"
        );
        assert_eq!(
            grants.find_grant(&grant(revoked).id).await.unwrap().unwrap().revoked_at,
            Some(NOW + MINUTE)
        );
        assert!(!rotate(stores, revoked, 30, NOW).await);
    }
    // Codes: one that was redeemed says what it became, one that was not is good, one that was
    // revoked is gone.
    let redeem = |n: u32| async move {
        let new = portunus_core::grant::Grant {
            id: portunus_core::ids::GrantId::from_text(format!("new {n}")),
            ..grant(n)
        };
        let new = portunus_core::grant::Grant { user: user_id(0), ..new };
        let token = AccessToken { hash: hash("new access", n), ..access(n, &new) };
        stores.grants.redeem_code(&hash("code", n), &new, &token, None, NOW).await.unwrap()
    };
    assert_eq!(redeem(0).await, Redeemed::Already(grant(0).id));
    assert_eq!(redeem(20).await, Redeemed::Fresh);
    assert_eq!(redeem(21).await, Redeemed::Unknown);
    // Used tokens are known as such, and the chain goes on.
    for (n, at) in [(0, NOW), (1, NOW + MINUTE)] {
        let found = grants.find_refresh(&refresh_key(n), NOW).await.unwrap().unwrap();
        let used = PresentedRefresh::parse(family(n, &grant(n)).token().expose()).unwrap();
        assert_eq!(found.status(&used), RefreshStatus::Used { generations: 1, at: Some(at) });
    }
    assert!(rotate(stores, 0, 33, NOW + MINUTE).await);
    // Lists of whose they are hold, and so does revoking by them.
    let of_user = grants.list_grants(&GrantsOf::User(user_id(1)), 10).await.unwrap();
    assert_eq!(of_user.len(), 2, "{of_user:?}");
    assert_eq!(grants.revoke_grants(&GrantsOf::Login(hash("login", 0)), NOW).await.unwrap(), 1);
    assert_eq!(grants.find_access(&hash("access", 0), NOW).await.unwrap(), None);
    assert_eq!(grants.revoke_grants(&GrantsOf::Client(client_id(1)), NOW).await.unwrap(), 2);
    assert_eq!(grants.find_access(&hash("access", 4), NOW).await.unwrap(), None);
}

pub async fn everything_comes_over<B: Backend>() {
    let (old, new) = (B::fresh().await, B::fresh().await);
    let packed = {
        let stores = old.open().await;
        assert!(stores.archive.is_empty().await.unwrap());
        furnish(&stores).await;
        assert!(!stores.archive.is_empty().await.unwrap());
        let mut packed = Crate::of(&stores).await;
        assert_eq!(packed.left_out, []);
        let stores = new.open().await;
        stores.archive.import(&mut packed).await.unwrap();
        packed
    };
    assert!(packed.portions.is_empty());
    assert_furnished(&new.open().await).await;
}

pub async fn nothing_is_added_or_lost_on_the_way<B: Backend>() {
    let (old, new) = (B::fresh().await, B::fresh().await);
    let stores = old.open().await;
    furnish(&stores).await;
    let packed = Crate::of(&stores).await;
    let (census, sorted) = (packed.census(), packed.sorted());
    let counts = RecordKind::ALL.map(|kind| census.of(kind));
    assert_eq!(counts, [4, 5, 5, 1, 3, 5, 7, 4, 5, 4, 4, 1, 1, 2, 5, 3, 1, 3], "{census:?}");
    let stores = new.open().await;
    stores
        .archive
        .import(&mut Crate { portions: packed.portions, ..Crate::default() })
        .await
        .unwrap();
    assert_eq!(Crate::of(&stores).await.sorted(), sorted);
    // The store that was taken from is as it was.
    assert_eq!(Crate::of(&old.open().await).await.sorted(), sorted);
}

pub async fn what_was_there_is_replaced<B: Backend>() {
    let (old, new) = (B::fresh().await, B::fresh().await);
    let source = old.open().await;
    granted(&source, 1).await;
    let stores = new.open().await;
    granted(&stores, 7).await;
    stores.clients.insert_client(&client(7)).await.unwrap();
    stores.grants.revoke_grants(&GrantsOf::Everyone, NOW).await.unwrap();
    let mut packed = Crate::of(&source).await;
    stores.archive.import(&mut packed).await.unwrap();
    assert_eq!(stores.clients.find_client(&client_id(7)).await.unwrap(), None);
    assert_eq!(stores.logins.find_user(&user_id(7)).await.unwrap(), None);
    assert_eq!(stores.grants.find_grant(&grant(7).id).await.unwrap(), None);
    assert!(
        stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().is_some(),
        "what came is of now, not of before"
    );
    assert_eq!(Crate::of(&stores).await.sorted(), Crate::of(&source).await.sorted());
}

pub async fn what_has_expired_is_purged_after_it_came<B: Backend>() {
    let (old, new) = (B::fresh().await, B::fresh().await);
    let source = old.open().await;
    granted(&source, 1).await;
    let stores = new.open().await;
    stores.archive.import(&mut Crate::of(&source).await).await.unwrap();
    let ends = family(1, &grant(1)).expires_at;
    let (here, there) = (
        stores.upkeep.purge(ends, NOW).await.unwrap(),
        source.upkeep.purge(ends, NOW).await.unwrap(),
    );
    assert_eq!(here, there);
    assert_eq!(stores.grants.find_grant(&grant(1).id).await.unwrap(), None);
}

/// Rotations go on while everything is taken out: what came out goes on from where it was.
pub async fn a_chain_in_motion_is_taken_whole<B: Backend>() {
    let (old, new) = (B::fresh().await, B::fresh().await);
    let source = old.open().await;
    granted(&source, 1).await;
    for n in 1000..1200 {
        source.clients.insert_client(&client(n)).await.unwrap();
    }
    let moving = {
        let source = source.clone();
        tokio::spawn(async move {
            for next in 100..220 {
                assert!(rotate(&source, 1, next, NOW).await);
            }
        })
    };
    let mut taken = Vec::new();
    while !moving.is_finished() {
        taken.push(Crate::of(&source).await);
    }
    moving.await.unwrap();
    assert!(!taken.is_empty());
    for packed in &taken {
        let kept =
            packed.portions.iter().flatten().find_map(|record| {
                if let Record::Grant(kept) = record { Some(kept) } else { None }
            });
        assert!(kept.unwrap().family.is_some());
        assert_eq!(
            packed.census().of(RecordKind::Client),
            200,
            "many that registered at the same time"
        );
    }
    let stores = new.open().await;
    stores.archive.import(&mut taken.pop().unwrap()).await.unwrap();
    assert!(stores.grants.find_access(&hash("access", 1), NOW).await.unwrap().is_some());
    assert!(rotate(&stores, 1, 300, NOW).await);
}

/// So many people, each with a login, a client of their own and a grant.
pub fn crowd(people: u32) -> Crate {
    let records = |n: u32| {
        let grant = grant(n);
        let refresh = family(n, &grant);
        let tokens_until = refresh.expires_at;
        vec![
            Record::User(user(n)),
            Record::Client(client(n)),
            Record::Login(login(n)),
            Record::Consent(consent(n)),
            Record::Grant(GrantWithTokens {
                access: vec![access(n, &grant)],
                family: Some(refresh),
                refresh: vec![],
                tokens_until,
                grant,
            }),
        ]
    };
    Crate { portions: (0..people).map(records).collect(), ..Crate::default() }
}
