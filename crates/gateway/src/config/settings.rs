//! All settings: what `config.yaml` may hold ([`CONFIG`]), and the configuration as it is used
//! ([`Config`]). The sections are declared and read in files of their own; a setting of none stands
//! here. [`super::load`] finds the files.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use portunus_core::{
    access::Policy,
    call_limits::CallLimit,
    lifetimes::Lifetimes,
    oauth::scopes::ScopeRule,
    resource::PublicUrl,
    secret::SecretText,
    settings::{Section, Setting, Settings as _, ValueType},
};
use portunus_mcp::spec::ServerSpec;

use super::{
    access_rules::{self, ACCESS, ACCESS_MODE, POLICY_FILES},
    audit::{self, AUDIT, AuditConfig},
    auth_secret::{
        self, AUTH_SECRET, AUTH_SECRET_FILE, AUTH_SECRET_PREVIOUS, AUTH_SECRET_PREVIOUS_FILE,
    },
    call_limits::{self, CALLS},
    cidr::Cidr,
    clients::{self, CLIENTS, ClientsConfig},
    cluster::{self, CLUSTER, ClusterConfig},
    inputs::Inputs,
    lifetimes::{self, LIFETIMES},
    limits::{self, LIMITS, Limits},
    log::{self, LOG, LogSettings},
    metrics::{self, METRICS, MetricsConfig},
    mistake::Report,
    names::{self, NAMES, Names},
    pinning::{self, PINNING, PinningRules},
    provider::ProviderConfig,
    providers::{self, PROVIDERS},
    proxies::{self, PROXIES, ProxyRoute},
    scopes::{self, SCOPES},
    server::{self, ALLOWED_HOSTS, ALLOWED_ORIGINS, LISTEN, PUBLIC_URL, TRUSTED_PROXIES},
    servers,
    stopping::{self, STOP_DELAY},
    store::{self, STORE, StoreConfig},
    tls::{self, Authorities, PROVIDER_CA_FILE, TLS, TlsConfig},
};

/// `config.yaml`.
pub(super) const CONFIG: Section = Section::new(
    "Portunus: config.yaml. Every key is optional; a variable of the environment wins over the file.",
    &[
        Setting::new("$schema", ValueType::Text, "Where this schema is, for editors; not read"),
        PUBLIC_URL,
        LISTEN,
        TLS,
        AUTH_SECRET,
        AUTH_SECRET_FILE,
        AUTH_SECRET_PREVIOUS,
        AUTH_SECRET_PREVIOUS_FILE,
        PROVIDER_CA_FILE,
        PROVIDERS,
        PROXIES,
        SCOPES,
        ACCESS,
        ACCESS_MODE,
        POLICY_FILES,
        CLIENTS,
        STORE,
        CLUSTER,
        STOP_DELAY,
        LIFETIMES,
        NAMES,
        PINNING,
        ALLOWED_ORIGINS,
        ALLOWED_HOSTS,
        TRUSTED_PROXIES,
        LOG,
        AUDIT,
        METRICS,
        LIMITS,
    ],
);

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
    /// Who may use what.
    pub access: Arc<Policy>,
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
    pub audit: AuditConfig,
    pub metrics: MetricsConfig,
    /// How much a request may take, and how many one address, client or person may make.
    pub limits: Limits,
    /// Limits for each person, client, server or tool.
    pub call_limits: Vec<CallLimit>,
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
            access: Arc::default(),
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
            audit: AuditConfig::default(),
            metrics: MetricsConfig::default(),
            limits: Limits::default(),
            call_limits: Vec::new(),
            production: false,
        }
    }

    /// What is written comes to this. What is wrong is in the report, and has its default here.
    pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Self {
        let server = server::resolve(inputs, report);
        let servers = servers::resolve(inputs, &server, report);
        let providers = providers::resolve(inputs, &server.public_url, report);
        let store = store::resolve(inputs, report);
        let proxies = proxies::resolve(inputs, &servers.names, &server, report);
        let named = access_rules::Names {
            servers: &servers.names,
            proxies: &proxies,
            providers: &providers,
        };
        Self {
            auth_secrets: auth_secret::resolve(inputs, report),
            access: access_rules::resolve(inputs, &named, report),
            call_limits: call_limits::resolve(inputs, &named, report),
            proxies,
            scopes: scopes::resolve(inputs, &servers.names, report),
            clients: clients::resolve(inputs, report),
            cluster: cluster::resolve(inputs, &store, report),
            stop_delay: stopping::resolve(inputs, &store, report),
            store,
            lifetimes: lifetimes::resolve(inputs, report),
            names: names::resolve(inputs, report),
            pinning: pinning::resolve(inputs, servers.pinning, report),
            log: log::resolve(inputs, report),
            audit: audit::resolve(inputs, report),
            metrics: metrics::resolve(inputs, report),
            tls: tls::resolve(inputs, report),
            provider_ca: tls::authorities(inputs, report),
            public_url: server.public_url,
            listen: server.listen,
            providers,
            servers: servers.enabled,
            disabled_servers: servers.disabled,
            allowed_origins: server.allowed_origins,
            allowed_hosts: server.allowed_hosts,
            trusted_proxies: server.trusted_proxies,
            limits: limits::resolve(inputs, report),
            production: server.production,
        }
    }

    /// The settings that another configuration has otherwise, by their names in `config.yaml`.
    /// Servers are not among them.
    pub fn differing(&self, new: &Self) -> Vec<Difference> {
        // Every setting is named here, so that none that is new can be forgotten.
        let Self {
            public_url,
            listen,
            tls,
            auth_secrets,
            provider_ca,
            providers,
            servers: _,
            disabled_servers: _,
            proxies,
            scopes,
            access,
            clients,
            store,
            cluster,
            stop_delay,
            lifetimes,
            names,
            pinning,
            allowed_origins,
            allowed_hosts,
            trusted_proxies,
            log,
            audit,
            metrics,
            limits,
            call_limits,
            production: _,
        } = self;
        [
            whole(&PUBLIC_URL, *public_url != new.public_url),
            whole(&LISTEN, *listen != new.listen),
            whole(&TLS, *tls != new.tls),
            whole(&AUTH_SECRET, *auth_secrets != new.auth_secrets),
            whole(&PROVIDER_CA_FILE, *provider_ca != new.provider_ca),
            whole(&PROVIDERS, *providers != new.providers),
            whole(&PROXIES, *proxies != new.proxies),
            whole(&SCOPES, *scopes != new.scopes),
            whole(&ACCESS, access.rules() != new.access.rules()),
            whole(&POLICY_FILES, access.files() != new.access.files()),
            whole(&CLIENTS, *clients != new.clients),
            whole(&STORE, *store != new.store),
            whole(&CLUSTER, *cluster != new.cluster),
            whole(&STOP_DELAY, *stop_delay != new.stop_delay),
            parts(&LIFETIMES, &lifetimes.differing(&new.lifetimes), |_| false),
            whole(&NAMES, *names != new.names),
            whole(&PINNING, *pinning != new.pinning),
            whole(&ALLOWED_ORIGINS, *allowed_origins != new.allowed_origins),
            whole(&ALLOWED_HOSTS, *allowed_hosts != new.allowed_hosts),
            whole(&TRUSTED_PROXIES, *trusted_proxies != new.trusted_proxies),
            whole(&AUDIT, *audit != new.audit),
            whole(&METRICS, *metrics != new.metrics),
            parts(&LOG, &log.differing(&new.log), |_| true),
            parts(&LIMITS, &limits.differing(&new.limits), |name| {
                Limits::TOLD_BY_NAME.contains(&name)
            }),
            whole(&CALLS, *call_limits != new.call_limits),
        ]
        .concat()
    }
}

/// A setting that two configurations have otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path in `config.yaml`.
    pub name: String,
    /// A gateway that runs cannot take it over.
    pub needs_restart: bool,
}

/// A setting that is told as it is.
fn whole(Setting { name, needs_restart, .. }: &Setting, differs: bool) -> Vec<Difference> {
    let difference = Difference { name: (*name).to_owned(), needs_restart: *needs_restart };
    differs.then_some(difference).into_iter().collect()
}

/// The settings of a section. Those that take a restart are told by their own names, others if they
/// are to be, and all that is left by the name of the section.
fn parts(section: &Setting, names: &[&str], is_told: impl Fn(&str) -> bool) -> Vec<Difference> {
    let needs_restart = |name: &str| match section.value {
        ValueType::Section(inner) => inner.find(name).is_some_and(|part| part.needs_restart),
        _ => false,
    };
    let mut differences: Vec<Difference> = Vec::new();
    for name in names {
        let (name, needs_restart) = match needs_restart(name) {
            true => (format!("{}.{name}", section.name), true),
            false if is_told(name) => (format!("{}.{name}", section.name), false),
            false => (section.name.to_owned(), false),
        };
        if differences.iter().all(|earlier| earlier.name != name) {
            differences.push(Difference { name, needs_restart });
        }
    }
    differences
}
