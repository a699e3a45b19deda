//! Section: scopes of parts of servers (`scopes` of `config.yaml`). What they mean to a token is
//! `portunus_core::oauth::scopes`.

use std::collections::BTreeMap;

use portunus_core::{
    ids::ServerName,
    oauth::scopes::{Pattern, ScopeRule},
    scope::{MCP, OFFLINE_ACCESS, Scope},
    settings::{Section, Setting, ValueType},
};

use super::{
    check::quoted,
    document::Item,
    inputs::{Inputs, Written, written},
    mistake::{Report, Where},
    suggest::nearest,
};

pub(super) const SCOPES: Setting = Setting::new(
    "scopes",
    ValueType::List(&ValueType::Section(&SCOPE)),
    "Scopes of parts of servers, beside `mcp` and the names of the servers",
);

const SCOPE: Section = Section::new(
    "A scope that clients may ask for and people may grant",
    &[
        Setting::new("name", ValueType::Text, "The scope, such as github:read").details("Visible characters without spaces, quotes and backslashes. Not `mcp`, `offline_access` or the name of a server").required(),
        Setting::new(
            "description",
            ValueType::Text,
            "What it means, in words for the person who is asked",
        )
        .required(),
        Setting::new(
            "server",
            ValueType::Text,
            "The server of mcp.json that the patterns are about",
        ),
        Setting::new(
            "tools",
            ValueType::List(&ValueType::Text),
            "Tools by the server's own names; * stands for any characters: get_*",
        ).details("All else stands for itself"),
        Setting::new("prompts", ValueType::List(&ValueType::Text), "Prompts, in the same way"),
        Setting::new(
            "resources",
            ValueType::List(&ValueType::Text),
            "URIs of resources, in the same way: repo://*",
        ).details("Texts of URI templates too. A `*` does not fit a URI with `.`, `..`, `\\` or escaped separators in it"),
        Setting::new(
            "includes",
            ValueType::List(&ValueType::Text),
            "Other scopes and servers that this one implies",
        ),
        Setting::new(
            "ask_first",
            ValueType::Flag,
            "Clients without a token are told to ask for this, not for the whole server",
        ),
    ],
);

/// `servers` are the names of `mcp.json`, disabled ones too.
pub(super) fn resolve(
    inputs: &Inputs<'_>,
    servers: &[String],
    report: &mut Report,
) -> Vec<ScopeRule> {
    let items = inputs.config.root().find("scopes").map(|item| item.items()).unwrap_or_default();
    let mut reading = Reading { servers, names: BTreeMap::new(), report };
    for item in &items {
        reading.note_name(item);
    }
    let rules: Vec<_> = items.iter().filter_map(|item| Some((item, reading.rule(item)?))).collect();
    for (item, rule) in &rules {
        if let Some(circle) = circle(&rule.name, &rules) {
            let found = format!("a circle: {circle}");
            reading.report.mistake(
                item.find("includes").as_ref().unwrap_or(item).at(),
                found,
                "scopes that include narrower ones",
            );
        }
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

struct Reading<'a> {
    servers: &'a [String],
    /// Where each configured name stands first.
    names: BTreeMap<String, Where>,
    report: &'a mut Report,
}

impl Reading<'_> {
    /// Names come first, for a scope may include one that stands further down.
    fn note_name(&mut self, item: &Item<'_>) {
        let Some(Written { text, at, .. }) = written(item.find("name")) else { return };
        let expected = if Scope::parse(&text).is_err() {
            "visible characters without spaces, quotes and backslashes, such as `github:read`"
                .to_owned()
        } else if [MCP, OFFLINE_ACCESS].contains(&text.as_str()) {
            "another name: this one is a scope of the gateway's own".to_owned()
        } else if self.servers.contains(&text) {
            format!(
                "another name: this one is the scope of the whole server; `{text}:read`, for example"
            )
        } else if let Some(first) = self.names.get(&text) {
            format!("another name: this one is already at {first}")
        } else {
            self.names.insert(text, at);
            return;
        };
        self.report.mistake(at, format!("`{text}`"), expected);
    }

    fn rule(&mut self, item: &Item<'_>) -> Option<ScopeRule> {
        let name = written(item.find("name")).and_then(|name| Scope::parse(&name.text).ok());
        let server = written(item.find("server")).map(|server| self.server(server));
        let [tools, prompts, resources] =
            ["tools", "prompts", "resources"].map(|key| self.patterns(item, key, server.is_some()));
        let includes = self.includes(item);
        let is_empty = |key: &&str| {
            !item.was_taken_out(key) && item.find(key).is_none_or(|list| list.items().is_empty())
        };
        if ["tools", "prompts", "resources", "includes"].iter().all(is_empty) {
            let expected = "`tools`, `prompts` or `resources` of a `server`, or `includes`: what the scope lets its holder use";
            self.report.mistake(item.at(), "a scope of nothing", expected);
        }
        let description = written(item.find("description"))
            .map(|description| description.text)
            .unwrap_or_default();
        let ask_first = written(item.find("ask_first")).is_some_and(|flag| flag.text == "true");
        Some(ScopeRule {
            name: name?,
            description,
            server: server.flatten(),
            tools,
            prompts,
            resources,
            includes,
            ask_first,
        })
    }

    fn server(&mut self, Written { text, at, .. }: Written) -> Option<ServerName> {
        if !self.servers.contains(&text) {
            self.report.mistake(
                at,
                format!("`{text}`"),
                format!("a server of mcp.json{}", meant(&text, self.servers.iter())),
            );
            return None;
        }
        // If it is no name of a server, that was said where it stands.
        ServerName::parse(&text).ok()
    }

    fn patterns(&mut self, item: &Item<'_>, key: &str, has_server: bool) -> Vec<Pattern> {
        let Some(list) = item.find(key) else { return Vec::new() };
        if !has_server {
            self.report.mistake(
                list.at(),
                "no `server`",
                "`server`: the server of mcp.json whose they are",
            );
        }
        let parsed = list.items().into_iter().filter_map(|item| {
            let Written { text, at, .. } = written(Some(item))?;
            let pattern = Pattern::parse(&text);
            if let Err(bad) = &pattern {
                self.report.mistake(at, format!("`{}`", text.escape_debug()), bad.to_string());
            }
            pattern.ok()
        });
        parsed.collect()
    }

    fn includes(&mut self, item: &Item<'_>) -> Vec<Scope> {
        let items = item.find("includes").map(|list| list.items()).unwrap_or_default();
        let mut includes = Vec::new();
        for Written { text, at, .. } in items.into_iter().filter_map(|item| written(Some(item))) {
            if self.names.contains_key(&text) || self.servers.contains(&text) {
                includes.extend(Scope::parse(&text));
            } else {
                let known = meant(&text, self.names.keys().chain(self.servers));
                self.report.mistake(
                    at,
                    format!("`{text}`"),
                    format!("another scope of this list, or a server of mcp.json{known}"),
                );
            }
        }
        includes
    }
}

fn meant<'a>(text: &str, known: impl Iterator<Item = &'a String>) -> String {
    nearest(text, known.map(String::as_str))
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

/// The way from a scope back to itself by `includes`, told at the scope of the circle that stands
/// first.
fn circle(start: &Scope, rules: &[(&Item<'_>, ScopeRule)]) -> Option<String> {
    let mut ways = vec![vec![start]];
    let mut seen: Vec<&Scope> = Vec::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        let Some((_, rule)) = rules.iter().find(|(_, rule)| rule.name == **last) else { continue };
        for next in &rule.includes {
            if next == start {
                let position =
                    |scope: &Scope| rules.iter().position(|(_, rule)| rule.name == *scope);
                let is_first = way.iter().all(|scope| position(scope) >= position(start));
                let words: Vec<_> =
                    way.iter().chain([&start]).map(|scope| scope.as_str()).collect();
                return is_first.then(|| quoted(&words, " includes "));
            }
            if !seen.contains(&next) {
                seen.push(next);
                ways.push(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}
