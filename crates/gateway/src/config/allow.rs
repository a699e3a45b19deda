//! Who may sign in at a provider (threat 53): `allow` of its entry, or its variables
//! `AUTH_{NAME}_ALLOW…`, which then count alone. What is compared with what is
//! `portunus_core::admission`; the other settings of a provider are read in [`super::provider`].

use portunus_core::{
    admission::{
        AccountName, Allow, Domain, DomainOf, Organisation, Rule, open_to_anyone,
        takes_addresses_of_anyone,
    },
    settings::{Section, Setting, ValueType},
};
use portunus_identity::settings::Preset;

use super::{
    check::quoted,
    environment::Variable,
    inputs::{Inputs, Written, written},
    mistake::{Report, Where},
    provider_name::{Named, prefix},
};

/// The word for no rule at all.
pub(super) const ANYONE: &str = "anyone";

pub(super) const ALLOW: Section = Section::new(
    "Who may sign in: an account that fits any of the lists",
    &[
        Setting::new(
            "domains",
            ValueType::List(&ValueType::Text),
            "Domains of verified e-mail addresses, at Google of its Workspace accounts: acme.com, without those below it",
        ).details("The provider must say that it verified the address. At Google the claim `hd` counts"),
        Setting::new(
            "groups",
            ValueType::List(&ValueType::Text),
            "Groups, as the provider spells them: engineering, at GitLab acme/platform",
        ).details("The variable has commas between them. GitLab: the whole path"),
        Setting::new(
            "organisations",
            ValueType::List(&ValueType::Text),
            "GitHub: organisations and teams: acme, acme/platform",
        ).details("The account is a member of the organisation (`acme`), or of the team (`acme/platform`)"),
        Setting::new(
            "organizations",
            ValueType::List(&ValueType::Text),
            "The same in another spelling",
        ),
        Setting::new(
            "people",
            ValueType::List(&ValueType::Text),
            "Single accounts, by verified e-mail address, or by what the provider calls them (sub)",
        ).details("At GitHub the number that `https://api.github.com/users/NAME` has as `id`. `sub:` in front of a `sub` that holds an `@`"),
    ],
);

/// The keys of a rule. The last two are one in two spellings.
const KEYS: [&str; 5] = ["domains", "groups", "people", "organisations", "organizations"];

/// The ends of the variables that name lists.
pub(super) fn variable_ends() -> impl Iterator<Item = String> {
    KEYS.iter().map(|key| format!("ALLOWED_{}", key.to_ascii_uppercase()))
}

/// What the rule of a provider depends on.
pub(super) struct Reader<'a, 'r> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) named: &'a Named<'a>,
    pub(super) preset: Preset,
    /// `None` if it is a mistake, which is reported elsewhere.
    pub(super) issuer: Option<&'a str>,
    /// The scopes to ask for, if not the preset's.
    pub(super) scopes: Option<&'a [String]>,
    /// Is the gateway reached from its own machine alone?
    pub(super) is_local: bool,
    pub(super) report: &'r mut Report,
}

/// A list of a rule as it was written: its key, its items, its place.
struct List {
    key: &'static str,
    /// Without those that were reported and taken out.
    items: Vec<Written>,
    is_empty: bool,
    at: Where,
}

impl Reader<'_, '_> {
    pub(super) fn resolve(mut self) -> Allow {
        let (word, lists) = self.of_env();
        let of_file = self.named.item.as_ref().and_then(|item| item.find("allow"));
        if word.is_some() || !lists.is_empty() {
            if let Some(of_file) = of_file {
                let text = format!(
                    "not used: the variables {}… say who may sign in",
                    self.variable("ALLOW")
                );
                self.report.warning(of_file.at(), text);
            }
            return self.decide(word, lists);
        }
        let Some(item) = of_file else {
            // What was reported and taken out is not missed too.
            let is_reported =
                self.named.item.as_ref().is_some_and(|item| item.was_taken_out("allow"));
            if !is_reported {
                self.check_company();
            }
            return Allow::Anyone;
        };
        if item.scalar().is_some() {
            return self.decide(written(Some(item)), Vec::new());
        }
        let lists: Vec<List> = KEYS
            .iter()
            .filter_map(|&key| {
                let list = item.find(key)?;
                let items =
                    list.items().into_iter().filter_map(|item| written(Some(item))).collect();
                Some(List { key, items, is_empty: list.is_empty_list(), at: list.at() })
            })
            .collect();
        if lists.is_empty() && KEYS.iter().all(|key| !item.was_taken_out(key)) {
            self.report.mistake(item.at(), "a rule that names nothing", self.what_to_name(false));
            return Allow::Anyone;
        }
        self.decide(None, lists)
    }

    /// `AUTH_GITHUB_ALLOWED_DOMAINS`.
    fn variable(&self, end: &str) -> String {
        format!("{}{end}", prefix(&self.named.name))
    }

    /// The variables that say it. One that is set to nothing is a mistake here: it was meant to
    /// keep people out, and would let them in. So is one that is nearly called so.
    fn of_env(&mut self) -> (Option<Written>, Vec<List>) {
        let start = self.variable("ALLOW");
        let known: Vec<String> = variable_ends().map(|end| self.variable(&end)).collect();
        let set: Vec<(String, Variable)> = self
            .inputs
            .env
            .iter()
            .filter(|(name, _)| name.starts_with(&start))
            .map(|(name, variable)| (name.to_owned(), variable.clone()))
            .collect();
        let (mut word, mut lists) = (None, Vec::new());
        for (name, Variable { text, at }) in set {
            let key = known.iter().position(|known| *known == name).map(|index| KEYS[index]);
            let text = text.trim().to_owned();
            match key {
                _ if text.is_empty() && (key.is_some() || name == start) => {
                    self.report.mistake(
                        at,
                        "nothing",
                        format!("who may sign in; or leave {name} out"),
                    );
                }
                Some(key) => {
                    let items = split(key, &text).map(|text| Written {
                        text: text.to_owned(),
                        at: at.clone(),
                        variable: None,
                    });
                    let items: Vec<Written> = items.collect();
                    lists.push(List { key, is_empty: items.is_empty(), items, at: at.clone() });
                }
                None if name == start => word = Some(Written { text, at, variable: None }),
                None => {
                    let names: Vec<&str> = known.iter().map(String::as_str).collect();
                    self.report.mistake(
                        at,
                        format!("{name}, which is not read"),
                        format!("{start}, or {}", quoted(&names, ", ")),
                    );
                }
            }
        }
        (word, lists)
    }

    fn decide(&mut self, word: Option<Written>, lists: Vec<List>) -> Allow {
        let Some(Written { text, at, .. }) = word else { return self.rule(lists) };
        if !text.eq_ignore_ascii_case(ANYONE) {
            self.report.mistake(
                at,
                format!("`{text}`"),
                format!("`{ANYONE}`, or {}", self.what_to_name(false)),
            );
        } else if !lists.is_empty() {
            self.report.mistake(
                at,
                format!("`{ANYONE}`, and a list of those who may sign in"),
                "one of the two",
            );
        }
        Allow::Anyone
    }

    fn rule(&mut self, lists: Vec<List>) -> Allow {
        let domain_of =
            if self.is_google() { DomainOf::HostedDomain } else { DomainOf::VerifiedEmail };
        let mut rule = Rule { domain_of, ..Rule::default() };
        let mut spelling: Option<&str> = None;
        for List { key, items, is_empty, at } in lists {
            if key.starts_with("organi") && spelling.replace(key).is_some() {
                self.report.mistake(
                    at.clone(),
                    "`organisations` in two spellings",
                    "one of the two",
                );
            }
            if is_empty {
                self.report.mistake(
                    at,
                    "an empty list",
                    format!("{} who may sign in; or leave `{key}` out", self.example(key)),
                );
                continue;
            }
            for item in items {
                self.item(key, item, &mut rule);
            }
        }
        self.check_scopes(&rule);
        Allow::Only(rule)
    }

    fn item(&mut self, key: &str, Written { text, at, .. }: Written, rule: &mut Rule) {
        let expected = match key {
            "domains" => match Domain::parse(&text) {
                Some(domain) if takes_addresses_of_anyone(&domain) => {
                    format!(
                        "the domain of an organisation: anyone can have an address at {domain}. Name `people`, or say `{ANYONE}`"
                    )
                }
                Some(domain) => return rule.domains.push(domain),
                None if text.contains('*') => {
                    "a domain without `*`, such as acme.com. It does not stand for those below it: name each".to_owned()
                }
                None => "a domain, such as acme.com".to_owned(),
            },
            "groups" if !text.is_empty() => return rule.groups.push(text),
            "groups" => "the name of a group, as the provider spells it".to_owned(),
            "people" => match AccountName::parse(&text) {
                Some(AccountName::Subject(subject)) if self.is_github_name(&subject) => format!(
                    "an address, or the number of the account, `id` at https://api.github.com/users/{subject}: names change hands"
                ),
                Some(person) => return rule.people.push(person),
                None => "an e-mail address, or what the provider calls the account (`sub`)".to_owned(),
            },
            _ if self.preset != Preset::Github => {
                "organisations at GitHub alone: for other providers, `groups` or `domains`".to_owned()
            }
            _ => match Organisation::parse(&text) {
                Some(organisation) => return rule.organisations.push(organisation),
                None => "an organisation of GitHub's or a team of one: acme, or acme/platform".to_owned(),
            },
        };
        self.report.mistake(at, format!("`{text}`"), expected);
    }

    /// Google by any name: what it tells of an account, and what that proves, is the same.
    fn is_google(&self) -> bool {
        self.preset == Preset::Google || self.open_name() == Some("Google")
    }

    /// What people call the provider, if anyone can have an account there.
    fn open_name(&self) -> Option<&'static str> {
        self.issuer.and_then(open_to_anyone)
    }

    fn is_github_name(&self, subject: &str) -> bool {
        self.preset == Preset::Github && !subject.bytes().all(|b| b.is_ascii_digit())
    }

    /// GitHub tells neither addresses nor organisations without a scope for them.
    fn check_scopes(&mut self, rule: &Rule) {
        let Some(scopes) = self.scopes.filter(|_| self.preset == Preset::Github) else { return };
        let has = |names: &[&str]| scopes.iter().any(|scope| names.contains(&scope.as_str()));
        let by_email = !rule.domains.is_empty()
            || rule.people.iter().any(|person| matches!(person, AccountName::Email(_)));
        let by_groups = !rule.organisations.is_empty() || !rule.groups.is_empty();
        let needed = [
            (by_email && !has(&["user", "user:email"]), "user:email"),
            (by_groups && !has(&["read:org", "write:org", "admin:org"]), "read:org"),
        ];
        for (_, scope) in needed.into_iter().filter(|(is_missing, _)| *is_missing) {
            let found = format!("scopes without `{scope}`");
            self.report.mistake(
                self.named.at.clone(),
                found,
                format!("`{scope}` too: GitHub does not tell what the rule asks for without it"),
            );
        }
    }

    /// No rule: fine for a company's own provider. Where anyone can have an account, it must be
    /// said who may sign in, or that anyone may.
    fn check_company(&mut self) {
        let Some(name) = self.open_name() else { return };
        let why = format!("anyone in the world can have an account at {name}");
        if self.is_local {
            let text = format!(
                "{why}, and may sign in here. That is refused when BASE_URL is not this machine: {}",
                self.what_to_name(true)
            );
            self.report.warning(self.named.at.clone(), text);
            return;
        }
        let expected = format!("who may sign in, for {why}: {}", self.what_to_name(true));
        if let Some(item) = &self.named.item {
            self.report.mistake(item.at(), "no `allow`", expected);
        } else {
            let first = self.keys()[0].to_ascii_uppercase();
            self.report.missing(self.variable(&format!("ALLOWED_{first}")), expected);
        }
    }

    /// The keys that are of use at this provider, the best one first.
    fn keys(&self) -> &'static [&'static str] {
        match self.preset {
            Preset::Github => &["organisations", "domains", "people"],
            _ if self.is_google() => &["domains", "people"],
            Preset::MicrosoftEntraId => &["people", "groups"],
            _ if self.open_name() == Some("Microsoft") => &["people", "groups"],
            _ => &["groups", "domains", "people"],
        }
    }

    fn example(&self, key: &str) -> &'static str {
        match key {
            "domains" => "acme.com",
            "people" if self.keys()[0] == "people" => "the account's `sub`",
            "people" => "alice@acme.com",
            "groups" if self.preset == Preset::Gitlab => "acme/platform",
            "groups" => "engineering",
            _ => "acme",
        }
    }

    /// What to write, in the words in which the provider is configured: keys of the file, or
    /// variables.
    fn what_to_name(&self, or_anyone: bool) -> String {
        let named: Vec<String> = self
            .keys()
            .iter()
            .map(|key| {
                let example = self.example(key);
                match &self.named.item {
                    Some(_) => format!("{key}: [{example}]"),
                    None => format!(
                        "{}={example}",
                        self.variable(&format!("ALLOWED_{}", key.to_ascii_uppercase()))
                    ),
                }
            })
            .collect();
        let (named, anyone) = match &self.named.item {
            Some(_) => (
                format!("`allow: {{ {} }}`, with one of them or more", named.join(", ")),
                format!("`allow: {ANYONE}`"),
            ),
            None => (
                format!("{} (one of them or more)", named.join(", ")),
                format!("{}={ANYONE}", self.variable("ALLOW")),
            ),
        };
        let internal = if self.is_google() {
            ", or the application is internal to your Workspace"
        } else {
            ""
        };
        if or_anyone { format!("{named}; or {anyone}, if anyone may{internal}") } else { named }
    }
}

/// Names of groups may hold spaces, the others not.
fn split<'t>(key: &str, text: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
    let has_spaces = key == "groups";
    text.split(move |c: char| c == ',' || (c.is_whitespace() && !has_spaces))
        .map(str::trim)
        .filter(|item| !item.is_empty())
}
