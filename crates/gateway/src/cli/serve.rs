//! `portunus serve`: runs the gateway of the configuration until it is told to stop, and has it
//! follow the configuration's files ([`super::reload`]).

use std::{io, net::SocketAddr};

use anyhow::Context as _;
use axum::Router;
use portunus_identity::{Finding, diagnose_gently};
use portunus_mcp::child::Launcher;
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::mpsc,
};

use super::{
    ConfigFiles,
    reload::{Following, Providers},
    rules_told,
    signals::{hangups, stop_signals},
};
pub(super) use crate::gateway::open_records;
use crate::{
    cluster,
    config::{ClusterConfig, Config, ProviderConfig, StoreConfig, WatchedFiles},
    gateway::{Gateway, Orders},
    net,
};

/// Runs the gateway. `watched_files` is what the configuration was read from.
pub async fn run(
    config: Config,
    files: ConfigFiles,
    watched_files: WatchedFiles,
) -> anyhow::Result<()> {
    // Before the gateway listens: as soon as clients can connect, a signal ends it well.
    let (stop, hangups) = (stop_signals()?, hangups()?);
    let listener = listen(&config)?;
    let http = net::identity_client(&config.provider_ca.pem)?;
    let mut providers = Providers::new(http.clone());
    let mut gateway = Gateway::build(&config, providers.connect(&config.providers), false).await?;
    if let Some(launcher) = Launcher::of_this_process()? {
        gateway = gateway.supervised_by(launcher);
    }
    if let StoreConfig::Redis(redis) = &config.store {
        gateway = gateway
            .join(
                listen_to_nodes(&config.cluster, &redis.address.to_string())?,
                config.cluster.url.clone(),
            )
            .await?;
    }
    if let Some(address) = config.metrics.listen {
        let listener = bind(address);
        gateway = gateway.measured_on(listener.with_context(|| {
            format!(
                "cannot listen on {address} for metrics: metrics.listen (METRICS_LISTEN) changes it"
            )
        })?);
    }
    tracing::info!(
        url = %config.public_url, listen = %config.listen, servers = config.servers.len(), proxies = config.proxies.len(),
        version = env!("CARGO_PKG_VERSION"), "portunus is up"
    );
    rules_told::tell(&config.access);
    let (tell, configurations) = mpsc::channel(1);
    let elsewhere = gateway.new_elsewhere();
    let probing = tokio::spawn(probe(config.providers.clone(), http));
    let following =
        tokio::spawn(Following { files, watched_files, providers, hangups, elsewhere, tell }.run());
    let ended = gateway.run(listener, Router::new(), Orders { stop, configurations }).await;
    following.abort();
    probing.abort();
    ended
}

/// Asks each provider once for its metadata and keys, behind everything else: what keeps people out
/// is in the log before the first of them comes. What a provider would take for a failed sign-in
/// (`check --online` tries it) is not done at every start. The start does not wait for it.
async fn probe(providers: Vec<ProviderConfig>, http: reqwest::Client) {
    for provider in &providers {
        let findings = diagnose_gently(provider.settings.clone(), &http).await;
        if !findings.is_empty() && !findings.iter().any(Finding::is_wrong) {
            tracing::info!(provider = %provider.settings.name, "the identity provider answers");
        }
        for finding in findings.iter().filter(|finding| finding.is_wrong()) {
            tracing::warn!(
                provider = %provider.settings.name, setting = finding.setting, found = finding.found, advice = finding.advice,
                "people cannot sign in: `portunus check --online` says more"
            );
        }
    }
}

/// Connections that may wait to be accepted. The library's 128 overflow when a crowd comes at once,
/// and a client that is turned away tries again a second later at the earliest; the system has a
/// limit of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// A socket of this address, which does not listen yet.
pub(super) fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that the last run has just left is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bound(address)?.listen(BACKLOG)
}

/// The system does not let us have the address.
#[derive(Debug, Error)]
#[error("cannot listen on {listen}: {}", self.why())]
pub(super) struct NotListening {
    pub(super) listen: SocketAddr,
    pub(super) error: io::Error,
}

impl NotListening {
    fn why(&self) -> String {
        match self.error.kind() {
            io::ErrorKind::AddrInUse => "another program uses the port".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => self.error.to_string(),
        }
    }

    pub(super) fn advice(&self) -> &'static str {
        match self.error.kind() {
            io::ErrorKind::PermissionDenied => {
                "Ports below 1024 need a right: CAP_NET_BIND_SERVICE (AmbientCapabilities= in a unit of systemd). Or set PORT to one from 1024 on, behind \
                 what has that port"
            }
            io::ErrorKind::AddrNotAvailable => {
                "HOST or listen changes it; 0.0.0.0 is every address"
            }
            _ => "PORT or listen changes it",
        }
    }
}

/// Binds the configured address.
pub fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let refused = |error| NotListening { listen: config.listen, error };
    bind(config.listen)
        .map_err(refused)
        .map_err(|refused| anyhow::anyhow!("{refused}. {}", refused.advice()))
}

/// Binds the address for other nodes: the configured one, or the one that the store is reached
/// from.
fn listen_to_nodes(config: &ClusterConfig, store: &str) -> anyhow::Result<TcpListener> {
    let (_, host) = store.split_once("://").unwrap_or(("", store));
    let host = host.split(['/', ',']).next().unwrap_or_default();
    let address = config.listen.unwrap_or_else(|| SocketAddr::new(cluster::toward(host), 0));
    bind(address).with_context(|| {
        format!("cannot listen on {address} for the other nodes: is it an address of this machine? (CLUSTER_LISTEN or cluster.listen changes it)")
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn why_there_is_no_listening_is_said_as_it_is() {
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443));
        for (kind, why, advice) in [
            (io::ErrorKind::AddrInUse, "another program uses the port", "PORT"),
            (io::ErrorKind::PermissionDenied, "permission denied", "CAP_NET_BIND_SERVICE"),
            (io::ErrorKind::AddrNotAvailable, "this machine has no such address", "HOST"),
        ] {
            let refused = NotListening { listen, error: kind.into() };
            assert_eq!(refused.to_string(), format!("cannot listen on 0.0.0.0:443: {why}"));
            assert!(refused.advice().contains(advice), "{}", refused.advice());
        }
    }
}
