//! Following the configuration: its files are read anew on SIGHUP and when one of them changed
//! ([`WatchedFiles`]), and the running gateway is told ([`crate::gateway::NewConfiguration`]). A
//! configuration with a mistake in it is reported as at start, and nothing changes.

use std::time::Duration;

use portunus_identity::settings::ProviderSettings;
use reqwest::Client;
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};

use super::ConfigFiles;
use crate::{
    config::{Loaded, ProviderConfig, WatchedFiles},
    gateway::{ConnectedProvider, NewConfiguration},
};

/// How often the files are looked at. What differs must look the same twice before it is read: an
/// editor may still be writing. Twice and the reading take less than a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Providers as they are connected: one whose settings stay keeps what it has found out about its
/// issuer.
pub struct Providers {
    http: Client,
    connected: Vec<(ProviderSettings, ConnectedProvider)>,
}

impl Providers {
    pub fn new(http: Client) -> Self {
        Self { http, connected: Vec::new() }
    }

    /// Connects these, in place of those before.
    pub fn connect(&mut self, wanted: &[ProviderConfig]) -> Vec<ConnectedProvider> {
        let connected: Vec<_> =
            wanted.iter().map(|one| (one.settings.clone(), self.connect_one(one))).collect();
        self.connected = connected;
        self.connected.iter().map(|(_, provider)| provider.clone()).collect()
    }

    fn connect_one(&self, wanted: &ProviderConfig) -> ConnectedProvider {
        let same = self.connected.iter().find(|(settings, _)| *settings == wanted.settings);
        let provider = same.map_or_else(
            || portunus_identity::connect(wanted.settings.clone(), self.http.clone()),
            |(_, known)| known.provider.clone(),
        );
        ConnectedProvider {
            provider,
            redirect_uri: wanted.settings.redirect_uri.clone(),
            label: wanted.label.clone(),
            allow: wanted.allow.clone(),
        }
    }
}

/// Why the files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Hangup,
    Change,
    /// Another gateway on the same store has a new configuration.
    Elsewhere,
}

/// What follows the files of one gateway.
pub struct Following {
    pub files: ConfigFiles,
    /// What was read the last time.
    pub watched_files: WatchedFiles,
    pub providers: Providers,
    pub hangups: Signal,
    /// Changes when another gateway has a new configuration, or may have.
    pub elsewhere: watch::Receiver<u64>,
    pub tell: mpsc::Sender<NewConfiguration>,
}

impl Following {
    /// Until the gateway is gone.
    pub async fn run(mut self) {
        while let Some(cause) = self.wait().await {
            if self.follow(cause).await.is_none() {
                return;
            }
        }
    }

    /// Waits for a cause to reload. A signal counts at once; anything else counts when the files
    /// look the same twice.
    async fn wait(&mut self) -> Option<Cause> {
        let (mut last, mut is_new_elsewhere) = (self.watched_files.clone(), false);
        let mut look = tokio::time::interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                hangup = self.hangups.recv() => return hangup.map(|()| Cause::Hangup),
                changed = self.elsewhere.changed() => {
                    changed.ok()?;
                    is_new_elsewhere = true;
                    // Files that reach all gateways at the same time may still be on their way
                    // here.
                    continue;
                }
                () = self.tell.closed() => return None,
                _ = look.tick() => {}
            }
            let watched_files = last.clone();
            // Files may be on a disk that takes its time.
            let Ok(now) = tokio::task::spawn_blocking(move || watched_files.look_again()).await
            else {
                continue;
            };
            if now == last && (is_new_elsewhere || now != self.watched_files) {
                return Some(if now == self.watched_files {
                    Cause::Elsewhere
                } else {
                    Cause::Change
                });
            }
            last = now;
        }
    }

    /// Reads everything and tells the gateway. `None` when it is gone.
    async fn follow(&mut self, cause: Cause) -> Option<()> {
        let files = self.files.clone();
        let (watched_files, loaded) =
            match tokio::task::spawn_blocking(move || files.load_with_trail()).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "the configuration could not be read");
                    return Some(());
                }
            };
        self.watched_files = watched_files;
        let Loaded { config, warnings } = match loaded {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                for mistake in &mistakes.0 {
                    tracing::error!(at = %mistake.at, found = mistake.found, expected = mistake.expected, "a mistake in the configuration");
                }
                tracing::error!(
                    mistakes = mistakes.0.len(),
                    ?cause,
                    "the configuration is not reloaded: the gateway goes on with the one before (`portunus check` shows all of it)"
                );
                return Some(());
            }
        };
        for warning in warnings {
            tracing::warn!(at = %warning.at, "{}", warning.text);
        }
        let (answer, answered) = oneshot::channel();
        let providers = self.providers.connect(&config.providers);
        self.tell.send(NewConfiguration { config, providers, answer }).await.ok()?;
        match answered.await.ok()? {
            Ok(changes) if changes.is_empty() && cause != Cause::Hangup => {
                tracing::debug!(?cause, "the files say what they said before");
            }
            Ok(changes) => tracing::info!(%changes, ?cause, "the configuration is reloaded"),
            Err(refused) => {
                tracing::error!(why = %refused, ?cause, "the configuration is not reloaded: the gateway goes on with the one before");
            }
        }
        Some(())
    }
}
