//! Reads a whole configuration: every section is resolved, and every mistake of them is reported at
//! once.

use super::{
    auth_secret, clients, cluster,
    inputs::Inputs,
    lifetimes, limits, log,
    mistake::{Mistakes, Report, Warning},
    pinning, providers, proxies, sandbox, scopes, server, servers,
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
        let inputs = Inputs::read(&noted, &mut report);
        let server = server::resolve(&inputs, &mut report);
        let servers = servers::resolve(&inputs, &server, &mut report);
        let providers = providers::resolve(&inputs, &server.public_url, &mut report);
        let store = store::resolve(&inputs, &mut report);
        let draft = Self {
            auth_secrets: auth_secret::resolve(&inputs, &mut report),
            proxies: proxies::resolve(&inputs, &servers.names, &server, &mut report),
            scopes: scopes::resolve(&inputs, &servers.names, &mut report),
            clients: clients::resolve(&inputs, &mut report),
            cluster: cluster::resolve(&inputs, &store, &mut report),
            stop_delay: stopping::resolve(&inputs, &store, &mut report),
            store,
            lifetimes: lifetimes::resolve(&inputs, &mut report),
            names: log::names(&inputs, &mut report),
            pinning: pinning::resolve(&inputs, servers.pinning, &mut report),
            log: log::resolve(&inputs, &mut report),
            tls: tls::resolve(&inputs, &mut report),
            provider_ca: tls::authorities(&inputs, &mut report),
            public_url: server.public_url,
            listen: server.listen,
            providers,
            servers: servers.enabled,
            disabled_servers: servers.disabled,
            allowed_origins: server.allowed_origins,
            allowed_hosts: server.allowed_hosts,
            trusted_proxies: server.trusted_proxies,
            body_limit: server.body_limit,
            calls_per_user: limits::calls_per_user(&inputs, &mut report),
            children_per_user: limits::children_per_user(&inputs, &mut report),
            limits: limits::resolve(&inputs, server.body_limit, &mut report),
            production: server.production,
        };
        unknown_keys::warn(&inputs, &draft, &mut report);
        let mut own_files = noting.paths();
        if let StoreConfig::Sqlite { path } = &draft.store {
            own_files.push(cwd.join(path));
        }
        sandbox::warn_of_own_files(&inputs, &own_files, &mut report);
        let Report { mut mistakes, warnings } = report;
        mistakes.sort_by(|a, b| a.at.cmp(&b.at));
        Inspected { draft, warnings, mistakes: Mistakes(mistakes) }
    }
}
