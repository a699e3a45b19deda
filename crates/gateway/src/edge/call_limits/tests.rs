//! What is counted, held and forgotten. The routes are in `tests/http/call_limits.rs`.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use portunus_core::{
    access::Who,
    call_limits::{CallLimit, Moment, Part, Quota, Target},
    ids::{ClientId, GrantId, UserId},
    oauth::scopes::Pattern,
    principal::Principal,
    resource::Resource,
    scope::ScopeSet,
};
use portunus_mcp::limits::RequestLimits as _;

use super::{
    CallLimits,
    counters::{Counters, Place},
};

/// So long that nothing comes back during a test.
const DAY: Duration = Duration::from_secs(86_400);

fn principal(user: &str, client: &str) -> Arc<Principal> {
    Arc::new(Principal {
        user: UserId::of("idp", user),
        subject: user.to_owned(),
        provider: None,
        client: ClientId::from_text(client),
        application: None,
        grant: GrantId::from_text("grant"),
        resource: Resource::from_stored("https://gateway.test/mcp".to_owned()),
        scopes: ScopeSet::default(),
        groups: Vec::new(),
        email: None,
        name: None,
        signed_in_at: None,
    })
}

fn limit(each: &[Part]) -> CallLimit {
    CallLimit {
        name: "a limit".to_owned(),
        who: Who::default(),
        servers: Vec::new(),
        tools: Vec::new(),
        each: each.to_vec(),
        requests: None,
        concurrent: None,
        bytes: None,
    }
}

fn requests(each: &[Part], count: u64) -> CallLimit {
    let count = NonZeroU64::new(count).unwrap();
    CallLimit { requests: Some(Quota { count, per: DAY }), ..limit(each) }
}

fn concurrent(each: &[Part], most: u32) -> CallLimit {
    CallLimit { concurrent: NonZeroU32::new(most), ..limit(each) }
}

fn passes(limits: &CallLimits, who: &Arc<Principal>, target: Target<'_>) -> bool {
    let request = limits.of(who).unwrap();
    request.begin(target.server, 0).and_then(|()| request.enter(target)).is_ok()
}

fn tool<'a>(server: &'a str, tool: &'a str) -> Target<'a> {
    Target { server: Some(server), tool: Some(tool) }
}

#[test]
fn without_a_limit_that_is_about_the_caller_nothing_is_counted() {
    let alice = principal("alice", "cursor");
    assert!(CallLimits::new(&[]).of(&alice).is_none());
    let of_others = Who { groups: vec!["others".to_owned()], ..Who::default() };
    let limits = CallLimits::new(&[CallLimit { who: of_others, ..requests(&[Part::Person], 1) }]);
    assert!(limits.of(&alice).is_none());
}

#[test]
fn each_has_a_counter_of_its_own() {
    let [alice, bob] = ["alice", "bob"].map(|user| principal(user, "cursor"));
    let elsewhere = principal("alice", "claude");
    let to = |server, name| tool(server, name);
    // After Alice's call of github's search with cursor: Bob's, hers with claude, hers of another
    // tool, hers of jira's tool of that name.
    let cases: [(&[Part], [bool; 4]); 6] = [
        (&[Part::Person], [true, false, false, false]),
        (&[Part::Client], [false, true, false, false]),
        (&[Part::Server], [false, false, false, true]),
        (&[Part::Tool], [false, false, true, true]),
        (&[Part::Person, Part::Client], [true, true, false, false]),
        (&[Part::Person, Part::Tool], [true, false, true, true]),
    ];
    for (each, expected) in cases {
        let others = [
            (&bob, to("github", "search")),
            (&elsewhere, to("github", "search")),
            (&alice, to("github", "create")),
            (&alice, to("jira", "search")),
        ];
        let passed = others.map(|(who, target)| {
            let limits = CallLimits::new(&[requests(each, 1)]);
            assert!(passes(&limits, &alice, to("github", "search")));
            assert!(!passes(&limits, &alice, to("github", "search")), "{each:?}");
            passes(&limits, who, target)
        });
        assert_eq!(passed, expected, "{each:?}");
    }
}

#[test]
fn all_limits_that_fit_are_kept_and_the_strictest_tells_when_to_come_back() {
    let wide = requests(&[Part::Person], 4);
    let narrow = CallLimit {
        name: "search".to_owned(),
        tools: vec![Pattern::parse("search_*").unwrap()],
        ..requests(&[Part::Person], 2)
    };
    let (limits, alice) = (CallLimits::new(&[wide, narrow]), principal("alice", "cursor"));
    let search = tool("github", "search_code");
    assert!(passes(&limits, &alice, search) && passes(&limits, &alice, search));
    let request = limits.of(&alice).unwrap();
    request.begin(None, 0).unwrap();
    let refused = request.enter(search).unwrap_err();
    assert_eq!(refused.limit, "search");
    assert_eq!(refused.text, "Limit `search` reached: too many requests. Try again in 43200 s");
    assert!(passes(&limits, &alice, tool("github", "create")), "three, and the one refused");
    assert!(!passes(&limits, &alice, tool("github", "create")));
}

#[test]
fn a_request_that_is_not_let_through_counts_for_no_limit_that_is_asked_with_the_one_it_met() {
    let (alice, github) = (principal("alice", "cursor"), tool("github", "x"));
    let both = [requests(&[Part::Tool], 1), requests(&[Part::Person, Part::Tool], 5)];
    let limits = CallLimits::new(&both);
    assert!(passes(&limits, &alice, github));
    for _ in 0..10 {
        assert!(!passes(&limits, &alice, github));
    }
    limits.change(&both[1..]);
    let left = (0..10).filter(|_| passes(&limits, &alice, github)).count();
    assert_eq!(left, 4, "of five, the one that passed is counted");
}

#[test]
fn a_reload_leaves_what_unchanged_limits_have_counted() {
    let (alice, any) = (principal("alice", "cursor"), Target::default());
    let (kept, changed) = (requests(&[Part::Person], 2), requests(&[Part::Client], 2));
    let limits = CallLimits::new(&[changed, kept.clone()]);
    assert!(passes(&limits, &alice, any) && passes(&limits, &alice, any));
    // In another place of the list, and by another name.
    let renamed = CallLimit { name: "renamed".to_owned(), ..kept };
    limits.change(&[renamed.clone(), requests(&[Part::Client], 3)]);
    let request = limits.of(&alice).unwrap();
    assert_eq!(request.begin(None, 0).unwrap_err().limit, "renamed");
    limits.change(&[requests(&[Part::Client], 3)]);
    assert!(passes(&limits, &alice, any), "a limit that changed begins anew");
    limits.change(&[]);
    assert!(limits.of(&alice).is_none());
    limits.change(&[renamed]);
    assert!(!passes(&limits, &alice, any), "still");
}

#[test]
fn bytes_of_requests_and_answers_count() {
    let quota = Quota { count: NonZeroU64::new(1000).unwrap(), per: DAY };
    let limits = CallLimits::new(&[CallLimit { bytes: Some(quota), ..limit(&[Part::Server]) }]);
    let alice = principal("alice", "cursor");
    let request = limits.of(&alice).unwrap();
    request.begin(Some("github"), 400).unwrap();
    request.enter(tool("github", "x")).unwrap();
    assert!(passes(&limits, &alice, tool("github", "x")), "600 are left");
    request.answered(700);
    assert!(!passes(&limits, &alice, tool("github", "x")));
    assert!(passes(&limits, &alice, tool("jira", "x")));
}

#[test]
fn t47_nothing_is_at_work_after_requests_that_ended_in_whatever_way() {
    let limits = CallLimits::new(&[
        concurrent(&[Part::Person], 3),
        concurrent(&[Part::Server], 2),
        concurrent(&[Part::Person, Part::Tool], 1),
    ]);
    let people = ["alice", "bob", "carol"].map(|user| principal(user, "cursor"));
    let at_work = || limits.counters.at_work();
    let mut waiting = Vec::new();
    let (mut entered, mut refused) = (0, 0);
    for n in 0..1000_usize {
        let request = limits.of(&people[n % 3]).unwrap();
        let name = format!("tool{}", n % 7);
        request.begin(Some("github"), 1).unwrap();
        // One that is refused by the last limit has left the others.
        match request.enter(tool("github", &name)) {
            Ok(()) => entered += 1,
            Err(_) => refused += 1,
        }
        match n % 6 {
            0 => request.leave(),
            // Told twice, or dropped without a word.
            1 => {
                request.leave();
                request.leave();
            }
            2 => drop(request),
            // It waited for its client, who came back, or did not.
            3 => {
                request.pause();
                request.pause();
                request.resume();
                request.leave();
            }
            4 => {
                request.pause();
                request.leave();
                request.resume();
            }
            _ => waiting.push(request),
        }
        if waiting.len() == 4 {
            waiting.clear();
        }
        if n % 100 == 0 {
            limits.change(&[concurrent(&[Part::Client], 5), concurrent(&[Part::Person], 3)]);
        } else if n % 100 == 50 {
            limits.change(&[concurrent(&[Part::Server], 2), concurrent(&[Part::Tool], 1)]);
        }
    }
    assert!(entered > 300 && refused > 100, "{entered} {refused}");
    waiting.clear();
    assert_eq!(at_work(), 0);
}

#[test]
fn one_that_waits_for_its_client_leaves_room_and_goes_on_in_any_case() {
    let limits = CallLimits::new(&[concurrent(&[Part::Person], 1)]);
    let alice = principal("alice", "cursor");
    let first = limits.of(&alice).unwrap();
    first.enter(Target::default()).unwrap();
    assert!(!passes(&limits, &alice, Target::default()));
    first.pause();
    let second = limits.of(&alice).unwrap();
    second.enter(Target::default()).unwrap();
    first.resume();
    assert_eq!(limits.counters.at_work(), 2);
    drop(first);
    assert!(!passes(&limits, &alice, Target::default()), "the second is at work");
}

#[test]
fn t56_names_that_one_person_makes_up_fill_no_memory_and_take_nobodys_counter() {
    let limits = CallLimits::new(&[requests(&[Part::Tool], 1)]);
    let (mallory, alice) = (principal("mallory", "x"), principal("alice", "cursor"));
    let counters = &limits.counters;
    let before = counters.len();
    let mut passed = 0;
    for n in 0..1_000_000_u32 {
        let name = n.to_string();
        let request = limits.of(&mallory).unwrap();
        passed += usize::from(
            request
                .begin(Some("github"), 0)
                .is_ok_and(|()| request.enter(tool("github", &name)).is_ok()),
        );
        // What there is no room for counts together.
        assert!(passed <= 1100, "{n}");
    }
    let held = counters.len() - before;
    assert!((1000..1100).contains(&held), "{held} counters of a million names");
    assert!(passes(&limits, &alice, tool("github", "mine")));
    assert!(!passes(&limits, &alice, tool("github", "mine")), "and it counts");
}

#[test]
fn t56_what_has_counted_nothing_lately_is_forgotten() {
    let counters = Counters::default();
    let second = Quota { count: NonZeroU64::MIN, per: Duration::from_secs(1) };
    let limit = CallLimit { requests: Some(second), ..limit(&[Part::Person]) };
    let at = |seconds| Moment::after(Duration::from_secs(seconds));
    let place = |n: u32| Place {
        key: counters.key(&n),
        rest: counters.key(&("rest", n)),
        person: counters.key(&("person", n)),
    };
    for n in 0..100_000 {
        counters.change(place(n), at(1), |counter| counter.count(&limit, at(1)));
        counters.note_refusal(counters.key(&("refused", n)), at(1));
    }
    assert_eq!(counters.len(), 100_000, "people who are there, each with a counter");
    for n in 100_000..200_000 {
        counters.change(place(n), at(100), |counter| counter.count(&limit, at(100)));
    }
    assert!(counters.len() <= 130_000, "{}", counters.len());
}

#[test]
fn a_flood_of_refusals_is_told_of_once_in_a_while_with_its_number() {
    let counters = Counters::default();
    let key = counters.key(&"alice");
    let at = |seconds| Moment::after(Duration::from_secs(seconds));
    let told: Vec<_> = (0..1000_u64)
        .filter_map(|n| Some((n, counters.note_refusal(key, at(n / 10))?.get())))
        .collect();
    assert_eq!(told, [(0, 1), (600, 600)]);
    assert_eq!(counters.note_refusal(counters.key(&"bob"), at(99)), Some(NonZeroU32::MIN));
}
