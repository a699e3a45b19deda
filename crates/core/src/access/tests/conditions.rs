//! Cases of conditions: values of arguments, the time since a sign-in, what lists show, shadow.

use std::time::Duration;

use super::*;

fn condition(path: &str, values: Vec<ArgumentValue>) -> ArgumentCondition {
    ArgumentCondition::new(path, values).unwrap()
}

fn text(pattern: &str) -> ArgumentValue {
    ArgumentValue::Text(Pattern::parse(pattern).unwrap())
}

fn number(text: &str) -> ArgumentValue {
    ArgumentValue::number(text).unwrap()
}

/// What is sure to fit, what is sure not to, and what cannot be told: only the first fits a rule
/// that allows, only the second does not fit one that denies.
#[test]
fn t32_arguments_that_fit_and_those_of_which_it_cannot_be_told() {
    let repo = || condition("repo", vec![text("acme/*"), text("public/site")]);
    let force = || condition("options.force", vec![ArgumentValue::Flag(false)]);
    let count = || condition("n", vec![number("1"), number("0.5")]);
    let deep = "{\"options\":".repeat(200) + "1" + &"}".repeat(200);
    for (condition, json, expected) in [
        (repo(), r#"{"repo":"acme/x"}"#, Fit::Yes),
        (repo(), r#"{"x":{"repo":1},"repo":"acme/x","y":[{}]}"#, Fit::Yes),
        (repo(), r#"{"re\u0070o":"\u0061cme/x"}"#, Fit::Yes),
        (repo(), r#"{"repo":"public/site"}"#, Fit::Yes),
        (repo(), r#"{"repo":"public/site/x"}"#, Fit::No),
        (repo(), r#"{"repo":"ACME/x"}"#, Fit::No),
        (repo(), r#"{"repo":""}"#, Fit::No),
        // Missing, or of another type.
        (repo(), r"{}", Fit::Unknown),
        (repo(), r#"{"Repo":"acme/x"}"#, Fit::Unknown),
        (repo(), r#"{"repo":null}"#, Fit::Unknown),
        (repo(), r#"{"repo":["acme/x"]}"#, Fit::Unknown),
        (repo(), r#"{"repo":{"acme/x":1}}"#, Fit::Unknown),
        (repo(), r#"{"repo":7}"#, Fit::Unknown),
        (repo(), r#"["repo"]"#, Fit::Unknown),
        (repo(), "7", Fit::Unknown),
        (repo(), "", Fit::Unknown),
        // Its server may read the other one, or read it otherwise.
        (repo(), r#"{"repo":"acme/x","Repo":"other"}"#, Fit::Unknown),
        (repo(), r#"{"REPO":"other","repo":"acme/x"}"#, Fit::Unknown),
        (repo(), r#"{"repo":"other","\u0052epo":"acme/x"}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":false},"Options":{"force":true}}"#, Fit::Unknown),
        (force(), r#"{"option\u017f":{"force":true},"options":{"force":false}}"#, Fit::Unknown),
        (condition("größe", vec![number("1")]), r#"{"größe":1,"GRÖẞE":2}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":false,"FORCE":true}}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":false},"x":{"FORCE":true}}"#, Fit::Yes),
        (repo(), r#"{"repo":"acme/x","repo":"other"}"#, Fit::Unknown),
        (repo(), r#"{"repo":"other","re\u0070o":"other"}"#, Fit::Unknown),
        (repo(), r#"{"repo":"acme/\ud800"}"#, Fit::Unknown),
        (repo(), r#"{"repo":"acme/../other/x"}"#, Fit::Unknown),
        (repo(), r#"{"repo":"acme/%2e%2e/x"}"#, Fit::Unknown),
        (repo(), r#"{"repo":"acme\\x"}"#, Fit::Unknown),
        (condition("repo", vec![text("*")]), r#"{"repo":"../x"}"#, Fit::Yes),
        (condition("repo", vec![text("../x")]), r#"{"repo":"../x"}"#, Fit::Yes),
        (condition("repo", vec![text("../x")]), r#"{"repo":"./../x"}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":false}}"#, Fit::Yes),
        (force(), r#"{"options":{"force":true}}"#, Fit::No),
        (force(), r#"{"options":{"force":"false"}}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":0}}"#, Fit::Unknown),
        (force(), r#"{"options":{"x":{"force":false}}}"#, Fit::Unknown),
        (force(), r#"{"options":[{"force":false}]}"#, Fit::Unknown),
        (force(), r#"{"options.force":false}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":false,"force":true}}"#, Fit::Unknown),
        (force(), r#"{"options":{"force":false},"options":{"force":true}}"#, Fit::Unknown),
        (force(), &deep, Fit::Unknown),
        (count(), r#"{"n":1}"#, Fit::Yes),
        (count(), r#"{"n":1.0}"#, Fit::Yes),
        (count(), r#"{"n":10e-1}"#, Fit::Yes),
        (count(), r#"{"n":0.5}"#, Fit::Yes),
        (count(), r#"{"n":5E-1}"#, Fit::Yes),
        (count(), r#"{"n":-1}"#, Fit::No),
        (count(), r#"{"n":1.5}"#, Fit::No),
        (count(), r#"{"n":"1"}"#, Fit::Unknown),
        (count(), r#"{"n":1e400}"#, Fit::Unknown),
        (condition("n", vec![number("9007199254740993")]), r#"{"n":9007199254740993}"#, Fit::Yes),
        (condition("n", vec![number("9007199254740993")]), r#"{"n":9007199254740992}"#, Fit::No),
        // Which of two neighbours is meant cannot be told.
        (
            condition("n", vec![number("9007199254740993")]),
            r#"{"n":9007199254740992.0}"#,
            Fit::Unknown,
        ),
        (condition("n", vec![number("1"), text("all")]), r#"{"n":"all"}"#, Fit::Yes),
        (condition("n", vec![number("1"), text("all")]), r#"{"n":"some"}"#, Fit::No),
        (condition("n", vec![number("1"), text("all")]), r#"{"n":true}"#, Fit::Unknown),
    ] {
        let mut paths = Paths::default();
        let at = paths.add(&condition);
        let fit = paths.read(Some(json.as_bytes())).fit(at, &condition);
        assert_eq!(fit, expected, "{condition}: {json}");
        let github = server("github");
        for (effect, expected) in [(Effect::Allow, fit == Fit::Yes), (Effect::Deny, fit == Fit::No)]
        {
            let when = When { arguments: vec![condition.clone()], signed_in: None };
            let own = AccessRule { when, ..rule(2, effect, Who::default(), What::default()) };
            let all = rule(1, Effect::Allow, Who::default(), What::default());
            let rules = if effect == Effect::Deny { vec![all, own] } else { vec![own] };
            let policy = policy(&rules);
            let arguments = policy.read_arguments(Some(json.as_bytes()));
            let arguments = CalledWith::These(&arguments);
            let now = Circumstances { signed_in: None, arguments };
            let decision = policy.decide_now(&alice(), &tool(&github, "x"), &now);
            assert_eq!(decision.is_allowed(), expected, "{effect} {condition}: {json}: {decision}");
        }
    }
    for path in ["", ".", "a..b", "a.", "a.b.c.d.e.f.g.h.i"] {
        assert_eq!(ArgumentCondition::new(path, vec![number("1")]), None, "{path}");
    }
    for no_number in ["inf", "nan", "1e999", "0x1", "one"] {
        assert_eq!(ArgumentValue::number(no_number), None, "{no_number}");
    }
}

fn with(effect: Effect, line: u32, arguments: Vec<ArgumentCondition>) -> AccessRule {
    let when = When { arguments, signed_in: None };
    AccessRule { when, ..rule(line, effect, Who::default(), What::default()) }
}

/// Listed is what some call could have, and nothing that every call would be refused.
#[test]
fn t32_a_list_shows_what_some_arguments_could_have() {
    let all = || with(Effect::Allow, 1, Vec::new());
    let allow = |arguments| with(Effect::Allow, 2, arguments);
    let deny = |line, arguments| with(Effect::Deny, line, arguments);
    let repo = |pattern: &str| condition("repo", vec![text(pattern)]);
    let force = |flags: &[bool]| {
        condition("o.force", flags.iter().map(|flag| ArgumentValue::Flag(*flag)).collect())
    };
    for (rules, expected) in [
        (vec![allow(vec![repo("acme/*")])], true),
        (vec![allow(vec![repo("acme/*")]), deny(3, vec![repo("acme/secret*")])], true),
        (vec![allow(vec![repo("acme/*")]), deny(3, vec![repo("acme/*")])], false),
        (vec![allow(vec![repo("acme/*")]), deny(3, vec![repo("*")])], false),
        (vec![allow(vec![repo("acme/*")]), deny(3, vec![repo("a*e/*")])], false),
        (vec![allow(vec![repo("acme/x")]), deny(3, vec![repo("acme/*")])], false),
        // Only what may lead out would fit.
        (vec![allow(vec![repo("../*")])], false),
        (vec![all(), deny(3, vec![repo("acme/*")])], true),
        (vec![all(), deny(3, vec![repo("*")])], false),
        (vec![all(), deny(3, vec![force(&[true, false])])], false),
        (vec![all(), deny(3, vec![force(&[true])]), deny(4, vec![force(&[false])])], false),
        (vec![all(), deny(3, vec![force(&[true])]), deny(4, vec![repo("a")])], true),
        // One of its conditions is enough to be left alone by a rule that denies.
        (vec![all(), deny(3, vec![force(&[true, false]), repo("acme/*")])], true),
        (vec![allow(vec![repo("acme/*")]), deny(3, vec![repo("*"), force(&[true])])], true),
        (
            vec![
                allow(vec![repo("acme/*"), force(&[true])]),
                deny(3, vec![repo("*"), force(&[true])]),
            ],
            false,
        ),
        // An argument is not at once a text and an object.
        (vec![allow(vec![condition("o", vec![text("*")])]), deny(3, vec![force(&[true])])], false),
    ] {
        let policy = policy(&rules);
        let github = server("github");
        let decision = policy.decide(&alice(), &tool(&github, "x"));
        assert_eq!(decision.is_allowed(), expected, "{decision} {rules:#?}");
        // Its server can be entered all the same, and what has no arguments is none of theirs.
        assert!(policy.decide(&alice(), &Thing::Server(&github)).is_allowed());
        let whole = rules[0].when.is_always();
        assert_eq!(policy.decide(&alice(), &Thing::Resource(&github, "x:y")).is_allowed(), whole);
    }
}

/// Many rules about many arguments do not keep a list waiting.
#[test]
fn t47_a_list_does_not_search_without_end() {
    let flags = |path: String| condition(&path, vec![ArgumentValue::Flag(true)]);
    let both = |n: u32| vec![flags(format!("a{}", n % 40)), flags(format!("a{}", n * 7 % 40))];
    let mut rules: Vec<_> = (2..400).map(|n| with(Effect::Deny, n, both(n))).collect();
    rules.push(with(Effect::Deny, 500, vec![condition("z", vec![text("*")])]));
    rules.push(with(Effect::Allow, 1, Vec::new()));
    // That it comes to an end is all that is asked.
    policy(&rules).decide(&alice(), &tool(&server("github"), "x"));
}

#[test]
fn t32_the_time_since_a_sign_in() {
    let hour = Duration::from_secs(3600);
    let github = server("github");
    for (effect, ago, expected) in [
        (Effect::Allow, Some(Duration::ZERO), true),
        (Effect::Allow, Some(8 * hour), true),
        (Effect::Allow, Some(8 * hour + Duration::from_millis(1)), false),
        (Effect::Allow, None, false),
        (Effect::Deny, Some(Duration::ZERO), true),
        (Effect::Deny, Some(8 * hour), true),
        (Effect::Deny, Some(9 * hour), false),
        (Effect::Deny, None, false),
    ] {
        let when = When { arguments: Vec::new(), signed_in: Some(8 * hour) };
        let own = AccessRule { when, ..rule(2, effect, Who::default(), What::default()) };
        let all = rule(1, Effect::Allow, Who::default(), What::default());
        let rules = if effect == Effect::Deny { vec![all, own] } else { vec![own] };
        let now = Circumstances { signed_in: ago, ..Circumstances::default() };
        for thing in [
            Thing::Server(&github),
            tool(&github, "x"),
            Thing::Prompt(&github, "x"),
            Thing::Resource(&github, "x:y"),
            Thing::Method(&github, "x"),
            Thing::Proxy("/mcp/dice/"),
        ] {
            let policy = policy(&rules);
            let judgement = policy.judge(&alice(), &thing, ago, None);
            assert_eq!(policy.allows(&judgement, &now), expected, "{effect} {ago:?} {thing:?}");
            assert!(judgement.is_lasting());
            let could = ago.is_some() && !expected;
            let unmet = policy.unmet(&judgement, &now).filter(|_| !expected);
            assert_eq!(unmet, could.then_some(Unmet::SignIn), "{effect} {ago:?}");
        }
    }
    // In a file, by the second; what goes by the time there is not remembered.
    let text = "permit (principal, action, resource) when { context has signed_in_seconds && context.signed_in_seconds <= 28800 };";
    let policy = Policy::new(Vec::new(), vec![file(text)]).unwrap();
    for (ago, expected) in [(Some(8 * hour), true), (Some(9 * hour), false), (None, false)] {
        let judgement = policy.judge(&alice(), &tool(&github, "x"), ago, None);
        let now = Circumstances { signed_in: ago, ..Circumstances::default() };
        assert_eq!(policy.allows(&judgement, &now), expected, "{ago:?}");
        assert!(!judgement.is_lasting());
    }
    let own = "permit (principal, action, resource) when { context.fitting.contains(1) };";
    assert!(Policy::new(Vec::new(), vec![file(own)]).is_err(), "it is not in the schema");
}

#[test]
fn what_is_in_shadow_decides_nothing_and_says_what_it_would_refuse() {
    let github = server("github");
    let shadow = |rule: AccessRule| AccessRule { mode: Mode::Shadow, ..rule };
    let enforced = || rule(1, Effect::Allow, Who::default(), What::default());
    let delete = What { tools: patterns(&["delete_*"]), ..What::default() };
    let deny = || shadow(rule(2, Effect::Deny, Who::default(), delete.clone()));
    let others = || shadow(rule(3, Effect::Allow, groups(&["sales"]), What::default()));
    let would = |rules: &[AccessRule], name: &str| {
        let policy = policy(rules);
        assert!(policy.decide(&alice(), &tool(&github, name)).is_allowed(), "{name}");
        let judgement = policy.judge(&alice(), &tool(&github, name), None, None);
        let now = Circumstances::default();
        let by = policy.would_refuse(&judgement, &now)?;
        Some(by.into_iter().map(|reason| reason.name).collect::<Vec<_>>())
    };
    let by = |rule: &str| Some(vec![rule.to_owned()]);
    assert_eq!(would(&[enforced(), deny()], "delete_x"), by("rule 2"));
    assert_eq!(would(&[enforced(), deny()], "get_x"), None);
    // All of them in shadow: nothing is enforced, and no rule would allow it.
    assert_eq!(would(&[others()], "get_x"), Some(Vec::new()));
    assert_eq!(would(&[others(), deny()], "delete_x"), Some(Vec::new()));
    assert_eq!(would(&[enforced(), others()], "get_x"), None);
    assert!(policy(&[others()]).is_open() && !policy(&[others()]).is_empty());
    // Of what is refused anyway, shadow says nothing.
    let sales = rule(4, Effect::Allow, groups(&["sales"]), What::default());
    let both = policy(&[sales, deny()]);
    let judgement = both.judge(&alice(), &tool(&github, "delete_x"), None, None);
    assert_eq!(both.would_refuse(&judgement, &Circumstances::default()), None);
    // A single policy of a file.
    let text = "permit (principal, action, resource);\n@mode(\"shadow\")\nforbid (principal, action, resource) when { resource has name && resource.name like \"delete_*\" };";
    let policy = Policy::new(Vec::new(), vec![file(text)]).unwrap();
    let judgement = policy.judge(&alice(), &tool(&github, "delete_x"), None, None);
    assert!(policy.allows(&judgement, &Circumstances::default()));
    assert!(policy.would_refuse(&judgement, &Circumstances::default()).is_some());
    let wrong = file("\n@mode(\"off\")\npermit (principal, action, resource);");
    let wrong = Policy::new(Vec::new(), vec![wrong]).unwrap_err();
    assert_eq!((wrong[0].place.line, wrong[0].problem.contains("shadow")), (2, true), "{wrong:?}");
}

#[test]
fn who_may_use_a_thing_is_told_by_its_rules() {
    let github = server("github");
    let part = What { tools: patterns(&["get_*"]), ..whole(&["github"]) };
    let rules = [
        rule(1, Effect::Allow, groups(&["a"]), part.clone()),
        rule(2, Effect::Deny, groups(&["b"]), part),
        rule(3, Effect::Allow, groups(&["c"]), whole(&["jira"])),
        with(Effect::Deny, 4, vec![condition("repo", vec![text("*")])]),
        AccessRule {
            when: When { arguments: Vec::new(), signed_in: Some(Duration::ZERO) },
            ..rule(5, Effect::Allow, groups(&["d"]), whole(&["github"]))
        },
    ];
    let policy = policy(&rules);
    let lines = |thing: Thing<'_>| {
        let Allowing { allow, deny, .. } = policy.who(&thing);
        let line = |rules: Vec<&AccessRule>| rules.iter().map(|rule| rule.place.line).collect();
        (line(allow), line(deny))
    };
    let of = |allow: &[u32], deny: &[u32]| (allow.to_vec(), deny.to_vec());
    assert_eq!(lines(tool(&github, "get_x")), of(&[1, 5], &[2, 4]));
    assert_eq!(lines(tool(&github, "put_x")), of(&[5], &[4]));
    assert_eq!(lines(Thing::Server(&github)), of(&[1, 5], &[]));
    assert_eq!(lines(Thing::Prompt(&github, "x")), of(&[5], &[]));
}
