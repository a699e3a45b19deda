//! `portunus access`: why a caller may use something or not (`explain`), and a committed table of
//! what is expected (`test`). Both read the configuration alone and ask the one decision of
//! `portunus_core::access`; what scopes a token has is not asked.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use portunus_core::{
    access::{Decision, Explanation, Facts, Policy, Reason, Thing},
    ids::ServerName,
};
use serde::Deserialize;
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::{ConfigFiles, summary::OPEN};
use crate::config::Config;

#[derive(Args, Debug)]
pub struct AccessArgs {
    #[command(subcommand)]
    command: AccessCommand,
}

#[derive(Debug, Subcommand)]
enum AccessCommand {
    /// Say whether a person may use something, by which rule, and what to change
    Explain {
        #[command(flatten)]
        question: Box<Question>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// Compare the rules with a table of expectations (docs/access.md); exit code 1 if one differs
    Test {
        /// A YAML file
        table: PathBuf,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

/// Who wants what.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Question {
    /// What the person is called: the e-mail address that the provider vouches for, or `sub`
    #[arg(long)]
    user: String,
    /// The person's groups, with commas between
    #[arg(long, value_delimiter = ',')]
    groups: Vec<String>,
    /// The client's ID
    #[arg(long, default_value = "")]
    client: String,
    /// Where the person signed in, by its name in the configuration
    #[arg(long)]
    provider: Option<String>,
    /// A server of mcp.json, or a pattern of `proxies`
    #[arg(long)]
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
    /// A method of --server that is about none of these
    #[arg(long, group = "thing", requires = "server")]
    method: Option<String>,
    /// The tool's server says that it only reads
    #[arg(long, requires = "tool")]
    read_only: bool,
    /// Of a table: `allow` or `deny`
    #[arg(skip)]
    expect: Option<Expected>,
    /// Of a table: what the line is called
    #[arg(skip)]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

/// What is wanted, with its server found.
enum Wanted {
    Server(ServerName),
    Tool(ServerName, String, bool),
    Prompt(ServerName, String),
    Resource(ServerName, String),
    Method(ServerName, String),
    Proxy(String),
}

pub fn run(args: AccessArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        AccessCommand::Explain { question, json, files } => match load(&files)? {
            Some(config) => explain(&config, &question, json),
            None => Ok(ExitCode::from(2)),
        },
        AccessCommand::Test { table, files } => match load(&files)? {
            Some(config) => test(&config, &table),
            None => Ok(ExitCode::from(2)),
        },
    }
}

fn load(files: &ConfigFiles) -> anyhow::Result<Option<Config>> {
    match files.load() {
        Ok(loaded) => Ok(Some(loaded.config)),
        Err(mistakes) => {
            write!(io::stderr(), "{mistakes}")?;
            Ok(None)
        }
    }
}

fn explain(config: &Config, question: &Question, as_json: bool) -> anyhow::Result<ExitCode> {
    let wanted = question.wanted(config)?;
    let explanation = config.access.explain(&question.facts(), &wanted.thing());
    let text = if as_json {
        format!("{}\n", json_of(&explanation, question, &wanted))
    } else {
        told(&explanation, question, &wanted)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn test(config: &Config, path: &PathBuf) -> anyhow::Result<ExitCode> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let table: Vec<Spanned<Question>> = serde_saphyr::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.without_snippet()))?;
    ensure!(!table.is_empty(), "{}: no expectations", path.display());
    let (report, differing) = compare(config, &path.display().to_string(), &table)?;
    io::stdout().write_all(report.as_bytes())?;
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A line for each expectation that is not met, and how many these are.
fn compare(
    config: &Config,
    file: &str,
    table: &[Spanned<Question>],
) -> anyhow::Result<(String, usize)> {
    let (mut report, mut differing) = (String::new(), 0);
    for Spanned { value: question, defined, .. } in table {
        let at = format!("{file}:{}", defined.line());
        let expected = question.expect.with_context(|| format!("{at}: no `expect`"))?;
        ensure!(!question.user.is_empty(), "{at}: no `user`");
        let wanted = question.wanted(config).with_context(|| at.clone())?;
        let explanation = config.access.explain(&question.facts(), &wanted.thing());
        if explanation.decision.is_allowed() == (expected == Expected::Allow) {
            continue;
        }
        differing += 1;
        let name = question.name.as_ref().map(|name| format!(" {name}:")).unwrap_or_default();
        let _ = write!(report, "{at}:{name} {}", told(&explanation, question, &wanted));
    }
    let met = table.len() - differing;
    let _ = writeln!(report, "{met} of {} expectations are met", table.len());
    Ok((report, differing))
}

impl Question {
    fn facts(&self) -> Facts {
        let is_email = self.user.contains('@');
        Facts {
            user: String::new(),
            subject: if is_email { String::new() } else { self.user.clone() },
            email: is_email.then(|| self.user.clone()),
            groups: self.groups.clone(),
            provider: self.provider.clone(),
            client: self.client.clone(),
        }
    }

    fn wanted(&self, config: &Config) -> anyhow::Result<Wanted> {
        let Self { server, tool, prompt, resource, method, read_only, .. } = self;
        let things = [tool, prompt, resource, method];
        ensure!(things.iter().filter(|thing| thing.is_some()).count() < 2, "more than one thing");
        if let Some(name) = server
            && config.proxies.iter().any(|proxy| proxy.pattern == *name)
        {
            ensure!(
                things.iter().all(|thing| thing.is_none()),
                "{name} is a proxied path: nothing in it can be told apart"
            );
            return Ok(Wanted::Proxy(name.clone()));
        }
        let server = server.as_deref().map(|name| known(config, name)).transpose()?;
        let named = |name: &str| match &server {
            Some(server) => Ok((server.clone(), name.to_owned())),
            None => of_prefix(config, name),
        };
        let of_server = || server.clone().context("no `server`");
        Ok(match (tool, prompt, resource, method) {
            (Some(tool), ..) => {
                let (server, name) = named(tool)?;
                Wanted::Tool(server, name, *read_only)
            }
            (_, Some(prompt), ..) => {
                let (server, name) = named(prompt)?;
                Wanted::Prompt(server, name)
            }
            (_, _, Some(uri), _) => Wanted::Resource(of_server()?, uri.clone()),
            (.., Some(method)) => Wanted::Method(of_server()?, method.clone()),
            _ => Wanted::Server(of_server()?),
        })
    }
}

/// A server of `mcp.json`.
fn known(config: &Config, name: &str) -> anyhow::Result<ServerName> {
    match config.servers.iter().find(|server| server.name.as_str() == name) {
        Some(server) => Ok(server.name.clone()),
        None => bail!("{name} is no enabled server of mcp.json and no pattern of `proxies`"),
    }
}

/// `github_create_issue`, of the server with the longest name that fits.
fn of_prefix(config: &Config, full: &str) -> anyhow::Result<(ServerName, String)> {
    let fitting = config.servers.iter().filter_map(|server| {
        let name = full.strip_prefix(server.name.as_str())?.strip_prefix('_')?;
        Some((server.name.clone(), name.to_owned()))
    });
    fitting
        .max_by_key(|(server, _)| server.as_str().len())
        .with_context(|| format!("{full} begins with no server's name: say which with --server"))
}

impl Wanted {
    fn thing(&self) -> Thing<'_> {
        match self {
            Self::Server(server) => Thing::Server(server),
            Self::Tool(server, name, read_only) => {
                Thing::Tool { server, name, read_only: *read_only }
            }
            Self::Prompt(server, name) => Thing::Prompt(server, name),
            Self::Resource(server, uri) => Thing::Resource(server, uri),
            Self::Method(server, method) => Thing::Method(server, method),
            Self::Proxy(pattern) => Thing::Proxy(pattern),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Server(server) => format!("the server {server}"),
            Self::Tool(server, name, read_only) => {
                let reads = if *read_only { ", which only reads" } else { "" };
                format!("the tool {name} of {server}{reads}")
            }
            Self::Prompt(server, name) => format!("the prompt {name} of {server}"),
            Self::Resource(server, uri) => format!("the resource {uri} of {server}"),
            Self::Method(server, method) => format!("the method {method} of {server}"),
            Self::Proxy(pattern) => format!("the proxied path {pattern}"),
        }
    }

    /// The keys of a rule about it.
    fn keys(&self) -> String {
        let rest = match self {
            Self::Tool(_, name, _) => format!(", tools: [{}]", quoted(name)),
            Self::Prompt(_, name) => format!(", prompts: [{}]", quoted(name)),
            Self::Resource(_, uri) => format!(", resources: [{}]", quoted(uri)),
            Self::Server(_) | Self::Method(..) | Self::Proxy(_) => String::new(),
        };
        format!("servers: [{}]{rest}", quoted(self.thing().server()))
    }
}

/// As YAML and JSON write it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// What to change for another decision.
fn advice(policy_decision: &Decision, question: &Question, wanted: &Wanted) -> Option<String> {
    match policy_decision {
        Decision::Open | Decision::Allowed(_) => None,
        Decision::Denied(_) => {
            Some("change the rule that denies it: it goes before all that allow".to_owned())
        }
        Decision::NotAllowed => {
            let who = match question.groups.first() {
                Some(group) => format!("groups: [{}]", quoted(group)),
                None => format!("people: [{}]", quoted(&question.user)),
            };
            Some(format!("add to `access`: {{who: {{{who}}}, {}}}", wanted.keys()))
        }
        Decision::Failed(_) => Some("mend the policy".to_owned()),
    }
}

fn told(explanation: &Explanation, question: &Question, wanted: &Wanted) -> String {
    let Explanation { decision, near } = explanation;
    let (answer, may) = if decision.is_allowed() { ("yes", "may") } else { ("no", "may not") };
    let decided = match decision {
        Decision::Open => OPEN.to_owned(),
        decided => decided.to_string(),
    };
    let mut text =
        format!("{answer}: {} {may} use {}\n  {decided}\n", question.user, wanted.in_words());
    for rule in near {
        let _ = writeln!(text, "  `{}` ({}) allows it to {}", rule.name, rule.place, rule.who);
    }
    if let Some(advice) = advice(decision, question, wanted) {
        let _ = writeln!(text, "  {advice}");
    }
    text
}

fn json_of(explanation: &Explanation, question: &Question, wanted: &Wanted) -> Value {
    let Explanation { decision, near } = explanation;
    let (word, by): (_, &[Reason]) = match decision {
        Decision::Open => ("open", &[]),
        Decision::Allowed(by) => ("allowed", by),
        Decision::Denied(by) => ("denied", by),
        Decision::NotAllowed => ("not_allowed", &[]),
        Decision::Failed(by) => ("failed", by),
    };
    let rules = by.iter().map(
        |reason| json!({"name": reason.name, "file": reason.place.file, "line": reason.place.line}),
    );
    let near = near.iter().map(|rule| {
        json!({"name": rule.name, "file": rule.place.file, "line": rule.place.line,
            "who": rule.who.to_string()})
    });
    json!({
        "allowed": decision.is_allowed(),
        "decision": word,
        "rules": rules.collect::<Vec<_>>(),
        "near": near.collect::<Vec<_>>(),
        "advice": advice(decision, question, wanted),
    })
}

/// Says in the log of a start who may use what.
pub fn tell(policy: &Policy) {
    if policy.is_open() {
        tracing::info!("{OPEN}");
    } else {
        tracing::info!(
            rules = policy.rules().len(),
            policy_files = policy.files().len(),
            "access rules decide who may use what; what none allows is denied"
        );
    }
}
