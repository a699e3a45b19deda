//! Section: who may use what (`access` and `policy_files` of `config.yaml`). What rules mean is
//! `portunus_core::access`; who may sign in at all is [`super::allow`].

use std::{path::PathBuf, sync::Arc};

use portunus_core::{
    access::{AccessRule, BadPolicy, Effect, Mode, Place, Policy, PolicyFile, What, Who},
    admission::AccountName,
    ids::{ClientId, ProviderName},
    oauth::scopes::Pattern,
    settings::{Section, Setting, ValueType},
};

mod conditions;

use super::{
    allow::ANYONE,
    document::Item,
    inputs::{Content, Inputs, Written, written},
    mistake::{Report, Where},
    provider::ProviderConfig,
    proxies::ProxyRoute,
    suggest::nearest,
};

pub(super) const ACCESS: Setting = Setting::new(
    "access",
    ValueType::List(&ValueType::Section(&RULE)),
    "Rules of who may use what. With any rule or policy file, what none allows is denied",
);

pub(super) const ACCESS_MODE: Setting = Setting::new(
    "access_mode",
    ValueType::Choice(MODES),
    "Whether the rules of access decide. In shadow nothing is refused by them, and the audit trail says of each call which rule would have refused it",
)
.default("enforce");

pub(super) const POLICY_FILES: Setting = Setting::new(
    "policy_files",
    ValueType::List(&ValueType::Text),
    "Files of Cedar policies, beside the rules of access",
);

const RULE: Section = Section::new(
    "A rule that allows or denies",
    &[
        Setting::new("name", ValueType::Text, "What it is called where it decided")
            .details("Without it, its place in the list"),
        Setting::new(
            "effect",
            ValueType::Choice(&["allow", "deny"]),
            "A rule that denies goes before all that allow, wherever they stand",
        )
        .default("allow"),
        Setting::new(
            "mode",
            ValueType::Choice(MODES),
            "shadow: the rule decides nothing, and it is recorded what it would refuse",
        )
        .default("enforce")
        .details("Of a rule that allows: what is refused with it and the others, if nothing else allows it"),
        Setting::new(
            "who",
            ValueType::WordOr(&[ANYONE], &WHO),
            "The callers that it is about: anyone, or lists",
        )
        .required()
        .details("`anyone` is every person who signed in, and every client that acts for itself"),
        Setting::new(
            "servers",
            LIST,
            "Names of servers and patterns of proxies; * stands for any characters",
        )
        .details("Without it, all"),
        Setting::new(
            "tools",
            LIST,
            "Only these tools, by the server's own names, without its prefix: get_*",
        ),
        Setting::new("prompts", LIST, "Only these prompts, in the same way"),
        Setting::new("resources", LIST, "Only these URIs of resources, in the same way: repo://*")
            .details("Texts of URI templates too"),
        Setting::new(
            "read_only",
            ValueType::Flag,
            "Only tools that their server says only read (readOnlyHint); false: only all others",
        ),
        Setting::new(
            "destructive",
            ValueType::Flag,
            "Only tools that may destroy something (destructiveHint); false: only those that do not",
        )
        .details("A tool that does not say so may, unless it only reads"),
        Setting::new(
            "idempotent",
            ValueType::Flag,
            "Only tools that change nothing more when they are called again (idempotentHint); false: only all others",
        ),
        Setting::new(
            "open_world",
            ValueType::Flag,
            "Only tools that reach beyond their server (openWorldHint); false: only those that do not",
        )
        .details("A tool that does not say so may"),
        Setting::new(
            "arguments",
            ValueType::Map(&ValueType::Values),
            "Only calls whose arguments have these values: patterns of texts, numbers, true or false, or lists of what is allowed",
        )
        .details("By the argument's name, `options.force` for a member of one. See [access.md](access.md#conditions-on-arguments)"),
        Setting::new(
            SIGNED_IN_WITHIN,
            ValueType::Duration,
            "Of a rule that allows: only people who signed in at the provider so long ago at most",
        ),
        Setting::new(
            SIGN_IN_OLDER_THAN,
            ValueType::Duration,
            "Of a rule that denies: only callers whose last sign-in is longer ago, or who never signed in",
        ),
    ],
);

pub(super) const WHO: Section = Section::new(
    "Callers: of one of the groups or people, with one of the clients, from one of the providers",
    &[
        Setting::new("groups", LIST, "Groups, as the provider spells them")
            .details("Of a client that acts for itself, those of its entry"),
        Setting::new(
            "people",
            LIST,
            "Single accounts, by verified e-mail address, or by what the provider calls them (sub)",
        ),
        Setting::new(
            "clients",
            LIST,
            "IDs of clients: of this configuration, or URLs of documents",
        )
        .details("A client that registered itself has an ID that is not known beforehand"),
        Setting::new("providers", LIST, "Names of providers that they signed in at")
            .details("`clients` for clients that act for themselves"),
    ],
);

const MODES: &[&str] = &["enforce", "shadow"];
const SIGNED_IN_WITHIN: &str = "signed_in_within";
const SIGN_IN_OLDER_THAN: &str = "sign_in_older_than";
pub(super) const LIST: ValueType = ValueType::List(&ValueType::Text);
/// What a client that acts for itself has for a provider.
const CLIENTS: &str = "clients";

/// What rules may name.
pub(super) struct Names<'a> {
    /// Of `mcp.json`, disabled ones too.
    pub(super) servers: &'a [String],
    pub(super) proxies: &'a [ProxyRoute],
    pub(super) providers: &'a [ProviderConfig],
}

/// The rules and the policy files together.
pub(super) fn resolve(inputs: &Inputs<'_>, names: &Names<'_>, report: &mut Report) -> Arc<Policy> {
    let before = report.mistakes.len();
    let mut reading = Reading { names, report };
    let root = inputs.config.root();
    reading.check_nothing(&root, &[ACCESS, ACCESS_MODE, POLICY_FILES]);
    let mode = reading.mode(&root, ACCESS_MODE.name);
    let rules: Vec<_> = reading
        .items(&root, ACCESS.name)
        .iter()
        .enumerate()
        .filter_map(|(n, item)| reading.rule(n, item, mode))
        .collect();
    let files: Vec<_> = reading
        .texts(&root, POLICY_FILES.name)
        .iter()
        .filter_map(|file| read_file(inputs, file, reading.report))
        .collect();
    if report.mistakes.len() > before {
        return Arc::default();
    }
    let bad = match Policy::new(rules, files) {
        Ok(policy) if mode == Mode::Shadow => return Arc::new(policy.in_shadow()),
        Ok(policy) => return Arc::new(policy),
        Err(bad) => bad,
    };
    for BadPolicy { place, problem } in bad {
        let at =
            Where::File { path: PathBuf::from(place.file), line: place.line, key: String::new() };
        report.mistake(at, problem, "a Cedar policy that fits the schema in docs/access.md");
    }
    Arc::default()
}

fn read_file(inputs: &Inputs<'_>, file: &Written, report: &mut Report) -> Option<PolicyFile> {
    let text = inputs.read_file(file, Content::Plain, report).and_then(|bytes| {
        bytes.map(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other)).transpose()
    });
    match text {
        Ok(text) => Some(PolicyFile { path: file.text.clone(), text: text? }),
        Err(error) => {
            let found = format!("{}: {error}", file.text);
            report.mistake(file.at.clone(), found, "a file of Cedar policies that can be read");
            None
        }
    }
}

/// Reads rules, and what other settings have in common with them.
pub(super) struct Reading<'a, 'r> {
    pub(super) names: &'a Names<'a>,
    pub(super) report: &'r mut Report,
}

impl Reading<'_, '_> {
    /// In shadow, if it is itself or all of them are.
    fn rule(&mut self, n: usize, item: &Item<'_>, all: Mode) -> Option<AccessRule> {
        let (file, line) = match item.at() {
            Where::File { path, line, .. } => (path.display().to_string(), line),
            _ => return None,
        };
        self.check_nothing(item, RULE.settings);
        let effect = self.effect(item);
        let own = self.mode(item, "mode");
        let what = self.what(item);
        let when = self.when(item, effect, &what);
        if !what.is_whole() || !when.arguments.is_empty() {
            self.check_parts(item);
        }
        Some(AccessRule {
            name: written(item.find("name"))
                .map_or_else(|| format!("access[{n}]"), |name| name.text),
            place: Place { file, line },
            effect,
            mode: if all == Mode::Shadow { all } else { own },
            who: self.who(item)?,
            what,
            when,
        })
    }

    fn effect(&mut self, item: &Item<'_>) -> Effect {
        let Some(Written { text, at, .. }) = written(item.find("effect")) else {
            return Effect::default();
        };
        match text.as_str() {
            "allow" => Effect::Allow,
            "deny" => Effect::Deny,
            _ => {
                self.report.mistake(at, format!("`{text}`"), "one of `allow`, `deny`");
                Effect::Deny
            }
        }
    }

    /// One that cannot be read would leave the rule in force.
    fn mode(&mut self, item: &Item<'_>, key: &str) -> Mode {
        let Some(Written { text, at, .. }) = written(item.find(key)) else {
            return Mode::default();
        };
        match text.as_str() {
            "enforce" => Mode::Enforce,
            "shadow" => Mode::Shadow,
            _ => {
                self.report.mistake(at, format!("`{text}`"), "one of `enforce`, `shadow`");
                Mode::Enforce
            }
        }
    }

    /// A key without a value would count as one that is not there, and the rule would be wider than
    /// what was meant.
    pub(super) fn check_nothing(&mut self, item: &Item<'_>, settings: &[Setting]) {
        for Setting { name, .. } in settings {
            // What was found to be wrong was taken out too, and is reported.
            if self.report.mistakes.is_empty() && item.was_taken_out(name) {
                let found = format!("nothing at `{name}`");
                self.report.mistake(item.at(), found, "a value, or no such key");
            }
        }
    }

    /// `None` if it is missing or wrong, which is reported.
    pub(super) fn who(&mut self, rule: &Item<'_>) -> Option<Who> {
        let item = rule.find("who")?;
        if let Some(Written { text, at, .. }) = written(Some(item.clone())) {
            if text == ANYONE {
                return Some(Who::default());
            }
            let expected =
                format!("`{ANYONE}`, or lists of `groups`, `people`, `clients`, `providers`");
            self.report.mistake(at, format!("`{text}`"), expected);
            return None;
        }
        self.check_nothing(&item, WHO.settings);
        let [groups, people, clients, providers] =
            ["groups", "people", "clients", "providers"].map(|key| self.texts(&item, key));
        let who = Who {
            groups: groups.into_iter().map(|group| group.text).collect(),
            people: people.into_iter().filter_map(|person| self.person(person)).collect(),
            clients: clients.into_iter().map(|client| ClientId::from_text(client.text)).collect(),
            providers: providers.into_iter().filter_map(|name| self.provider(name)).collect(),
        };
        if who.is_anyone() {
            self.report.mistake(
                item.at(),
                "callers that are not named",
                "`groups`, `people`, `clients` or `providers`; or `who: anyone`",
            );
        } else if self.names.providers.len() > 1
            && who.providers.is_empty()
            && !(who.groups.is_empty() && who.people.is_empty())
        {
            self.report.warning(
                item.at(),
                "groups and accounts of every provider are meant, also those of the same name: say which in `providers`",
            );
        }
        Some(who)
    }

    fn what(&mut self, item: &Item<'_>) -> What {
        let (servers, tools) = (self.servers(item), self.tools(item));
        let [prompts, resources] = ["prompts", "resources"].map(|key| {
            let texts = self.texts(item, key);
            texts.into_iter().filter_map(|text| self.pattern(text)).collect()
        });
        let [read_only, destructive, idempotent, open_world] =
            ["read_only", "destructive", "idempotent", "open_world"]
                .map(|hint| written(item.find(hint)).map(|flag| flag.text == "true"));
        What { servers, tools, prompts, resources, read_only, destructive, idempotent, open_world }
    }

    pub(super) fn servers(&mut self, item: &Item<'_>) -> Vec<Pattern> {
        let servers = self.texts(item, "servers");
        for server in &servers {
            self.check_server(server);
        }
        servers.into_iter().filter_map(|server| self.pattern(server)).collect()
    }

    pub(super) fn tools(&mut self, item: &Item<'_>) -> Vec<Pattern> {
        let tools = self.texts(item, "tools");
        for tool in &tools {
            self.check_prefix(tool);
        }
        tools.into_iter().filter_map(|tool| self.pattern(tool)).collect()
    }

    /// Nothing in a proxied path can be told apart.
    pub(super) fn check_parts(&mut self, item: &Item<'_>) {
        for Written { text, at, .. } in self.texts(item, "servers") {
            if self.names.proxies.iter().any(|proxy| proxy.pattern == text) {
                self.report.mistake(
                    at,
                    format!("`{text}`, a proxied path, in a rule about parts of servers"),
                    "a rule of its own without `tools`, `prompts`, `resources`, `arguments` and what servers say of tools: all of the path, or nothing",
                );
            }
        }
    }

    fn check_server(&mut self, Written { text, at, .. }: &Written) {
        let patterns = || self.names.proxies.iter().map(|proxy| proxy.pattern.as_str());
        let known = || self.names.servers.iter().map(String::as_str).chain(patterns());
        let Ok(pattern) = Pattern::parse(text) else { return };
        if known().any(|name| pattern.fits(name)) {
            return;
        }
        if pattern.is_exact() {
            let meant = nearest(text, known())
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            let expected = format!("a server of mcp.json, or a pattern of `proxies`{meant}");
            self.report.mistake(at.clone(), format!("`{text}`"), expected);
        } else {
            self.report.warning(
                at.clone(),
                format!("`{text}` fits no server of mcp.json and no pattern of `proxies`"),
            );
        }
    }

    fn check_prefix(&mut self, Written { text, at, .. }: &Written) {
        let has_prefix = |server: &&String| {
            text.strip_prefix(server.as_str()).is_some_and(|rest| rest.starts_with('_'))
        };
        if let Some(server) = self.names.servers.iter().find(has_prefix) {
            self.report.warning(
                at.clone(),
                format!("tools are named here as their server names them: `servers: [{server}]`, and `{text}` without `{server}_`"),
            );
        }
    }

    fn pattern(&mut self, Written { text, at, .. }: Written) -> Option<Pattern> {
        let pattern = Pattern::parse(&text);
        if let Err(bad) = &pattern {
            self.report.mistake(at, format!("`{}`", text.escape_debug()), bad.to_string());
        }
        pattern.ok()
    }

    fn person(&mut self, Written { text, at, .. }: Written) -> Option<AccountName> {
        let person = AccountName::parse(&text);
        if person.is_none() {
            let expected = "an e-mail address such as alice@acme.com, or what the provider calls the account (sub)";
            self.report.mistake(at, format!("`{}`", text.escape_debug()), expected);
        }
        person
    }

    fn provider(&mut self, Written { text, at, .. }: Written) -> Option<ProviderName> {
        let known = || {
            let names = self.names.providers.iter().map(|one| one.settings.name.as_str());
            names.chain([CLIENTS])
        };
        if !known().any(|name| name == text) {
            let names: Vec<_> = known().map(|name| format!("`{name}`")).collect();
            let expected = format!(
                "one of {}, the last for clients that act for themselves",
                names.join(", ")
            );
            self.report.mistake(at, format!("`{text}`"), expected);
            return None;
        }
        Some(ProviderName::from_text(text))
    }

    /// The scalars of a list. One without any would count as one that is not there.
    pub(super) fn texts(&mut self, item: &Item<'_>, key: &str) -> Vec<Written> {
        self.items(item, key).into_iter().filter_map(|item| written(Some(item))).collect()
    }

    fn items<'i>(&mut self, item: &Item<'i>, key: &str) -> Vec<Item<'i>> {
        let Some(list) = item.find(key) else { return Vec::new() };
        if list.is_empty_list() {
            let expected = if key == ACCESS.name || key == POLICY_FILES.name {
                "a rule, or no such key: then everyone who signs in may use everything"
            } else {
                "what the rule is about, or no such key: then it does not matter to the rule"
            };
            self.report.mistake(list.at(), "an empty list", expected);
        }
        list.items()
    }
}
