//! What is remembered of decisions, and when it is forgotten.

use portunus_core::{
    Timestamp,
    access::{AccessRule, ArgumentCondition, ArgumentValue, Effect, Mode, Place, What, When, Who},
    clock::FixedClock,
    disabled::Disableable,
    ids::{ClientId, GrantId, ProviderName, UserId},
    invalidation::Invalidation,
    oauth::scopes::Pattern,
    resource::Resource,
    scope::ScopeSet,
};

use portunus_mcp::wire::Payload;

use super::{decisions::BYTES_PER_CALLER, *};

fn access(policy: Arc<Policy>) -> Access {
    Access::new(policy, Arc::new(FixedClock::at(NOW)))
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn policy(effect: Effect, groups: &[&str], tools: &[&str]) -> Arc<Policy> {
    Arc::new(Policy::new(vec![rule_of(effect, groups, tools)], Vec::new()).unwrap())
}

fn rule_of(effect: Effect, groups: &[&str], tools: &[&str]) -> AccessRule {
    AccessRule {
        name: "one".to_owned(),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect,
        mode: Mode::Enforce,
        when: When::default(),
        who: Who { groups: groups.iter().map(ToString::to_string).collect(), ..Who::default() },
        what: What {
            tools: tools.iter().map(|tool| Pattern::parse(tool).unwrap()).collect(),
            ..What::default()
        },
    }
}

fn principal(groups: &[&str], client: &str) -> Arc<Principal> {
    Arc::new(Principal {
        user: UserId::of("https://idp.example", "alice"),
        subject: "alice".to_owned(),
        provider: Some(ProviderName::from_text("okta")),
        client: ClientId::from_text(client),
        application: None,
        grant: GrantId::from_text("grant"),
        resource: Resource::from_stored("https://gw.example/mcp"),
        scopes: ScopeSet::default(),
        groups: groups.iter().map(ToString::to_string).collect(),
        email: None,
        name: None,
        signed_in_at: None,
    })
}

fn server() -> ServerName {
    ServerName::parse("github").unwrap()
}

/// Neither of another person's groups, nor of another client, server or kind.
#[test]
fn t41_what_is_remembered_is_of_one_caller_and_one_thing() {
    let access = access(policy(Effect::Allow, &["staff"], &["get_*"]));
    let server = server();
    let get = Thing::Tool { server: &server, name: "get_x", hints: ToolHints::default() };
    let put = Thing::Tool { server: &server, name: "put_x", hints: ToolHints::default() };
    let prompt = Thing::Prompt(&server, "get_x");
    for _ in 0..3 {
        for client in ["one", "two"] {
            let (staff, guest) = (
                access.of(principal(&["staff"], client)),
                access.of(principal(&["guests"], client)),
            );
            assert!(staff.may(&get) && staff.may_enter(&server));
            assert!(!staff.may(&put) && !staff.may(&prompt));
            assert!(!guest.may(&get) && !guest.may_enter(&server));
        }
    }
}

fn judged(is_allowed: bool) -> Arc<Judgement> {
    let effect = if is_allowed { Effect::Allow } else { Effect::Deny };
    let server = server();
    Arc::new(policy(effect, &[], &[]).judge(&Facts::default(), &Thing::Server(&server), None, None))
}

/// What a server says of its tool is part of what was decided.
#[test]
fn t41_a_tool_that_only_reads_is_another_thing() {
    let (mut decisions, server) = (Decisions::default(), server());
    let tool = |hints| Thing::Tool { server: &server, name: "x", hints };
    let (reading, other) = (tool(ToolHints::reading()), tool(ToolHints::default()));
    decisions.remember(&reading, judged(true));
    assert!(decisions.find(&other).is_none());
    decisions.remember(&other, judged(false));
    let found = |thing| decisions.find(thing).unwrap().settled();
    assert_eq!((found(&reading), found(&other)), (Some(true), Some(false)));
}

/// A caller that was judged goes on under the new rules: streams do not end with a reload.
#[test]
fn t41_decisions_go_with_the_rules_that_made_them() {
    let access = access(Arc::default());
    let server = server();
    let get = Thing::Tool { server: &server, name: "get_x", hints: ToolHints::default() };
    let caller = access.of(principal(&["staff"], "one"));
    assert!(caller.may(&get));
    for _ in 0..2 {
        access.change(policy(Effect::Allow, &["staff"], &["get_*"]));
        assert!(caller.may(&get));
        access.change(policy(Effect::Deny, &["staff"], &["get_*"]));
        assert!(!caller.may(&get));
        access.change(Arc::default());
        assert!(caller.may(&get));
    }
}

#[test]
fn t47_what_is_remembered_of_one_caller_has_a_bound() {
    let (mut decisions, server, judged) = (Decisions::default(), server(), judged(true));
    let names: Vec<String> = (0..10_000).map(|n| format!("{n:0200}")).collect();
    for name in &names {
        let thing = Thing::Prompt(&server, name);
        decisions.remember(&thing, Arc::clone(&judged));
        assert!(decisions.find(&thing).is_some());
        assert!(decisions.bytes <= BYTES_PER_CALLER);
    }
    let found = |name: &String| decisions.find(&Thing::Prompt(&server, name)).is_some();
    let kept = names.iter().filter(|name| found(name)).count();
    assert!((300..700).contains(&kept), "as many as have room: {kept}");
    let long = "x".repeat(BYTES_PER_CALLER);
    decisions.remember(&Thing::Prompt(&server, &long), judged);
    assert!(decisions.find(&Thing::Prompt(&server, &long)).is_none(), "it is too long");
}

fn many_rules(count: u32) -> Arc<Policy> {
    let rule = |n: u32| AccessRule {
        name: format!("rule {n}"),
        place: Place { file: "config.yaml".to_owned(), line: n },
        effect: if n % 10 == 9 { Effect::Deny } else { Effect::Allow },
        mode: Mode::Enforce,
        who: Who { groups: vec![format!("group {}", n % 7)], ..Who::default() },
        what: What { tools: vec![Pattern::parse(&format!("t{n}_*")).unwrap()], ..What::default() },
        when: When {
            arguments: ArgumentCondition::new("repo", vec![ArgumentValue::Flag(true)])
                .filter(|_| n.is_multiple_of(5))
                .into_iter()
                .collect(),
            signed_in: None,
        },
    };
    Arc::new(Policy::new((0..count).map(rule).collect(), Vec::new()).unwrap())
}

/// What was decided is found again, whatever the number of rules; also by a caller with more things
/// than there is room for.
#[test]
fn t41_a_decision_that_is_remembered_is_not_evaluated() {
    let server = server();
    let names: Vec<String> = (0..1_000).map(|n| format!("t{}_some_tool_{n}", n % 30)).collect();
    for rules in [0, 20, 1_000] {
        let policy = many_rules(rules);
        let access = access(Arc::clone(&policy));
        let groups = ["group 0", "group 1", "group 2", "group 3", "group 4"];
        let list = |names: &[String]| {
            let before = policy.evaluations();
            let caller = access.of(principal(&groups, "one"));
            for name in names {
                let hints = ToolHints::default();
                caller.may(&Thing::Tool { server: &server, name, hints });
            }
            policy.evaluations() - before
        };
        // With many rules each evaluation takes long: fewer things are enough.
        let names = if rules > 100 { &names[..60] } else { &names[..] };
        let first = list(names);
        assert_eq!(first == 0, rules == 0, "{rules}: {first}");
        assert_eq!(list(names), 0, "{rules} rules: everything is remembered");
    }
    // No cliff: a fifth too many is not the end of all the others.
    let mut decisions = Decisions::default();
    let judged = judged(true);
    let things: Vec<String> = (0..1_500).map(|n| format!("some_tool_{n:05}")).collect();
    let mut missed = 0;
    for round in 0..4 {
        missed = 0;
        for name in &things {
            let thing = Thing::Prompt(&server, name);
            if decisions.find(&thing).is_none() {
                missed += 1;
                decisions.remember(&thing, Arc::clone(&judged));
            }
        }
        assert!(round > 0 || missed == things.len());
    }
    assert!(missed > 0 && missed < things.len() * 7 / 10, "{missed} of {}", things.len());
}

/// Neither the time nor the arguments are part of what is remembered.
#[test]
fn t41_what_depends_on_the_call_is_decided_for_each() {
    let clock = Arc::new(FixedClock::at(NOW));
    let of = |when: When| AccessRule {
        name: "one".to_owned(),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect: Effect::Allow,
        mode: Mode::Enforce,
        who: Who::default(),
        what: What::default(),
        when,
    };
    let hour = Duration::from_secs(3600);
    let by_time = of(When { signed_in: Some(8 * hour), ..When::default() });
    let pattern = ArgumentValue::Text(Pattern::parse("acme/*").unwrap());
    let condition = ArgumentCondition::new("repo", vec![pattern]).unwrap();
    let by_arguments = of(When { arguments: vec![condition], ..When::default() });
    let server = server();
    let tool = Thing::Tool { server: &server, name: "push", hints: ToolHints::default() };
    let mut person = Principal::clone(&principal(&[], "one"));
    person.signed_in_at = Some(NOW);

    let policy = Arc::new(Policy::new(vec![by_time], Vec::new()).unwrap());
    let access = Access::new(Arc::clone(&policy), Arc::clone(&clock) as _);
    let caller = access.of(Arc::new(person.clone()));
    assert!(caller.may(&tool));
    clock.advance(8 * hour);
    assert!(caller.may(&tool), "eight hours are within eight hours");
    clock.advance(Duration::from_secs(1));
    let verdict = |caller: &CallerAccess| caller.named(&tool, &server, CalledWith::These(None));
    assert!(!caller.may(&tool) && !caller.may_enter(&server));
    assert_eq!(verdict(&caller), Verdict::Unmet(Unmet::SignIn));
    let anew = Principal { signed_in_at: Some(NOW + 8 * hour), ..person.clone() };
    assert!(access.of(Arc::new(anew)).may(&tool));
    let robot = access.of(Arc::new(Principal { signed_in_at: None, ..person.clone() }));
    assert!(!robot.may(&tool));
    assert_eq!(verdict(&robot), Verdict::Hidden, "it has nothing that it could do anew");

    let policy = Arc::new(Policy::new(vec![by_arguments], Vec::new()).unwrap());
    access.change(Arc::clone(&policy));
    let caller = access.of(Arc::new(person));
    assert!(caller.may(&tool), "it is listed");
    let evaluations = policy.evaluations();
    for _ in 0..3 {
        for (json, expected) in [
            (r#"{"repo":"acme/site"}"#, Verdict::Allowed),
            (r#"{"repo":"other/site"}"#, Verdict::Unmet(Unmet::Arguments)),
            ("{}", Verdict::Unmet(Unmet::Arguments)),
            (r#"{"repo":"acme/site","repo":"other"}"#, Verdict::Unmet(Unmet::Arguments)),
        ] {
            let json = Payload::from_json(json).unwrap();
            let with = CalledWith::These(Some(&json));
            assert_eq!(caller.named(&tool, &server, with), expected, "{json:?}");
        }
    }
    assert_eq!(policy.evaluations(), evaluations, "by the one rule that speaks of it");
}

/// A stream carries what its person could see when it began: it ends with that.
#[test]
fn t41_a_stream_ends_with_what_it_was_judged_by() {
    let access = access(policy(Effect::Allow, &["staff"], &[]));
    let (staff, moved) = (principal(&["staff"], "one"), principal(&["staff", "more"], "one"));
    let left = principal(&["guests"], "one");
    let of = |shown| access.stream(&staff, shown);
    let streams =
        [of(Shown::All), of(Shown::Server(server())), of(Shown::Proxy("/mcp/x/".to_owned()))];
    for (n, stream) in streams.iter().enumerate() {
        assert!(stream.may_go_on(&staff), "{n}");
        assert!(!stream.may_go_on(&moved) && !stream.may_go_on(&left), "{n}");
    }
    access.change(policy(Effect::Deny, &["staff"], &[]));
    assert_eq!(streams.map(|stream| stream.may_go_on(&staff)), [true, false, false]);
    access.change(Arc::default());
    assert!(access.stream(&staff, Shown::All).may_go_on(&left), "without rules it does not matter");
}

#[test]
fn t47_a_name_that_is_too_long_is_not_decided_about() {
    let access = access(policy(Effect::Allow, &["staff"], &["*"]));
    let (caller, server) = (access.of(principal(&["staff"], "one")), server());
    let tool = |name| Thing::Tool { server: &server, name, hints: ToolHints::default() };
    let (fits, long) = ("x".repeat(LONGEST_NAME), "x".repeat(LONGEST_NAME + 1));
    assert!(caller.may(&tool(&fits)) && !caller.may(&tool(&long)));
}

/// What an administrator disabled is as if rules denied it: it is looked up by what its server
/// lists, and what was made before goes nowhere.
#[test]
fn what_is_disabled_changes_what_was_judged_before() {
    let disabled = Disabled::default();
    let access = Access::with(Arc::default(), Arc::new(FixedClock::at(NOW)), disabled.clone());
    let (caller, server) = (access.of(principal(&["staff"], "one")), server());
    let other = ServerName::parse("jira").unwrap();
    let mut numbers = vec![caller.number()];
    let mut is_another = |is_another: bool| {
        assert_eq!(!numbers.contains(&caller.number()), is_another);
        numbers.push(caller.number());
    };
    let user = Disableable::Person(UserId::from_text("bob"));
    disabled.hear(&Invalidation::Disabled(user));
    is_another(false);
    assert!(!caller.asks_listed(&server));
    let tool = Disableable::Tool { server: server.clone(), tool: "get_x".to_owned() };
    disabled.hear(&Invalidation::Disabled(tool.clone()));
    is_another(true);
    assert!(caller.asks_listed(&server) && !caller.asks_listed(&other));
    access.change(Arc::default());
    is_another(true);
    disabled.hear(&Invalidation::Enabled(tool));
    is_another(true);
    assert!(!caller.asks_listed(&server));
    access.change(policy(Effect::Deny, &["staff"], &["get_*"]));
    is_another(true);
    assert!(caller.asks_listed(&server) && caller.asks_listed(&other));
}

/// A resource that no server may give is refused on `/mcp`; the record says disabled
/// if nothing else is in its way.
#[test]
fn a_resource_is_refused_where_every_server_is_hidden() {
    let disabled = Disabled::default();
    let access = Access::with(Arc::default(), Arc::new(FixedClock::at(NOW)), disabled.clone());
    let caller = access.of(principal(&["staff"], "one"));
    let servers = [server(), ServerName::parse("jira").unwrap()];
    let reason = || {
        let refused =
            caller.refused(servers.iter(), Names::Prefixed, Called::Resource, "file:///a")?;
        assert_eq!((&refused.server, refused.name.as_str()), (&None, "file:///a"));
        Some(refused.reason())
    };
    assert_eq!(reason(), None);
    disabled.hear(&Invalidation::Disabled(Disableable::Server(servers[0].clone())));
    assert_eq!(reason(), None, "the other server may have it");
    disabled.hear(&Invalidation::Disabled(Disableable::Server(servers[1].clone())));
    assert_eq!(reason(), Some(RefusalReason::Disabled));
    disabled.hear(&Invalidation::Enabled(Disableable::Server(servers[1].clone())));
    let rule = AccessRule {
        name: "one".to_owned(),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect: Effect::Deny,
        mode: Mode::Enforce,
        when: When::default(),
        who: Who::default(),
        what: What { servers: vec![Pattern::parse("jira").unwrap()], ..What::default() },
    };
    access.change(Arc::new(Policy::new(vec![rule], Vec::new()).unwrap()));
    assert_eq!(reason(), Some(RefusalReason::PolicyRefused));
}

/// Where names have no prefix, a call that was sent to no server is refused by rules if it may be
/// made at none.
#[test]
fn a_plain_name_is_refused_by_rules_where_no_server_may_be_asked_for_it() {
    let access = access(policy(Effect::Allow, &["staff"], &["get_*"]));
    let caller = access.of(principal(&["staff"], "one"));
    let servers = [server()];
    let refused = |names, name| {
        let refused = caller.refused(servers.iter(), names, Called::Tool, name)?;
        Some((refused.server.is_some(), refused.reason()))
    };
    let by_rules = RefusalReason::PolicyRefused;
    assert_eq!(refused(Names::Plain, "drop"), Some((false, by_rules)));
    assert_eq!(refused(Names::Plain, "get_it"), None, "there is none");
    assert_eq!(refused(Names::Prefixed, "drop"), None, "of no server");
    assert_eq!(refused(Names::Prefixed, &format!("{}_drop", server())), Some((true, by_rules)));
}

/// Who has signed in since sees more, where rules ask for it: the stream's client begins another.
#[test]
fn a_stream_ends_with_a_sign_in_that_rules_ask_for() {
    let access = access(policy(Effect::Allow, &["staff"], &["get_*"]));
    let at = |at| {
        Arc::new(Principal { signed_in_at: Some(at), ..(*principal(&["staff"], "one")).clone() })
    };
    let (old, new) = (at(NOW), at(NOW + Duration::from_secs(60)));
    let stream = access.stream(&old, Shown::All);
    assert!(stream.may_go_on(&old) && stream.may_go_on(&new), "no rule asks");
    let mut rule = rule_of(Effect::Allow, &["staff"], &["get_*"]);
    rule.when.signed_in = Some(Duration::from_secs(3600));
    access.change(Arc::new(Policy::new(vec![rule], Vec::new()).unwrap()));
    assert!(stream.may_go_on(&old) && !stream.may_go_on(&new));
}
