//! What is particular to Redis beside the suite: what stands in it, for how long, with which secret
//! and by whose leave. Faults while running are next door, in `redis_faults.rs`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use portunus_core::{
    invalidation::{Invalidation, Posted},
    secret::{SecretText, TokenHash},
    store::{
        ArchiveError, GrantsOf, InvalidationSubscription, Record, RecordSource, StoreError, Stores,
    },
};
use portunus_store::{
    conformance::archive::Crate,
    conformance::secrets::{NOW, assert_all_opens, fill, grant, provider_request, user},
    redis::{OpenError, RedisAddress, RedisOptions, inspect, open, open_to_import},
};
use portunus_testkit::{redis::Server, wait::eventually};

use self::place::{Place, sealer, sealer_of};

mod place;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(&[]));

fn place() -> Place {
    Place::fresh(SERVER.address())
}

async fn opening(options: RedisOptions, secrets: &[&str]) -> OpenError {
    match open(options, sealer_of(secrets)).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

async fn opened(place: &Place, secrets: &[&str]) -> Stores {
    open(place.options(), sealer_of(secrets)).await.unwrap()
}

/// The next invalidation, which comes at once or never.
async fn next(hearing: &mut Box<dyn InvalidationSubscription>) -> Option<Posted> {
    tokio::time::timeout(Duration::from_secs(60), hearing.next())
        .await
        .unwrap_or_else(|_| panic!("nothing is heard"))
}

#[tokio::test]
async fn no_secret_stands_in_it() {
    // A server of its own: its files hold everything that was ever written to it.
    let server = Server::start(&[]);
    let place = Place::fresh(server.address());
    fill(&opened(&place, &["the AUTH_SECRET of these tests"]).await).await;
    let bytes = server.files();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("A client by name"), "what is no secret is seen, so a secret would be");
    assert!(!holds("secret of the"));
    assert!(!holds("the AUTH_SECRET of these tests"));
}

#[tokio::test]
async fn another_secret_is_refused_at_start() {
    let place = place();
    fill(&opened(&place, &["one"]).await).await;
    let error = opening(place.options(), &["another"]).await;
    assert!(matches!(error, OpenError::WrongSecret { .. }), "{error}");
    assert_all_opens(&opened(&place, &["one"]).await).await;
}

#[tokio::test]
async fn after_a_rotation_the_earlier_secret_can_be_dropped() {
    let place = place();
    fill(&opened(&place, &["one"]).await).await;
    drop(opened(&place, &["new", "one"]).await);
    let error = opening(place.options(), &["one"]).await;
    assert!(matches!(error, OpenError::WrongSecret { .. }), "{error}");
    assert_all_opens(&opened(&place, &["new"]).await).await;
}

#[tokio::test]
async fn a_rotation_while_it_is_open_is_one_too() {
    let place = place();
    let sealer = sealer_of(&["one"]);
    let stores = open(place.options(), sealer.clone()).await.unwrap();
    fill(&stores).await;
    sealer.change_secrets(&["new", "one"].map(SecretText::new)).unwrap();
    stores.upkeep.reseal().await.unwrap();
    sealer.change_secrets(&["new"].map(SecretText::new)).unwrap();
    stores.upkeep.reseal().await.unwrap();
    assert_all_opens(&stores).await;
    let error = opening(place.options(), &["one"]).await;
    assert!(matches!(error, OpenError::WrongSecret { .. }), "{error}");
}

#[tokio::test]
async fn what_was_sealed_with_the_earlier_secret_after_the_rotation_is_found_at_the_next_start() {
    let place = place();
    let late = opened(&place, &["one", "new"]).await;
    drop(opened(&place, &["new", "one"]).await);
    fill(&late).await;
    drop(opened(&place, &["new", "one"]).await);
    assert_all_opens(&opened(&place, &["new"]).await).await;
}

/// Gateways of an earlier version could not read the refresh tokens of this one: they start here no
/// more.
#[tokio::test]
async fn an_earlier_layout_is_raised_with_the_right_secret_alone() {
    let place = place();
    drop(opened(&place, &["one"]).await);
    let () = SERVER.ask(&["SET", &place.key("{meta}:layout"), "1"]);
    let layout = || SERVER.ask::<i64>(&["GET", &place.key("{meta}:layout")]);
    assert!(matches!(opening(place.options(), &["another"]).await, OpenError::WrongSecret { .. }));
    assert_eq!(layout(), 1, "with another secret nothing changes");
    drop(opened(&place, &["one"]).await);
    assert_eq!(layout(), 2);
}

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let place = place();
    drop(opened(&place, &["one"]).await);
    let () = SERVER.ask(&["SET", &place.key("{meta}:layout"), "99"]);
    let error = opening(place.options(), &["one"]).await;
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn sealed_records_cannot_change_places() {
    let place = place();
    let stores = place.open().await;
    fill(&stores).await;
    let other = portunus_core::signin::ProviderRequest {
        state: TokenHash::of("secret of another state"),
        ..provider_request()
    };
    stores.transactions.insert_provider_request(&other).await.unwrap();
    let key =
        |state: &TokenHash| place.key(&format!("{{{:02x}}}:leg:{state}", state.as_bytes()[0]));
    let sealed: Vec<u8> = SERVER.ask(&["HGET", &key(&other.state), "record"]);
    let () = SERVER.ask(&[
        b"HSET".as_slice(),
        key(&provider_request().state).as_bytes(),
        b"record",
        &sealed,
    ]);
    let moved = stores.transactions.take_provider_request(&provider_request().state, NOW).await;
    assert!(matches!(moved, Err(StoreError::Corrupt(_))), "{moved:?}");
}

/// Redis throws away what no purge did: everything has an end but what stays until it is deleted on
/// purpose.
#[tokio::test]
async fn what_expires_has_an_end_in_redis_too() {
    let place = place();
    fill(&place.open().await).await;
    let mut kinds = Vec::new();
    for key in SERVER.ask::<Vec<String>>(&["KEYS", &place.key("*")]) {
        let left: i64 = SERVER.ask(&["PTTL", &key]);
        if left == -1 {
            kinds.push(key.split("}:").nth(1).unwrap().split(':').next().unwrap().to_owned());
        }
    }
    kinds.sort();
    // The layout, the sentinel, one client with its lists, one user.
    assert_eq!(kinds, ["all", "client", "layout", "sentinel", "unused", "user"]);
}

/// The one step of a revocation is that the epoch moves on: what a gateway that died right after it
/// did not get to is dead too.
#[tokio::test]
async fn a_revocation_that_was_cut_short_is_whole() {
    let shard = |id: &str| format!("{:02x}", TokenHash::of(id).as_bytes()[0]);
    let owner = user().id;
    let epochs = [
        "{clients}:epoch".to_owned(),
        "{clients}:epoch-of-client:client".to_owned(),
        format!("{{{}}}:epoch-of-user:{owner}", shard(owner.as_str())),
    ];
    for epoch in epochs {
        let (place, other) = (place(), place());
        let stores = place.open().await;
        fill(&stores).await;
        let token = TokenHash::of("secret of the access token");
        assert!(stores.grants.find_access(&token, NOW).await.unwrap().is_some());
        let () = SERVER.ask(&["SET", &place.key(&epoch), "1:1800000000777"]);
        assert_eq!(stores.grants.find_access(&token, NOW).await.unwrap(), None, "{epoch}");
        let found = stores.grants.find_grant(&grant().id).await.unwrap().unwrap();
        assert_eq!(
            found.revoked_at.map(portunus_core::Timestamp::as_millis),
            Some(1_800_000_000_777),
            "{epoch}"
        );
        assert_eq!(
            stores.grants.list_grants(&GrantsOf::User(owner.clone()), 10).await.unwrap(),
            [],
            "{epoch}"
        );
        // A store has no epochs when it was just filled; the grant is revoked there all the same.
        let other = other.open().await;
        other.archive.import(&mut Crate::of(&stores).await).await.unwrap();
        assert_eq!(other.grants.find_access(&token, NOW).await.unwrap(), None, "{epoch}");
        assert_eq!(other.grants.find_grant(&grant().id).await.unwrap(), Some(found), "{epoch}");
    }
}

#[tokio::test]
async fn an_acl_user_with_what_the_documentation_names() {
    let place = place();
    let rules =
        ["+@read", "+@write", "+@scripting", "+@connection", "+time", "+wait", "+config|get"];
    let pattern = format!("~{}", place.key("*"));
    let mut command =
        vec!["ACL", "SETUSER", "gateway", "on", ">p@ss/word", &pattern, "resetchannels"];
    command.extend(rules);
    let () = SERVER.ask(&command);
    let address = |password: &str| {
        RedisAddress::parse(&format!("redis://gateway:{password}@127.0.0.1:{}", SERVER.port))
            .unwrap()
    };
    let options = RedisOptions { address: address("p%40ss%2Fword"), ..place.options() };
    let stores = open(options.clone(), sealer("one")).await.unwrap();
    fill(&stores).await;
    assert_all_opens(&stores).await;
    stores.upkeep.ping().await.unwrap();
    stores.upkeep.purge(NOW, NOW).await.unwrap();
    stores.archive.import(&mut Crate::of(&stores).await).await.unwrap();
    assert_eq!(Box::pin(inspect(options.clone(), sealer("one"), NOW)).await.unwrap().problems, []);

    // Not to hear of anything is allowed: it is counted.
    let before = stores.invalidations.revision().await.unwrap();
    stores.invalidations.post(&Invalidation::Everything).await.unwrap();
    assert_ne!(stores.invalidations.revision().await.unwrap(), before);
    assert!(stores.invalidations.listen().await.is_err());
    let channels = format!("&{}", place.key("*"));
    let () = SERVER.ask(&["ACL", "SETUSER", "gateway", "+info", "+@pubsub", &channels]);
    let mut hearing = stores.invalidations.listen().await.unwrap();
    stores.invalidations.post(&Invalidation::Everything).await.unwrap();
    assert_eq!(
        next(&mut hearing).await.unwrap().after,
        stores.invalidations.revision().await.unwrap()
    );

    let error =
        opening(RedisOptions { address: address("hunter2"), ..options.clone() }, &["one"]).await;
    assert!(matches!(error, OpenError::Store { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let elsewhere = RedisOptions { prefix: "elsewhere".to_owned(), ..options };
    let error = opening(elsewhere, &["one"]).await;
    assert!(error.to_string().contains("NOPERM"), "keys of others: {error}");
}

/// Gives some records, then breaks off.
struct Broken(Vec<Vec<Record>>);

#[async_trait]
impl RecordSource for Broken {
    async fn next(&mut self) -> Result<Option<Vec<Record>>, ArchiveError> {
        self.0.pop().map(Some).ok_or_else(|| ArchiveError::Elsewhere("the disk is gone".into()))
    }
}

#[tokio::test]
async fn what_was_imported_in_half_is_opened_by_nobody_until_an_import_succeeds() {
    let place = place();
    let stores = opened(&place, &["one"]).await;
    fill(&stores).await;
    let whole = Crate::of(&stores).await;
    let mut broken = Broken(whole.portions.iter().take(1).cloned().collect());
    let error = stores.archive.import(&mut broken).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    let error = opening(place.options(), &["one"]).await;
    assert!(matches!(error, OpenError::HalfRestored { .. }), "{error}");
    let again = open_to_import(place.options(), sealer("one")).await.unwrap();
    again
        .archive
        .import(&mut Crate { portions: whole.portions, ..Crate::default() })
        .await
        .unwrap();
    assert_all_opens(&opened(&place, &["one"]).await).await;
}

/// Two prefixes in one Redis know nothing of each other.
#[tokio::test]
async fn prefixes_keep_apart() {
    let (one, other) = (place(), place());
    fill(&one.open().await).await;
    let stores = other.open().await;
    assert_eq!(stores.grants.find_grant(&grant().id).await.unwrap(), None);
    assert_eq!(stores.grants.revoke_grants(&GrantsOf::Everyone, NOW).await.unwrap(), 0);
    assert!(stores.archive.is_empty().await.unwrap());
    stores.archive.import(&mut Crate::default()).await.unwrap();
    assert!(
        one.open()
            .await
            .grants
            .find_access(&TokenHash::of("secret of the access token"), NOW)
            .await
            .unwrap()
            .is_some()
    );
}

/// The suite hears at the gateway that posts; with Redis all others do too.
#[tokio::test]
async fn invalidations_are_heard_by_every_gateway_on_the_same_keys() {
    let place = place();
    let (one, other) = (place.open().await, place.open().await);
    let elsewhere = RedisOptions {
        address: RedisAddress::parse(&format!("{}/1", SERVER.address())).unwrap(),
        ..place.options()
    };
    let elsewhere = open(elsewhere, sealer("one")).await.unwrap();
    let mut hearing = other.invalidations.listen().await.unwrap();
    elsewhere.invalidations.post(&Invalidation::Everything).await.unwrap();
    let before = other.invalidations.revision().await.unwrap();
    one.grants.revoke_grants(&GrantsOf::Everyone, NOW).await.unwrap();
    let posted = next(&mut hearing).await.unwrap();
    assert_eq!(
        posted.invalidation,
        Invalidation::Grants(GrantsOf::Everyone),
        "another database is another store"
    );
    assert_eq!(
        (posted.before, posted.after),
        (before, other.invalidations.revision().await.unwrap())
    );
}

#[tokio::test]
async fn a_listener_that_was_cut_off_is_told_and_may_listen_again() {
    let server = Server::start(&[]);
    let place = Place::fresh(server.address());
    let stores = place.open().await;
    let mut hearing = stores.invalidations.listen().await.unwrap();
    assert_eq!(server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]), 1);
    assert_eq!(next(&mut hearing).await, None);
    // What cannot be read may have been anything: touch is lost.
    let mut hearing = stores.invalidations.listen().await.unwrap();
    let channel = place.key("{bulletins}:database-0");
    assert_eq!(server.ask::<u64>(&["PUBLISH", &channel, "nonsense"]), 1);
    assert_eq!(next(&mut hearing).await, None);
    let mut hearing = stores.invalidations.listen().await.unwrap();
    stores.invalidations.post(&Invalidation::Everything).await.unwrap();
    assert_eq!(next(&mut hearing).await.unwrap().invalidation, Invalidation::Everything);
}

#[tokio::test]
async fn a_server_that_was_restarted_has_other_marks() {
    let mut server = Server::start(&[]);
    let stores = Place::fresh(server.address()).open().await;
    stores.invalidations.post(&Invalidation::Everything).await.unwrap();
    let before = stores.invalidations.revision().await.unwrap();
    server.crash();
    assert!(server.run());
    eventually("it answers again", async || stores.invalidations.revision().await.is_ok()).await;
    let after = stores.invalidations.revision().await.unwrap();
    assert_ne!(after, before, "it may have lost the last invalidation, and have what it told");
}
