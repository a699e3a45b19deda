//! The configuration as it is used: [`Config`]. The types of its sections stand in the files that
//! read them; [`super::load`] puts it together.

use std::{net::SocketAddr, time::Duration};

use portunus_core::{
    lifetimes::Lifetimes, oauth::scopes::ScopeRule, resource::PublicUrl, secret::SecretText,
};
use portunus_mcp::spec::ServerSpec;

use super::{
    cidr::Cidr,
    clients::ClientsConfig,
    cluster::ClusterConfig,
    limits::{DEFAULT_CALLS_PER_USER, DEFAULT_CHILDREN_PER_USER, Limits},
    log::{LogSettings, Names},
    pinning::PinningRules,
    provider::ProviderConfig,
    proxies::ProxyRoute,
    server::DEFAULT_BODY_LIMIT,
    store::StoreConfig,
    tls::{Authorities, TlsConfig},
};

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
    /// Scopes beside `mcp` and the servers' names. Names are unique, includes are known and without
    /// circles.
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
    /// `Host` values, beside the public URL's, that requests may carry (threat 34): `host` or
    /// `host:port`.
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

impl Config {
    /// A gateway without providers and servers, everything else at its default: the demo and tests
    /// begin with it.
    pub fn bare(
        public_url: PublicUrl,
        listen: SocketAddr,
        auth_secret: SecretText,
        store: StoreConfig,
    ) -> Self {
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
}
