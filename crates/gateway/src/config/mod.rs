//! The configuration: `mcp.json`, `config.yaml`, `.env` and the environment, read as written, then resolved into one typed and
//! checked [`Config`]. Every mistake of a reading is reported at once ([`Mistakes`]). What the settings mean to a person is
//! described in `docs/configuration.md`.

mod access;
mod allow;
mod auth_secret;
mod cidr;
mod client;
mod clients;
mod cluster;
mod dialects;
mod dotenv;
mod environment;
mod expand;
mod issuer;
mod json;
mod lifetimes;
mod limits;
mod log;
mod members;
mod mistake;
mod mounts;
mod pinning;
mod placeholder;
mod provider;
mod provider_name;
mod providers;
mod proxies;
mod quantity;
mod raw;
mod sandbox;
mod schema;
mod scopes;
mod server;
mod servers;
mod shape;
mod stopping;
mod store;
mod suggest;
mod tables;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod unknown_keys;
mod watched_files;
mod yaml;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use portunus_core::{
    admission::Allow, lifetimes::Lifetimes, oauth::scopes::ScopeRule, request::HeaderPattern, resource::PublicUrl,
    secret::SecretText,
};
use portunus_identity::settings::ProviderSettings;
use portunus_mcp::spec::ServerSpec;
use portunus_store::redis::RedisOptions;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

pub use self::{
    access::{ReadFile, Writable},
    cidr::{BadCidr, Cidr},
    clients::ClientsConfig,
    cluster::ClusterConfig,
    limits::{Limits, Rate},
    mistake::{Mistake, Mistakes, Warning, Where},
    pinning::PinningRules,
    proxies::OWN_PATHS,
    quantity::show_duration,
    sandbox::{Machine, ThisMachine},
    schema::{config_schema, mcp_schema},
    tls::{Authorities, TlsConfig},
    watched_files::WatchedFiles,
};
use self::{mistake::Report, raw::Raw, watched_files::Noting};

/// The default of [`Config::body_limit`] (threat 47).
pub const DEFAULT_BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The default of [`Config::calls_per_user`] (threat 47).
pub const DEFAULT_CALLS_PER_USER: usize = 64;

/// The default of [`Config::children_per_user`] (threat 47).
pub const DEFAULT_CHILDREN_PER_USER: usize = 64;

/// Everything the gateway is told, typed and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where people and clients reach the gateway; also the authorization server's issuer.
    pub public_url: PublicUrl,
    pub listen: SocketAddr,
    /// How connections to it are secured; `None` when something in front of the gateway does it.
    pub tls: Option<TlsConfig>,
    /// The current secret first, then older ones that still open what they sealed. Never empty.
    pub auth_secrets: Vec<SecretText>,
    /// Whose signatures on providers' certificates are good, beside those this machine trusts.
    pub provider_ca: Authorities,
    /// In the order they are offered. Never empty, names unique.
    pub providers: Vec<ProviderConfig>,
    /// The enabled servers of `mcp.json`, in the file's order, names unique.
    pub servers: Vec<ServerSpec>,
    /// Names of servers that are switched off with `disabled`.
    pub disabled_servers: Vec<String>,
    pub proxies: Vec<ProxyRoute>,
    /// Scopes beside `mcp` and the servers' names. Names are unique, includes are known and without circles.
    pub scopes: Vec<ScopeRule>,
    pub clients: ClientsConfig,
    pub store: StoreConfig,
    /// Where other gateways on the same store reach this one.
    pub cluster: ClusterConfig,
    /// How long connections are still accepted after SIGTERM, so that balancers can notice.
    pub stop_delay: Duration,
    pub lifetimes: Lifetimes,
    pub names: Names,
    pub pinning: PinningRules,
    /// Origins, beside our own, that browsers may call from (threat 34).
    pub allowed_origins: Vec<String>,
    /// `Host` values, beside the public URL's, that requests may carry (threat 34): `host` or `host:port`.
    pub allowed_hosts: Vec<String>,
    /// Peers whose `X-Forwarded-*` counts (threat 38).
    pub trusted_proxies: Vec<Cidr>,
    pub log: LogSettings,
    /// The most bytes a request body may have.
    pub body_limit: usize,
    /// How many calls of one person may be at work at once.
    pub calls_per_user: usize,
    /// How many child processes one person may have at once.
    pub children_per_user: usize,
    /// How many requests one address or client may make.
    pub limits: Limits,
    /// `NODE_ENV=production`.
    pub production: bool,
}

/// A provider, what the sign-in page calls it if not by its preset's label, and whose accounts are admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    pub settings: ProviderSettings,
    pub label: Option<String>,
    pub allow: Allow,
}

/// A guarded reverse proxy: requests below `pattern` go to `target`, the pattern stripped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRoute {
    /// Starts and ends with a slash.
    pub pattern: String,
    /// http or https. Has no trailing slash as it was written; `Url` shows one when there is no path.
    pub target: Url,
    /// Headers of clients that go on to the target beside those that always do (threat 61).
    pub pass_headers: Vec<HeaderPattern>,
}

impl ProxyRoute {
    /// A route that passes no more headers than every route does.
    pub fn new(pattern: impl Into<String>, target: Url) -> Self {
        Self { pattern: pattern.into(), target, pass_headers: Vec::new() }
    }
}

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    Sqlite {
        path: PathBuf,
    },
    /// Its address holds the password, which never prints.
    Redis(RedisOptions),
}

/// How tools and prompts are named on `/mcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Names {
    /// `{server}_{name}`.
    #[default]
    Prefixed,
    /// As the servers name them; collisions are errors in the list.
    Plain,
}

/// How much is logged, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub level: LevelFilter,
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LevelFilter::INFO, format: LogFormat::Json }
    }
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object each.
    Json,
    /// For people.
    Text,
}

/// Where a configuration is read from.
pub struct Sources<'a> {
    pub args: ConfigArgs,
    /// The process's environment.
    pub env: BTreeMap<String, String>,
    /// Relative paths start here.
    pub cwd: PathBuf,
    pub files: &'a dyn Files,
}

/// What the command line says about files.
#[derive(Clone, Debug, Default)]
pub struct ConfigArgs {
    pub mcp_config: Option<PathBuf>,
    pub config: Option<PathBuf>,
    pub envfile: Option<PathBuf>,
}

/// Reads files, so that tests need none.
pub trait Files {
    /// The file at this path, and who else could change it.
    fn read(&self, path: &Path) -> io::Result<ReadFile>;

    /// Where they are.
    fn machine(&self) -> &dyn Machine {
        &ThisMachine
    }
}

/// The machine's files.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<ReadFile> {
        access::read(path)
    }
}

/// A configuration without mistakes, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
}

/// What a configuration comes to, mistakes and all.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Settings with a mistake in them have their default here, or are left out: only to be shown, never to be used, unless
    /// there are no mistakes.
    pub draft: Config,
    pub warnings: Vec<Warning>,
    pub mistakes: Mistakes,
}

impl Config {
    /// A gateway without providers and servers, everything else at its default: the demo and tests begin with it.
    pub fn bare(public_url: PublicUrl, listen: SocketAddr, auth_secret: SecretText, store: StoreConfig) -> Self {
        Self {
            public_url,
            listen,
            tls: None,
            auth_secrets: vec![auth_secret],
            provider_ca: Authorities::default(),
            providers: Vec::new(),
            servers: Vec::new(),
            disabled_servers: Vec::new(),
            proxies: Vec::new(),
            scopes: Vec::new(),
            clients: ClientsConfig::default(),
            store,
            cluster: ClusterConfig::default(),
            stop_delay: Duration::ZERO,
            lifetimes: Lifetimes::default(),
            names: Names::Prefixed,
            pinning: PinningRules::default(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            log: LogSettings::default(),
            body_limit: DEFAULT_BODY_LIMIT,
            calls_per_user: DEFAULT_CALLS_PER_USER,
            children_per_user: DEFAULT_CHILDREN_PER_USER,
            limits: Limits::default(),
            production: false,
        }
    }

    /// Reads, resolves and checks the whole configuration.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, Mistakes> {
        let Inspected { draft, warnings, mistakes } = Self::inspect(sources);
        if mistakes.0.is_empty() { Ok(Loaded { config: draft, warnings }) } else { Err(mistakes) }
    }

    /// The same, and from which files: whether it is one to go on with or not, they are the ones to watch.
    pub fn load_with_trail(sources: &Sources<'_>) -> (WatchedFiles, Result<Loaded, Mistakes>) {
        let noting = Noting::new(sources.files);
        let Sources { args, env, cwd, .. } = sources;
        let loaded = Self::load(&Sources { args: args.clone(), env: env.clone(), cwd: cwd.clone(), files: &noting });
        (noting.watched_files(), loaded)
    }

    /// Reads the whole configuration and goes on past every mistake.
    pub fn inspect(sources: &Sources<'_>) -> Inspected {
        let mut report = Report::default();
        let noting = Noting::new(sources.files);
        let Sources { args, env, cwd, .. } = sources;
        let noted = Sources { args: args.clone(), env: env.clone(), cwd: cwd.clone(), files: &noting };
        let raw = Raw::read(&noted, &mut report);
        let server = server::resolve(&raw, &mut report);
        let servers = servers::resolve(&raw, &server, &mut report);
        let providers = providers::resolve(&raw, &server.public_url, &mut report);
        let store = store::resolve(&raw, &mut report);
        let draft = Self {
            auth_secrets: auth_secret::resolve(&raw, &mut report),
            proxies: proxies::resolve(&raw, &servers.names, &server, &mut report),
            scopes: scopes::resolve(&raw, &servers.names, &mut report),
            clients: clients::resolve(&raw, &mut report),
            cluster: cluster::resolve(&raw, &store, &mut report),
            stop_delay: stopping::resolve(&raw, &store, &mut report),
            store,
            lifetimes: lifetimes::resolve(&raw, &mut report),
            names: log::names(&raw, &mut report),
            pinning: pinning::resolve(&raw, servers.pinning, &mut report),
            log: log::resolve(&raw, &mut report),
            tls: tls::resolve(&raw, &mut report),
            provider_ca: tls::authorities(&raw, &mut report),
            public_url: server.public_url,
            listen: server.listen,
            providers,
            servers: servers.enabled,
            disabled_servers: servers.disabled,
            allowed_origins: server.allowed_origins,
            allowed_hosts: server.allowed_hosts,
            trusted_proxies: server.trusted_proxies,
            body_limit: server.body_limit,
            calls_per_user: limits::calls_per_user(&raw, &mut report),
            children_per_user: limits::children_per_user(&raw, &mut report),
            limits: limits::resolve(&raw, server.body_limit, &mut report),
            production: server.production,
        };
        unknown_keys::warn(&raw, &draft, &mut report);
        let mut own_files = noting.paths();
        if let StoreConfig::Sqlite { path } = &draft.store {
            own_files.push(cwd.join(path));
        }
        sandbox::warn_of_own_files(&raw, &own_files, &mut report);
        let Report { mut mistakes, warnings } = report;
        mistakes.sort_by(|a, b| a.at.cmp(&b.at));
        Inspected { draft, warnings, mistakes: Mistakes(mistakes) }
    }
}
