//! Damage that is planted in Redis, and what looking through it says. That nothing is said of a
//! store without damage is a part of the suite.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

use std::sync::LazyLock;

use portunus_core::{
    Timestamp, audit,
    secret::TokenHash,
    store::{RecordKind, StoreError},
};
use portunus_store::{
    conformance::{
        archive::{family_id, furnish, user_id_of},
        audit as written,
    },
    inspection::{Inspection, Problem},
    redis::{OpenError, inspect},
};
use portunus_testkit::redis::Server;

use self::place::{Place, sealer, sealer_of};

mod place;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(&[]));
/// When everything was written.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);
const SECRET: &str = "a secret of the tests";

async fn furnished() -> Place {
    let place = Place::fresh(SERVER.address());
    furnish(&place.open().await).await;
    place
}

async fn look(place: &Place) -> Inspection {
    place.inspect(NOW).await
}

/// The one key of this storage with this end, which may hold `*`.
fn key(place: &Place, end: &str) -> String {
    let keys: Vec<String> = SERVER.ask(&["KEYS", &place.key(end)]);
    assert_eq!(keys.len(), 1, "{end}: {keys:?}");
    keys[0].clone()
}

/// Runs a command in which `@end` stands for the one key with this end, `#text` for a hash, `%n`
/// for the refresh tokens of grant `n`, `&n` for user `n`.
fn plant(place: &Place, command: &[&str]) {
    let words: Vec<String> = command
        .iter()
        .map(|word| match (word.strip_prefix('@'), word.strip_prefix('#')) {
            (Some(end), _) => key(place, &spelt_out(end)),
            (_, Some(text)) => TokenHash::of(text).to_string(),
            _ => (*word).to_owned(),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let _: redis::Value = SERVER.ask(&words);
}

fn spelt_out(end: &str) -> String {
    if let Some((kind, text)) = end.split_once('#') {
        format!("{kind}{}", TokenHash::of(text))
    } else if let Some((kind, n)) = end.split_once('%') {
        format!("{kind}{}", family_id(n.parse().unwrap()))
    } else if let Some((kind, n)) = end.split_once('&') {
        format!("{kind}{}", user_id_of(n.parse().unwrap()))
    } else {
        end.to_owned()
    }
}

fn find<'a>(problems: &'a [Problem], kind: Option<RecordKind>, what: &str) -> Option<&'a Problem> {
    problems.iter().find(|problem| problem.kind == kind && problem.what.contains(what))
}

const CASES: [(&[&str], RecordKind, &str); 35] = [
    // Records that cannot be read.
    (
        &["HSET", "@{clients}:client:client 1", "record", "{}"],
        RecordKind::Client,
        "cannot be read: clients.record",
    ),
    (
        &["HSET", "@*:grant:grant 1", "record", "x"],
        RecordKind::Grant,
        "cannot be read: grants.record",
    ),
    (
        &["HSET", "@*:code:#code 20", "record", "{}"],
        RecordKind::Code,
        "cannot be read: codes.record",
    ),
    (
        &["HSET", "@*:transaction:transaction 1", "record", "{}"],
        RecordKind::Transaction,
        "cannot be read: transactions.record",
    ),
    (
        &["HSET", "@*:leg:#state 1", "record", "x"],
        RecordKind::ProviderRequest,
        "cannot be read: not a sealed value",
    ),
    (
        &["HSET", "@*:login:#login 5", "record", "x"],
        RecordKind::Login,
        "cannot be read: not a sealed value",
    ),
    (
        &["HSET", "@*:session:#session 1", "state", "x"],
        RecordKind::Session,
        "cannot be read: not a sealed value",
    ),
    (
        &["HSET", "@*:provider-token:*", "record", "x"],
        RecordKind::ProviderToken,
        "cannot be read: not a sealed value",
    ),
    (
        &["HSET", "@*:family:%1", "secret", "x"],
        RecordKind::Grant,
        "cannot be read: not a sealed value",
    ),
    (&["HSET", "@*:family:%1", "state", "x"], RecordKind::Grant, "cannot be read: family.state"),
    (
        &["HSET", "@*:access:#access 0", "scopes", "\""],
        RecordKind::Grant,
        "cannot be read: access.scopes",
    ),
    // What belongs to them.
    (&["DEL", "@*:grant:grant 0"], RecordKind::AccessToken, "of a grant that is not there"),
    (&["DEL", "@*:grant:grant 0"], RecordKind::RefreshToken, "of a grant that is not there"),
    (&["DEL", "@*:grant:grant 0"], RecordKind::Grant, "gone before it expired"),
    (&["DEL", "@*:family:%0"], RecordKind::RefreshToken, "gone before it expired"),
    (&["HSET", "@*:task:#task 1", "record", "x"], RecordKind::Task, "cannot be read: tasks.record"),
    (&["DEL", "@*:session:#session 1"], RecordKind::Session, "gone before it expired"),
    (
        &["HSET", "@*:grant:grant 1", "epoch_of_user", "7:1"],
        RecordKind::Grant,
        "of an epoch that has not come",
    ),
    (&["SET", "@*:epoch-of-user:&3", "many"], RecordKind::Grant, "its epoch is no epoch"),
    // What leads to them.
    (&["DEL", "@*:to-access:#access 0"], RecordKind::AccessToken, "no pointer leads to it"),
    (&["SET", "@*:to-family:%0", "grant 0 00"], RecordKind::RefreshToken, "no pointer leads to it"),
    (&["DEL", "@*:to-grant:grant 0"], RecordKind::Grant, "no pointer leads to it"),
    (&["DEL", "@*:to-login:#login 5"], RecordKind::Login, "no pointer leads to it"),
    (&["DEL", "@*:grants-of-client:client 0"], RecordKind::Grant, "not in the list of its client"),
    (&["DEL", "@*:grants-of-login:#login 0"], RecordKind::Grant, "not in the list of its login"),
    // When they expire.
    (
        &["HSET", "@*:session:#session 1", "expires_at", "5"],
        RecordKind::Session,
        "its list says that it expires at another time",
    ),
    (
        &["PERSIST", "@*:session:#session 1"],
        RecordKind::Session,
        "Redis would never delete it by itself",
    ),
    // Clients and pins.
    (&["ZREM", "@{clients}:all", "client 1"], RecordKind::Client, "not in the list of clients"),
    (
        &["ZADD", "@{clients}:unused", "0", "client 1"],
        RecordKind::Client,
        "in the list of unused clients though used",
    ),
    (&["DEL", "@{clients}:client:client 1"], RecordKind::Client, "listed, and not there"),
    (&["DEL", "@{pins}:definitions:dice"], RecordKind::Pin, "without what it stands for"),
    (&["DEL", "@{disabled}:by-time:others"], RecordKind::Disabled, "not in the list by time"),
    (&["DEL", "@{disabled}:disabled:persons"], RecordKind::Disabled, "listed, and not there"),
    (
        &["HSET", "@{disabled}:disabled:others", "server:uuid", "{}"],
        RecordKind::Disabled,
        "cannot be read: disabled.record",
    ),
    (
        &["DEL", "@{pins}:servers"],
        RecordKind::Pin,
        "of a server that is not in the list of servers",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_is_found_and_named() {
    for (command, kind, what) in CASES {
        let place = furnished().await;
        plant(&place, command);
        let problems = look(&place).await.problems;
        let found = find(&problems, Some(kind), what);
        let found =
            found.unwrap_or_else(|| panic!("{command:?}: {what:?} is not in {problems:#?}"));
        assert!(!found.advice.is_empty() && !found.ids.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_list_or_person_knows_is_found() {
    let place = furnished().await;
    for list in [
        "{??}:expiry",
        "{??}:grants",
        "{??}:user:*",
        "{??}:logins-of-user:*",
        "{??}:grants-of-user:*",
    ] {
        let keys: Vec<String> = SERVER.ask(&["KEYS", &place.key(list)]);
        assert!(!keys.is_empty());
        let command: Vec<_> =
            std::iter::once("DEL").chain(keys.iter().map(String::as_str)).collect();
        let _: i64 = SERVER.ask(&command);
    }
    let problems = look(&place).await.problems;
    for (kind, what) in [
        (RecordKind::Session, "no list says when it expires"),
        (RecordKind::Grant, "no list says when it expires"),
        (RecordKind::Grant, "not in the list of its shard"),
        (RecordKind::Grant, "not in the list of its user"),
        (RecordKind::Grant, "of a user who is not there"),
        (RecordKind::Login, "not in the list of its user"),
        (RecordKind::Login, "of a user who is not there"),
    ] {
        assert!(find(&problems, Some(kind), what).is_some(), "{what:?} is not in {problems:#?}");
    }
}

/// A client that was deleted takes its grants along; one that merely went does not.
#[tokio::test]
async fn a_live_grant_of_a_registered_client_that_is_gone_is_found() {
    let place = furnished().await;
    let grant = key(&place, "*:grant:grant 1");
    let record: String = SERVER.ask(&["HGET", &grant, "record"]);
    let _: i64 = SERVER.ask(&[
        "HSET",
        &grant,
        "record",
        &record.replace("\"client 1\"", "\"ptn_client_1\""),
    ]);
    let problems = look(&place).await.problems;
    let found =
        find(&problems, Some(RecordKind::Grant), "live, of a registered client that is not there")
            .unwrap();
    assert_eq!((found.count, found.ids.as_slice()), (1, ["grant 1".to_owned()].as_slice()));
}

#[tokio::test]
async fn seals_are_counted_by_secret_and_stay_as_they_are() {
    let place = furnished().await;
    let with = |secrets: &'static [&'static str]| inspect(place.options(), sealer_of(secrets), NOW);
    assert_eq!(with(&["new", SECRET]).await.unwrap().seals, [0, 15]);
    assert_eq!(with(&["new", SECRET]).await.unwrap().seals, [0, 15], "looking seals nothing anew");
    assert!(matches!(with(&["another"]).await, Err(OpenError::WrongSecret { .. })));
    drop(portunus_store::redis::open(place.options(), sealer_of(&["new", SECRET])).await.unwrap());
    assert_eq!(with(&["new"]).await.unwrap().seals, [15]);
}

#[tokio::test]
async fn nothing_is_written_where_nothing_is() {
    let place = Place::fresh(SERVER.address());
    assert_eq!(inspect(place.options(), sealer(SECRET), NOW).await.unwrap(), Inspection::default());
    let keys: Vec<String> = SERVER.ask(&["KEYS", &place.key("*")]);
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn an_unfinished_restore_is_told() {
    let place = furnished().await;
    let () = SERVER.ask(&["SET", &place.key("{meta}:unfinished-import"), "1"]);
    let problems = look(&place).await.problems;
    assert!(
        find(&problems, None, "a restore is under way, or broke off").is_some(),
        "{problems:?}"
    );
    assert_eq!(look(&place).await.problems, problems, "looking changes nothing");
}

/// What is wrong with the audit trail of a place, by number.
async fn wrong_in_the_trail(place: &Place) -> Vec<(u64, audit::Problem)> {
    let (stores, keys) = (place.open().await, written::keys());
    let mut verifier = audit::Verifier::new(&keys);
    for chain in stores.audit.list_chains().await.unwrap() {
        let mut reading = verifier.chain(&chain.id, chain.head.as_ref(), false);
        match stores.audit.read_records(&chain.id, 0, 100).await {
            Ok(records) => records.iter().for_each(|record| reading.take(record)),
            Err(_) => reading.unreadable(),
        }
        reading.finish();
    }
    verifier.finish().into_iter().map(|found| (found.seq, found.problem)).collect()
}

/// Forms of tampering with a stream: `./test audit` prints how many there are.
const FORMS: usize = 5;

/// How entry 3 of five stands there in the end, what is found, and whether the chain can be gone on
/// with.
type Form<'a> = (&'a [&'a str], Vec<(u64, audit::Problem)>, bool);

/// An entry of a stream has a number in two parts, and a writer by hand may choose both.
#[tokio::test]
async fn audit_records_under_odd_numbers_are_found_and_never_written_over() {
    use audit::Problem as P;
    let largest = format!("{}-0", u64::MAX);
    let cases: [Form<'_>; FORMS] = [
        (&["3-1"], vec![(3, P::Misplaced)], true),
        (&["3-0", "3-1"], vec![(3, P::OutOfOrder)], true),
        (&["3-7", "3-9"], vec![(3, P::Misplaced), (3, P::OutOfOrder)], true),
        (&["3-0", "5-1"], vec![(5, P::OutOfOrder)], true),
        (&["3-0", &largest], vec![(u64::MAX, P::Appended)], false),
    ];
    for (ids, expected, goes_on) in cases {
        let place = Place::fresh(SERVER.address());
        let stores = place.open().await;
        let mut chain = written::Written::begin("gateway-1");
        chain.append(&stores, NOW, 5).await;
        let stream = key(&place, "*audit-records:gateway-1");
        let entries: Vec<(String, Vec<String>)> = SERVER.ask(&["XRANGE", &stream, "-", "+"]);
        {
            // Numbers only grow: all of it anew.
            let _: redis::Value = SERVER.ask(&["DEL", &stream]);
            let mut anew: Vec<(String, Vec<String>)> =
                entries.iter().filter(|(id, _)| id != "3-0").cloned().collect();
            anew.extend(ids.iter().map(|id| ((*id).to_owned(), entries[2].1.clone())));
            let number = |id: &str| {
                let (one, two) = id.split_once('-').unwrap();
                (one.parse::<u64>().unwrap(), two.parse::<u64>().unwrap())
            };
            anew.sort_by_key(|(id, _)| number(id));
            for (id, fields) in &anew {
                let mut words = vec!["XADD", stream.as_str(), id.as_str()];
                words.extend(fields.iter().map(String::as_str));
                let _: redis::Value = SERVER.ask(&words);
            }
        }
        assert_eq!(wrong_in_the_trail(&place).await, expected, "{ids:?}");
        let mut longer = chain.chain.clone();
        let record = longer.append(written::entry(NOW, "later"));
        let appended = stores
            .audit
            .append(chain.head.as_ref(), &longer.head(&written::keys()), &[record])
            .await;
        assert_eq!(appended.is_ok(), goes_on, "{ids:?}: {appended:?}");
        if !goes_on {
            assert!(matches!(appended, Err(StoreError::Corrupt(_))), "{appended:?}");
            assert_eq!(wrong_in_the_trail(&place).await, expected, "nothing was written");
        }
    }
}

/// Keys of another type than the gateway makes.
#[tokio::test]
async fn an_audit_trail_of_another_type_is_listed_and_found() {
    use audit::Problem as P;
    for (end, expected) in [
        ("*audit-head:gateway-1", vec![(0, P::NoHead)]),
        ("*audit-records:gateway-1", vec![(1, P::Unreadable), (1, P::MissingAtEnd { to: 3 })]),
    ] {
        let place = Place::fresh(SERVER.address());
        let stores = place.open().await;
        let mut chain = written::Written::begin("gateway-1");
        chain.append(&stores, NOW, 3).await;
        let key = key(&place, end);
        let _: redis::Value = SERVER.ask(&["DEL", &key]);
        let _: redis::Value = SERVER.ask(&["SADD", &key, "what is this"]);
        assert_eq!(wrong_in_the_trail(&place).await, expected, "{end}");
        let mut longer = chain.chain.clone();
        let record = longer.append(written::entry(NOW, "later"));
        let appended = stores
            .audit
            .append(chain.head.as_ref(), &longer.head(&written::keys()), &[record])
            .await;
        assert!(matches!(appended, Err(StoreError::Corrupt(_))), "{end}: {appended:?}");
    }
}
