//! What a configuration comes to: the [`AppState`], and the settings of what stays.

use std::sync::Arc;

use portunus_core::{Clock, admission::Allow, ids::ServerName, pins::Pinning, resource::Resources};
use portunus_identity::provider::Provider;
use portunus_mcp::{hub, spec::Transport};
use url::Url;

use crate::{
    config::{Config, Names, StoreConfig},
    edge::{
        app_state::{AppState, ProcessState},
        csrf::EdgeKeys,
        layers::Admission,
        providers::{ProviderEntry, Providers},
        proxy::{ProxyLimits, ProxyRoutes},
        throttle::limiter::Throttle,
    },
    net::ForwardingClient,
};

/// A provider, and what the configuration says about it.
#[derive(Clone)]
pub struct ConnectedProvider {
    pub provider: Arc<dyn Provider>,
    /// The callback to use in place of ours.
    pub redirect_uri: Option<String>,
    /// What to call it in place of its own label.
    pub label: Option<String>,
    /// Whose accounts are admitted.
    pub allow: Allow,
}

impl From<Arc<dyn Provider>> for ConnectedProvider {
    fn from(provider: Arc<dyn Provider>) -> Self {
        Self { provider, redirect_uri: None, label: None, allow: Allow::Anyone }
    }
}

/// What endpoints need, as this configuration has it. `throttle` is made of its limits, or goes on
/// counting by the same ones.
pub(super) fn app(
    process: ProcessState,
    config: &Config,
    providers: Vec<ConnectedProvider>,
    forwarding: ForwardingClient,
    throttle: Throttle,
) -> AppState {
    let resources = resources(config);
    let proxy = config.clients.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok());
    if let Err(error) = process.fetcher.use_proxy(proxy.as_ref()) {
        tracing::error!(%error, "clients' documents are not fetched through the proxy that is configured for it");
    }
    let limits = ProxyLimits { request_body: config.limits.body, ..ProxyLimits::default() };
    let clock = Arc::clone(&process.clock);
    AppState {
        process,
        resources: Arc::new(resources),
        providers: meet(config, providers, clock),
        keys: EdgeKeys::derive(&config.auth_secrets),
        proxy: ProxyRoutes::new(&config.proxies, forwarding, config.public_url.clone(), limits),
        server_kinds: config
            .servers
            .iter()
            .map(|server| (server.name.clone(), kind(&server.transport)))
            .collect(),
        admission: Admission {
            allowed_hosts: config.allowed_hosts.clone(),
            allowed_origins: config.allowed_origins.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        },
        lifetimes: match &config.store {
            StoreConfig::Redis(_) => config.lifetimes.of_several_gateways(),
            StoreConfig::Sqlite { .. } => config.lifetimes,
        },
        limits: config.limits,
        throttle,
        registration_policy: Arc::new(config.clients.registration_policy.clone()),
        configured_clients: config.clients.configured.clone(),
        max_unused_clients: config.clients.max_unused,
        stop_delay: config.stop_delay,
    }
}

fn meet(config: &Config, providers: Vec<ConnectedProvider>, clock: Arc<dyn Clock>) -> Providers {
    let redirect_uri = |connected: &ConnectedProvider| {
        let own = || config.public_url.at(&format!("/auth/callback/{}", connected.provider.name()));
        connected.redirect_uri.clone().unwrap_or_else(own)
    };
    let redirect_uris: Vec<String> = providers.iter().map(redirect_uri).collect();
    let entry = |connected: ConnectedProvider| {
        let redirect_uri = redirect_uri(&connected);
        let provider = connected.provider;
        ProviderEntry {
            is_shared: redirect_uris.iter().filter(|other| **other == redirect_uri).count() > 1,
            redirect_uri,
            label: connected.label.unwrap_or_else(|| provider.label().to_owned()),
            allow: connected.allow,
            provider,
        }
    };
    let entries = providers.into_iter().map(entry).collect();
    Providers::new(entries, &config.public_url, config.lifetimes, clock)
}

const fn kind(transport: &Transport) -> &'static str {
    match transport {
        Transport::Stdio { .. } => "stdio",
        Transport::Http { .. } => "http",
        Transport::Sse { .. } => "sse",
    }
}

pub(super) const fn names(config: &Config) -> hub::Names {
    match config.names {
        Names::Prefixed => hub::Names::Prefixed,
        Names::Plain => hub::Names::Plain,
    }
}

/// Of each server, what becomes of tools that change.
pub(super) fn pinning(config: &Config) -> Vec<(ServerName, Pinning)> {
    config
        .servers
        .iter()
        .map(|server| (server.name.clone(), config.pinning.of(&server.name)))
        .collect()
}

/// What tokens and keys are for.
pub fn resources(config: &Config) -> Resources {
    let patterns: Vec<String> = config.proxies.iter().map(|proxy| proxy.pattern.clone()).collect();
    Resources::new(config.public_url.clone(), &server_names(config), &patterns)
        .with_scopes(config.scopes.clone())
}

/// The servers' names, in the order of the configuration.
fn server_names(config: &Config) -> Vec<ServerName> {
    config.servers.iter().map(|server| server.name.clone()).collect()
}
