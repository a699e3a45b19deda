//! Tables of what limits are about and what passes, by a clock that is moved by hand.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{
    access::Who,
    admission::AccountName,
    ids::{ClientId, GrantId, ProviderName, UserId},
    oauth::scopes::Pattern,
    principal::Principal,
    resource::Resource,
    scope::ScopeSet,
};

fn quota(count: u64, seconds: u64) -> Quota {
    Quota { count: NonZeroU64::new(count).unwrap(), per: Duration::from_secs(seconds) }
}

fn limit(each: &[Part]) -> CallLimit {
    CallLimit {
        name: "one".to_owned(),
        who: Who::default(),
        servers: Vec::new(),
        tools: Vec::new(),
        each: each.to_vec(),
        requests: None,
        concurrent: None,
        bytes: None,
    }
}

fn at(millis: u64) -> Moment {
    Moment::after(Duration::from_millis(millis))
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

fn principal() -> Principal {
    Principal {
        user: UserId::of("idp", "alice"),
        subject: "00u1".to_owned(),
        provider: Some(ProviderName::from_text("okta")),
        client: ClientId::from_text("cursor"),
        application: None,
        grant: GrantId::from_text("g"),
        resource: Resource::from_stored("https://gateway.test/mcp".to_owned()),
        scopes: ScopeSet::default(),
        groups: vec!["contractors".to_owned()],
        email: Some("Alice@Acme.example".to_owned()),
        name: None,
        signed_in_at: None,
    }
}

/// Servers, tools, each; which of the requests below are counted.
type Case = (&'static [&'static str], &'static [&'static str], &'static [Part], [bool; 4]);

#[test]
fn what_a_limit_is_about() {
    use Part::{Client, Person, Server, Tool};
    // Of: a list of all, a list of github's, github's search_code, jira's search_code.
    let cases: [Case; 9] = [
        (&[], &[], &[Person], [true; 4]),
        (&[], &[], &[Person, Client], [true; 4]),
        (&[], &[], &[Server], [false, true, true, true]),
        (&[], &[], &[Tool], [false, false, true, true]),
        (&["github"], &[], &[Person], [false, true, true, false]),
        (&["git*", "x"], &[], &[Server], [false, true, true, false]),
        (&["github"], &["search_*"], &[Person], [false, false, true, false]),
        (&[], &["search_*"], &[Person], [false, false, true, true]),
        (&[], &["create_*"], &[Person], [false; 4]),
    ];
    for (servers, tools, each, expected) in cases {
        let limit = CallLimit { servers: patterns(servers), tools: patterns(tools), ..limit(each) };
        let targets = [
            Target::default(),
            Target { server: Some("github"), tool: None },
            Target { server: Some("github"), tool: Some("search_code") },
            Target { server: Some("jira"), tool: Some("search_code") },
        ];
        assert_eq!(targets.map(|target| limit.is_about(target)), expected, "{limit:?}");
    }
}

#[test]
fn whom_a_limit_is_about() {
    let groups = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let people = |name: &str| vec![AccountName::parse(name).unwrap()];
    let of = |name: &str| vec![ProviderName::from_text(name)];
    let cases = [
        (Who::default(), true),
        (Who { groups: groups(&["contractors"]), ..Who::default() }, true),
        (Who { groups: groups(&["Contractors"]), ..Who::default() }, false),
        (Who { people: people("alice@acme.example"), ..Who::default() }, true),
        (Who { people: people("00u1"), ..Who::default() }, true),
        (Who { people: people("bob@acme.example"), ..Who::default() }, false),
        // Groups or people ...
        (Who { groups: groups(&["staff"]), people: people("00u1"), ..Who::default() }, true),
        // ... with one of the clients, from one of the providers.
        (Who { clients: vec![ClientId::from_text("cursor")], ..Who::default() }, true),
        (
            Who {
                groups: groups(&["contractors"]),
                clients: vec![ClientId::from_text("other")],
                ..Who::default()
            },
            false,
        ),
        (Who { groups: groups(&["contractors"]), providers: of("okta"), ..Who::default() }, true),
        (Who { groups: groups(&["contractors"]), providers: of("entra"), ..Who::default() }, false),
    ];
    for (who, expected) in cases {
        let limit = CallLimit { who, ..limit(&[Part::Person]) };
        assert_eq!(limit.fits(&principal(), Target::default()), expected, "{:?}", limit.who);
    }
    let who = Who { clients: vec![ClientId::agent_key()], ..Who::default() };
    let limit = CallLimit { who, ..limit(&[Part::Person]) };
    for (client, expected) in [("agent-key:one", true), ("agent-keys", false), ("cursor", false)] {
        let principal = Principal { client: ClientId::from_text(client), ..principal() };
        assert_eq!(limit.fits(&principal, Target::default()), expected, "{client}");
    }
}

#[test]
fn a_rate_passes_its_count_at_once_and_then_one_for_each_that_came_back() {
    let limit = CallLimit { requests: Some(quota(3, 60)), ..limit(&[Part::Person]) };
    let mut counter = Counter::default();
    // Milliseconds, and how long the one that comes then has to wait.
    let cases = [
        (1000, None),
        (1000, None),
        (1000, None),
        (1000, Some(20_000)),
        (11_000, Some(10_000)),
        (21_000, None),
        (21_000, Some(20_000)),
        (61_000, None),
        (61_000, None),
        (61_000, Some(20_000)),
    ];
    for (millis, wait) in cases {
        let refusal = wait.map(|wait| Refusal {
            exceeded: Exceeded::Requests,
            retry_after: Duration::from_millis(wait),
        });
        let decided = counter.decide(&limit, at(millis));
        assert_eq!(decided.err(), refusal, "at {millis}");
        if decided.is_ok() {
            counter.count(&limit, at(millis));
        }
    }
    assert!(!counter.is_idle(at(120_000)) && counter.is_idle(at(121_000)));
}

#[test]
fn bytes_that_have_come_are_paid_off_before_another_request_passes() {
    let limit = CallLimit { bytes: Some(quota(1000, 10)), ..limit(&[Part::Person]) };
    let mut counter = Counter::default();
    assert_eq!(counter.decide(&limit, at(0)), Ok(()));
    counter.count_bytes(&limit, at(0), 400);
    assert_eq!(counter.decide(&limit, at(0)), Ok(()), "something is left");
    counter.count_bytes(&limit, at(0), 1600);
    let refused = counter.decide(&limit, at(0)).unwrap_err();
    assert_eq!(refused.exceeded, Exceeded::Bytes);
    assert_eq!(refused.retry_after, Duration::from_secs(10) + Duration::from_nanos(1));
    assert!(counter.decide(&limit, at(10_000)).is_err());
    assert_eq!(counter.decide(&limit, at(10_001)), Ok(()));
    counter.count_bytes(&limit, at(10_001), u64::MAX);
    assert!(counter.decide(&limit, Moment::after(Duration::from_secs(1 << 33))).is_err());
}

#[test]
fn so_many_are_at_work_and_one_more_when_one_has_ended() {
    let limit = CallLimit { concurrent: NonZeroU32::new(2), ..limit(&[Part::Server]) };
    let mut counter = Counter::default();
    assert!(counter.begin_work(&limit).is_ok() && counter.begin_work(&limit).is_ok());
    let refused = counter.begin_work(&limit).unwrap_err();
    assert_eq!((refused.exceeded, refused.retry_after), (Exceeded::Concurrent, PATIENCE));
    counter.end_work();
    assert!(counter.begin_work(&limit).is_ok());
    counter.go_on_with_work();
    assert_eq!(counter.at_work(), 3, "one that waited for its client goes on in any case");
    for _ in 0..4 {
        counter.end_work();
    }
    assert!(counter.is_idle(at(0)));
}

const PATIENCE: Duration = Duration::from_secs(1);

#[test]
fn of_two_reasons_the_longer_wait_is_told() {
    let limit = CallLimit {
        requests: Some(quota(1, 60)),
        bytes: Some(quota(10, 10)),
        ..limit(&[Part::Person])
    };
    let mut counter = Counter::default();
    counter.count(&limit, at(0));
    counter.count_bytes(&limit, at(0), 20);
    assert_eq!(counter.decide(&limit, at(0)).unwrap_err().exceeded, Exceeded::Requests);
    counter.count_bytes(&limit, at(0), 200);
    assert_eq!(counter.decide(&limit, at(0)).unwrap_err().exceeded, Exceeded::Bytes);
}

proptest! {
    /// In whatever stretch of time, no more than the count and what comes back in it.
    #[test]
    fn never_more_than_burst_and_rate_times_time(
        count in 1_u64..2000,
        seconds in 1_u64..100,
        pauses in prop::collection::vec(prop_oneof![Just(0), 0_u64..5000, 0_u64..2_000_000_000], 1..300),
    ) {
        let limit = CallLimit { requests: Some(quota(count, seconds)), ..limit(&[Part::Person]) };
        let mut counter = Counter::default();
        let (mut now, mut passed) = (0_u64, Vec::new());
        for pause in pauses {
            now += pause;
            let moment = Moment::after(Duration::from_nanos(now));
            if counter.decide(&limit, moment).is_ok() {
                counter.count(&limit, moment);
                passed.push(now);
            }
        }
        for (n, from) in passed.iter().enumerate() {
            for (m, until) in passed.iter().enumerate().skip(n) {
                let in_it = u128::from((m - n + 1) as u64);
                let back = u128::from(until - from) * u128::from(count) / (u128::from(seconds) * 1_000_000_000);
                prop_assert!(in_it <= u128::from(count) + back, "{in_it} from {from} to {until}");
            }
        }
    }

    /// Of bytes, beside these, those of the one request that used up the rest.
    #[test]
    fn never_more_bytes_than_that_and_one_request(
        count in 1_u64..100_000,
        seconds in 1_u64..100,
        requests in prop::collection::vec((0_u64..2_000_000_000, 0_u64..10_000), 1..200),
    ) {
        let limit = CallLimit { bytes: Some(quota(count, seconds)), ..limit(&[Part::Person]) };
        let mut counter = Counter::default();
        let (mut now, mut passed, mut last) = (0_u64, 0_u64, 0_u64);
        for (pause, bytes) in requests {
            now += pause;
            let moment = Moment::after(Duration::from_nanos(now));
            if counter.decide(&limit, moment).is_ok() {
                counter.count_bytes(&limit, moment, bytes);
                passed += bytes;
                last = bytes;
            }
        }
        let back = u128::from(now) * u128::from(count) / (u128::from(seconds) * 1_000_000_000);
        prop_assert!(u128::from(passed - last) <= u128::from(count) + back);
    }
}
