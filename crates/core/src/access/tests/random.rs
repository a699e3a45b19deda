//! Rules at random, decided by Cedar and by a second reading of them, without it.

use std::time::Duration;

use super::*;

/// Rules at random, each beside what a reader of the rule would say: evaluated as a whole, by what
/// is remembered, and with what is in shadow. And every rule comes to policies that the schema
/// knows, but for what is found out beside Cedar.
#[test]
fn t32_rules_at_random_mean_what_they_say() {
    let validator = Validator::new(own_schema());
    let (mut counts, mut shadows, mut lists) = ([0_u32; 2], [0_u32; 2], [0_u32; 2]);
    for seed in 0..150 {
        let mut dice = Dice(SeededEntropy::new(seed));
        let rules: Vec<AccessRule> = (1..=1 + dice.below(4)).map(|n| dice.rule(n)).collect();
        let policy = policy(&rules);
        let mut text = String::new();
        for one in (0..).zip(&rules).flat_map(|(n, rule)| compile::texts(n, rule)) {
            writeln!(text, "{one}").unwrap();
        }
        let set: PolicySet = text.parse().unwrap();
        let valid = validator.validate(&set, ValidationMode::Strict);
        assert!(valid.validation_passed(), "{valid}\n{text}");
        for _ in 0..12 {
            let (facts, wanted, call) = (dice.facts(), dice.wanted(), dice.call());
            let (thing, json) = (wanted.thing(), call.json());
            let arguments = policy.read_arguments(Some(json.as_bytes()));
            let with = CalledWith::These(&arguments);
            let now = Circumstances { signed_in: call.signed_in, arguments: with };
            let by = |mode: Option<Mode>, call: &Call| {
                let of_mode: Vec<_> =
                    rules.iter().filter(|rule| mode.is_none_or(|mode| rule.mode == mode)).collect();
                of_mode.is_empty() || reference::may(&of_mode, &facts, &wanted, call)
            };
            let read = by(Some(Mode::Enforce), &call);
            let decided = policy.decide_now(&facts, &thing, &now);
            let told = || {
                format!("{decided}\n{facts:?}\n{wanted:?}\n{json} {:?}\n{rules:#?}", call.signed_in)
            };
            assert_eq!(decided.is_allowed(), read, "{}", told());
            let judgement = policy.judge(&facts, &thing, call.signed_in, None);
            assert_eq!(policy.allows(&judgement, &now), read, "remembered: {}", told());
            let entered = policy.judge(&facts, &Thing::Server(&wanted.server), None, None);
            let within = policy.judge(&facts, &thing, None, Some(&entered));
            assert_eq!(policy.allows(&within, &now), read, "within its server: {}", told());
            counts[usize::from(read)] += 1;
            let would = policy.would_refuse(&judgement, &now);
            let in_shadow = rules.iter().any(|rule| rule.mode == Mode::Shadow);
            let expected = in_shadow && read && !by(None, &call);
            assert_eq!(would.is_some(), expected, "{would:?} {}", told());
            shadows[usize::from(expected)] += 1;
            // What is listed is what some call could have.
            let listed = Circumstances { arguments: CalledWith::Any, ..now };
            let any = Call::all(call.signed_in).iter().any(|call| by(Some(Mode::Enforce), call));
            assert_eq!(policy.allows(&judgement, &listed), any, "listed: {}", told());
            assert_eq!(policy.decide_now(&facts, &thing, &listed).is_allowed(), any, "{}", told());
            lists[usize::from(any)] += 1;
        }
    }
    for (what, counts) in [("calls", counts), ("shadows", shadows), ("lists", lists)] {
        assert!(counts.iter().all(|count| *count > 100), "{what}: both are met often: {counts:?}");
    }
}

/// A thing with its own texts.
#[derive(Clone, Debug)]
struct Wanted {
    kind: u32,
    server: ServerName,
    name: &'static str,
    hints: ToolHints,
}

impl Wanted {
    fn thing(&self) -> Thing<'_> {
        let Self { kind, server, name, hints } = self;
        match kind {
            0 => Thing::Server(server),
            1 => Thing::Prompt(server, name),
            2 => Thing::Resource(server, name),
            3 => Thing::Method(server, name),
            4 => Thing::Proxy(server.as_str()),
            _ => Thing::Tool { server, name, hints: *hints },
        }
    }
}

/// A call's arguments, as they are written in JSON, and how long ago its person signed in.
#[derive(Clone, Debug)]
struct Call {
    repo: Option<&'static str>,
    count: Option<&'static str>,
    force: Option<&'static str>,
    /// The same key twice.
    is_torn: bool,
    signed_in: Option<Duration>,
}

const REPOS: [Option<&str>; 7] = [
    None,
    Some(r#""acme/x""#),
    Some(r#""acme/secret""#),
    Some(r#""other""#),
    Some(r#""zz""#),
    Some("5"),
    Some(r#""acme/../x""#),
];
const COUNTS: [Option<&str>; 5] = [None, Some("1"), Some("2.0"), Some("7"), Some(r#""1""#)];
const FORCES: [Option<&str>; 4] = [None, Some("true"), Some("false"), Some("null")];

impl Call {
    fn json(&self) -> String {
        let member =
            |name: &str, value: Option<&str>| value.map(|value| format!("\"{name}\": {value}"));
        let force = self.force.map(|value| format!(r#""o": {{"x": [1], "f": {value}}}"#));
        let torn = self.is_torn.then(|| r#""repo": "acme/x", "repo": "zz""#.to_owned());
        let members = [
            member("repo", self.repo.filter(|_| !self.is_torn)),
            member("n", self.count),
            force,
            torn,
        ];
        format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }

    /// One of each kind that rules here can tell apart.
    fn all(signed_in: Option<Duration>) -> Vec<Self> {
        let mut all = Vec::new();
        for repo in REPOS {
            for count in COUNTS {
                for force in FORCES {
                    all.push(Self { repo, count, force, is_torn: false, signed_in });
                }
            }
        }
        all
    }
}

fn condition(path: &str, values: &[&str]) -> ArgumentCondition {
    let value = |text: &&str| match *text {
        "true" => ArgumentValue::Flag(true),
        "false" => ArgumentValue::Flag(false),
        number if number.parse::<u32>().is_ok() => ArgumentValue::number(number).unwrap(),
        text => ArgumentValue::Text(Pattern::parse(text).unwrap()),
    };
    ArgumentCondition::new(path, values.iter().map(value).collect()).unwrap()
}

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, most: u32) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) % most
    }

    fn one<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(u32::try_from(of.len()).unwrap()) as usize]
    }

    fn some<T: Copy>(&self, of: &[T], often: u32) -> Vec<T> {
        if self.below(often) > 0 {
            return Vec::new();
        }
        (0..=self.below(2)).map(|_| self.one(of)).collect()
    }

    fn rule(&mut self, line: u32) -> AccessRule {
        let effect = if self.below(4) == 0 { Effect::Deny } else { Effect::Allow };
        let who = Who {
            groups: texts(&self.some(&["a", "b", "c"], 2)),
            people: people(&self.some(&["x@acme.example", "sub:s1", "s2"], 4)),
            clients: self.some(&["k1", "k2"], 5).into_iter().map(ClientId::from_text).collect(),
            providers: self
                .some(&["okta", "hub"], 6)
                .into_iter()
                .map(ProviderName::from_text)
                .collect(),
        };
        let what = What {
            servers: patterns(&self.some(&["one", "two", "t*", "*"], 2)),
            tools: patterns(&self.some(&["get_*", "get_x", "*_x", "*"], 3)),
            prompts: patterns(&self.some(&["get_*", "put_x"], 6)),
            resources: patterns(&self.some(&["get_*", "*", "f:/../x"], 6)),
            read_only: self.one(&[None, None, None, Some(true), Some(false)]),
            destructive: self.one(&[None, None, None, None, Some(true), Some(false)]),
            idempotent: self.one(&[None, None, None, None, None, None, Some(true)]),
            open_world: self.one(&[None, None, None, None, None, None, Some(false)]),
        };
        AccessRule {
            mode: self.one(&[Mode::Enforce, Mode::Enforce, Mode::Shadow]),
            when: self.when(),
            ..rule(line, effect, who, what)
        }
    }

    fn when(&mut self) -> When {
        let mut arguments = Vec::new();
        if self.below(3) == 0 {
            let repos: [&[&str]; 4] = [&["acme/*"], &["acme/secret"], &["*"], &["other", "acme/*"]];
            let counts: [&[&str]; 3] = [&["1"], &["1", "2"], &["7"]];
            let forces: [&[&str]; 3] = [&["true"], &["false"], &["true", "false"]];
            let all = [
                condition("repo", self.one(&repos)),
                condition("n", self.one(&counts)),
                condition("o.f", self.one(&forces)),
            ];
            arguments.extend(all.into_iter().filter(|_| self.below(2) == 0));
        }
        let hours = self.one(&[None, None, None, Some(1), Some(8)]);
        When { arguments, signed_in: hours.map(|hours| Duration::from_secs(hours * 3600)) }
    }

    fn call(&mut self) -> Call {
        let minutes = self.one(&[None, Some(0), Some(60), Some(61), Some(600)]);
        Call {
            repo: self.one(&REPOS),
            count: self.one(&COUNTS),
            force: self.one(&FORCES),
            is_torn: self.below(12) == 0,
            signed_in: minutes.map(|minutes: u64| Duration::from_secs(minutes * 60)),
        }
    }

    fn facts(&mut self) -> Facts {
        Facts {
            user: "ptn_user_1".to_owned(),
            subject: self.one(&["s1", "s2", "s3"]).to_owned(),
            email: self
                .one(&[None, Some("x@acme.example"), Some("y@acme.example")])
                .map(Into::into),
            groups: texts(&self.some(&["a", "b", "c", "d"], 1)),
            provider: self.one(&[None, Some("okta"), Some("hub")]).map(Into::into),
            client: self.one(&["k1", "k2", "k3"]).to_owned(),
        }
    }

    fn wanted(&mut self) -> Wanted {
        Wanted {
            kind: self.below(8),
            server: server(self.one(&["one", "two", "three"])),
            name: self.one(&["get_x", "get_y", "put_x", "f:/../x", "get_/../x"]),
            hints: ToolHints {
                read_only: self.below(2) == 0,
                destructive: self.below(2) == 0,
                idempotent: self.below(2) == 0,
                open_world: self.below(2) == 0,
            },
        }
    }
}

/// What rules say, read once more, without Cedar.
mod reference {
    use super::*;

    pub(super) fn may(rules: &[&AccessRule], facts: &Facts, wanted: &Wanted, call: &Call) -> bool {
        let of = |effect| rules.iter().filter(move |rule| rule.effect == effect);
        let mine = |rule: &AccessRule| {
            fits(&rule.who, facts)
                && any(&rule.what.servers, wanted.server.as_str())
                && in_time(rule, call.signed_in)
        };
        let is_whole = |rule: &AccessRule| rule.what.is_whole() && rule.when.arguments.is_empty();
        let enters = of(Effect::Allow).any(|rule| mine(rule))
            && !of(Effect::Deny).any(|rule| mine(rule) && is_whole(rule));
        let speaks =
            |rule: &&&AccessRule| mine(rule) && (is_whole(rule) || speaks(rule, wanted, call));
        let allowed = of(Effect::Allow).any(|rule| speaks(&rule))
            && !of(Effect::Deny).any(|rule| speaks(&rule));
        match wanted.kind {
            0 => enters,
            4 => allowed,
            _ => enters && allowed,
        }
    }

    fn in_time(rule: &AccessRule, ago: Option<Duration>) -> bool {
        match (rule.when.signed_in, rule.effect, ago) {
            (None, ..) => true,
            (Some(_), effect, None) => effect == Effect::Deny,
            (Some(most), Effect::Allow, Some(ago)) => ago <= most,
            (Some(most), Effect::Deny, Some(ago)) => ago > most,
        }
    }

    /// `None`: it cannot be told.
    fn has(rule: &AccessRule, call: &Call) -> bool {
        let told = |condition: &ArgumentCondition| {
            let text = match condition.path().join(".").as_str() {
                "repo" => call.repo,
                "n" => call.count,
                _ => call.force,
            };
            let text = text.filter(|_| !call.is_torn)?;
            let values: Vec<String> = condition.values().iter().map(ToString::to_string).collect();
            let is_text = |text: &str| text.starts_with('"');
            let is_flag = |text: &str| matches!(text, "true" | "false");
            if text == "null"
                || is_text(text) != is_text(&values[0])
                || is_flag(text) != is_flag(&values[0])
            {
                return None;
            }
            let plain = text.strip_suffix(".0").unwrap_or(text);
            let fits = values.iter().any(|value| match value.trim_matches('"').split_once('*') {
                Some((before, _)) => plain.trim_matches('"').starts_with(before),
                None => value == plain,
            });
            let is_odd = text.contains("..") && !values.contains(&r#""*""#.to_owned());
            if is_odd { None } else { Some(fits) }
        };
        let mut told = rule.when.arguments.iter().map(told);
        match rule.effect {
            Effect::Allow => told.all(|fits| fits == Some(true)),
            Effect::Deny => told.all(|fits| fits != Some(false)),
        }
    }

    fn fits(who: &Who, facts: &Facts) -> bool {
        let person = |name: &AccountName| match name {
            AccountName::Email(email) => facts.email.as_deref() == Some(&email.to_string()),
            AccountName::Subject(subject) => *subject == facts.subject,
        };
        let named = who.groups.is_empty() && who.people.is_empty()
            || who.groups.iter().any(|group| facts.groups.contains(group))
            || who.people.iter().any(person);
        let client = who.clients.is_empty()
            || who.clients.iter().any(|client| client.as_str() == facts.client);
        let provider = who.providers.is_empty()
            || who.providers.iter().any(|name| Some(name.as_str()) == facts.provider.as_deref());
        named && client && provider
    }

    fn speaks(rule: &AccessRule, wanted: &Wanted, call: &Call) -> bool {
        let AccessRule { what, when, effect, .. } = rule;
        match wanted.kind {
            0 | 3 | 4 => false,
            1 => !what.prompts.is_empty() && any(&what.prompts, wanted.name) && has(rule, call),
            2 => what.resources.iter().any(|pattern| {
                let (star, text) = (pattern.as_str().contains('*'), wanted.name);
                let fits = if star { pattern.fits(text) } else { pattern.as_str() == text };
                match effect {
                    Effect::Allow if star => !text.contains("..") && fits,
                    Effect::Allow => fits,
                    Effect::Deny => text.contains("..") || fits,
                }
            }),
            _ => {
                let hints = [
                    (what.read_only, wanted.hints.read_only),
                    (what.destructive, wanted.hints.destructive),
                    (what.idempotent, wanted.hints.idempotent),
                    (what.open_world, wanted.hints.open_world),
                ];
                let is_about_tools = !what.tools.is_empty()
                    || hints.iter().any(|(asked, _)| asked.is_some())
                    || (!when.arguments.is_empty() && what.prompts.is_empty());
                is_about_tools
                    && any(&what.tools, wanted.name)
                    && hints.iter().all(|(asked, is)| asked.is_none_or(|asked| asked == *is))
                    && has(rule, call)
            }
        }
    }

    fn any(patterns: &[Pattern], name: &str) -> bool {
        patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(name))
    }
}
