//! The sections `access` and `policy_files`: what rules as they are written come to, beside a
//! direct reading of them, and each way to get them wrong.

use std::{fmt::Write as _, time::Duration};

use portunus_core::{
    access::{CalledWith, Circumstances, Decision, Effect, Facts, Mode, Thing, ToolHints},
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
fn every_key_of_a_condition() {
    let yaml = r#"
access:
  - who: anyone
    tools: [push]
    arguments: {repo: ["acme/*", 7], options.force: false, depth: 1.5}
    signed_in_within: 8h
    destructive: false
    idempotent: true
    open_world: false
    mode: shadow
  - {effect: deny, who: anyone, sign_in_older_than: 30m}
"#;
    let config = given(yaml).load();
    let [push, old] = config.access.rules() else { panic!("two") };
    let arguments: Vec<_> = push.when.arguments.iter().map(ToString::to_string).collect();
    assert_eq!(arguments, [r#"repo "acme/*" or 7"#, "options.force false", "depth 1.5"]);
    assert_eq!(push.when.signed_in, Some(Duration::from_secs(8 * 3600)));
    let hints = [None, Some(false), Some(true), Some(false)];
    assert_eq!(push.what.hints().map(|(_, wanted)| wanted), hints);
    assert_eq!((push.mode, old.mode), (Mode::Shadow, Mode::Enforce));
    assert_eq!(old.when.signed_in, Some(Duration::from_secs(1800)));
    let all = given(&format!("access_mode: shadow\n{yaml}")).load().access;
    assert!(all.rules().iter().all(|rule| rule.mode == Mode::Shadow));
    assert!(all.is_open() && all.is_in_shadow() && !config.access.is_open());
    let enforced = given(&format!("access_mode: enforce\n{yaml}")).load().access;
    assert!(!enforced.is_in_shadow() && enforced.rules()[0].mode == Mode::Shadow);
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
        (rule("who: anyone, arguments: {}"), vec!["access[0].arguments", "no arguments"]),
        (rule("who: anyone, arguments: {a: []}"), vec!["access[0].arguments.a", "an empty list"]),
        (rule("who: anyone, arguments: {a: ~}"), vec!["access[0].arguments", "a"]),
        (rule("who: anyone, arguments: {a: [~]}"), vec!["access[0].arguments.a[0]", "nothing"]),
        (rule("who: anyone, arguments: {a: {b: 1}}"), vec!["access[0].arguments.a", "or a list"]),
        (rule("who: anyone, arguments: {a..b: 1}"), vec!["access[0].arguments.a..b", "eight"]),
        (rule("who: anyone, arguments: {a: 1, a.b: 2}"), vec!["`a.b` beside `a`"]),
        (
            rule("who: anyone, arguments: {a: 1}, resources: [x]"),
            vec!["access[0].arguments", "a resource has no arguments"],
        ),
        (
            rule("who: anyone, arguments: {a: 1}, servers: [/mcp/dice/]"),
            vec!["access[0].servers[0]", "a proxied path"],
        ),
        (rule("who: anyone, signed_in_within: 8"), vec!["access[0].signed_in_within"]),
        (rule("who: anyone, signed_in_within: soon"), vec!["access[0].signed_in_within", "`soon`"]),
        (
            rule("who: anyone, effect: deny, signed_in_within: 8h"),
            vec!["access[0].signed_in_within", "`sign_in_older_than`", "effect: deny"],
        ),
        (rule("who: anyone, sign_in_older_than: 8h"), vec!["`signed_in_within`", "effect: allow"]),
        (rule("who: anyone, mode: off"), vec!["access[0].mode", "shadow"]),
        ("access_mode: off".to_owned(), vec!["config.yaml:1: access_mode", "shadow"]),
        ("access_mode:\n".to_owned(), vec!["nothing at `access_mode`"]),
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
        config.access.decide(
            &facts(&[]),
            &Thing::Tool { server: &github, name, hints: ToolHints::default() },
        )
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
    destructive: Option<bool>,
    repo: Option<&'static str>,
    hours: Option<u64>,
    in_shadow: bool,
}

struct Asked {
    kind: u32,
    server: &'static str,
    name: &'static str,
    read_only: bool,
    repo: Option<&'static str>,
    ago: Option<u64>,
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
        let destructive = self.destructive.map(|flag| format!(", destructive: {flag}"));
        let repo = self.repo.map(|repo| format!(", arguments: {{repo: [{repo:?}]}}"));
        let key = if self.deny { "sign_in_older_than" } else { "signed_in_within" };
        let hours = self.hours.map(|hours| format!(", {key}: {hours}h"));
        let mode = self.in_shadow.then(|| ", mode: shadow".to_owned());
        let rest: String = [destructive, repo, hours, mode].into_iter().flatten().collect();
        format!(
            "  - {{effect: {}, who: {who}{}{}{}{read_only}{rest}}}",
            if self.deny { "deny" } else { "allow" },
            list("servers", &self.servers),
            list("tools", &self.tools),
            list("prompts", &self.prompts),
        )
    }

    fn is_whole(&self) -> bool {
        self.tools.is_empty()
            && self.prompts.is_empty()
            && !self.asks_hints()
            && self.repo.is_none()
    }

    fn asks_hints(&self) -> bool {
        self.read_only.is_some() || self.destructive.is_some()
    }

    fn is_met(&self, asked: &Asked) -> bool {
        match (self.repo, asked.repo) {
            (None, _) => true,
            (Some(_), None) => self.deny,
            (Some(pattern), Some(repo)) => glob(pattern, repo),
        }
    }

    fn is_about(&self, facts: &Facts, asked: &Asked) -> bool {
        let person = self.groups.is_empty() && self.people.is_empty()
            || self.groups.iter().any(|group| facts.groups.iter().any(|own| own == group))
            || self.people.contains(&"alice@acme.example");
        let client = self.clients.is_empty() || self.clients.contains(&facts.client.as_str());
        let server =
            self.servers.is_empty() || self.servers.iter().any(|one| glob(one, asked.server));
        let in_time = match (self.hours, asked.ago) {
            (None, _) => true,
            (Some(_), None) => self.deny,
            (Some(hours), Some(ago)) => (ago <= hours) != self.deny,
        };
        person && client && server && in_time
    }

    fn names(&self, asked: &Asked) -> bool {
        let fits = |patterns: &[&str]| patterns.iter().any(|one| glob(one, asked.name));
        match asked.kind {
            _ if self.is_whole() => true,
            0 => fits(&self.prompts) && self.is_met(asked),
            1 => {
                let any_tool =
                    self.asks_hints() || (self.repo.is_some() && self.prompts.is_empty());
                (self.tools.is_empty() && any_tool || fits(&self.tools))
                    && self.read_only.is_none_or(|only| only == asked.read_only)
                    && self.destructive.is_none_or(|may| may != asked.read_only)
                    && self.is_met(asked)
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
    for seed in 0..60 {
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
                destructive: [None, None, None, Some(true), Some(false)][below(5)],
                repo: [None, None, Some("acme/*"), Some("acme/site")][below(4)],
                hours: [None, None, Some(1), Some(8)][below(4)],
                in_shadow: below(5) == 0,
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
                repo: [None, Some("acme/site"), Some("acme/x"), Some("other/x")][below(4)],
                ago: [None, Some(0), Some(1), Some(2), Some(9)][below(5)],
            };
            let server = ServerName::parse(asked.server).unwrap();
            let thing = match asked.kind {
                0 => Thing::Prompt(&server, asked.name),
                1 => Thing::Tool {
                    server: &server,
                    name: asked.name,
                    hints: ToolHints::of(Some(asked.read_only), None, None, None),
                },
                _ => Thing::Method(&server, asked.name),
            };
            let speaks = |rule: &&Written| rule.is_about(&facts, &asked) && rule.names(&asked);
            let read = |with_shadow: bool| {
                let mine = |deny: bool| {
                    rules
                        .iter()
                        .filter(move |rule| rule.deny == deny && (with_shadow || !rule.in_shadow))
                };
                let enters = mine(false).any(|rule| rule.is_about(&facts, &asked))
                    && !mine(true).any(|rule| rule.is_whole() && rule.is_about(&facts, &asked));
                enters
                    && mine(false).any(|rule| speaks(&rule))
                    && !mine(true).any(|rule| speaks(&rule))
            };
            let is_open = rules.iter().all(|rule| rule.in_shadow);
            let json = asked.repo.map_or("{}".to_owned(), |repo| format!(r#"{{"repo":"{repo}"}}"#));
            let arguments = policy.read_arguments(Some(json.as_bytes()));
            let now = Circumstances {
                signed_in: asked.ago.map(|hours| Duration::from_secs(hours * 3600)),
                arguments: CalledWith::These(&arguments),
            };
            let decided = policy.decide_now(&facts, &thing, &now);
            let told = || format!("{decided}\n{yaml}\n{facts:?} {thing:?} {json} {:?}", asked.ago);
            let whole = policy.decide_whole(&facts, &thing, &now);
            assert_eq!(whole.is_some(), rules.iter().any(|rule| rule.in_shadow), "{}", told());
            if let Some(whole) = whole {
                assert_eq!(whole.is_allowed(), read(true), "in shadow {whole}\n{}", told());
            }
            let read = read(false) || is_open;
            assert_eq!(decided.is_allowed(), read, "{}", told());
            cases += 1;
            allowed += u32::from(read);
        }
    }
    assert!(cases > 300 && allowed > 60 && allowed < cases - 60, "{allowed} of {cases}");
}
