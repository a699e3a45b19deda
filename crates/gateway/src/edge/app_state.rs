//! The application: everything the endpoints need. It has the [`ProcessState`], which stays, and is
//! made anew for each configuration by `gateway::build`. Each endpoint's state takes only what it
//! uses of it; [`super::router`] hands it out.

use std::{sync::Arc, time::Duration};

use portunus_core::{
    Clock, Entropy,
    address_block::AddressBlock,
    client::Client,
    ids::{ServerName, UserId},
    lifetimes::Lifetimes,
    oauth::registration_policy::RegistrationPolicy,
    resource::Resources,
    store::Stores,
};
use portunus_mcp::hub::Hub;
use tokio::sync::watch;

use super::{
    call_limits::CallLimits,
    connections::Connections,
    csrf::EdgeKeys,
    health::Stopping,
    keyed_limit::KeyedLimit,
    layers::Admission,
    mcp::{endpoint::McpState, local::LocalMcp, shares::Shares},
    oauth::support::{assertions::Assertions, client_directory::ClientDirectory},
    providers::Providers,
    proxy::ProxyRoutes,
    resource_server::{access::Access, cache::TokenCache},
    throttle::limiter::Throttle,
};
use crate::{
    audit::AuditLog,
    cluster::Cluster,
    config::Limits,
    disabled::Disabled,
    groups::{GroupReader, ProviderPlaces, ReaderParts},
    metrics::Metrics,
    net::guarded::GuardedFetcher,
};

/// What stays as long as the process does, whatever the configuration.
#[derive(Clone)]
pub struct ProcessState {
    pub stores: Stores,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub hub: Arc<Hub>,
    /// What each address, and each person, has under way. It goes on to count when limits change.
    pub counts: Counts,
    /// Connections from outside.
    pub connections: Connections,
    /// Tokens that were looked up a while ago.
    pub tokens: TokenCache,
    /// Who is admitted by the configuration of now: requests and streams that began under an
    /// earlier one are judged by it too. `None` until the gateway runs.
    pub admission: watch::Sender<Option<Providers>>,
    /// The access rules of now: requests and streams that began under earlier ones are judged by
    /// them too.
    pub access: Access,
    /// What an administrator disabled.
    pub disabled: Disabled,
    /// How much each identity provider is asked when people are read anew.
    pub provider_places: ProviderPlaces,
    /// The limits of calls in force, and what was counted by them.
    pub call_limits: CallLimits,
    /// The other gateways on the same store.
    pub cluster: Cluster,
    /// Where it is told what happens.
    pub audit: AuditLog,
    /// Where it is counted.
    pub metrics: Metrics,
    /// Has the process been told to stop?
    pub stopping: Stopping,
    /// The way to URLs that are not in the configuration.
    pub fetcher: Arc<GuardedFetcher>,
    /// Shows the demo's banner on every page.
    pub demo: bool,
}

/// Counts of what is under way.
#[derive(Clone, Default)]
pub struct Counts {
    pub requests_by_address: KeyedLimit<AddressBlock>,
    pub requests_by_user: KeyedLimit<UserId>,
    pub bytes_by_user: KeyedLimit<UserId>,
}

/// Everything the endpoints need.
pub struct AppState {
    pub process: ProcessState,
    pub resources: Arc<Resources>,
    pub lifetimes: Lifetimes,
    pub providers: Providers,
    pub keys: EdgeKeys,
    pub proxy: ProxyRoutes,
    /// Servers as the front page lists them: name and how they are reached.
    pub server_kinds: Vec<(ServerName, &'static str)>,
    pub admission: Admission,
    /// What a request, one address and one person may have.
    pub limits: Limits,
    /// Counts what addresses and clients ask for.
    pub throttle: Throttle,
    /// How clients may come to be.
    pub registration_policy: Arc<RegistrationPolicy>,
    /// Clients of the configuration.
    pub configured_clients: Vec<Client>,
    /// Registered clients that never redeemed a code, at most (threat 25).
    pub max_unused_clients: u64,
    /// How long connections are still accepted once the process was told to stop.
    pub stop_delay: Duration,
}

impl AppState {
    /// The MCP endpoints.
    pub fn mcp_state(&self) -> McpState {
        McpState { local: self.local_mcp(), cluster: self.process.cluster.clone() }
    }

    /// What runs requests on this node.
    pub fn local_mcp(&self) -> LocalMcp {
        LocalMcp {
            hub: Arc::clone(&self.process.hub),
            resources: Arc::clone(&self.resources),
            access: self.process.access.clone(),
            limits: self.process.call_limits.clone(),
            body_limit: self.limits.body,
            audit: self.process.audit.clone(),
            shares: Shares {
                requests: self.process.counts.requests_by_user.clone(),
                bytes: self.process.counts.bytes_by_user.clone(),
                requests_per_user: self.limits.requests_per_user,
                bytes_per_user: self.limits.bytes_per_user,
            },
        }
    }

    /// What reads people anew at their providers.
    pub fn group_reader(&self) -> GroupReader {
        let ProcessState { stores, clock, audit, provider_places, .. } = &self.process;
        GroupReader::new(ReaderParts {
            tokens: Arc::clone(&stores.provider_tokens),
            logins: Arc::clone(&stores.logins),
            grants: Arc::clone(&stores.grants),
            providers: self.providers.clone(),
            places: provider_places.clone(),
            lifetimes: self.lifetimes,
            audit: audit.clone(),
            clock: Arc::clone(clock),
        })
    }

    /// All the clients there are.
    pub fn directory(&self) -> ClientDirectory {
        ClientDirectory::new(
            self.configured_clients.clone(),
            Arc::clone(&self.registration_policy),
            Arc::clone(&self.process.fetcher),
            Arc::clone(&self.process.stores.clients),
            Arc::clone(&self.process.stores.grants),
            Arc::clone(&self.process.clock),
            self.process.disabled.clone(),
        )
    }

    /// What checks clients' signatures.
    pub fn assertions(&self) -> Assertions {
        let ProcessState { fetcher, stores, clock, .. } = &self.process;
        Assertions::new(
            Arc::clone(fetcher),
            Arc::clone(&stores.assertions),
            Arc::clone(clock),
            self.resources.public_url(),
        )
    }
}
