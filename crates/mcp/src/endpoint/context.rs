//! What the requests of all clients share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use portunus_core::entropy::Entropy;
use tokio_util::sync::CancellationToken;

use super::suspended::SuspendedCalls;
use crate::{
    calls::{context::CallContext, lanes::Lanes},
    connections::Connections,
    lifecycle::SessionLifecycle,
    lists::Lists,
    registry::ServerRegistry,
    seal::Seal,
    session::{capability_sets::CapabilitySets, table::Sessions, task_table::TaskTable},
    settings::HubSettings,
    spec::ServerSpec,
    upstream::servers::Servers,
};

/// The owners that a request goes through, and what the endpoint itself keeps.
pub(crate) struct Endpoint {
    pub(crate) calls: Arc<CallContext>,
    pub(crate) lifecycle: Arc<SessionLifecycle>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) suspended: SuspendedCalls,
    pub(crate) capability_sets: CapabilitySets,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Arc<HubSettings>,
    /// Calls of one user that may be at work at once.
    pub(crate) calls_per_user: AtomicUsize,
    /// Cancelled when the gateway stops.
    pub(crate) closing: CancellationToken,
}

impl Endpoint {
    /// Puts the owners together.
    pub(crate) fn new(
        settings: HubSettings,
        specs: Vec<ServerSpec>,
        servers: Arc<dyn Servers>,
        entropy: Arc<dyn Entropy>,
        seal: Arc<dyn Seal>,
    ) -> Self {
        let registry = Arc::new(ServerRegistry::new(settings.names, specs));
        let settings = Arc::new(settings);
        let sessions = Arc::new(Sessions::new());
        let tasks = Arc::new(TaskTable::new(settings.max_tasks_per_user, settings.max_tasks));
        let connections = Arc::new(Connections::new(
            Arc::clone(&registry),
            Arc::clone(&sessions),
            Arc::clone(&tasks),
            servers,
        ));
        let lists = Arc::new(Lists::new(Arc::clone(&connections), Arc::clone(&settings)));
        let lifecycle = Arc::new(SessionLifecycle::new(
            Arc::clone(&sessions),
            Arc::clone(&connections),
            Arc::clone(&settings),
        ));
        let calls = Arc::new(CallContext {
            registry,
            connections,
            lists,
            tasks,
            lanes: Lanes::default(),
            entropy: Arc::clone(&entropy),
            settings: Arc::clone(&settings),
        });
        Self {
            calls,
            lifecycle,
            sessions,
            suspended: SuspendedCalls::new(Arc::clone(&entropy), seal),
            capability_sets: CapabilitySets::default(),
            entropy,
            calls_per_user: AtomicUsize::new(settings.max_in_flight_per_user),
            settings,
            closing: CancellationToken::new(),
        }
    }

    pub(crate) fn calls_per_user(&self) -> usize {
        self.calls_per_user.load(Ordering::Relaxed)
    }
}
