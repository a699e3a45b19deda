//! What is disabled, in tables.

use super::*;
use crate::access::ToolHints;

fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

fn person(subject: &str) -> Disableable {
    Disableable::Person(UserId::of("https://idp", subject))
}

fn tool(of: &str, tool: &str) -> Disableable {
    Disableable::Tool { server: server(of), tool: tool.to_owned() }
}

fn client(id: &str) -> Disableable {
    Disableable::Client(ClientId::from_text(id))
}

#[test]
fn a_grant_is_refused_for_its_person_and_for_its_client() {
    let set: DisabledSet = [person("alice"), client("laptop")].into_iter().collect();
    let cases = [
        ("alice", "phone", true),
        ("bob", "laptop", true),
        ("alice", "laptop", true),
        ("bob", "phone", false),
        // The same subject of another issuer is another person.
        ("ALICE", "LAPTOP", false),
    ];
    for (subject, id, refused) in cases {
        let (user, id) = (UserId::of("https://idp", subject), ClientId::from_text(id));
        assert_eq!(set.refuses(&user, &id), refused, "{subject} {id}");
        assert!(!DisabledSet::default().refuses(&user, &id));
    }
    let elsewhere = UserId::of("https://another", "alice");
    assert!(!set.refuses(&elsewhere, &ClientId::from_text("phone")));
}

#[test]
fn every_key_is_refused_with_agent_key_and_no_other_client() {
    let user = UserId::of("https://idp", "alice");
    let set: DisabledSet = [Disableable::Client(ClientId::agent_key())].into_iter().collect();
    let one: DisabledSet = [client("agent-key:one")].into_iter().collect();
    for (id, by_all, by_one) in [
        ("agent-key:one", true, true),
        ("agent-key:two", true, false),
        ("agent-keys", false, false),
        ("laptop", false, false),
    ] {
        let id = ClientId::from_text(id);
        assert_eq!((set.refuses(&user, &id), one.refuses(&user, &id)), (by_all, by_one), "{id}");
    }
}

#[test]
fn with_a_server_goes_all_that_it_has_and_a_tool_goes_alone() {
    let (dice, uuid) = (server("dice"), server("uuid"));
    let named = |server, name| Thing::Tool { server, name, hints: ToolHints::default() };
    let cases = |thing: Thing<'_>| {
        let by = |what: Disableable| DisabledSet::from_iter([what]).hides(&thing);
        [
            by(Disableable::Server(dice.clone())),
            by(tool("dice", "roll")),
            by(Disableable::Proxy("/grafana".to_owned())),
            by(person("alice")),
            by(client("/grafana")),
        ]
    };
    let (whole, one, route) = (
        [true, false, false, false, false],
        [true, true, false, false, false],
        [false, false, true, false, false],
    );
    assert_eq!(cases(Thing::Server(&dice)), whole);
    assert_eq!(cases(named(&dice, "roll")), one);
    assert_eq!(cases(named(&dice, "flip")), whole);
    assert_eq!(cases(Thing::Prompt(&dice, "roll")), whole, "a prompt is no tool");
    assert_eq!(cases(Thing::Resource(&dice, "roll")), whole);
    assert_eq!(cases(Thing::Method(&dice, "roll")), whole);
    assert_eq!(cases(Thing::Proxy("/grafana")), route);
    for thing in [Thing::Server(&uuid), named(&uuid, "roll"), Thing::Proxy("/grafana/x")] {
        assert_eq!(cases(thing), [false; 5], "{thing:?}");
    }
}

#[test]
fn what_was_put_in_is_there_until_it_is_taken_out() {
    let all = [
        person("alice"),
        client("laptop"),
        Disableable::Server(server("dice")),
        tool("dice", "roll"),
        tool("dice", "flip"),
        Disableable::Proxy("/grafana".to_owned()),
    ];
    let mut set: DisabledSet = all.iter().cloned().collect();
    for (at, what) in all.iter().enumerate() {
        assert!(set.contains(what), "{what}");
        set.remove(what);
        assert!(!set.contains(what), "{what}");
        let left: HashSet<_> = set.iter().collect();
        assert_eq!(left, all[at + 1..].iter().cloned().collect(), "{what}");
    }
    assert_eq!(set, DisabledSet::default(), "nothing is left of a server");
    set.remove(&tool("dice", "roll"));
}

#[test]
fn what_is_written_down_has_a_bound() {
    let record = |what, reason: Option<&str>| DisabledRecord {
        what,
        name: None,
        reason: reason.map(str::to_owned),
        by: "uid 0".to_owned(),
        at: Timestamp::from_millis(0),
    };
    let long = "x".repeat(LONGEST_REASON + 1);
    let cases = [
        (record(person("alice"), None), Ok(())),
        (record(person("alice"), Some(&long[1..])), Ok(())),
        (record(person("alice"), Some(&long)), Err(CannotDisable::Reason)),
        (record(person("alice"), Some("two\nlines")), Err(CannotDisable::Reason)),
        (record(tool("dice", ""), None), Err(CannotDisable::Name)),
        (record(tool("dice", &"x".repeat(LONGEST_NAME)), None), Ok(())),
        (record(tool("dice", &"x".repeat(LONGEST_NAME + 1)), None), Err(CannotDisable::Name)),
    ];
    for (record, expected) in cases {
        assert_eq!(record.check(), expected, "{}", record.what);
    }
}
