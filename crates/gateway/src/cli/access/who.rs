//! `portunus access who`: who may use something, by which rules; and which people, as they were
//! when they last signed in.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;
use portunus_core::{
    Clock as _,
    access::{AccessRule, Allowing, Circumstances, Facts, Mode, Thing},
    clock::SystemClock,
    disabled::DisabledSet,
    principal::User,
    text::visible,
};
use serde_json::{Value, json};

use super::{
    super::{
        ConfigFiles,
        rules_told::{OPEN, conditions},
        serve,
    },
    question::Question,
};
use crate::config::Config;

#[derive(Args, Debug)]
pub(super) struct WhoArgs {
    /// A server of mcp.json, or a pattern of `proxies`
    #[arg(long, required_unless_present_any = ["tool", "prompt"])]
    server: Option<String>,
    /// A tool: by the server's own name with --server, else as it is called on /mcp
    #[arg(long, group = "thing")]
    tool: Option<String>,
    /// A prompt, in the same way
    #[arg(long, group = "thing")]
    prompt: Option<String>,
    /// A resource of --server, by its URI
    #[arg(long, group = "thing", requires = "server")]
    resource: Option<String>,
    /// The tool's server says that it only reads
    #[arg(long, requires = "tool")]
    read_only: bool,
    /// Whether the tool's server says that it may destroy something
    #[arg(long, requires = "tool", value_name = "true|false")]
    destructive: Option<bool>,
    /// Whether the tool's server says that calling it again changes nothing more
    #[arg(long, requires = "tool", value_name = "true|false")]
    idempotent: Option<bool>,
    /// Whether the tool's server says that it reaches beyond the server
    #[arg(long, requires = "tool", value_name = "true|false")]
    open_world: Option<bool>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) files: ConfigFiles,
}

/// A person of the store who may use it now, with some arguments.
struct Found {
    user: User,
    /// In shadow it would be refused.
    would_lose: bool,
}

pub(super) fn run(config: &Config, args: &WhoArgs) -> anyhow::Result<ExitCode> {
    let question = Question {
        server: args.server.clone(),
        tool: args.tool.clone(),
        prompt: args.prompt.clone(),
        resource: args.resource.clone(),
        read_only: args.read_only,
        destructive: args.destructive,
        idempotent: args.idempotent,
        open_world: args.open_world,
        ..Question::default()
    };
    let wanted = question.wanted(config)?;
    let allowing = config.access.who(&wanted.thing());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let people = runtime.block_on(people(config, &wanted.thing()));
    let text = if args.json {
        format!("{}\n", as_json(config, &allowing, people.as_deref().ok()))
    } else {
        let people = people.as_deref().map_err(ToString::to_string);
        told(config, &wanted.in_words(), &allowing, people)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The client is none in particular: rules that name clients do not count. What is disabled is not
/// there for anyone.
async fn people(config: &Config, thing: &Thing<'_>) -> anyhow::Result<Vec<Found>> {
    let stores = serve::open_records(config).await?;
    let now = SystemClock.now();
    let records = stores.disabled.list_disabled(u32::MAX).await?;
    let disabled: DisabledSet = records.into_iter().map(|record| record.what).collect();
    let mut found = Vec::new();
    if disabled.hides(thing) {
        return Ok(found);
    }
    for user in stores.logins.list_users().await?.into_iter().filter(|user| !user.is_service()) {
        if disabled.is_person_disabled(&user.id) {
            continue;
        }
        let facts = Facts {
            user: user.id.to_string(),
            subject: user.subject.clone(),
            email: user.verified_email().map(ToOwned::to_owned),
            groups: user.groups.clone(),
            provider: Some(user.provider.to_string()),
            client: String::new(),
        };
        let signed_in = Some(now.since(user.signed_in_at));
        let circumstances = Circumstances { signed_in, ..Circumstances::default() };
        if config.access.decide_now(&facts, thing, &circumstances).is_allowed() {
            let whole = config.access.decide_whole(&facts, thing, &circumstances);
            found.push(Found { user, would_lose: whole.is_some_and(|whole| !whole.is_allowed()) });
        }
    }
    found.sort_by(|a, b| a.user.display_name().cmp(b.user.display_name()));
    Ok(found)
}

fn told(
    config: &Config,
    wanted: &str,
    allowing: &Allowing<'_>,
    people: Result<&[Found], String>,
) -> String {
    let mut text = format!("who may use {wanted}\n");
    if config.access.is_open() {
        let _ = writeln!(text, "  {OPEN}");
    } else if allowing.allow.iter().all(|rule| rule.mode == Mode::Shadow) {
        text.push_str("  no rule of `access` allows it to anyone\n");
    }
    let rules = allowing.allow.iter().map(|rule| ("", rule));
    for (word, rule) in rules.chain(allowing.deny.iter().map(|rule| ("not ", rule))) {
        let _ = writeln!(text, "  {word}{}", visible(&of_rule(rule)));
    }
    for file in &allowing.files {
        let _ = writeln!(text, "  {} may say more: policies are not looked into", file.path);
    }
    match people {
        Ok(people) => {
            let _ =
                writeln!(text, "people who have signed in, as they were then: {}", people.len());
            for Found { user, would_lose } in people {
                let groups = user.groups.join(", ");
                let shadow = if *would_lose { "  in shadow: would be refused" } else { "" };
                let name = user.verified_email().unwrap_or(&user.subject);
                let _ = writeln!(text, "  {}{shadow}", visible(&format!("{name} ({groups})")));
            }
        }
        Err(error) => {
            let _ = writeln!(text, "people who have signed in are not known: {error}");
        }
    }
    text
}

fn of_rule(rule: &AccessRule) -> String {
    let when = conditions(&rule.when, rule.effect);
    let when = if when.is_empty() { when } else { format!(", {when}") };
    let mode = if rule.mode == Mode::Shadow { ", in shadow" } else { "" };
    format!("{}{when}: `{}` ({}{mode})", rule.who, rule.name, rule.place)
}

fn as_json(config: &Config, allowing: &Allowing<'_>, people: Option<&[Found]>) -> Value {
    let rule = |rule: &&AccessRule| {
        json!({
            "name": rule.name, "file": rule.place.file, "line": rule.place.line,
            "mode": rule.mode.to_string(), "who": rule.who.to_string(), "groups": rule.who.groups,
            "people": rule.who.people.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "clients": rule.who.clients.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "providers": rule.who.providers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "when": conditions(&rule.when, rule.effect),
        })
    };
    let people = people.map(|people| {
        let one = |found: &Found| {
            json!({
                "user": found.user.id.to_string(), "subject": found.user.subject,
                "email": found.user.verified_email(), "groups": found.user.groups,
                "would_be_refused": found.would_lose,
            })
        };
        people.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "open": config.access.is_open(),
        "allow": allowing.allow.iter().map(rule).collect::<Vec<_>>(),
        "deny": allowing.deny.iter().map(rule).collect::<Vec<_>>(),
        "policy_files": allowing.files.iter().map(|file| &file.path).collect::<Vec<_>>(),
        "people": people,
    })
}
