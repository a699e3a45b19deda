//! Cases for the hierarchy of scopes.

use super::*;
use crate::{
    ids::ServerName,
    resource::Target,
    scope::{Scope, ScopeSet},
};

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

fn rule(name: &str, server_name: Option<&str>, tools: &[&str], includes: &[&str]) -> ScopeRule {
    ScopeRule {
        name: Scope::parse(name).unwrap(),
        description: format!("Words for {name}"),
        server: server_name.map(server),
        tools: patterns(tools),
        prompts: vec![],
        resources: vec![],
        includes: includes.iter().map(|name| Scope::parse(name).unwrap()).collect(),
        ask_first: false,
    }
}

/// Two servers with parts, and a scope of parts of both.
pub(crate) fn rules() -> Vec<ScopeRule> {
    let read = ScopeRule {
        prompts: patterns(&["about_*"]),
        resources: patterns(&["repo://*"]),
        ..rule("dice:read", Some("dice"), &["get_*", "list_*"], &[])
    };
    vec![
        read,
        rule("dice:write", Some("dice"), &["create_*", "get_secret"], &["dice:read"]),
        rule("dice:any", Some("dice"), &["*"], &[]),
        rule("uuid:make", Some("uuid"), &["make"], &[]),
        rule("team", None, &[], &["dice:read", "uuid"]),
    ]
}

fn catalogue() -> ScopeCatalogue {
    ScopeCatalogue::new(vec![server("dice"), server("uuid")], rules())
}

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

#[test]
fn a_broader_scope_implies_the_narrower() {
    let cases = [
        ("mcp", "mcp", true),
        ("mcp", "dice", true),
        ("mcp", "dice:read", true),
        ("mcp", "team", true),
        ("mcp", "offline_access", false),
        ("offline_access", "offline_access", true),
        ("dice", "mcp", false),
        ("dice uuid", "mcp", false),
        ("dice", "dice:read", true),
        ("dice", "dice:write", true),
        ("dice", "uuid:make", false),
        ("dice", "team", false),
        ("dice uuid", "team", true),
        ("dice:read uuid", "team", true),
        ("dice:read uuid:make", "team", false),
        ("dice:write", "dice:read", true),
        ("dice:read", "dice:write", false),
        ("dice:read", "dice", false),
        ("dice:any", "dice:read", false),
        ("team", "uuid", true),
        ("team", "uuid:make", true),
        ("team", "dice:write", false),
        ("gone", "dice", false),
        ("dice", "gone", false),
        ("mcp", "gone", false),
        ("", "mcp", false),
    ];
    for (held, wanted, expected) in cases {
        assert_eq!(
            catalogue().covers(&set(held), &Scope::parse(wanted).unwrap()),
            expected,
            "{held} -> {wanted}"
        );
    }
}

#[test]
fn t32_what_scopes_allow() {
    let (dice, uuid) = (&server("dice"), &server("uuid"));
    let operations = [
        Operation::Tool(dice, "get_x"),
        Operation::Tool(dice, "create_x"),
        Operation::Prompt(dice, "about_x"),
        Operation::Resource(dice, "repo://x"),
        Operation::Resource(dice, "repo://../x"),
        Operation::Whole(dice),
        Operation::Tool(uuid, "make"),
        Operation::Tool(uuid, "get_x"),
        Operation::Everything,
    ];
    let cases = [
        ("mcp", "111111111", "11"),
        ("dice", "111111000", "10"),
        ("uuid", "000000110", "01"),
        ("dice:read", "101100000", "10"),
        ("dice:write", "111100000", "10"),
        ("dice:any", "110000000", "10"),
        ("uuid:make", "000000100", "01"),
        ("team", "101100110", "11"),
        ("offline_access", "000000000", "00"),
        ("gone", "000000000", "00"),
        ("", "000000000", "00"),
    ];
    let digits = |bits: &mut dyn Iterator<Item = bool>| {
        bits.map(|bit| if bit { '1' } else { '0' }).collect::<String>()
    };
    for (held, allowed, touched) in cases {
        let effective = catalogue().effective(&set(held));
        assert_eq!(
            digits(&mut operations.iter().map(|operation| effective.allows(operation))),
            allowed,
            "{held}"
        );
        assert_eq!(
            digits(&mut [dice, uuid].into_iter().map(|server| effective.touches(server))),
            touched,
            "{held}"
        );
    }
}

#[test]
fn scopes_of_a_resource() {
    let one = Target::Server(server("uuid"));
    let proxy = Target::Proxy { pattern: "/api/".to_owned() };
    let cases = [
        (Some(&Target::All), "dice dice:any dice:read dice:write mcp team uuid uuid:make"),
        (Some(&one), "mcp team uuid uuid:make"),
        (Some(&proxy), "mcp"),
        (None, "mcp"),
    ];
    for (target, expected) in cases {
        assert_eq!(catalogue().on(target).to_string(), expected, "{target:?}");
    }
}

#[test]
fn what_to_ask_for_first() {
    let one = Target::Server(server("dice"));
    let other = Target::Server(server("uuid"));
    let proxy = Target::Proxy { pattern: "/api/".to_owned() };
    let cases = [
        (&[][..], &Target::All, "mcp"),
        (&[], &one, "dice"),
        (&[], &proxy, "mcp"),
        (&["dice:read"], &Target::All, "dice:read uuid"),
        (&["dice:read"], &one, "dice:read"),
        (&["dice:read"], &other, "uuid"),
        (&["dice:read", "dice:write"], &one, "dice:write"),
        (&["team"], &Target::All, "team"),
        (&["dice:read"], &proxy, "mcp"),
    ];
    for (asked, target, expected) in cases {
        let mark =
            |rule: ScopeRule| ScopeRule { ask_first: asked.contains(&rule.name.as_str()), ..rule };
        let catalogue = catalogue().with_rules(rules().into_iter().map(mark).collect());
        assert_eq!(catalogue.first(Some(target)).to_string(), expected, "{asked:?} {target:?}");
    }
}

#[test]
fn the_narrowest_scope_for_an_operation() {
    let (dice, uuid) = (&server("dice"), &server("uuid"));
    let cases = [
        (Operation::Tool(dice, "get_x"), "dice:read"),
        (Operation::Tool(dice, "get_secret"), "dice:write"),
        (Operation::Tool(dice, "roll"), "dice:any"),
        (Operation::Prompt(dice, "about_x"), "dice:read"),
        (Operation::Prompt(dice, "x"), "dice"),
        (Operation::Resource(dice, "repo://x"), "dice:read"),
        (Operation::Resource(dice, "repo://../x"), "dice"),
        (Operation::Whole(dice), "dice"),
        (Operation::Tool(uuid, "get_x"), "uuid"),
        (Operation::Everything, "mcp"),
    ];
    for (operation, expected) in cases {
        assert_eq!(catalogue().needed(&operation).to_string(), expected, "{operation:?}");
    }
}

#[test]
fn a_step_up_keeps_what_was_there() {
    let dice = &server("dice");
    let create = Operation::Tool(dice, "create_x");
    let one = Target::Server(server("dice"));
    let cases = [
        ("uuid:make", &Target::All, create, "dice:write uuid:make"),
        ("uuid:make offline_access gone", &one, create, "dice:write"),
        ("dice:read", &Target::All, create, "dice:write"),
        ("dice:read", &Target::All, Operation::Whole(dice), "dice"),
        ("team", &Target::All, create, "dice:write team"),
        ("", &Target::All, create, "dice:write"),
    ];
    for (held, target, operation, expected) in cases {
        assert_eq!(
            catalogue().step_up(&set(held), Some(target), &operation).to_string(),
            expected,
            "{held} {operation:?}"
        );
    }
}

#[test]
fn fewest_words_and_limits() {
    let minimal = [
        ("mcp dice dice:read offline_access", "mcp offline_access"),
        ("dice dice:write uuid:make", "dice uuid:make"),
        ("team dice uuid", "dice uuid"),
        ("", ""),
    ];
    for (scopes, expected) in minimal {
        assert_eq!(catalogue().minimal(&set(scopes)).to_string(), expected, "{scopes}");
    }
    let within = [
        ("mcp", "mcp", "mcp"),
        ("dice:read", "mcp", "dice:read"),
        ("mcp", "dice:read uuid", "dice:read uuid"),
        ("mcp dice:write", "dice:read", "dice:read"),
        ("mcp offline_access", "dice", "dice"),
        ("mcp offline_access", "dice offline_access", "dice offline_access"),
        ("uuid", "dice", ""),
    ];
    for (asked, limit, expected) in within {
        assert_eq!(
            catalogue().within(&set(asked), &set(limit)).to_string(),
            expected,
            "{asked} within {limit}"
        );
    }
}

#[test]
fn words_come_from_the_configuration() {
    let words = |scope: &str| catalogue().words(&Scope::parse(scope).unwrap());
    assert_eq!(words("dice:read"), "Words for dice:read");
    assert_eq!(words("dice"), "Use the server dice");
}

#[test]
fn a_circle_ends() {
    let rules = vec![rule("a", None, &[], &["b"]), rule("b", Some("dice"), &["x"], &["a"])];
    let catalogue = ScopeCatalogue::new(vec![server("dice")], rules);
    assert!(catalogue.covers(&set("a"), &Scope::parse("b").unwrap()));
    assert!(catalogue.covers(&set("b"), &Scope::parse("a").unwrap()));
    assert_eq!(catalogue.minimal(&set("a b")).to_string(), "b");
}
