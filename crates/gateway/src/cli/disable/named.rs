//! What an administrator names at the command line, found: persons among those who signed in,
//! clients and servers of the configuration and the records. What is unknown is an error that says
//! what there is, for a name that was mistyped must not look like something that was disabled.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};
use clap::Subcommand;
use portunus_core::{
    disabled::Disableable,
    ids::{ClientId, ServerName, UserId},
    pins::PinSubject,
    principal::User,
    store::{GrantsOf, Stores},
    text::visible,
};

use crate::{
    cli::ConfigFiles,
    config::{Config, Names},
};

#[derive(Debug, Subcommand)]
pub(super) enum Named {
    /// A person: their tokens, grants and logins at all clients, sessions, streams and calls
    ///
    /// By an e-mail address, all accounts that have it; which these are is shown. Records are kept
    /// by issuer and subject, never by address: another account that gets the address later is not
    /// concerned.
    Person {
        /// An e-mail address, the account's id at its provider (`sub`), or our id of the user
        #[arg(required_unless_present = "issuer", conflicts_with_all = ["issuer", "subject"])]
        person: Option<String>,
        /// Only an account of this provider, by its name in the configuration
        #[arg(long, value_name = "NAME", conflicts_with = "issuer")]
        provider: Option<String>,
        /// The issuer of an account that may never have signed in, exactly as in its ID tokens
        #[arg(long, value_name = "URL", requires = "subject")]
        issuer: Option<String>,
        /// And the account's id there (`sub`)
        #[arg(long, value_name = "ID", requires = "issuer", allow_hyphen_values = true)]
        subject: Option<String>,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// A client: its grants, tokens and codes, whosever they are, and its registration
    ///
    /// Of the configuration, registered, or with a metadata document. A client that may register
    /// itself can do so again, under another id: docs/configuration.md, `clients.registration`.
    Client {
        /// Its id or its name
        #[arg(allow_hyphen_values = true)]
        client: String,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// A server of mcp.json, or a pattern of `proxies`: with all that it has
    Server {
        /// Its name, or the pattern
        #[arg(allow_hyphen_values = true)]
        server: String,
        #[command(flatten)]
        files: ConfigFiles,
    },
    /// One tool of a server
    Tool {
        /// `server/tool`, by the server's own name for it, or as it is called on /mcp
        #[arg(allow_hyphen_values = true)]
        tool: String,
        #[command(flatten)]
        files: ConfigFiles,
    },
}

/// What names are looked up for: what is disabled may be gone from elsewhere, and can be enabled
/// all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Disable,
    Enable,
}

/// Something that was named.
pub(super) struct Found {
    pub(super) what: Disableable,
    /// What people call it.
    pub(super) name: Option<String>,
    /// What an administrator may want to know besides.
    pub(super) note: Option<String>,
}

impl Found {
    const fn new(what: Disableable, name: Option<String>) -> Self {
        Self { what, name, note: None }
    }
}

impl Named {
    pub(super) const fn files(&self) -> &ConfigFiles {
        match self {
            Self::Person { files, .. }
            | Self::Client { files, .. }
            | Self::Server { files, .. }
            | Self::Tool { files, .. } => files,
        }
    }

    /// All that is meant: of an e-mail address it may be several.
    pub(super) async fn find(
        &self,
        config: &Config,
        stores: &Stores,
        purpose: Purpose,
    ) -> anyhow::Result<Vec<Found>> {
        let found = match self {
            Self::Person { issuer: Some(issuer), subject: Some(subject), .. } => {
                let what = Disableable::Person(UserId::of(issuer, subject));
                vec![Found::new(what, Some(format!("{subject} of {issuer}")))]
            }
            Self::Person { person, provider, .. } => {
                let called = person.as_deref().unwrap_or_default();
                persons(stores, called, provider.as_deref(), purpose).await?
            }
            Self::Client { client, .. } => vec![one_client(config, stores, client, purpose).await?],
            Self::Server { server, .. } => vec![one_server(config, stores, server, purpose).await?],
            Self::Tool { tool, .. } => vec![one_tool(config, stores, tool, purpose).await?],
        };
        Ok(found)
    }
}

/// Is this among what is disabled, so that it can be enabled though nothing else knows it?
async fn is_recorded(
    stores: &Stores,
    what: &Disableable,
    purpose: Purpose,
) -> anyhow::Result<bool> {
    Ok(purpose == Purpose::Enable && stores.disabled.find_disabled(what).await?.is_some())
}

async fn persons(
    stores: &Stores,
    called: &str,
    provider: Option<&str>,
    purpose: Purpose,
) -> anyhow::Result<Vec<Found>> {
    let mut users = stores.logins.find_users(called).await?;
    users.retain(|user| provider.is_none_or(|provider| user.provider.as_str() == provider));
    if users.is_empty() {
        let by_id = UserId::from_text(called);
        let what = Disableable::Person(by_id.clone());
        let has_grants =
            || async { stores.grants.list_grants(&GrantsOf::User(by_id.clone()), 1).await };
        if is_recorded(stores, &what, purpose).await? || !has_grants().await?.is_empty() {
            return Ok(vec![Found::new(what, None)]);
        }
        bail!(
            "nobody who signed in here{} has the e-mail address, id or subject {:?}. One who never signed in is named by --issuer and --subject",
            provider.map(|name| format!(" by the provider {}", visible(name))).unwrap_or_default(),
            visible(called)
        );
    }
    users.sort_by(|one, other| one.id.cmp(&other.id));
    let by_subject = users.iter().filter(|user| user.subject == called).count();
    ensure!(
        by_subject < 2,
        "several providers have an account {:?}: say with --provider which of these is meant\n{}",
        visible(called),
        users.iter().map(described).collect::<Vec<_>>().join("\n")
    );
    Ok(users
        .iter()
        .map(|user| Found::new(Disableable::Person(user.id.clone()), Some(described(user))))
        .collect())
}

fn described(user: &User) -> String {
    let who = user.email.as_deref().unwrap_or_else(|| user.display_name());
    format!("{who}  ({} of {})", user.subject, user.provider)
}

/// By id wherever it lives, else by name.
async fn one_client(
    config: &Config,
    stores: &Stores,
    called: &str,
    purpose: Purpose,
) -> anyhow::Result<Found> {
    let id = ClientId::from_text(called);
    let found = |id: &ClientId, name: Option<&str>| {
        Found::new(Disableable::Client(id.clone()), name.map(str::to_owned))
    };
    let configured = &config.clients.configured;
    if let Some(client) = configured.iter().find(|client| client.id == id) {
        return Ok(found(&id, client.name.as_deref()));
    }
    if let Some(client) = stores.clients.find_client(&id).await? {
        return Ok(found(&id, client.name.as_deref()));
    }
    let has_grants = || async { stores.grants.list_grants(&GrantsOf::Client(id.clone()), 1).await };
    // A document is fetched when it is needed, and may be away now.
    if id.is_url()
        || is_recorded(stores, &Disableable::Client(id.clone()), purpose).await?
        || !has_grants().await?.is_empty()
    {
        return Ok(found(&id, None));
    }
    let registered = stores.clients.list_clients(u32::MAX).await?;
    let named: Vec<_> = configured
        .iter()
        .chain(&registered)
        .filter(|client| client.display_name().to_lowercase() == called.to_lowercase())
        .collect();
    match named.as_slice() {
        [client] => Ok(found(&client.id, Some(client.display_name()))),
        [] => bail!(
            "there is no client whose id or name is {:?}: `portunus clients list` shows those there are",
            visible(called)
        ),
        several => bail!(
            "{} clients are called {:?}: say which one by its id\n{}",
            several.len(),
            visible(called),
            several.iter().map(|client| client.id.as_str()).collect::<Vec<_>>().join("\n")
        ),
    }
}

async fn one_server(
    config: &Config,
    stores: &Stores,
    called: &str,
    purpose: Purpose,
) -> anyhow::Result<Found> {
    let proxy = Disableable::Proxy(called.to_owned());
    if config.proxies.iter().any(|proxy| proxy.pattern == called)
        || is_recorded(stores, &proxy, purpose).await?
    {
        return Ok(Found::new(proxy, None));
    }
    if let Ok(server) = ServerName::parse(called) {
        let what = Disableable::Server(server.clone());
        if is_configured(config, &server) || is_recorded(stores, &what, purpose).await? {
            return Ok(Found::new(what, None));
        }
    }
    let names = config.servers.iter().map(|server| server.name.as_str());
    let patterns = config.proxies.iter().map(|proxy| proxy.pattern.as_str());
    let all: Vec<_> = names.chain(patterns).collect();
    bail!(
        "{:?} is no server of mcp.json and no pattern of `proxies`. There are: {}",
        visible(called),
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    )
}

fn is_configured(config: &Config, server: &ServerName) -> bool {
    config.servers.iter().any(|spec| spec.name == *server)
}

async fn one_tool(
    config: &Config,
    stores: &Stores,
    called: &str,
    purpose: Purpose,
) -> anyhow::Result<Found> {
    let tool = |server: &ServerName, tool: &str| Disableable::Tool {
        server: server.clone(),
        tool: tool.to_owned(),
    };
    let what = match called.split_once('/') {
        Some((server, name)) if ServerName::parse(server).is_ok() => {
            let server = ServerName::parse(server)?;
            let what = tool(&server, name);
            ensure!(
                is_configured(config, &server) || is_recorded(stores, &what, purpose).await?,
                "there is no server {server} in mcp.json: name the tool as server/tool, by the server's own name for it"
            );
            what
        }
        _ => {
            let (server, name) = on_the_merged_list(config, stores, called).await?;
            tool(&server, &name)
        }
    };
    let mut found = Found::new(what, None);
    if let (Purpose::Disable, Disableable::Tool { server, tool }) = (purpose, &found.what) {
        let seen = stores.pins.find_pins(server).await?;
        let subject = PinSubject::tool(tool);
        if !seen.iter().any(|pin| pin.subject == subject) {
            found.note = Some(format!(
                "note: no tool of this name was seen at {server} yet (`portunus tools list {server}`)"
            ));
        }
    }
    Ok(found)
}

/// A tool by its name on `/mcp`: with the server's name before it, or alone where `names: plain` is
/// set.
async fn on_the_merged_list(
    config: &Config,
    stores: &Stores,
    called: &str,
) -> anyhow::Result<(ServerName, String)> {
    let own = |server: &ServerName| called.strip_prefix(server.as_str())?.strip_prefix('_');
    if config.names == Names::Prefixed {
        let servers = config.servers.iter().map(|spec| &spec.name);
        let named = servers.filter_map(|server| Some((server, own(server)?)));
        if let Some((server, name)) = named.max_by_key(|(server, _)| server.as_str().len()) {
            return Ok((server.clone(), name.to_owned()));
        }
    }
    let pins = stores.pins.list_pins(None).await?;
    let subject = PinSubject::tool(called);
    let having: BTreeSet<_> = pins
        .iter()
        .filter(|pin| pin.subject == subject && is_configured(config, &pin.server))
        .map(|pin| &pin.server)
        .collect();
    match having.into_iter().collect::<Vec<_>>().as_slice() {
        [server] => Ok(((*server).clone(), called.to_owned())),
        [] => bail!(
            "no server has shown a tool {:?}: name it as server/tool, by the server's own name for it",
            visible(called)
        ),
        several => bail!(
            "several servers have a tool {:?}: name it as server/tool, with one of {}",
            visible(called),
            several.iter().map(|server| server.as_str()).collect::<Vec<_>>().join(", ")
        ),
    }
}
