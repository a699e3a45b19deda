//! Reads a whole configuration: every section is resolved, and every mistake of them is reported at
//! once.

use super::{
    auth_secret, clients, cluster, lifetimes, limits, log,
    mistake::{Mistakes, Report, Warning},
    pinning, providers, proxies,
    raw::Raw,
    sandbox, scopes, server, servers,
    settings::Config,
    sources::Sources,
    stopping,
    store::{self, StoreConfig},
    tls, unknown_keys,
    watched_files::{Noting, WatchedFiles},
};

/// A configuration without mistakes, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
}

/// What a configuration comes to, mistakes and all.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Settings with a mistake in them have their default here, or are left out: only to be shown,
    /// never to be used, unless there are no mistakes.
    pub draft: Config,
    pub warnings: Vec<Warning>,
    pub mistakes: Mistakes,
}

impl Config {
    /// Reads, resolves and checks the whole configuration.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, Mistakes> {
        let Inspected { draft, warnings, mistakes } = Self::inspect(sources);
        if mistakes.0.is_empty() { Ok(Loaded { config: draft, warnings }) } else { Err(mistakes) }
    }

    /// The same, and from which files: whether it is one to go on with or not, they are the ones to
    /// watch.
    pub fn load_with_trail(sources: &Sources<'_>) -> (WatchedFiles, Result<Loaded, Mistakes>) {
        let noting = Noting::new(sources.files);
        let Sources { args, env, cwd, .. } = sources;
        let loaded = Self::load(&Sources {
            args: args.clone(),
            env: env.clone(),
            cwd: cwd.clone(),
            files: &noting,
        });
        (noting.watched_files(), loaded)
    }

    /// Reads the whole configuration and goes on past every mistake.
    pub fn inspect(sources: &Sources<'_>) -> Inspected {
        let mut report = Report::default();
        let noting = Noting::new(sources.files);
        let Sources { args, env, cwd, .. } = sources;
        let noted =
            Sources { args: args.clone(), env: env.clone(), cwd: cwd.clone(), files: &noting };
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
