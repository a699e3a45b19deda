//! The hub: the MCP endpoint of the gateway without its HTTP. The edge hands it a [`Caller`], headers and bytes and gets an
//! [`Answer`] back. Sessions live in `session`, the transport's rules in `endpoint`, merged lists in `aggregate`; here are the
//! parts that these share, and the way of a request to its server.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portunus_core::{entropy::Entropy, ids::ServerName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    aggregate::{merge, odd_names::OddNames, tasks::table::TaskTable},
    allow::{Allow, Verdict},
    answer::{Answer, Refused, Wanted},
    endpoint::{answers, era},
    era::Era,
    session::{Session, table::Sessions},
    spec::ServerSpec,
    wire::{Payload, code},
};

pub(crate) mod ask;
pub(crate) mod capabilities;
mod capability_sets;
pub(crate) mod changes;
mod clients;
pub(crate) mod connect;
pub(crate) mod discover;
mod events;
mod eviction;
pub(crate) mod forward;
mod initialize;
mod lanes;
pub(crate) mod operation;
pub(crate) mod persistence;
pub(crate) mod registry;
pub(crate) mod reply;
mod seal;
mod servers;
mod settings;
pub(crate) mod single;
pub(crate) mod task_watch;
pub(crate) mod waiting;

pub use clients::Clients;
pub(crate) use connect::Asker;
pub use seal::Seal;
pub use servers::{Peer, Servers};
pub use settings::{Caller, HubSettings, Names, View};

/// A tool as `GET /tools` lists it.
#[derive(Clone, Debug)]
pub struct ServerTool {
    pub server: ServerName,
    /// As it is called in the caller's view.
    pub name: String,
    /// The tool object, `name` as above, all else as the server wrote it.
    pub tool: Bytes,
}

/// Everything behind the MCP endpoints.
pub struct Hub {
    inner: Arc<Inner>,
}

/// What the tasks of the hub share.
pub(crate) struct Inner {
    pub(crate) settings: HubSettings,
    pub(crate) registry: registry::Current,
    pub(crate) servers: Arc<dyn Servers>,
    pub(crate) sessions: Sessions,
    pub(crate) tasks: TaskTable,
    pub(crate) task_watches: task_watch::TaskWatches,
    pub(crate) watches: connect::Watches,
    pub(crate) capability_sets: capability_sets::CapabilitySets,
    pub(crate) odd_names: OddNames,
    lanes: lanes::Lanes,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) seal: Arc<dyn Seal>,
    pub(crate) waiting: waiting::Waiting,
    calls_per_user: AtomicUsize,
    pub(crate) closing: CancellationToken,
}

impl Hub {
    /// Must be called within a tokio runtime: it starts the task that ends idle sessions.
    pub fn new(
        settings: HubSettings,
        specs: Vec<ServerSpec>,
        servers: Arc<dyn Servers>,
        entropy: Arc<dyn Entropy>,
        seal: Arc<dyn Seal>,
    ) -> Arc<Self> {
        let calls_per_user = settings.max_in_flight_per_user;
        let inner = Arc::new(Inner {
            tasks: TaskTable::new(settings.max_tasks_per_user, settings.max_tasks),
            task_watches: task_watch::TaskWatches::default(),
            registry: registry::Current::new(settings.names, specs),
            settings,
            servers,
            sessions: Sessions::new(),
            watches: connect::Watches::default(),
            capability_sets: capability_sets::CapabilitySets::default(),
            odd_names: OddNames::default(),
            lanes: lanes::Lanes::default(),
            waiting: waiting::Waiting::new(&*entropy),
            calls_per_user: AtomicUsize::new(calls_per_user),
            entropy,
            seal,
            closing: CancellationToken::new(),
        });
        tokio::spawn(sweep(Arc::downgrade(&inner), inner.settings.session_idle, inner.closing.clone()));
        Arc::new(Self { inner })
    }

    /// A message from the client.
    pub async fn post(&self, caller: Caller, headers: &HeaderMap, body: Bytes) -> Answer {
        if let Some(refusal) = self.inner.refuse_view(&caller) {
            return refusal;
        }
        self.inner.post(&caller, headers, body).await.unwrap_or_else(|refusal| *refusal)
    }

    /// The client opens a stream for the servers' messages.
    pub async fn get(&self, caller: Caller, headers: &HeaderMap) -> Answer {
        if let Some(refusal) = self.inner.refuse_view(&caller) {
            return refusal;
        }
        self.inner.listen(&caller, headers).await.unwrap_or_else(|refusal| *refusal)
    }

    /// The client ends its session.
    pub async fn delete(&self, caller: Caller, headers: &HeaderMap) -> Answer {
        let session = match era::legacy_alone(headers) {
            Ok(()) => self.inner.session(&caller, headers).await,
            Err(refusal) => Err(refusal),
        };
        match session {
            Ok(session) => {
                // First what is written down, or a request that comes just now would go on with it.
                session.ended.cancel();
                self.inner.forget(&session).await;
                self.inner.sessions.remove(&session);
                // A server that takes its time to end holds up nobody.
                self.inner.end_in_background(session);
                answers::empty(StatusCode::NO_CONTENT)
            }
            Err(refusal) => *refusal,
        }
    }

    /// So many calls of one person may be at work from now on.
    pub fn limit_calls_per_user(&self, calls: usize) {
        self.inner.calls_per_user.store(calls, Ordering::Relaxed);
    }

    /// The tools that the caller may use, in the order of the list. Servers that do not answer in time are left out.
    pub async fn tools(&self, caller: Caller) -> Vec<ServerTool> {
        merge::tools(&self.inner, &caller).await
    }

    /// Ends the streams that would last for ever, so that connections can drain; calls under way go on. The servers'
    /// connections are closed by whoever made them.
    #[expect(clippy::unused_async, reason = "telling clients where to resume will have to wait")]
    pub async fn shutdown(&self) {
        self.inner.closing.cancel();
    }
}

impl Inner {
    pub(crate) fn calls_per_user(&self) -> usize {
        self.calls_per_user.load(Ordering::Relaxed)
    }

    pub(crate) fn spec(&self, server: &ServerName) -> Option<Arc<ServerSpec>> {
        self.registry.find(server).map(|entry| Arc::clone(&entry.spec))
    }

    /// The servers that may be known of, in order.
    pub(crate) fn allowed_servers(&self, allow: &dyn Allow) -> Vec<ServerName> {
        self.registry.load().names().filter(|name| allow.server(name).is_allowed()).cloned().collect()
    }

    /// Did the server declare this to clients of this era? Of one that nobody was connected to yet, everything is assumed.
    pub(crate) fn may_have(&self, server: &ServerName, client: Era, declared: impl Fn(&Payload) -> bool) -> bool {
        self.registry.find(server).is_some_and(|entry| entry.may_have(client, declared))
    }

    /// The servers that the client could be granted something of, in order.
    pub(crate) fn withheld_servers(&self, allow: &dyn Allow) -> Vec<ServerName> {
        let withheld = |name: &&ServerName| allow.server(name) == Verdict::NotGranted;
        self.registry.load().names().filter(withheld).cloned().collect()
    }

    pub(crate) fn end_in_background(self: &Arc<Self>, session: Arc<Session>) {
        let hub = Arc::clone(self);
        tokio::spawn(async move { hub.end_session(&session).await });
    }

    /// A server that the caller may not know of is as absent as one that is not configured.
    fn refuse_view(&self, caller: &Caller) -> Option<Answer> {
        let View::One(server) = &caller.view else { return None };
        let verdict = if self.spec(server).is_some() { caller.allow.server(server) } else { Verdict::Hidden };
        match verdict {
            Verdict::Allowed => None,
            Verdict::NotGranted => Some(reply::refusal(None, Refused { server: server.clone(), what: Wanted::Server })),
            Verdict::Hidden => {
                Some(answers::error(StatusCode::NOT_FOUND, None, code::INVALID_REQUEST, "there is no such server"))
            }
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

/// Ends sessions that nobody uses, and forgets lists that nobody wants.
async fn sweep(hub: Weak<Inner>, idle: Duration, closing: CancellationToken) {
    let pause = (idle / 4).clamp(Duration::from_millis(100), Duration::from_secs(30));
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let Some(hub) = hub.upgrade() else { return };
        for session in hub.sessions.take_idle(idle) {
            tracing::debug!(session = ?session.id, "an idle session ends");
            hub.end_in_background(session);
        }
        for session in hub.sessions.of_everybody() {
            session.resumables.sweep(Instant::now());
        }
        for entry in &hub.registry.load().entries {
            entry.lists.sweep(Instant::now());
        }
        hub.capability_sets.sweep(Instant::now());
        hub.sweep_waiting();
    }
}
