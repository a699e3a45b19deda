//! The sections `access` and `policy_files`: what rules as they are written come to, beside a
//! direct reading of them, and each way to get them wrong.

use std::fmt::Write as _;

use portunus_core::{
    access::{Decision, Effect, Facts, Thing},
    entropy::{Entropy as _, SeededEntropy},
    ids::ServerName,
};

use super::{Config, Given, Sources, okta};

const SERVERS: &str = r#"{"mcpServers": {"github": {"command": "x"}, "jira": {"command": "x"}, "old": {"command": "x", "disabled": true}}}"#;

fn given(yaml: &str) -> Given {
    let proxies = "proxies:\n  - {pattern: /mcp/dice/, target_url: http://localhost:9999}\n";
    okta().mcp(SERVERS).yaml(&format!("{yaml}\n{proxies}"))
}

fn facts(groups: &[&str]) -> Facts {
    Facts {
        subject: "00u1alice".to_owned(),
        email: Some("alice@acme.example".to_owned()),
        groups: groups.iter().map(ToString::to_string).collect(),
        provider: Some("okta".to_owned()),
        client: "cursor".to_owned(),
        ..Facts::default()
    }
}

#[test]
fn every_key() {
    let yaml = r#"
access:
  - name: engineers
    who: {groups: [engineering], people: [alice@acme.example, 00u1bob], clients: [cursor], providers: [okta]}
    servers: [github, "j*"]
    tools: [get_*]
    prompts: [about]
    resources: ["repo://*"]
    read_only: true
  - effect: deny
    who: anyone
    tools: ["delete_*"]
"#;
    let config = given(yaml).load();
    let [engineers, deletes] = config.access.rules() else { panic!("two") };
    assert_eq!((engineers.name.as_str(), engineers.effect), ("engineers", Effect::Allow));
    assert_eq!((engineers.place.line, deletes.place.line), (3, 10));
    assert_eq!(
        engineers.who.to_string(),
        "groups engineering or people alice@acme.example, sub:00u1bob, with clients cursor, with providers okta"
    );
    assert_eq!(engineers.what.read_only, Some(true));
    assert_eq!((deletes.name.as_str(), deletes.effect), ("access[1]", Effect::Deny));
    assert!(deletes.who.is_anyone() && !deletes.what.is_whole());
    assert!(given("").load().access.is_open());
}

#[test]
fn each_mistake_is_named_with_its_line() {
    let rule = |keys: &str| format!("access:\n  - {{{keys}}}");
    let cases = [
        (rule("servers: [github]"), vec!["config.yaml:2: access[0]", "no `who`"]),
        (rule("who: everyone"), vec!["config.yaml:2: access[0].who", "anyone"]),
        (rule("who: {}"), vec!["access[0].who", "callers that are not named"]),
        (rule("who: {groups: []}"), vec!["access[0].who.groups", "an empty list"]),
        (rule("who: {group: [a]}"), vec!["access[0].who", "did you mean `groups`?"]),
        (rule("who: {people: ['a@b']}"), vec!["access[0].who.people[0]", "an e-mail address"]),
        (rule("who: {providers: [hub]}"), vec!["access[0].who.providers[0]", "`okta`"]),
        (rule("who: anyone, effect: permit"), vec!["access[0].effect", "deny"]),
        (
            rule("who: anyone, servers: [githup]"),
            vec!["access[0].servers[0]", "did you mean `github`?"],
        ),
        (rule("who: anyone, servers: []"), vec!["access[0].servers", "an empty list"]),
        (rule("who: anyone, tools: []"), vec!["access[0].tools", "an empty list"]),
        (rule("who: anyone, tools: [~]"), vec!["config.yaml:2: access[0].tools[0]", "nothing"]),
        (rule("who: anyone, servers: [null]"), vec!["access[0].servers[0]", "nothing"]),
        (rule("who: {groups: [~], providers: [okta]}"), vec!["access[0].who.groups[0]", "nothing"]),
        ("access:\n  -\n".to_owned(), vec!["config.yaml:2: access[0]", "nothing"]),
        ("access: [~]".to_owned(), vec!["access[0]", "nothing"]),
        ("policy_files: [~]".to_owned(), vec!["policy_files[0]", "nothing"]),
        (rule("who: anyone, tools: ['']"), vec!["access[0].tools[0]", "a pattern is"]),
        (
            rule("who: anyone, servers: [/mcp/dice/], tools: [x]"),
            vec!["access[0].servers[0]", "a proxied path", "all of the path, or nothing"],
        ),
        (
            "access:\n  - who: anyone\n    tools:\n".to_owned(),
            vec!["config.yaml:2: access[0]", "nothing at `tools`"],
        ),
        ("access:\n  - who: {groups: }\n".to_owned(), vec!["access[0].who", "nothing at `groups`"]),
        ("access:\n".to_owned(), vec!["nothing at `access`"]),
        ("access: []".to_owned(), vec!["config.yaml:1: access", "an empty list"]),
        ("policy_files: []".to_owned(), vec!["config.yaml:1: policy_files", "an empty list"]),
        ("policy_files: [none.cedar]".to_owned(), vec!["policy_files[0]", "none.cedar"]),
    ];
    for (yaml, parts) in cases {
        let mistakes = given(&yaml).mistakes();
        assert!(
            mistakes.iter().any(|one| parts.iter().all(|part| one.contains(part))),
            "{yaml}: {parts:?} in {mistakes:#?}"
        );
    }
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let rule = |keys: &str| format!("access:\n  - {{who: anyone, {keys}}}");
    for (yaml, part) in [
        (rule("servers: [bitbucket-*]"), "fits no server"),
        (rule("tools: [github_get_*]"), "without `github_`"),
    ] {
        let warnings = given(&yaml).warnings();
        assert!(warnings.iter().any(|text| text.contains(part)), "{yaml}: {warnings:#?}");
    }
}

#[test]
fn policy_files_are_read_beside_rules_and_checked_against_the_schema() {
    let yaml = "access:\n  - {who: anyone, servers: [github]}\npolicy_files: [access.cedar]";
    let forbid = "// None may delete.\nforbid (principal, action == Action::\"callTool\", resource)\nwhen { resource.name like \"delete_*\" };\n";
    let config = given(yaml).file("access.cedar", forbid).load();
    let github = ServerName::parse("github").unwrap();
    let decide = |name| {
        config.access.decide(&facts(&[]), &Thing::Tool { server: &github, name, read_only: false })
    };
    assert!(decide("get").is_allowed());
    let Decision::Denied(by) = decide("delete_x") else { panic!("denied") };
    assert_eq!(by[0].place.to_string(), "access.cedar:2");

    let wrong = format!("{forbid}\npermit (principal in Team::\"x\", action, resource);\n");
    let mistakes = given(yaml).file("access.cedar", &wrong).mistakes();
    assert!(
        mistakes.iter().any(|one| one.starts_with("access.cedar:5") && one.contains("Team")),
        "{mistakes:#?}"
    );
    // They are watched like every other file.
    let given = given(yaml).file("access.cedar", forbid);
    let (args, env) = (given.args.clone(), given.env.clone());
    let sources = Sources { args, env, cwd: "/srv/portunus".into(), files: &given };
    let (files, _) = Config::load_with_trail(&sources);
    assert!(format!("{files:?}").contains("/srv/portunus/access.cedar"), "{files:?}");
}

/// A rule as it is written, and what a reader of it would say.
struct Written {
    deny: bool,
    groups: Vec<&'static str>,
    people: Vec<&'static str>,
    clients: Vec<&'static str>,
    servers: Vec<&'static str>,
    tools: Vec<&'static str>,
    prompts: Vec<&'static str>,
    read_only: Option<bool>,
}

struct Asked {
    kind: u32,
    server: &'static str,
    name: &'static str,
    read_only: bool,
}

impl Written {
    fn yaml(&self) -> String {
        let list = |key: &str, items: &[&str]| {
            if items.is_empty() { String::new() } else { format!(", {key}: {items:?}") }
        };
        let who = [("groups", &self.groups), ("people", &self.people), ("clients", &self.clients)];
        let who: String = who.iter().map(|(key, items)| list(key, items)).collect();
        let who = if who.is_empty() { "anyone".to_owned() } else { format!("{{{}}}", &who[2..]) };
        let read_only =
            self.read_only.map(|only| format!(", read_only: {only}")).unwrap_or_default();
        format!(
            "  - {{effect: {}, who: {who}{}{}{}{read_only}}}",
            if self.deny { "deny" } else { "allow" },
            list("servers", &self.servers),
            list("tools", &self.tools),
            list("prompts", &self.prompts),
        )
    }

    fn is_whole(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && self.read_only.is_none()
    }

    fn is_about(&self, facts: &Facts, asked: &Asked) -> bool {
        let person = self.groups.is_empty() && self.people.is_empty()
            || self.groups.iter().any(|group| facts.groups.iter().any(|own| own == group))
            || self.people.contains(&"alice@acme.example");
        let client = self.clients.is_empty() || self.clients.contains(&facts.client.as_str());
        let server =
            self.servers.is_empty() || self.servers.iter().any(|one| glob(one, asked.server));
        person && client && server
    }

    fn names(&self, asked: &Asked) -> bool {
        let fits = |patterns: &[&str]| patterns.iter().any(|one| glob(one, asked.name));
        match asked.kind {
            _ if self.is_whole() => true,
            0 => fits(&self.prompts),
            1 => {
                (self.tools.is_empty() && self.read_only.is_some() || fits(&self.tools))
                    && self.read_only.is_none_or(|only| only == asked.read_only)
            }
            _ => false,
        }
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(rest) => {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && glob(rest, &text[at..]))
        }
        None => match (pattern.chars().next(), text.chars().next()) {
            (None, None) => true,
            (Some(a), Some(b)) if a == b => glob(&pattern[a.len_utf8()..], &text[b.len_utf8()..]),
            _ => false,
        },
    }
}

/// More than 300 cases: YAML, compiled to Cedar, decided; and read directly.
#[test]
fn t32_what_is_written_is_what_is_decided() {
    let (mut cases, mut allowed) = (0, 0);
    for seed in 0..40 {
        let entropy = SeededEntropy::new(seed);
        let below = |most: usize| {
            let mut byte = [0];
            entropy.fill(&mut byte);
            usize::from(byte[0]) % most
        };
        let some = |of: &[&'static str], often: usize| {
            if below(often) > 0 {
                Vec::new()
            } else {
                vec![of[below(of.len())], of[below(of.len())]]
            }
        };
        let rules: Vec<Written> = (0..=below(4))
            .map(|_| Written {
                deny: below(4) == 0,
                groups: some(&["a", "b", "it's \"x\""], 2),
                people: some(&["alice@acme.example", "bob@acme.example"], 4),
                clients: some(&["cursor", "https://claude.example/client.json"], 5),
                servers: some(&["github", "jira", "*i*", "g*"], 2),
                tools: some(&["get_*", "*_x", "get_x"], 3),
                prompts: some(&["get_*", "about"], 5),
                read_only: [None, None, Some(true), Some(false)][below(4)],
            })
            .collect();
        let mut yaml = "access:\n".to_owned();
        for rule in &rules {
            writeln!(yaml, "{}", rule.yaml()).unwrap();
        }
        let policy = given(&yaml).load().access;
        for _ in 0..12 {
            let groups = some(&["a", "b", "c", "it's \"x\""], 1);
            let mut facts = facts(&groups);
            facts.client =
                ["cursor", "https://claude.example/client.json", "other"][below(3)].into();
            let asked = Asked {
                kind: u32::try_from(below(3)).unwrap(),
                server: ["github", "jira"][below(2)],
                name: ["get_x", "get_y", "put_x", "about"][below(4)],
                read_only: below(2) == 0,
            };
            let server = ServerName::parse(asked.server).unwrap();
            let thing = match asked.kind {
                0 => Thing::Prompt(&server, asked.name),
                1 => Thing::Tool { server: &server, name: asked.name, read_only: asked.read_only },
                _ => Thing::Method(&server, asked.name),
            };
            let mine = |deny: bool| rules.iter().filter(move |rule| rule.deny == deny);
            let enters = mine(false).any(|rule| rule.is_about(&facts, &asked))
                && !mine(true).any(|rule| rule.is_whole() && rule.is_about(&facts, &asked));
            let speaks = |rule: &Written| rule.is_about(&facts, &asked) && rule.names(&asked);
            let read = enters && mine(false).any(speaks) && !mine(true).any(speaks);
            let decided = policy.decide(&facts, &thing);
            assert_eq!(decided.is_allowed(), read, "{decided}\n{yaml}\n{facts:?} {thing:?}");
            cases += 1;
            allowed += u32::from(read);
        }
    }
    assert!(cases > 300 && allowed > 60 && allowed < cases - 60, "{allowed} of {cases}");
}
