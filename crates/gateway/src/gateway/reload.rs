//! A new configuration for a gateway that runs: compared with the one in force ([`Changes`]),
//! refused as a whole if it asks for what only a restart can give, else in force at once. Requests
//! under way end as they began; servers, sessions, streams and counts that it does not concern
//! notice nothing (fault F10). Who reads the files, and when, is `cli::reload`.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use axum::Router;
use portunus_core::{
    audit::{Event, Origin, Person},
    ids::{NodeId, ServerName},
    invalidation::{Generation, Invalidation},
    secret::TokenHash,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::{
    build::{self, ConnectedProvider},
    reloadable::Reloadable,
    removed_clients,
};
use crate::{
    audit::audit_keys,
    config::{Config, Difference},
    edge::{
        app_state::{AppState, ProcessState},
        connections::Rules,
        reloadable_service::ReloadableService,
        router,
        secure::Secure,
        throttle::limiter::Throttle,
    },
    os, telemetry,
};

/// A configuration to go on with, without mistakes.
pub struct NewConfiguration {
    pub config: Config,
    pub providers: Vec<ConnectedProvider>,
    /// Is told what came of it.
    pub answer: oneshot::Sender<Result<Changes, Refused>>,
}

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub new_servers: Vec<ServerName>,
    pub changed_servers: Vec<ServerName>,
    pub removed_servers: Vec<ServerName>,
    /// All else, by the names that the settings have in `config.yaml`.
    pub settings: Vec<String>,
}

/// Why a configuration is not taken. Nothing of it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("{} changed, which a running gateway cannot take over: restart it", .0.join(", "))]
    NeedsRestart(Vec<String>),
    #[error(
        "AUTH_SECRET was replaced, and what is sealed with the old one could not be opened any more: name the old one as \
         AUTH_SECRET_PREVIOUS"
    )]
    SecretLost,
    #[error(
        "an earlier AUTH_SECRET is left out, and what is sealed with it cannot be sealed anew just now ({0}): try again later, with SIGHUP"
    )]
    StillSealed(String),
    #[error(
        "all access rules are gone, and everyone would be allowed everything: is the file whole? Restart the gateway if that is meant"
    )]
    RulesGone,
    #[error("{0}")]
    Unusable(String),
}

impl Changes {
    /// From `old` to `new`; an error if a running gateway cannot follow.
    pub fn between(old: &Config, new: &Config) -> Result<Self, Refused> {
        let (needs_restart, settings): (Vec<_>, Vec<_>) =
            old.differing(new).into_iter().partition(|one| one.needs_restart);
        if !needs_restart.is_empty() {
            return Err(Refused::NeedsRestart(names_of(needs_restart)));
        }
        // A file that is cut short or not there for a moment must not open everything.
        let is_meant = new.access.is_in_shadow();
        if new.access.is_open() && !old.access.is_open() && !is_meant {
            return Err(Refused::RulesGone);
        }
        if !old.auth_secrets.first().is_some_and(|sealing| new.auth_secrets.contains(sealing)) {
            return Err(Refused::SecretLost);
        }
        let find = |servers: &[_], name: &ServerName| {
            servers.iter().position(|one: &portunus_mcp::spec::ServerSpec| one.name == *name)
        };
        let those =
            |servers: &[portunus_mcp::spec::ServerSpec],
             is_wanted: &dyn Fn(&portunus_mcp::spec::ServerSpec) -> bool| {
                servers
                    .iter()
                    .filter(|server| is_wanted(server))
                    .map(|server| server.name.clone())
                    .collect::<Vec<_>>()
            };
        Ok(Self {
            new_servers: those(&new.servers, &|server| find(&old.servers, &server.name).is_none()),
            changed_servers: those(&new.servers, &|server| {
                find(&old.servers, &server.name).is_some_and(|at| old.servers[at] != *server)
            }),
            removed_servers: those(&old.servers, &|server| {
                find(&new.servers, &server.name).is_none()
            }),
            settings: names_of(settings),
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Is this setting, by its name in `config.yaml`, among what is different?
    fn has(&self, setting: &str) -> bool {
        self.settings.iter().any(|name| name == setting)
    }
}

/// The same for gateways that are configured alike. What each has of its own does not count, and
/// secrets are left out.
fn fingerprint(config: &Config) -> String {
    let Config {
        public_url,
        providers,
        servers,
        proxies,
        scopes,
        access,
        clients,
        lifetimes,
        names,
        pinning,
        call_limits,
        ..
    } = config;
    let common = format!(
        "{:?}",
        (
            public_url,
            providers,
            servers,
            proxies,
            scopes,
            access,
            clients,
            lifetimes,
            names,
            pinning,
            call_limits
        )
    );
    TokenHash::of(&common).to_string().chars().take(12).collect()
}

fn names_of(differences: Vec<Difference>) -> Vec<String> {
    differences.into_iter().map(|difference| difference.name).collect()
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (what, servers) in [
            ("new", &self.new_servers),
            ("changed", &self.changed_servers),
            ("removed", &self.removed_servers),
        ] {
            if !servers.is_empty() {
                let names: Vec<_> = servers.iter().map(ServerName::as_str).collect();
                parts.push(format!("{what}: {}", names.join(", ")));
            }
        }
        if !self.settings.is_empty() {
            parts.push(format!("settings: {}", self.settings.join(", ")));
        }
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join("; "))
    }
}

/// A gateway as it is configured right now.
pub(super) struct Live {
    pub(super) service: ReloadableService,
    pub(super) secure: Secure,
    app: ArcSwap<AppState>,
    reloadable: Reloadable,
    extra: Router,
}

/// Sign-ins at the providers of now are counted from 0 on.
fn expect_their_events(app: &AppState) {
    for entry in app.providers.iter() {
        app.process.metrics.expect_provider(entry.provider.name().as_str());
    }
}

impl Live {
    pub(super) fn open(
        process: ProcessState,
        reloadable: Reloadable,
        config: &Config,
        providers: Vec<ConnectedProvider>,
        extra: Router,
    ) -> Self {
        let app = build::app(
            process,
            config,
            providers,
            reloadable.forwarding.clone(),
            Throttle::new(&config.limits),
        );
        expect_their_events(&app);
        app.process.admission.send_replace(Some(app.providers.clone()));
        let service = ReloadableService::new(router::build(&app, extra.clone()));
        let secure = Secure::by(config.tls.as_ref().map(|tls| Arc::clone(&tls.server)));
        Self { service, secure, app: ArcSwap::from_pointee(app), reloadable, extra }
    }

    pub(super) fn app(&self) -> Arc<AppState> {
        self.app.load_full()
    }

    /// The gateway as it is configured then; `None` when it is gone.
    pub(super) fn current(
        self: &Arc<Self>,
    ) -> impl Fn() -> Option<Arc<AppState>> + Send + Sync + 'static + use<> {
        let live = Arc::downgrade(self);
        move || live.upgrade().map(|live| live.app())
    }

    /// Takes one configuration after the other, and tells other gateways of it. Ends when there can
    /// be no more.
    pub(super) async fn follow(
        self: Arc<Self>,
        me: Option<NodeId>,
        mut config: Config,
        mut configurations: mpsc::Receiver<NewConfiguration>,
    ) {
        while let Some(NewConfiguration { config: new, providers, answer }) =
            configurations.recv().await
        {
            let outcome = match Changes::between(&config, &new) {
                Ok(changes) => self.sealed_for(&config, &new).await.and_then(|()| {
                    self.take(&changes, &config, &new, providers)?;
                    Ok(changes)
                }),
                Err(refused) => Err(refused),
            };
            if let Ok(changes) = &outcome {
                if changes.has("auth_secret") {
                    self.app().process.audit.change_keys(audit_keys(&new.auth_secrets));
                    self.seal_anew().await;
                }
                let before = std::mem::replace(&mut config, new);
                if changes.has("clients") {
                    removed_clients::end_their_grants(self.current(), &before.clients.configured)
                        .await;
                }
                if let Some(node) = me.as_ref().filter(|_| !changes.is_empty()) {
                    self.announce(Generation {
                        node: node.clone(),
                        fingerprint: fingerprint(&config),
                    })
                    .await;
                }
            }
            self.tell(&outcome);
            // A caller that does not wait for the answer does not need it.
            let _ = answer.send(outcome);
        }
    }

    /// Tells the audit log of a new configuration; one that changes nothing is none.
    fn tell(&self, outcome: &Result<Changes, Refused>) {
        let event = match outcome {
            Ok(changes) if changes.is_empty() => return,
            Ok(changes) => Event::ConfigurationReloaded { changes: changes.to_string() },
            Err(refused) => Event::ConfigurationRefused { why: refused.to_string() },
        };
        self.app().process.audit.record(Person::default(), Origin::default(), event);
    }

    /// From the first line that changes anything, nothing can fail.
    fn take(
        &self,
        changes: &Changes,
        old: &Config,
        new: &Config,
        providers: Vec<ConnectedProvider>,
    ) -> Result<(), Refused> {
        let Reloadable { upstreams, shared: _, pins, sealer, forwarding } = &self.reloadable;
        let before = self.app.load();
        let throttle = if changes.has("limits") {
            Throttle::new(&new.limits)
        } else {
            before.throttle.clone()
        };
        let app = build::app(before.process.clone(), new, providers, forwarding.clone(), throttle);
        let service = router::build(&app, self.extra.clone());
        sealer
            .change_secrets(&new.auth_secrets)
            .map_err(|error| Refused::Unusable(error.to_string()))?;
        // Servers that are gone go last: until no request can name them any more.
        let going =
            old.servers.iter().filter(|old| new.servers.iter().all(|new| new.name != old.name));
        // Before anything that they are about is there.
        if old.access != new.access {
            before.process.access.change(Arc::clone(&new.access));
        }
        if old.call_limits != new.call_limits {
            before.process.call_limits.change(&new.call_limits);
        }
        upstreams.limit_children_per_user(new.limits.children_per_user);
        before.process.hub.limit_calls_per_user(new.limits.calls_per_user);
        upstreams.reconfigure(new.servers.iter().chain(going).cloned().collect());
        pins.reconfigure(build::pinning(new));
        before.process.hub.reconfigure(build::names(new), new.servers.clone());
        self.secure.change(new.tls.as_ref().map(|tls| Arc::clone(&tls.server)));
        before.process.connections.change(Rules::new(
            &new.limits,
            &new.trusted_proxies,
            os::descriptors(),
        ));
        self.service.change(service);
        expect_their_events(&app);
        before.process.admission.send_replace(Some(app.providers.clone()));
        if old.access != new.access {
            before.process.hub.permissions_changed();
        }
        self.app.store(Arc::new(app));
        upstreams.reconfigure(new.servers.clone());
        telemetry::set_level(new.log.level);
        Ok(())
    }

    async fn announce(&self, generation: Generation) {
        let posted = self
            .app()
            .process
            .stores
            .invalidations
            .post(&Invalidation::Configuration(generation))
            .await;
        if let Err(error) = posted {
            tracing::warn!(%error, "other gateways are not told of the new configuration: they notice when they look at their files");
        }
    }

    /// An earlier secret can go when nothing is sealed with it any more.
    async fn sealed_for(&self, old: &Config, new: &Config) -> Result<(), Refused> {
        if old.auth_secrets.iter().all(|secret| new.auth_secrets.contains(secret)) {
            return Ok(());
        }
        let resealed = self.app().process.stores.upkeep.reseal().await;
        resealed.map_err(|error| Refused::StillSealed(error.to_string()))
    }

    /// At once, so that no start has to wait for it when the old secret goes.
    async fn seal_anew(&self) {
        if let Err(error) = self.app().process.stores.upkeep.reseal().await {
            tracing::warn!(%error, "records are still sealed with an earlier AUTH_SECRET: keep it for now");
        }
    }
}

#[cfg(test)]
mod tests;
