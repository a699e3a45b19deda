//! `portunus serve`: builds the gateway from its configuration and runs it until it is told to stop.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use portunus_core::{
    Clock, Entropy,
    clock::SystemClock,
    ids::{NodeId, ServerName},
    node::Node,
    resource::Resources,
    secret::SecretText,
    store::{Stores, Upkeep},
};
use portunus_identity::provider::Provider;
use portunus_mcp::{
    hub::{self, Hub, HubSettings},
    spec::Transport,
    upstream::{self, Upstreams},
};
use portunus_store::{
    redis,
    seal::{Place, Sealer},
    sqlite::{self, OpenError},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::signals::{StopSignal, linger, stop_signals};
use crate::{
    cluster::{self, Cluster, Home, Member, MemberParts},
    config::{ClusterConfig, Config, Names, StoreConfig},
    edge::{
        health::Stopping,
        house::{Admission, EdgeKeys, House, ProviderEntry, Providers},
        mcp::MESSAGES_PER_USER,
        places::Places,
        proxy::{ProxyLimits, ProxyRoutes},
        router, server,
    },
    net::{
        self, NetSettings,
        guarded::{GuardedFetcher, Internet, Outside},
    },
    os::OsEntropy,
    pins::PinBook,
    records::StoredSessions,
};

/// How often expired records are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);
/// How long child processes may take to end.
const CHILDREN_DEADLINE: Duration = Duration::from_secs(10);

/// Runs the gateway.
pub async fn run(config: Config) -> anyhow::Result<()> {
    // First of all: whoever can connect can also be told to stop, and waits for it to end well.
    let signals = stop_signals()?;
    let listener = listen(&config)?;
    let http = net::client(NetSettings::identity())?;
    let providers = config.providers.iter().map(|provider| {
        let settings = provider.settings.clone();
        let (redirect_uri, label) = (settings.redirect_uri.clone(), provider.label.clone());
        ConnectedProvider { provider: portunus_identity::connect(settings, http.clone()), redirect_uri, label }
    });
    let mut gateway = Gateway::build(&config, providers.collect(), false).await?;
    if let StoreConfig::Redis(redis) = &config.store {
        gateway = gateway.join(listen_to_nodes(&config.cluster, &redis.address.to_string())?, config.cluster.url.clone()).await?;
    }
    tracing::info!(
        url = %config.public_url, listen = %config.listen, servers = config.servers.len(), proxies = config.proxies.len(),
        version = env!("CARGO_PKG_VERSION"), "portunus is up"
    );
    gateway.run(listener, Router::new(), signals).await
}

/// Connections that may wait to be accepted. The library's 128 overflow when a crowd comes at once, and whoever is turned away tries again a
/// second later at the earliest; the system has a limit of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that the last run has just left is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds the configured address.
pub fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    bind(config.listen).with_context(|| {
        format!("cannot listen on {}: is another program using the port? (PORT or listen changes it)", config.listen)
    })
}

/// Binds the address for other nodes: the configured one, or the one that the store is reached from.
fn listen_to_nodes(config: &ClusterConfig, store: &str) -> anyhow::Result<TcpListener> {
    let (_, host) = store.split_once("://").unwrap_or(("", store));
    let host = host.split(['/', ',']).next().unwrap_or_default();
    let address = config.listen.unwrap_or_else(|| SocketAddr::new(cluster::toward(host), 0));
    bind(address).with_context(|| {
        format!("cannot listen on {address} for the other nodes: is it an address of this machine? (CLUSTER_LISTEN or cluster.listen changes it)")
    })
}

/// A provider, and what the configuration says about it.
pub struct ConnectedProvider {
    pub provider: Arc<dyn Provider>,
    /// The callback to use in place of ours.
    pub redirect_uri: Option<String>,
    /// What to call it in place of its own label.
    pub label: Option<String>,
}

impl From<Arc<dyn Provider>> for ConnectedProvider {
    fn from(provider: Arc<dyn Provider>) -> Self {
        Self { provider, redirect_uri: None, label: None }
    }
}

/// A gateway that is ready to run.
pub struct Gateway {
    house: House,
    upstreams: Arc<Upstreams>,
    auth_secrets: Vec<SecretText>,
    stop_delay: Duration,
    node: Option<RunningNode>,
}

/// What makes this gateway one of several.
struct RunningNode {
    member: Arc<Member>,
    listener: TcpListener,
}

impl Gateway {
    /// Opens the store, meets the providers and servers (none of them is contacted yet), and furnishes the house.
    pub async fn build(config: &Config, providers: Vec<ConnectedProvider>, demo: bool) -> anyhow::Result<Self> {
        Self::build_with(config, providers, demo, Arc::new(SystemClock), Arc::new(OsEntropy)).await
    }

    /// The same with a clock and a source of chance of the caller's: for tests.
    pub async fn build_with(
        config: &Config,
        providers: Vec<ConnectedProvider>,
        demo: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Self> {
        let stores = open_store(config, &entropy).await?;
        let names: Vec<ServerName> = config.servers.iter().map(|server| server.name.clone()).collect();
        let patterns: Vec<String> = config.proxies.iter().map(|proxy| proxy.pattern.clone()).collect();
        let resources = Resources::new(config.public_url.clone(), &names, &patterns).with_scopes(config.scopes.clone());
        let resources = Arc::new(resources);
        let upstream_client = net::upstream_client(NetSettings::upstream())?;
        let clients = Arc::new(hub::Clients::default());
        let options = upstream::Options {
            on_request: Arc::clone(&clients) as _,
            max_children_per_user: config.children_per_user,
            ..upstream::Options::default()
        };
        let upstreams = Arc::new(Upstreams::new(config.servers.clone(), upstream_client, options));
        let pinning = names.iter().map(|server| (server.clone(), config.pinning.of(server)));
        let pins = PinBook::new(pinning, Arc::clone(&stores.pins), Arc::clone(&clock));
        let settings = HubSettings {
            names: match config.names {
                Names::Prefixed => hub::Names::Prefixed,
                Names::Plain => hub::Names::Plain,
            },
            pins: Arc::new(pins),
            ..HubSettings::default()
        };
        let records =
            StoredSessions { store: Arc::clone(&stores.sessions), clock: Arc::clone(&clock), keep_for: settings.session_idle };
        let settings = HubSettings { records: Arc::new(records), ..settings };
        let servers: Arc<dyn hub::Servers> = Arc::clone(&upstreams) as _;
        let seal = Arc::new(RequestStates(Sealer::new(&config.auth_secrets, Arc::clone(&entropy))?));
        let hub = Hub::new(settings, config.servers.clone(), servers, Arc::clone(&entropy), seal);
        clients.meet(&hub);
        let limits = ProxyLimits { request_body: config.body_limit, ..ProxyLimits::default() };
        let proxy = ProxyRoutes::new(
            &config.proxies,
            net::forwarding_client(NetSettings::upstream())?,
            config.public_url.clone(),
            limits,
        );
        let Some(auth_secret) = config.auth_secrets.first() else { bail!("AUTH_SECRET is missing") };
        let house = House {
            providers: meet(config, providers),
            keys: EdgeKeys::derive(auth_secret),
            server_kinds: config.servers.iter().map(|server| (server.name.clone(), kind(&server.transport))).collect(),
            admission: Admission {
                allowed_hosts: config.allowed_hosts.clone(),
                allowed_origins: config.allowed_origins.clone(),
                trusted_proxies: config.trusted_proxies.clone(),
            },
            lifetimes: config.lifetimes,
            body_limit: config.body_limit,
            fetcher: Arc::new(GuardedFetcher::new(Arc::new(Internet), Arc::clone(&clock))?),
            limits: config.limits,
            ways: Arc::new(config.clients.ways.clone()),
            configured_clients: config.clients.configured.clone(),
            max_unused_clients: config.clients.max_unused,
            resources,
            stores,
            clock,
            entropy,
            hub,
            places: Places::new(MESSAGES_PER_USER),
            cluster: Cluster::Alone,
            stopping: Stopping::default(),
            proxy,
            demo,
        };
        let (auth_secrets, stop_delay) = (config.auth_secrets.clone(), config.stop_delay);
        Ok(Self { house, upstreams, auth_secrets, stop_delay, node: None })
    }

    /// Makes it one of several on its store: the others reach it on `listener`, at `url` if that is not simply the listener's address.
    pub async fn join(mut self, listener: TcpListener, url: Option<String>) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let (clock, entropy) = (Arc::clone(&self.house.clock), Arc::clone(&self.house.entropy));
        let me = Node { id: NodeId::generate(&*entropy), url: url.unwrap_or_else(|| format!("http://{address}")) };
        let parts = MemberParts {
            me,
            nodes: Arc::clone(&self.house.stores.nodes),
            household: Arc::new(Home(Arc::clone(&self.house.hub))),
            sealer: Sealer::new(&self.auth_secrets, Arc::clone(&entropy))?,
            clock,
            entropy,
        };
        let member = Member::join(parts).await.context("this node cannot join the others")?;
        self.house.cluster = Cluster::among(Arc::clone(&member), net::client(NetSettings::node())?);
        self.node = Some(RunningNode { member, listener });
        Ok(self)
    }

    /// The same gateway in another world: what clients' URLs lead to is made up. For tests; no setting leads here.
    pub fn with_outside(mut self, outside: Arc<dyn Outside>) -> anyhow::Result<Self> {
        self.house.fetcher = Arc::new(GuardedFetcher::new(outside, Arc::clone(&self.house.clock))?);
        Ok(self)
    }

    /// What the gateway keeps its records in: tests look at it.
    pub fn stores(&self) -> &Stores {
        &self.house.stores
    }

    /// Serves until a signal says to stop; then ends streams, requests and child processes, in this order.
    pub async fn run(self, listener: TcpListener, extra: Router, mut signals: mpsc::Receiver<StopSignal>) -> anyhow::Result<()> {
        let Self { house, upstreams, node, stop_delay, .. } = self;
        let router = router::build(&house, extra);
        let node = node.map(|node| NodeAtWork::begin(node, &house));
        let purge =
            tokio::spawn(purge(Arc::clone(&house.stores.upkeep), Arc::clone(&house.clock), house.lifetimes.unused_client));
        let hub = Arc::clone(&house.hub);
        let mut until = Instant::now();
        let stopping = async {
            let first = signals.recv().await;
            house.stopping.begin();
            if let Some(node) = &node {
                node.member.begin_leaving();
            }
            linger(first, stop_delay, &mut signals).await;
            until = Instant::now() + server::DRAIN;
        };
        let served = server::run(listener, router, stopping, async move { hub.shutdown().await }).await;
        purge.abort();
        if let Some(node) = node {
            node.end(&house.hub, until).await;
        }
        upstreams.shutdown(CHILDREN_DEADLINE).await;
        tracing::info!("stopped");
        served.context("the server failed")
    }
}

/// A node whose listener is open.
struct NodeAtWork {
    member: Arc<Member>,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl NodeAtWork {
    fn begin(RunningNode { member, listener }: RunningNode, house: &House) -> Self {
        let stop = CancellationToken::new();
        let listening = cluster::listen(listener, Arc::clone(&member), house.mcp_room(), stop.clone().cancelled_owned());
        Self { member, stop, task: tokio::spawn(listening) }
    }

    /// What other nodes have sent is finished first, until the time is up.
    async fn end(self, hub: &Hub, until: Instant) {
        let quiet = async {
            while hub.users().iter().any(|user| hub.is_busy(user)) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout_at(until, quiet).await.is_err() {
            tracing::warn!("some requests of other nodes did not end in time");
        }
        self.member.leave().await;
        self.stop.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the listener for other nodes failed"),
            Err(error) => tracing::warn!(%error, "the listener for other nodes broke off"),
        }
    }
}

/// Opens the records of a gateway from beside it; they must be there.
pub(super) async fn open_records(config: &Config) -> anyhow::Result<Stores> {
    if let StoreConfig::Sqlite { path } = &config.store {
        ensure!(path.exists(), "there are no records at {}: is this the gateway's folder and configuration?", path.display());
    }
    open_store(config, &(Arc::new(OsEntropy) as _)).await
}

/// Opens the records; a new file is made if there is none.
/// What goes to clients and comes back with their retries is sealed as records are.
struct RequestStates(Sealer);

impl RequestStates {
    const fn place(bound_to: &[u8]) -> Place<'_> {
        Place { table: "mcp", column: "request_state", key: bound_to }
    }
}

impl hub::Seal for RequestStates {
    fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(Self::place(bound_to), plain).ok()
    }

    fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open(Self::place(bound_to), sealed).ok().map(|plain| plain.to_vec())
    }
}

async fn open_store(config: &Config, entropy: &Arc<dyn Entropy>) -> anyhow::Result<Stores> {
    let sealer = || Sealer::new(&config.auth_secrets, Arc::clone(entropy));
    match &config.store {
        StoreConfig::Sqlite { path } => match sqlite::open(path, sealer()?) {
            Err(OpenError::Foreign { .. }) => Ok(sqlite::open(&beside(path), sealer()?)?),
            opened => Ok(opened?),
        },
        StoreConfig::Redis(options) => Ok(redis::open(options.clone(), sealer()?).await?),
    }
}

/// The gateway that many move from has the same default for `DB_PATH`: its file is left alone, ours stands beside it
/// (`docs/decisions/0010-database-of-the-old-gateway.md`).
fn beside(path: &Path) -> PathBuf {
    let beside = path.with_extension("portunus.sqlite");
    tracing::warn!(
        db_path = %path.display(), using = %beside.display(),
        "DB_PATH names a database of another program: it is left alone, and records are kept beside it"
    );
    beside
}

fn meet(config: &Config, providers: Vec<ConnectedProvider>) -> Providers {
    let entry = |connected: ConnectedProvider| {
        let provider = connected.provider;
        let own = || config.public_url.at(&format!("/auth/callback/{}", provider.name()));
        ProviderEntry {
            redirect_uri: connected.redirect_uri.unwrap_or_else(own),
            label: connected.label.unwrap_or_else(|| provider.label().to_owned()),
            provider,
        }
    };
    Providers::new(providers.into_iter().map(entry).collect())
}

const fn kind(transport: &Transport) -> &'static str {
    match transport {
        Transport::Stdio { .. } => "stdio",
        Transport::Http { .. } => "http",
        Transport::Sse { .. } => "sse",
    }
}

/// Deletes expired records every now and then.
async fn purge(upkeep: Arc<dyn Upkeep>, clock: Arc<dyn Clock>, unused_client: Duration) {
    let mut tick = tokio::time::interval(PURGE_EVERY);
    loop {
        tick.tick().await;
        let now = clock.now();
        match upkeep.purge(now, now - unused_client).await {
            Ok(deleted) => tracing::debug!(deleted, "expired records deleted"),
            Err(error) => tracing::warn!(%error, "expired records could not be deleted"),
        }
    }
}
