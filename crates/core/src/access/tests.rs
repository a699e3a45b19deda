//! The cases of [`super::decide`]: a table, and what policy files may get wrong. Rules at random
//! beside a second reading of them are next door, in [`random`].

use std::fmt::Write as _;

use cedar_policy::{Entities, PolicySet, ValidationMode, Validator};

use super::{arguments::Paths, condition::Fit, schema::Given, *};
use crate::{
    admission::{AccountName, Unread},
    entropy::{Entropy, SeededEntropy},
    ids::{ClientId, ProviderName, ServerName},
    oauth::scopes::Pattern,
};

mod conditions;
mod random;

fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

fn people(names: &[&str]) -> Vec<AccountName> {
    names.iter().map(|name| AccountName::parse(name).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn rule(line: u32, effect: Effect, who: Who, what: What) -> AccessRule {
    let place = Place { file: "config.yaml".to_owned(), line };
    AccessRule {
        name: format!("rule {line}"),
        place,
        effect,
        mode: Mode::Enforce,
        who,
        what,
        when: When::default(),
    }
}

fn allow(who: Who, what: What) -> AccessRule {
    rule(1, Effect::Allow, who, what)
}

fn groups(names: &[&str]) -> Who {
    Who { groups: texts(names), ..Who::default() }
}

fn whole(servers: &[&str]) -> What {
    What { servers: patterns(servers), ..What::default() }
}

fn policy(rules: &[AccessRule]) -> Policy {
    Policy::new(rules.to_vec(), Vec::new()).unwrap()
}

fn alice() -> Facts {
    Facts {
        user: "ptn_user_1".to_owned(),
        subject: "00u1alice".to_owned(),
        email: Some("Alice@Acme.Example".to_owned()),
        groups: texts(&["engineering", "everyone"]),
        provider: Some("okta".to_owned()),
        client: "cursor".to_owned(),
    }
}

fn tool<'a>(server: &'a ServerName, name: &'a str) -> Thing<'a> {
    Thing::Tool { server, name, hints: ToolHints::default() }
}

#[test]
fn without_rules_everything_is_allowed_and_with_any_nothing_is() {
    let github = server("github");
    assert_eq!(Policy::default().decide(&alice(), &Thing::Server(&github)), Decision::Open);
    assert!(Policy::default().is_open());
    let others = policy(&[allow(groups(&["other"]), What::default())]);
    assert_eq!(others.decide(&alice(), &Thing::Server(&github)), Decision::NotAllowed);
    // A policy file counts, whatever it allows. One that was cut off is a mistake.
    let of_file = |text: &str| Policy::new(Vec::new(), vec![file(text)]);
    let idle = of_file("permit (principal, action, resource) when { false };").unwrap();
    assert!(!idle.is_open());
    assert_eq!(idle.decide(&alice(), &Thing::Server(&github)), Decision::NotAllowed);
    for text in ["", "// nothing\n"] {
        assert_eq!(of_file(text).unwrap_err()[0].problem, "no policy in it");
    }
}

/// One rule, one caller, one thing.
#[test]
fn t32_what_a_rule_comes_to() {
    let (github, jira) = (server("github"), server("jira"));
    let get = |server| Thing::Tool { server, name: "get_issue", hints: ToolHints::reading() };
    let who = |who: Who| (who, whole(&["github"]));
    let what = |what: What| (groups(&["engineering"]), what);
    let in_github = |what: What| What { servers: patterns(&["github"]), ..what };
    let none = Who::default;
    let cases = [
        // Who.
        (who(none()), get(&github), true),
        (who(none()), get(&jira), false),
        (who(groups(&["engineering"])), get(&github), true),
        (who(groups(&["Engineering"])), get(&github), false),
        (who(groups(&["sales", "engineering"])), get(&github), true),
        (who(Who { people: people(&["alice@acme.example"]), ..none() }), get(&github), true),
        (who(Who { people: people(&["ALICE@acme.example"]), ..none() }), get(&github), true),
        (who(Who { people: people(&["bob@acme.example"]), ..none() }), get(&github), false),
        (who(Who { people: people(&["00u1alice"]), ..none() }), get(&github), true),
        (who(Who { people: people(&["00u1bob"]), ..none() }), get(&github), false),
        // Either group or person, at this client and from this provider.
        (
            who(Who { people: people(&["00u1alice"]), groups: texts(&["sales"]), ..none() }),
            get(&github),
            true,
        ),
        (who(Who { clients: vec![ClientId::from_text("cursor")], ..none() }), get(&github), true),
        (
            who(Who { clients: vec![ClientId::from_text("claude")], ..groups(&["engineering"]) }),
            get(&github),
            false,
        ),
        (
            who(Who {
                providers: vec![ProviderName::from_text("okta")],
                ..groups(&["engineering"])
            }),
            get(&github),
            true,
        ),
        (
            who(Who {
                providers: vec![ProviderName::from_text("github")],
                ..groups(&["engineering"])
            }),
            get(&github),
            false,
        ),
        // What: whole servers.
        (what(whole(&["git*"])), get(&github), true),
        (what(whole(&["git*"])), Thing::Server(&github), true),
        (what(whole(&["git*"])), Thing::Prompt(&github, "p"), true),
        (what(whole(&["git*"])), Thing::Resource(&github, "file:///a/../b"), true),
        (what(whole(&["git*"])), Thing::Method(&github, "x/y"), true),
        (what(whole(&["git*"])), Thing::Proxy("/mcp/dice/"), false),
        (what(whole(&["/mcp/dice/"])), Thing::Proxy("/mcp/dice/"), true),
        (what(What::default()), Thing::Proxy("/mcp/dice/"), true),
        // Parts of servers.
        (
            what(in_github(What { tools: patterns(&["get_*"]), ..What::default() })),
            get(&github),
            true,
        ),
        (
            what(in_github(What { tools: patterns(&["get_*"]), ..What::default() })),
            tool(&github, "delete_repo"),
            false,
        ),
        (
            what(in_github(What { tools: patterns(&["get_*"]), ..What::default() })),
            Thing::Server(&github),
            true,
        ),
        (
            what(in_github(What { tools: patterns(&["get_*"]), ..What::default() })),
            Thing::Server(&jira),
            false,
        ),
        (
            what(in_github(What { tools: patterns(&["get_*"]), ..What::default() })),
            Thing::Prompt(&github, "get_it"),
            false,
        ),
        (
            what(in_github(What { tools: patterns(&["*"]), ..What::default() })),
            Thing::Method(&github, "extension/any"),
            false,
        ),
        (
            what(What { tools: patterns(&["*"]), ..What::default() }),
            Thing::Proxy("/mcp/dice/"),
            false,
        ),
        (what(in_github(What { read_only: Some(true), ..What::default() })), get(&github), true),
        (
            what(in_github(What { read_only: Some(true), ..What::default() })),
            tool(&github, "get_issue"),
            false,
        ),
        (
            what(in_github(What { read_only: Some(false), ..What::default() })),
            tool(&github, "get_issue"),
            true,
        ),
        (
            what(in_github(What {
                read_only: Some(true),
                tools: patterns(&["list_*"]),
                ..What::default()
            })),
            get(&github),
            false,
        ),
        (
            what(in_github(What { prompts: patterns(&["summary"]), ..What::default() })),
            Thing::Prompt(&github, "summary"),
            true,
        ),
        (
            what(in_github(What { resources: patterns(&["file:///pub/*"]), ..What::default() })),
            Thing::Resource(&github, "file:///pub/a"),
            true,
        ),
        (
            what(in_github(What { resources: patterns(&["file:///pub/*"]), ..What::default() })),
            Thing::Resource(&github, "file:///pub/../key"),
            false,
        ),
        (
            what(in_github(What { resources: patterns(&["repo://{owner}/*"]), ..What::default() })),
            Thing::Resource(&github, "repo://{owner}/{name}"),
            true,
        ),
    ];
    for ((who, what), thing, expected) in cases {
        let decision = policy(&[allow(who.clone(), what.clone())]).decide(&alice(), &thing);
        assert_eq!(decision.is_allowed(), expected, "{who:?} {what:?} {thing:?}: {decision}");
    }
}

#[test]
fn t32_what_denies_goes_first_wherever_it_stands() {
    let github = server("github");
    let everything = allow(Who::default(), What::default());
    let deny = |what| rule(2, Effect::Deny, groups(&["engineering"]), what);
    for rules in [
        [deny(whole(&["github"])), everything.clone()],
        [everything.clone(), deny(whole(&["github"]))],
    ] {
        for thing in [
            Thing::Server(&github),
            tool(&github, "x"),
            Thing::Prompt(&github, "x"),
            Thing::Resource(&github, "x:y"),
            Thing::Method(&github, "x"),
        ] {
            let decision = policy(&rules).decide(&alice(), &thing);
            let by = Reason {
                name: "rule 2".to_owned(),
                place: Place { file: "config.yaml".to_owned(), line: 2 },
            };
            assert_eq!(decision, Decision::Denied(vec![by]), "{thing:?}");
        }
    }
    let part = What { tools: patterns(&["delete_*"]), ..whole(&["github"]) };
    let policy = policy(&[everything, deny(part)]);
    let may = |thing| policy.decide(&alice(), &thing).is_allowed();
    assert!(!may(tool(&github, "delete_repo")));
    assert!(may(tool(&github, "get_repo")) && may(Thing::Server(&github)));
    let bob = Facts { groups: Vec::new(), ..alice() };
    assert!(policy.decide(&bob, &tool(&github, "delete_repo")).is_allowed());
}

/// A rule that denies cannot be walked around by a URI that leads elsewhere (threat 39).
#[test]
fn t39_a_denied_resource_stays_denied_by_other_spellings() {
    let files = server("files");
    let secret =
        What { resources: patterns(&["file:///secret/*", "file:///key"]), ..What::default() };
    let policy = policy(&[
        allow(Who::default(), What::default()),
        rule(2, Effect::Deny, Who::default(), secret),
    ]);
    for (uri, expected) in [
        ("file:///public/a", true),
        ("file:///secret/a", false),
        ("file:///public/../secret/a", false),
        ("file:///public/%2e%2e/secret/a", false),
        ("file:///public\\..\\secret", false),
        ("file:///%73ecret/a", false),
        ("FILE:///secret/a", false),
        ("file://localhost/secret/a", false),
        ("file:////secret/a", false),
        ("file:///key", false),
        ("file:///./key", false),
        ("file:///x/../key", false),
        ("file:///%6Bey", false),
        ("file:///My%20Files/a", true),
    ] {
        let decision = policy.decide(&alice(), &Thing::Resource(&files, uri));
        assert_eq!(decision.is_allowed(), expected, "{uri}");
    }
}

/// A rule that denies by what was not read of an account cannot be relied on.
#[test]
fn what_was_not_read_may_keep_a_rule_from_denying() {
    let (email, groups) =
        (Unread { email: true, groups: false }, Unread { email: false, groups: true });
    let named = || Who { people: people(&["x@acme.example"]), ..Who::default() };
    let subject = || Who { people: people(&["sub:s1"]), ..Who::default() };
    let group = || Who { groups: texts(&["a"]), ..Who::default() };
    for (who, by_email, by_groups) in [
        (Who::default(), false, false),
        (named(), true, false),
        (subject(), false, false),
        (group(), false, true),
    ] {
        let denies = policy(&[rule(1, Effect::Deny, who.clone(), What::default())]);
        assert_eq!(
            (denies.may_deny_by(email), denies.may_deny_by(groups)),
            (by_email, by_groups),
            "{who:?}"
        );
        let allows = policy(&[rule(1, Effect::Allow, who, What::default())]);
        assert!(!allows.may_deny_by(email) && !allows.may_deny_by(groups));
    }
    let file = file(
        "permit (principal, action, resource); forbid (principal, action == Action::\"proxy\", resource);",
    );
    let policy = Policy::new(Vec::new(), vec![file]).unwrap();
    assert!(policy.may_deny_by(email) && policy.may_deny_by(groups));
    assert!(!policy.may_deny_by(Unread::default()));
}

/// What a rule says is data: no text of it can become a condition.
#[test]
fn texts_of_rules_stay_texts() {
    let github = server("github");
    let odd = [
        r#"x"] || true || principal in [Group::"y"#,
        r"\",
        r#"""#,
        "*",
        "\\*",
        "a\u{202e}b",
        "日本",
        "\u{7f}",
        "${x}",
        "// x",
    ];
    for text in odd {
        let who = Who { groups: texts(&[text]), ..Who::default() };
        let policy = policy(&[allow(who, whole(&["github"]))]);
        let member = Facts { groups: texts(&[text]), ..alice() };
        assert!(policy.decide(&member, &Thing::Server(&github)).is_allowed(), "{text:?}");
        assert!(!policy.decide(&alice(), &Thing::Server(&github)).is_allowed(), "{text:?}");
        // Of a name, only `*` means more than itself.
        let Ok(pattern) = Pattern::parse(text) else { continue };
        let what = What { tools: vec![pattern.clone()], ..What::default() };
        let policy = tests::policy(&[allow(Who::default(), what)]);
        for name in odd.into_iter().chain(["", "ab", "\\", "\\x"]) {
            let decision = policy.decide(&alice(), &tool(&github, name));
            assert_eq!(decision.is_allowed(), pattern.fits(name), "{text:?} {name:?}");
        }
    }
}

/// With what rules of `config.yaml` find out beside Cedar, which policy files cannot speak of.
fn own_schema() -> cedar_policy::Schema {
    let own = "type Call = { recent: Set<Long>, fitting: Set<Long>, ";
    let text = SCHEMA.replace("type Call = { ", own);
    cedar_policy::Schema::from_cedarschema_str(&text).unwrap().0
}

/// The schema speaks of what the gateway asks, and of nothing else.
#[test]
fn the_schema_fits_what_is_asked() {
    let schema = own_schema();
    let github = server("github");
    for thing in [
        Thing::Server(&github),
        Thing::Proxy("/mcp/dice/"),
        tool(&github, "x"),
        Thing::Prompt(&github, "x"),
        Thing::Resource(&github, "x:y"),
        Thing::Method(&github, "x"),
    ] {
        for facts in [alice(), Facts { email: None, provider: None, ..alice() }] {
            let mut entities = thing.entities().unwrap();
            entities.push(facts.entity().unwrap());
            Entities::from_entities(entities, Some(&schema)).unwrap();
            cedar_policy::Request::new(
                facts.entity().unwrap().uid(),
                schema::uid("Action", thing.action()).unwrap(),
                thing.uid().unwrap(),
                facts.context(&Given::default()).unwrap(),
                Some(&schema),
            )
            .unwrap();
        }
    }
}

fn file(text: &str) -> PolicyFile {
    PolicyFile { path: "access.cedar".to_owned(), text: text.to_owned() }
}

#[test]
fn policy_files_decide_beside_rules() {
    let github = server("github");
    let text = r#"// Engineers.
permit (principal in Group::"engineering", action, resource in Server::"github");

@id("no-deletes")
forbid (principal, action == Action::"callTool", resource)
when { resource.name like "delete_*" } unless { principal has email && principal.email == "root@acme.example" };
"#;
    let policy = Policy::new(Vec::new(), vec![file(text)]).unwrap();
    let reason = |name: &str, line| Reason {
        name: name.to_owned(),
        place: Place { file: "access.cedar".to_owned(), line },
    };
    let decide = |thing| policy.decide(&alice(), &thing);
    assert_eq!(
        decide(tool(&github, "get")),
        Decision::Allowed(vec![reason("policy at line 2", 2)])
    );
    assert_eq!(
        decide(Thing::Server(&github)),
        Decision::Allowed(vec![reason("policy at line 2", 2)])
    );
    assert_eq!(decide(tool(&github, "delete_x")), Decision::Denied(vec![reason("no-deletes", 4)]));
    assert_eq!(decide(Thing::Server(&server("jira"))), Decision::NotAllowed);
    // A rule of config.yaml may be denied by a file, and the other way round.
    let both = Policy::new(vec![allow(Who::default(), What::default())], vec![file(text)]).unwrap();
    assert!(!both.decide(&alice(), &tool(&server("jira"), "delete_x")).is_allowed());
    assert!(both.decide(&alice(), &tool(&server("jira"), "get")).is_allowed());
}

/// A policy about single tools does not show their server by itself.
#[test]
fn t32_nothing_is_used_of_a_server_that_may_not_be_entered() {
    let github = server("github");
    let tools = r#"permit (principal, action == Action::"callTool", resource);"#;
    let enter = r#"permit (principal, action == Action::"enter", resource == Server::"github");"#;
    let decide = |text: &str, thing| {
        let policy = Policy::new(Vec::new(), vec![file(text)]).unwrap();
        policy.decide(&alice(), &thing).is_allowed()
    };
    assert!(!decide(tools, tool(&github, "x")) && !decide(tools, Thing::Server(&github)));
    let both = format!("{tools}\n{enter}");
    assert!(decide(&both, tool(&github, "x")) && decide(&both, Thing::Server(&github)));
    assert!(!decide(&both, tool(&server("jira"), "x")));
}

#[test]
fn mistakes_of_policy_files_have_their_lines() {
    for (text, line, part) in [
        (
            "permit (principal, action, resource);\n\npermit (principal action, resource);",
            3,
            "action",
        ),
        (
            "\npermit (principal, action, resource) when { resource.colour == \"red\" };",
            2,
            "colour",
        ),
        ("\n\npermit (principal in Team::\"x\", action, resource);", 3, "Team"),
        ("permit (principal, action == Action::\"delete\", resource);", 1, "delete"),
        ("\npermit (principal, action, resource) when { principal.email == \"x\" };", 2, "email"),
        ("permit (principal == ?principal, action, resource);", 1, "template"),
    ] {
        let wrong = Policy::new(Vec::new(), vec![file(text)]).unwrap_err();
        let BadPolicy { place, problem } = &wrong[0];
        assert_eq!((place.file.as_str(), place.line), ("access.cedar", line), "{wrong:?}");
        assert!(problem.contains(part), "{problem}");
    }
}

/// Cedar leaves out a policy that cannot be evaluated; one that denies would then not deny.
#[test]
fn a_policy_that_fails_allows_nothing() {
    let text = "permit (principal, action, resource);\n\
        forbid (principal, action == Action::\"callTool\", resource) when { 9223372036854775807 + (if resource.read_only then 1 else 2) == 0 };";
    let policy = Policy::new(Vec::new(), vec![file(text)]).unwrap();
    let github = server("github");
    let failed = policy.decide(&alice(), &tool(&github, "x"));
    assert!(matches!(&failed, Decision::Failed(by) if by.len() == 1), "{failed:?}");
    assert!(!failed.is_allowed());
    assert!(policy.decide(&alice(), &Thing::Prompt(&github, "x")).is_allowed());
}

#[test]
fn explanations_name_the_rules_that_are_near() {
    let github = server("github");
    let sales = allow(groups(&["sales"]), whole(&["github"]));
    let other = rule(7, Effect::Allow, groups(&["sales"]), whole(&["jira"]));
    let policy = policy(&[sales.clone(), other]);
    let explanation = policy.explain(&alice(), &tool(&github, "x"), &Circumstances::default());
    assert_eq!(explanation.decision, Decision::NotAllowed);
    let near = NearRule {
        name: "rule 1".to_owned(),
        place: sales.place,
        who: sales.who,
        when: When::default(),
        is_of_caller: false,
    };
    assert_eq!(explanation.near, [near]);
    assert_eq!(explanation.near[0].who.to_string(), "groups sales");
}
