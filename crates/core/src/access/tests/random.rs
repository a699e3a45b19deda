//! Rules at random, decided by Cedar and by a second reading of them, without it.

use super::*;

/// Rules at random, each beside what a reader of the rule would say. And every rule comes to
/// policies that the schema knows.
#[test]
fn t32_rules_at_random_mean_what_they_say() {
    let validator = Validator::new(schema::schema().unwrap());
    let mut counts = [0_u32; 2];
    for seed in 0..150 {
        let mut dice = Dice(SeededEntropy::new(seed));
        let rules: Vec<AccessRule> = (1..=1 + dice.below(4)).map(|n| dice.rule(n)).collect();
        let policy = policy(&rules);
        let mut text = String::new();
        for one in rules.iter().flat_map(compile::texts) {
            writeln!(text, "{one}").unwrap();
        }
        let set: PolicySet = text.parse().unwrap();
        let valid = validator.validate(&set, ValidationMode::Strict);
        assert!(valid.validation_passed(), "{valid}\n{text}");
        for _ in 0..12 {
            let (facts, wanted) = (dice.facts(), dice.wanted());
            let (decided, read) =
                (policy.decide(&facts, &wanted.thing()), reference::may(&rules, &facts, &wanted));
            assert_eq!(decided.is_allowed(), read, "{decided}\n{facts:?}\n{wanted:?}\n{text}");
            counts[usize::from(read)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 300), "both are met often: {counts:?}");
}

/// A thing with its own texts.
#[derive(Clone, Debug)]
struct Wanted {
    kind: u32,
    server: ServerName,
    name: &'static str,
    read_only: bool,
}

impl Wanted {
    fn thing(&self) -> Thing<'_> {
        let Self { kind, server, name, read_only } = self;
        match kind {
            0 => Thing::Server(server),
            1 => Thing::Prompt(server, name),
            2 => Thing::Resource(server, name),
            3 => Thing::Method(server, name),
            4 => Thing::Proxy(server.as_str()),
            _ => Thing::Tool { server, name, read_only: *read_only },
        }
    }
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
        };
        rule(line, effect, who, what)
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
            read_only: self.below(2) == 0,
        }
    }
}

/// What rules say, read once more, without Cedar.
mod reference {
    use super::*;

    pub(super) fn may(rules: &[AccessRule], facts: &Facts, wanted: &Wanted) -> bool {
        let of = |effect| rules.iter().filter(move |rule| rule.effect == effect);
        let mine = |rule: &&AccessRule| {
            fits(&rule.who, facts) && any(&rule.what.servers, wanted.server.as_str())
        };
        let enters = of(Effect::Allow).any(|rule| mine(&rule))
            && !of(Effect::Deny).any(|rule| mine(&rule) && rule.what.is_whole());
        let speaks = |rule: &AccessRule| mine(&rule) && speaks(&rule.what, rule.effect, wanted);
        let allowed = of(Effect::Allow).any(speaks) && !of(Effect::Deny).any(speaks);
        match wanted.kind {
            0 => enters,
            4 => allowed,
            _ => enters && allowed,
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

    fn speaks(what: &What, effect: Effect, wanted: &Wanted) -> bool {
        if what.is_whole() {
            return true;
        }
        match wanted.kind {
            0 | 3 | 4 => false,
            1 => !what.prompts.is_empty() && any(&what.prompts, wanted.name),
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
                let is_about_tools = !what.tools.is_empty() || what.read_only.is_some();
                is_about_tools
                    && any(&what.tools, wanted.name)
                    && what.read_only.is_none_or(|only| only == wanted.read_only)
            }
        }
    }

    fn any(patterns: &[Pattern], name: &str) -> bool {
        patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(name))
    }
}
