//! A gateway from start to stop. What it is built of is made in [`super::build`], and anew for each
//! configuration in [`super::reload`].

use std::{io, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use portunus_core::{
    Clock, Entropy,
    clock::SystemClock,
    ids::NodeId,
    node::Node,
    store::{Stores, Upkeep},
};
use portunus_mcp::{
    child::Launcher,
    hub::{self, Hub, HubSettings},
    shared::SharedServers,
    upstream::{self, Upstreams},
};
use portunus_store::seal::Sealer;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    build::{self, ConnectedProvider},
    node::{NodeAtWork, RunningNode},
    records::{self, open_store},
    reload::{self, NewConfiguration},
    reloadable::Reloadable,
    removed_clients,
};
use crate::{
    audit::{AuditLog, AuditWriter, QueueEnd, WriterParts, audit_keys, command::host_of},
    cli::signals::{StopSignal, linger},
    cluster::{Cluster, LocalOwnership, Member, MemberParts, Neighbours},
    config::{Config, StoreConfig},
    disabled::{self, Disabled},
    edge::{
        app_state::{Counts, ProcessState},
        call_limits::CallLimits,
        connections::{Connections, Rules},
        health::Stopping,
        resource_server::{access::Access, cache::TokenCache},
        server,
    },
    groups::ProviderPlaces,
    invalidations::{self, Invalidations, Remembered},
    metrics::Metrics,
    net::{
        self, NetSettings,
        guarded::{GuardedFetcher, Internet, Outside},
    },
    os::{OsEntropy, descriptors},
    pins::PinBook,
    prometheus::{self, Sources},
    records::{StoredSessions, StoredTasks},
};

/// How often expired records are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);
/// How long after their expiry: more than the clocks of gateways are ever apart.
const PURGE_LATE: Duration = Duration::from_secs(60 * 60);
/// How long what requests began may take to end and tell of it: while child processes end.
const TOLD_DEADLINE: Duration = CHILDREN_DEADLINE;
/// How long the last audit records may take.
const AUDIT_DEADLINE: Duration = Duration::from_secs(5);
/// How long child processes may take to end.
const CHILDREN_DEADLINE: Duration = Duration::from_secs(10);

/// A gateway that is ready to run.
pub struct Gateway {
    process: ProcessState,
    reloadable: Reloadable,
    config: Config,
    providers: Vec<ConnectedProvider>,
    node: Option<RunningNode>,
    elsewhere: watch::Sender<u64>,
    audit: Option<QueueEnd>,
    metrics: Option<TcpListener>,
}

/// What a gateway is told while it runs.
pub struct Orders {
    pub stop: mpsc::Receiver<StopSignal>,
    /// Configurations to go on with.
    pub configurations: mpsc::Receiver<NewConfiguration>,
}

impl Gateway {
    /// Opens the store, meets the providers and servers (none of them is contacted yet), and makes
    /// ready what stays while configurations come and go.
    pub async fn build(
        config: &Config,
        providers: Vec<ConnectedProvider>,
        demo: bool,
    ) -> anyhow::Result<Self> {
        Self::build_with(config, providers, demo, Arc::new(SystemClock), Arc::new(OsEntropy)).await
    }

    /// The same with a clock and a source of chance of the caller's: for tests.
    // long: each part is made once, from those before it.
    pub async fn build_with(
        config: &Config,
        providers: Vec<ConnectedProvider>,
        demo: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Self> {
        let sealer = Sealer::new(&config.auth_secrets, Arc::clone(&entropy))
            .context("AUTH_SECRET is missing")?;
        let stores = open_store(&config.store, &sealer).await?;
        let clients = Arc::new(hub::Clients::default());
        let records = Arc::new(StoredSessions {
            store: Arc::clone(&stores.sessions),
            clock: Arc::clone(&clock),
            keep_for: HubSettings::default().session_idle,
        });
        let options = upstream::Options {
            records: Some(Arc::clone(&records) as _),
            on_request: Arc::clone(&clients) as _,
            max_children_per_user: config.limits.children_per_user,
            ..upstream::Options::default()
        };
        let upstream_client = net::upstream_client(NetSettings::upstream())?;
        let upstreams = Arc::new(Upstreams::new(config.servers.clone(), upstream_client, options));
        let pins = Arc::new(PinBook::new(
            build::pinning(config),
            Arc::clone(&stores.pins),
            Arc::clone(&clock),
        ));
        let task_records =
            Arc::new(StoredTasks { store: Arc::clone(&stores.tasks), clock: Arc::clone(&clock) });
        let settings = HubSettings {
            names: build::names(config),
            max_in_flight_per_user: config.limits.calls_per_user,
            pins: Arc::clone(&pins) as _,
            records,
            task_records,
            ..HubSettings::default()
        };
        let seal = Arc::new(records::RequestStates(sealer.clone()));
        let shared = Arc::new(SharedServers::new(Arc::clone(&upstreams)));
        let hub = Hub::new(
            settings,
            config.servers.clone(),
            Arc::clone(&shared) as _,
            Arc::clone(&entropy),
            seal,
        );
        clients.meet(&hub);
        let reloadable = Reloadable {
            upstreams,
            shared,
            pins,
            sealer,
            forwarding: net::forwarding_client(NetSettings::upstream())?,
        };
        let metrics = Metrics::default();
        let disabled = Disabled::default();
        disabled
            .load(&*stores.disabled)
            .await
            .context("what is disabled cannot be read: see `portunus store check`")?;
        let (audit, audit_queue) = AuditLog::new(&config.audit, Arc::clone(&clock));
        let access = Access::with(Arc::clone(&config.access), Arc::clone(&clock), disabled.clone());
        let process = ProcessState {
            fetcher: Arc::new(GuardedFetcher::new(Arc::new(Internet), Arc::clone(&clock))?),
            stores,
            clock,
            entropy,
            hub,
            counts: Counts::default(),
            connections: Connections::new(Rules::new(
                &config.limits,
                &config.trusted_proxies,
                descriptors(),
            )),
            tokens: TokenCache::new(),
            admission: watch::Sender::default(),
            access,
            disabled,
            provider_places: ProviderPlaces::default(),
            call_limits: CallLimits::new(&config.call_limits),
            cluster: Cluster::Alone,
            stopping: Stopping::default(),
            audit: audit.counted_by(metrics.clone()),
            metrics,
            demo,
        };
        Ok(Self {
            process,
            reloadable,
            config: config.clone(),
            providers,
            node: None,
            elsewhere: watch::Sender::new(0),
            audit: audit_queue,
            metrics: None,
        })
    }

    /// Makes it one of several on its store: the others reach it on `listener`, at `url` if that is
    /// not simply the listener's address.
    pub async fn join(
        mut self,
        listener: TcpListener,
        url: Option<String>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let (clock, entropy) = (Arc::clone(&self.process.clock), Arc::clone(&self.process.entropy));
        let me = Node {
            id: NodeId::generate(&*entropy),
            url: url.unwrap_or_else(|| format!("http://{address}")),
        };
        let parts = MemberParts {
            me,
            nodes: Arc::clone(&self.process.stores.nodes),
            ownership: Arc::new(LocalOwnership {
                hub: Arc::clone(&self.process.hub),
                shared: Arc::clone(&self.reloadable.shared),
            }),
            sealer: self.reloadable.sealer.clone(),
            clock,
            entropy,
        };
        let member = Member::join(parts).await.context("this node cannot join the others")?;
        let http = net::client(NetSettings::node())?;
        self.reloadable.shared.join(Arc::new(Neighbours::new(Arc::clone(&member), http.clone())));
        self.process.cluster = Cluster::among(Arc::clone(&member), http);
        self.node = Some(RunningNode { member, listener });
        Ok(self)
    }

    /// The same gateway in another world: what clients' URLs lead to is made up. For tests; no
    /// setting leads here.
    pub fn with_outside(mut self, outside: Arc<dyn Outside>) -> anyhow::Result<Self> {
        self.process.fetcher =
            Arc::new(GuardedFetcher::new(outside, Arc::clone(&self.process.clock))?);
        Ok(self)
    }

    /// The same gateway with another trust in what it looked up. For tests, which would see no
    /// difference to the true one in time; no setting leads here.
    #[must_use]
    pub fn that_trusts_for(mut self, look_ups: Duration) -> Self {
        self.process.tokens = TokenCache::that_trusts_for(look_ups);
        self
    }

    /// Its metrics are read on `listener`.
    #[must_use]
    pub fn measured_on(self, listener: TcpListener) -> Self {
        Self { metrics: Some(listener), ..self }
    }

    /// Has children started by `launcher`, each below a supervisor.
    #[must_use]
    pub fn supervised_by(self, launcher: Launcher) -> Self {
        self.reloadable.upstreams.supervise(launcher);
        self
    }

    /// Changes when another gateway on the store goes on with a new configuration, or may have done
    /// so: the program then reads this one's files again.
    pub fn new_elsewhere(&self) -> watch::Receiver<u64> {
        self.elsewhere.subscribe()
    }

    /// What the gateway keeps its records in: tests look at it.
    pub fn stores(&self) -> &Stores {
        &self.process.stores
    }

    /// Serves until a signal says to stop; then ends streams, requests and child processes, in this
    /// order. `extra` are routes of the demo.
    pub async fn run(
        self,
        listener: TcpListener,
        extra: Router,
        orders: Orders,
    ) -> anyhow::Result<()> {
        let Self {
            mut process,
            reloadable,
            config,
            providers,
            node,
            elsewhere,
            audit: queue,
            metrics,
        } = self;
        let audit = process.audit.clone();
        process.stores =
            invalidations::forgetting(process.stores, &process.tokens, &process.disabled);
        let Orders { stop: mut signals, configurations } = orders;
        let (hub, upstreams, shared) = (
            Arc::clone(&process.hub),
            Arc::clone(&reloadable.upstreams),
            Arc::clone(&reloadable.shared),
        );
        let me = node.as_ref().map(|node| node.member.id().clone());
        let writing = match queue {
            Some(queue) => Some(write_audit(queue, &process, &config, me.clone()).await?),
            None => None,
        };
        tell_their_clients(&process);
        let listening = Invalidations::begin(
            Arc::clone(&process.stores.invalidations),
            Remembered {
                invalidation_log: Arc::clone(process.tokens.invalidation_log()),
                disabled: process.disabled.clone(),
                disabled_store: Arc::clone(&process.stores.disabled),
            },
            me.clone(),
            elsewhere,
        );
        let measuring = metrics.map(|listener| measure(listener, &process, &upstreams));
        let live =
            Arc::new(reload::Live::open(process.clone(), reloadable, &config, providers, extra));
        removed_clients::end_their_grants(live.current(), &[]).await;
        let node = node.map(|node| NodeAtWork::begin(node, Arc::clone(&live), shared));
        let following = tokio::spawn(Arc::clone(&live).follow(me, config, configurations));
        let background = in_background(&process, &live);
        let mut until = Instant::now();
        let stopping = async {
            let first = signals.recv().await;
            process.stopping.begin();
            if let Some(node) = &node {
                node.member.begin_leaving();
            }
            linger(first, live.app().stop_delay, &mut signals).await;
            until = Instant::now() + server::DRAIN;
        };
        let closing = async { hub.shutdown().await };
        let served = server::run(
            listener,
            live.secure.clone(),
            process.connections.clone(),
            live.service.endpoints(),
            stopping,
            closing,
        )
        .await;
        following.abort();
        drop((background, listening, measuring));
        if let Some(node) = node {
            node.end(until).await;
        }
        tokio::join!(upstreams.shutdown(CHILDREN_DEADLINE), audit.all_told(TOLD_DEADLINE));
        audit.stop(AUDIT_DEADLINE).await;
        drop(writing);
        tracing::info!("stopped");
        served.context("the server failed")
    }
}

/// Has the metrics read on `listener`.
fn measure(
    listener: TcpListener,
    process: &ProcessState,
    upstreams: &Arc<Upstreams>,
) -> AbortOnDropHandle<io::Result<()>> {
    let sources = Sources {
        hub: Arc::clone(&process.hub),
        upstreams: Arc::clone(upstreams),
        store: Arc::clone(&process.stores.latency),
        tokens: process.tokens.clone(),
        connections: process.connections.clone(),
        audit: process.audit.clone(),
        cluster: process.cluster.clone(),
        began: process.clock.now(),
    };
    let metrics = process.metrics.clone();
    let serving = prometheus::serve(listener, metrics, sources, std::future::pending());
    AbortOnDropHandle::new(tokio::spawn(serving))
}

/// From now on, clients of a person who is described anew are told that their lists changed.
fn tell_their_clients(process: &ProcessState) {
    let (hub, access) = (Arc::clone(&process.hub), process.access.clone());
    process.tokens.invalidation_log().tell_of_people(move |user| {
        if !access.is_open() {
            hub.permissions_of_user_changed(user);
        }
    });
}

/// Starts the writer of the audit records, its chain open.
async fn write_audit(
    queue: QueueEnd,
    process: &ProcessState,
    config: &Config,
    me: Option<NodeId>,
) -> anyhow::Result<JoinHandle<()>> {
    let entropy = Arc::new(OsEntropy);
    let parts = WriterParts {
        store: Arc::clone(&process.stores.audit),
        keys: audit_keys(&config.auth_secrets),
        clock: Arc::clone(&process.clock),
        node: me.unwrap_or_else(|| NodeId::generate(&*entropy)),
        entropy,
        is_alone: matches!(config.store, StoreConfig::Sqlite { .. }),
        host: host_of(config),
    };
    let writer = AuditWriter::open(queue, parts, &config.audit).await;
    Ok(writer.context("the audit trail cannot be gone on with")?.spawn())
}

/// What a gateway does beside its requests, until this is dropped.
fn in_background(process: &ProcessState, live: &Arc<reload::Live>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(disabled::follow::follow(process.disabled.clone(), Arc::clone(&process.hub)));
    tasks.spawn(purge(Arc::clone(live)));
    tasks
}

/// Deletes expired records every now and then, well after they expired: to another gateway on the
/// store, whose clock is behind this one's, they may be alive, and an assertion that was used once
/// must be remembered until no gateway takes it any more (F7).
async fn purge(live: Arc<reload::Live>) {
    let mut tick = tokio::time::interval(PURGE_EVERY);
    loop {
        tick.tick().await;
        let app = live.app();
        let (upkeep, now): (&Arc<dyn Upkeep>, _) =
            (&app.process.stores.upkeep, app.process.clock.now());
        match upkeep.purge(now - PURGE_LATE, now - app.lifetimes.unused_client).await {
            Ok(deleted) => tracing::debug!(deleted, "expired records deleted"),
            Err(error) => tracing::warn!(%error, "expired records could not be deleted"),
        }
    }
}
