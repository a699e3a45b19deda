//! Getting connections to servers, and listening to each new one: what the server says goes to the
//! sessions that it concerns ([`Delivery`]).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, Weak},
};

use portunus_core::ids::{ServerName, UserId};
use tokio::sync::broadcast::error::RecvError;
use tracing::Instrument as _;

use super::{
    delivery::Delivery,
    levels::{tell_level, tell_uri, wanted_level},
};
use crate::{
    allow::Allow,
    era::Era,
    hash::FastMap,
    registry::ServerRegistry,
    session::{
        Session,
        level::Level,
        outbox::About,
        requester::{Requester, key},
        table::Sessions,
        task_table::TaskTable,
        task_watches::{TaskWatches, Watched},
    },
    spec::ServerSpec,
    sync::locked,
    upstream::{
        ConnectionKey, Ending, Event, Owner, UpstreamError,
        servers::{Peer, Servers},
    },
    wire::{Payload, protocol::method},
};

/// The connections to servers that are open on behalf of this process's clients.
pub(crate) struct Connections {
    pub(crate) registry: Arc<ServerRegistry>,
    pub(crate) delivery: Delivery,
    sessions: Arc<Sessions>,
    servers: Arc<dyn Servers>,
    /// Those that are listened to.
    watches: Mutex<FastMap<ConnectionKey, Weak<dyn Peer>>>,
}

impl Connections {
    pub(crate) fn new(
        registry: Arc<ServerRegistry>,
        sessions: Arc<Sessions>,
        tasks: Arc<TaskTable>,
        servers: Arc<dyn Servers>,
    ) -> Self {
        let delivery = Delivery {
            registry: Arc::clone(&registry),
            sessions: Arc::clone(&sessions),
            tasks,
            task_watches: TaskWatches::default(),
        };
        Self { registry, delivery, sessions, servers, watches: Mutex::default() }
    }

    pub(crate) async fn connect(
        self: &Arc<Self>,
        server: &ServerName,
        requester: &Requester,
    ) -> Result<Arc<dyn Peer>, UpstreamError> {
        let peer = self.servers.connection(server, requester.connection_user()).await?;
        match requester.of_session() {
            Some(session) if session.meets(server, &peer) => {
                self.watch(&peer);
                self.join_levels(session, &peer).await;
            }
            Some(_) => {}
            None => self.watch(&peer),
        }
        Ok(peer)
    }

    /// Ends what belongs to this session alone.
    pub(crate) async fn close_session(&self, session: &Arc<Session>) {
        self.servers.close_session(Requester::session(session).connection_user()).await;
    }

    /// Ends what belongs to this user alone.
    pub(crate) async fn close_user(&self, user: &UserId) {
        self.servers.close_user(user).await;
    }

    /// Ends these connections for good.
    pub(crate) async fn end(&self, which: &Ending) {
        self.servers.end(which).await;
    }

    /// A notification of the client's that we have nothing to do with ourselves.
    pub(crate) async fn pass_on(
        self: &Arc<Self>,
        server: &ServerName,
        requester: &Requester,
        method: &str,
        params: Option<Payload>,
    ) {
        let sent = match self.connect(server, requester).await {
            Ok(peer) => peer.notify(method, params).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(%server, method, %error, "a notification was not passed on");
        }
    }

    /// Tells every server that the session is connected to and its caller may have: none is
    /// connected for it, since a server learns what is so when it is (FB78).
    pub(crate) async fn tell_all(
        &self,
        session: &Arc<Session>,
        allow: &dyn Allow,
        method: &str,
        params: Option<&Payload>,
    ) {
        let registry = self.registry.load();
        let peers = registry
            .entries
            .iter()
            .filter(|entry| !allow.server(entry.name()).is_denied())
            .filter_map(|entry| self.find_live(&entry.spec, session));
        let told = peers.map(|peer| async move {
            if let Err(error) = peer.notify(method, params.cloned()).await {
                tracing::debug!(server = %peer.key().server, method, %error, "a notification was not passed on");
            }
        });
        futures::future::join_all(told).await;
    }

    /// The connection to `spec` that `session` uses, if there is one right now.
    pub(crate) fn find_live(
        &self,
        spec: &ServerSpec,
        session: &Arc<Session>,
    ) -> Option<Arc<dyn Peer>> {
        let key = key(spec, session);
        let peer = locked(&self.watches).get(&key).and_then(Weak::upgrade)?;
        (!peer.is_closed()).then_some(peer)
    }

    /// Listens to a connection that is not listened to already.
    fn watch(self: &Arc<Self>, peer: &Arc<dyn Peer>) {
        let key = peer.key().clone();
        {
            let mut watches = locked(&self.watches);
            let known = watches.get(&key);
            if known.is_some_and(|known| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(peer))) {
                return;
            }
            watches.insert(key.clone(), Arc::downgrade(peer));
        }
        if let Some(entry) = self.registry.find(&key.server) {
            entry.note_profile(key.era, peer.info());
        }
        let mut events = peer.events();
        let (connections, own) = (Arc::downgrade(self), Arc::downgrade(peer));
        tokio::spawn(async move {
            loop {
                let event = events.recv().await;
                let Some(connections) = connections.upgrade() else { return };
                match event {
                    Ok(Event::Notification { method, params }) => {
                        connections.delivery.deliver(&key, &method, params.as_ref());
                    }
                    Ok(Event::LateProgress { session, params }) => {
                        connections.delivery.deliver_late(&key, &session, &params);
                    }
                    // Too much at once: any of it may have been a change.
                    Err(RecvError::Lagged(_)) => connections.delivery.deliver_all_changes(&key),
                    Ok(Event::Closed(_)) | Err(RecvError::Closed) => {
                        let mut watches = locked(&connections.watches);
                        if watches.get(&key).is_some_and(|known| known.ptr_eq(&own)) {
                            watches.remove(&key);
                        }
                        return;
                    }
                }
            }
        });
        self.introduce(Arc::clone(peer));
    }

    /// Tells a new connection what its predecessor was told: the level of logging, the
    /// subscriptions, the tasks that are followed.
    fn introduce(self: &Arc<Self>, peer: Arc<dyn Peer>) {
        let sessions = self.delivery.concerned(peer.key());
        let server = &peer.key().server;
        let denied =
            |session: &Session, about: &About| about.verdict(&*session.judged_by()).is_denied();
        let mut levelled = sessions.clone();
        levelled.retain(|session| !denied(session, &About::server(server)));
        let level = wanted_level(peer.key(), &levelled);
        let subscribed: Vec<_> = sessions
            .iter()
            .flat_map(|session| {
                session
                    .subscriptions()
                    .into_iter()
                    .map(|(server, uri)| (Arc::clone(session), server, uri))
            })
            .filter(|(session, of, uri)| {
                of == server && !denied(session, &About::resource(of, uri))
            })
            .collect();
        let followed: Vec<_> = sessions
            .iter()
            .flat_map(|session| {
                let mut tasks = self.delivery.task_watches.of(&session.id, server);
                let about = |task: &str| self.delivery.about_task(session, server, task);
                tasks.retain(|task| !denied(session, &about(task)));
                tasks
            })
            .collect();
        if level.is_none() && subscribed.is_empty() && followed.is_empty() {
            return;
        }
        let telling = async move {
            if let Some(level) = level {
                tell_level(&peer, level).await;
            }
            for (session, server, uri) in subscribed {
                tell_uri(&peer, method::RESOURCES_SUBSCRIBE, &uri).await;
                session.keep_subscribed(&server, &uri, peer.hold());
            }
            for task in followed {
                if let Err(error) = peer.follow_task(&task, true).await {
                    tracing::debug!(server = %peer.key().server, %error, "a server was not told of a task that is followed");
                }
            }
        };
        tokio::spawn(telling.in_current_span());
    }

    /// Passes on the level that the session has set, to the servers that its caller may have.
    pub(crate) async fn spread_level(&self, session: &Arc<Session>, allow: &dyn Allow) {
        let registry = self.registry.load();
        let seen = registry
            .entries
            .iter()
            .filter(|entry| session.sees(entry.name()) && !allow.server(entry.name()).is_denied());
        let peers = seen.filter_map(|entry| self.find_live(&entry.spec, session));
        let told = peers.filter_map(|peer| {
            let level = wanted_level(peer.key(), &self.delivery.concerned(peer.key()))?;
            Some(async move { tell_level(&peer, level).await })
        });
        futures::future::join_all(told).await;
    }

    /// A level that others have set is not that of a session which begins to use their connection,
    /// and has set none.
    async fn join_levels(&self, session: &Arc<Session>, peer: &Arc<dyn Peer>) {
        if session.level().is_some() {
            return;
        }
        let mut sessions = self.delivery.concerned(peer.key());
        // It may be in no table yet.
        sessions.retain(|other| other.id != session.id);
        sessions.push(Arc::clone(session));
        if let Some(level) = wanted_level(peer.key(), &sessions) {
            tell_level(peer, level).await;
        }
    }

    /// What a session has set goes with it (FB84): those that share its connections hear what they
    /// want themselves, and who comes later, what the server says by itself. Nothing takes a level
    /// back, so that takes a connection that never had one.
    pub(crate) async fn forget_level(&self, session: &Arc<Session>) {
        if session.level().is_none() {
            return;
        }
        let registry = self.registry.load();
        let seen = registry.entries.iter().filter(|entry| session.sees(entry.name()));
        for peer in seen.filter_map(|entry| self.find_live(&entry.spec, session)) {
            // Of these no session has set one.
            if peer.key().owner == Owner::AllUsers || peer.info().era == Era::Modern {
                continue;
            }
            let mut others = self.delivery.concerned(peer.key());
            others.retain(|other| other.id != session.id);
            // What a child still works on would end with it.
            let is_at_work =
                self.delivery.tasks.has_of(&session.user, &session.client, &peer.key().server);
            // At once or not at all: a session that begins later must not lose its connection in
            // the middle.
            let is_free = others.is_empty()
                && !is_at_work
                && !self.sessions.usage(&session.user).is_opening();
            if !(is_free && peer.end_if_idle().await) {
                tell_level(&peer, wanted_level(peer.key(), &others).unwrap_or(Level::Debug)).await;
            }
        }
    }

    /// Connects to the servers, of those wanted, that the session has subscribed to something at
    /// that it may still have: a new connection is told what its sessions have subscribed to.
    pub(crate) fn renew_subscriptions(
        self: &Arc<Self>,
        session: &Arc<Session>,
        is_wanted: impl Fn(&ServerName) -> bool,
    ) {
        let allow = session.judged_by();
        let servers: BTreeSet<_> = session
            .subscriptions()
            .into_iter()
            .filter(|(server, uri)| !About::resource(server, uri).verdict(&*allow).is_denied())
            .map(|(server, _)| server)
            .filter(is_wanted)
            .collect();
        for server in servers {
            let (connections, requester) = (Arc::clone(self), Requester::session(session));
            let connecting = async move {
                if let Err(error) = connections.connect(&server, &requester).await {
                    tracing::debug!(%server, %error, "subscriptions are not renewed yet");
                }
            };
            tokio::spawn(connecting.in_current_span());
        }
    }

    /// The session's stream is over: what no other session on its connections listens to need not
    /// be told any more.
    pub(crate) async fn unwatch_tasks(&self, session: &Arc<Session>) {
        for Watched { server, task, .. } in self.delivery.task_watches.take(&session.id) {
            self.stop_following(session, &server, &task).await;
        }
    }

    async fn stop_following(&self, session: &Arc<Session>, server: &ServerName, task: &str) {
        let Some(spec) = self.registry.spec(server) else { return };
        let others = self.delivery.concerned(&key(&spec, session));
        if others.iter().any(|other| self.delivery.task_watches.has(&other.id, server, task)) {
            return;
        }
        if let Some(peer) = self.find_live(&spec, session)
            && let Err(error) = peer.follow_task(task, false).await
        {
            tracing::debug!(%server, %error, "a server was not told that nobody listens to a task");
        }
    }

    /// The session is not subscribed to this any more: the server is told, unless another session
    /// on the connection is.
    pub(crate) async fn stop_updates(
        &self,
        session: &Arc<Session>,
        server: &ServerName,
        uri: &str,
    ) {
        let live = self.registry.spec(server).and_then(|spec| self.find_live(&spec, session));
        if let Some(peer) = live
            && !self.delivery.is_subscribed_elsewhere(server, session, uri)
        {
            tell_uri(&peer, method::RESOURCES_UNSUBSCRIBE, uri).await;
        }
    }

    /// Ends what the session listens to, and its caller may not have any more. `true`: it was
    /// subscribed to something of it.
    pub(crate) async fn end_denied(&self, session: &Arc<Session>) -> bool {
        let allow = session.judged_by();
        let denied = |about: &About| about.verdict(&*allow).is_denied();
        let mut changed = false;
        for (server, uri) in session.subscriptions() {
            if denied(&About::resource(&server, &uri)) {
                session.unsubscribe(&server, &uri);
                self.stop_updates(session, &server, &uri).await;
                changed = true;
            }
        }
        for (server, task) in self.delivery.task_watches.of_session(&session.id) {
            if denied(&self.delivery.about_task(session, &server, &task)) {
                self.delivery.task_watches.remove(&session.id, &server, &task);
                self.stop_following(session, &server, &task).await;
            }
        }
        changed
    }
}
