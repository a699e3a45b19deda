//! What is remembered of decisions, and when it is forgotten.

use portunus_core::{
    access::{AccessRule, Effect, Place, What, Who},
    ids::{ClientId, GrantId, ProviderName, UserId},
    oauth::scopes::Pattern,
    resource::Resource,
    scope::ScopeSet,
};

use super::*;

fn policy(effect: Effect, groups: &[&str], tools: &[&str]) -> Arc<Policy> {
    let rule = AccessRule {
        name: "one".to_owned(),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect,
        who: Who { groups: groups.iter().map(ToString::to_string).collect(), ..Who::default() },
        what: What {
            tools: tools.iter().map(|tool| Pattern::parse(tool).unwrap()).collect(),
            ..What::default()
        },
    };
    Arc::new(Policy::new(vec![rule], Vec::new()).unwrap())
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
    let access = Access::new(policy(Effect::Allow, &["staff"], &["get_*"]));
    let server = server();
    let get = Thing::Tool { server: &server, name: "get_x", read_only: false };
    let put = Thing::Tool { server: &server, name: "put_x", read_only: false };
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

/// What a server says of its tool is part of what was decided.
#[test]
fn t41_a_tool_that_only_reads_is_another_thing() {
    let (mut decisions, server) = (Decisions::default(), server());
    let tool = |read_only| Thing::Tool { server: &server, name: "x", read_only };
    decisions.remember(&tool(true), true);
    assert_eq!(decisions.find(&tool(false)), None);
    decisions.remember(&tool(false), false);
    assert_eq!(
        (decisions.find(&tool(true)), decisions.find(&tool(false))),
        (Some(true), Some(false))
    );
}

/// A caller that was judged goes on under the new rules: streams do not end with a reload.
#[test]
fn t41_decisions_go_with_the_rules_that_made_them() {
    let access = Access::new(Arc::default());
    let server = server();
    let get = Thing::Tool { server: &server, name: "get_x", read_only: false };
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
    let mut decisions = Decisions::default();
    let server = server();
    let names: Vec<String> = (0..10_000).map(|n| format!("{n:0200}")).collect();
    for name in &names {
        let thing = Thing::Prompt(&server, name);
        decisions.remember(&thing, true);
        assert_eq!(decisions.find(&thing), Some(true));
        assert!(decisions.bytes <= BYTES_PER_CALLER);
    }
    assert_eq!(decisions.find(&Thing::Prompt(&server, &names[0])), None, "it was forgotten");
    let long = "x".repeat(BYTES_PER_CALLER);
    decisions.remember(&Thing::Prompt(&server, &long), true);
    assert_eq!(decisions.find(&Thing::Prompt(&server, &long)), None, "it is too long");
}

/// A stream carries what its person could see when it began: it ends with that.
#[test]
fn t41_a_stream_ends_with_what_it_was_judged_by() {
    let access = Access::new(policy(Effect::Allow, &["staff"], &[]));
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
    let access = Access::new(policy(Effect::Allow, &["staff"], &["*"]));
    let (caller, server) = (access.of(principal(&["staff"], "one")), server());
    let tool = |name| Thing::Tool { server: &server, name, read_only: false };
    let (fits, long) = ("x".repeat(LONGEST_NAME), "x".repeat(LONGEST_NAME + 1));
    assert!(caller.may(&tool(&fits)) && !caller.may(&tool(&long)));
}
