//! Makes Cedar policies of rules, and reads policy files. What the policies then allow is
//! [`super::decide`]'s.

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::{
    rule::{AccessRule, Effect, Mode, Place, What, Who},
    schema::{FITTING, RECENT},
};
use crate::{admission::AccountName, oauth::scopes::Pattern};

/// A file of policies, with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    pub path: String,
    pub text: String,
}

/// What is wrong in a policy, or in what a rule came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPolicy {
    pub place: Place,
    pub problem: String,
}

/// A policy, and what it is known by.
pub(super) struct Compiled {
    pub(super) policy: Policy,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) mode: Mode,
    /// Of the rule that it is of, if the rule has conditions that are known only at a call.
    pub(super) conditional: Option<u32>,
}

/// The policies of a rule. `number` tells rules of one name apart.
pub(super) fn of_rule(number: u32, rule: &AccessRule) -> Result<Vec<Compiled>, BadPolicy> {
    let texts = texts(number, rule);
    let compiled = texts.iter().enumerate().map(|(n, text)| {
        let id = PolicyId::new(format!("rule {number}.{n}"));
        let policy = Policy::parse(Some(id), text)
            .map_err(|error| BadPolicy { place: rule.place.clone(), problem: error.to_string() })?;
        let (name, place) = (rule.name.clone(), rule.place.clone());
        let conditional = asks(text).then_some(number);
        Ok(Compiled { policy, name, place, mode: rule.mode, conditional })
    });
    compiled.collect()
}

/// Does a policy of a rule depend on what is known only at a call? Not that of entering a server
/// for one that asks for arguments.
fn asks(text: &str) -> bool {
    [RECENT, FITTING].iter().any(|set| text.contains(&format!("context.{set}.contains(")))
}

/// The policies of a file.
pub(super) fn of_file(file: &PolicyFile, schema: &Schema) -> Result<Vec<Compiled>, Vec<BadPolicy>> {
    let at = |offset: usize, problem: String| BadPolicy {
        place: Place { file: file.path.clone(), line: line_of(&file.text, offset) },
        problem,
    };
    let set: PolicySet = file.text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().map(|error| at(offset_of(error), words(error))).collect::<Vec<_>>()
    })?;
    if set.num_of_templates() > 0 {
        return Err(vec![at(0, "a template (`?principal`, `?resource`)".to_owned())]);
    }
    // Cut off, a file that denies would deny nothing.
    if set.is_empty() {
        return Err(vec![at(0, "no policy in it".to_owned())]);
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let mut wrong: Vec<_> =
        result.validation_errors().map(|error| at(offset_of(error), words(error))).collect();
    if !wrong.is_empty() {
        wrong.sort_by(|a, b| a.place.cmp(&b.place));
        return Err(wrong);
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    let unknown = policies.iter().find_map(|policy| {
        let mode = policy.annotation("mode")?;
        (mode_of(policy).is_none()).then(|| {
            let offset = file.text.find(&policy.to_cedar().unwrap_or_default()).unwrap_or(0);
            at(offset, format!("@mode({mode:?}): the modes are \"enforce\" and \"shadow\""))
        })
    });
    if let Some(unknown) = unknown {
        return Err(vec![unknown]);
    }
    policies.sort_by_key(|policy| number_of(policy.id()));
    let mut from = 0;
    let compiled = policies.into_iter().map(|policy| {
        // As it stands in the file, so that its place can be found there.
        let text = policy.to_cedar().unwrap_or_default();
        let found = file.text[from..].find(&text).map(|at| from + at);
        let line = line_of(&file.text, found.unwrap_or(from));
        from = found.map_or(from, |at| at + text.len());
        Compiled {
            policy: policy.new_id(PolicyId::new(format!("{}:{}", file.path, policy.id()))),
            name: policy
                .annotation("id")
                .map_or_else(|| format!("policy at line {line}"), ToOwned::to_owned),
            place: Place { file: file.path.clone(), line },
            mode: mode_of(policy).unwrap_or_default(),
            conditional: None,
        }
    });
    Ok(compiled.collect())
}

/// `None`: it is no mode.
fn mode_of(policy: &Policy) -> Option<Mode> {
    match policy.annotation("mode") {
        None | Some("enforce") => Some(Mode::Enforce),
        Some("shadow") => Some(Mode::Shadow),
        Some(_) => None,
    }
}

/// `policy12` is the thirteenth of its file.
fn number_of(id: &PolicyId) -> usize {
    id.to_string().trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

fn offset_of(error: &dyn Diagnostic) -> usize {
    error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset())
}

fn words(error: &(impl Diagnostic + std::fmt::Display)) -> String {
    match error.help() {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    }
}

fn line_of(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().iter().take(offset);
    u32::try_from(before.filter(|byte| **byte == b'\n').count()).map_or(u32::MAX, |n| n + 1)
}

/// The policies of a rule, as text: one of a rule about whole servers, else one for each kind of
/// thing. What a rule allows a part of may be entered. What is known only at a call is found out
/// beside Cedar, by the number of the rule.
pub(super) fn texts(number: u32, rule: &AccessRule) -> Vec<String> {
    let What { servers, tools, prompts, resources, .. } = &rule.what;
    let mut head = [who(&rule.who), servers_of(servers)].concat();
    if rule.when.signed_in.is_some() {
        head.push(format!("context.{RECENT}.contains({number})"));
    }
    let fitting = || {
        let asks = !rule.when.arguments.is_empty();
        asks.then(|| format!("context.{FITTING}.contains({number})"))
    };
    let policy = |scope: &str, more: Vec<String>| {
        let conditions = [head.clone(), more].concat();
        let when = if conditions.is_empty() {
            String::new()
        } else {
            format!("\nwhen {{ {} }}", conditions.join(" && "))
        };
        let effect = match rule.effect {
            Effect::Allow => "permit",
            Effect::Deny => "forbid",
        };
        format!(
            "@id({})\n@file({})\n@line(\"{}\")\n{effect} (principal, {scope}, resource){when};",
            quoted(&rule.name),
            quoted(&rule.place.file),
            rule.place.line
        )
    };
    if rule.is_whole() {
        return vec![policy("action", Vec::new())];
    }
    let mut policies = Vec::new();
    if rule.effect == Effect::Allow {
        policies.push(policy("action == Action::\"enter\"", Vec::new()));
    }
    if rule.has_tools() {
        let mut conditions = names("name", tools);
        conditions.extend(rule.what.hints().into_iter().filter_map(|(hint, wanted)| {
            wanted.map(|wanted| format!("resource.{hint} == {wanted}"))
        }));
        conditions.extend(fitting());
        policies.push(policy("action == Action::\"callTool\"", conditions));
    }
    if !prompts.is_empty() {
        let mut conditions = names("name", prompts);
        conditions.extend(fitting());
        policies.push(policy("action == Action::\"getPrompt\"", conditions));
    }
    if !resources.is_empty() {
        let uris = uris(rule.effect, resources);
        policies.push(policy("action == Action::\"readResource\"", uris));
    }
    policies
}

fn who(who: &Who) -> Vec<String> {
    let (mut emails, mut subjects) = (Vec::new(), Vec::new());
    for person in &who.people {
        match person {
            AccountName::Email(address) => emails.push(quoted(&address.to_string())),
            AccountName::Subject(subject) => subjects.push(quoted(subject)),
        }
    }
    let mut people = Vec::new();
    if !who.groups.is_empty() {
        let groups = who.groups.iter().map(|group| format!("Group::{}", quoted(group)));
        people.push(format!("principal in [{}]", joined(groups)));
    }
    if !emails.is_empty() {
        people.push(format!(
            "(principal has email && [{}].contains(principal.email))",
            joined(emails)
        ));
    }
    if !subjects.is_empty() {
        people.push(format!("[{}].contains(principal.subject)", joined(subjects)));
    }
    let mut conditions: Vec<_> = any_of(people).into_iter().collect();
    if !who.clients.is_empty() {
        let clients = who.clients.iter().map(|id| format!("Client::{}", quoted(id.as_str())));
        conditions.push(format!("[{}].contains(context.client)", joined(clients)));
    }
    if !who.providers.is_empty() {
        let providers = who.providers.iter().map(|name| quoted(name.as_str()));
        conditions.push(format!(
            "principal has provider && [{}].contains(principal.provider)",
            joined(providers)
        ));
    }
    conditions
}

fn servers_of(patterns: &[Pattern]) -> Vec<String> {
    names("server", patterns)
}

/// That an attribute of the thing fits one of the patterns; nothing where every one does.
fn names(attribute: &str, patterns: &[Pattern]) -> Vec<String> {
    if patterns.iter().any(|pattern| pattern.as_str() == "*") {
        return Vec::new();
    }
    any_of(patterns.iter().map(|pattern| fits(attribute, pattern)).collect()).into_iter().collect()
}

/// A `*` of a rule that allows does not fit a URI that may lead elsewhere (threat 39). A rule that
/// denies fits every such URI, and other spellings of those that it names.
fn uris(effect: Effect, patterns: &[Pattern]) -> Vec<String> {
    let one = |pattern: &Pattern| {
        let as_written = fits("uri", pattern);
        match effect {
            Effect::Allow if pattern.is_exact() => as_written,
            Effect::Allow => format!("(resource.plain && {as_written})"),
            Effect::Deny => {
                format!("(!resource.plain || {as_written} || {})", fits("canonical", pattern))
            }
        }
    };
    any_of(patterns.iter().map(one).collect()).into_iter().collect()
}

fn fits(attribute: &str, pattern: &Pattern) -> String {
    let text = pattern.as_str();
    if pattern.is_exact() {
        format!("resource.{attribute} == {}", quoted(text))
    } else {
        // In both languages `*` stands for any run of characters.
        format!("resource.{attribute} like {}", quoted(text))
    }
}

fn any_of(conditions: Vec<String>) -> Option<String> {
    match conditions.len() {
        0 => None,
        1 => conditions.into_iter().next(),
        _ => Some(format!("({})", conditions.join(" || "))),
    }
}

fn joined(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}

/// A text as Cedar writes it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.extend(c.escape_unicode()),
        }
    }
    out.push('"');
    out
}
