//! A question about access: who wants what, when and with which arguments; as it is typed, or as it
//! stands in a table.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use portunus_core::{
    access::{Facts, Thing, ToolHints},
    ids::ServerName,
    settings::quantity,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::Config;

/// Who wants what.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Question {
    /// What the person is called: the e-mail address that the provider vouches for, or `sub`
    #[arg(long)]
    pub(super) user: String,
    /// The person's groups, with commas between
    #[arg(long, value_delimiter = ',')]
    pub(super) groups: Vec<String>,
    /// The client's ID
    #[arg(long, default_value = "")]
    pub(super) client: String,
    /// Where the person signed in, by its name in the configuration
    #[arg(long)]
    pub(super) provider: Option<String>,
    /// A server of mcp.json, or a pattern of `proxies`
    #[arg(long)]
    pub(super) server: Option<String>,
    /// A tool: by the server's own name with --server, else as it is called on /mcp
    #[arg(long, group = "thing")]
    pub(super) tool: Option<String>,
    /// A prompt, in the same way
    #[arg(long, group = "thing")]
    pub(super) prompt: Option<String>,
    /// A resource of --server, by its URI
    #[arg(long, group = "thing", requires = "server")]
    pub(super) resource: Option<String>,
    /// A method of --server that is about none of these
    #[arg(long, group = "thing", requires = "server")]
    pub(super) method: Option<String>,
    /// The tool's server says that it only reads
    #[arg(long, requires = "tool")]
    pub(super) read_only: bool,
    /// Whether the tool's server says that it may destroy something
    #[arg(long, requires = "tool", value_name = "true|false")]
    pub(super) destructive: Option<bool>,
    /// Whether the tool's server says that calling it again changes nothing more
    #[arg(long, requires = "tool", value_name = "true|false")]
    pub(super) idempotent: Option<bool>,
    /// Whether the tool's server says that it reaches beyond the server
    #[arg(long, requires = "tool", value_name = "true|false")]
    pub(super) open_world: Option<bool>,
    /// An argument of the call, as often as there are any: repo=acme/site, options.force=false
    ///
    /// A value that is a number, true or false counts as such, anything else as text; put text in
    /// double quotes to have it count as text. Without any, it is asked whether the call could be
    /// allowed with some arguments.
    #[arg(long = "argument", value_name = "NAME=VALUE")]
    #[serde(skip)]
    pub(super) argument: Vec<String>,
    /// Of a table: the arguments
    #[arg(skip)]
    pub(super) arguments: Option<Map<String, Value>>,
    /// How long ago the person signed in: 30m, 3h
    #[arg(long, value_name = "TIME")]
    pub(super) signed_in: Option<String>,
    /// Of a table: `allow` or `deny`
    #[arg(skip)]
    pub(super) expect: Option<Expected>,
    /// Of a table: what the line is called
    #[arg(skip)]
    pub(super) name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    Allow,
    Deny,
}

/// What is wanted, with its server found.
pub(super) enum Wanted {
    Server(ServerName),
    Tool(ServerName, String, ToolHints),
    Prompt(ServerName, String),
    Resource(ServerName, String),
    Method(ServerName, String),
    Proxy(String),
}

impl Question {
    pub(super) fn facts(&self) -> Facts {
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

    fn hints(&self) -> ToolHints {
        let read_only = self.read_only.then_some(true);
        ToolHints::of(read_only, self.destructive, self.idempotent, self.open_world)
    }

    /// How long ago the person signed in.
    pub(super) fn sign_in(&self) -> anyhow::Result<Option<Duration>> {
        let parse = |text: &String| {
            quantity::parse_duration(text)
                .with_context(|| format!("`{text}` is no time: {}", quantity::DURATION))
        };
        self.signed_in.as_ref().map(parse).transpose()
    }

    /// The arguments as JSON; `None`: whichever could be allowed.
    pub(super) fn json(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut arguments = self.arguments.clone();
        for argument in &self.argument {
            let (path, value) = argument
                .split_once('=')
                .with_context(|| format!("`{argument}` is no argument: name=value"))?;
            let as_json = serde_json::from_str(value).ok();
            let value = as_json.unwrap_or_else(|| Value::from(value));
            let mut members = arguments.get_or_insert_default();
            let mut keys: Vec<&str> = path.split('.').collect();
            let last = keys.pop().unwrap_or_default();
            for key in keys {
                let inner = members.entry(key).or_insert_with(|| Value::Object(Map::new()));
                members = inner
                    .as_object_mut()
                    .with_context(|| format!("`{path}`: `{key}` has a value already"))?;
            }
            members.insert(last.to_owned(), value);
        }
        Ok(arguments.map(|arguments| Value::Object(arguments).to_string().into_bytes()))
    }

    pub(super) fn wanted(&self, config: &Config) -> anyhow::Result<Wanted> {
        let Self { server, tool, prompt, resource, method, .. } = self;
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
                Wanted::Tool(server, name, self.hints())
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
    pub(super) fn thing(&self) -> Thing<'_> {
        match self {
            Self::Server(server) => Thing::Server(server),
            Self::Tool(server, name, hints) => Thing::Tool { server, name, hints: *hints },
            Self::Prompt(server, name) => Thing::Prompt(server, name),
            Self::Resource(server, uri) => Thing::Resource(server, uri),
            Self::Method(server, method) => Thing::Method(server, method),
            Self::Proxy(pattern) => Thing::Proxy(pattern),
        }
    }

    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Server(server) => format!("the server {server}"),
            Self::Tool(server, name, hints) => {
                let reads = if hints.read_only { ", which only reads" } else { "" };
                format!("the tool {name} of {server}{reads}")
            }
            Self::Prompt(server, name) => format!("the prompt {name} of {server}"),
            Self::Resource(server, uri) => format!("the resource {uri} of {server}"),
            Self::Method(server, method) => format!("the method {method} of {server}"),
            Self::Proxy(pattern) => format!("the proxied path {pattern}"),
        }
    }

    /// The keys of a rule about it.
    pub(super) fn keys(&self) -> String {
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
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
