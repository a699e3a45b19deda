//! Getting connections to servers, and listening to each new one: its pump carries what the server says to the sessions that
//! it concerns ([`super::events`]).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use portunus_core::ids::{ClientId, ServerName, UserId};
use tokio::sync::broadcast::error::RecvError;

use super::{Caller, Inner, Peer, capabilities};
use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    session::{Session, level::Level},
    spec::ServerSpec,
    sync::locked,
    upstream::{Call, ConnectionKey, Event, Holder, Owner, Speaker, UpstreamError},
    wire::{self, Payload},
};

/// How long telling a server of a level or a subscription may take.
const ASIDE: Duration = Duration::from_secs(10);

/// The connections that are listened to.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<ConnectionKey, Weak<dyn Peer>>>);

/// On whose behalf a server is asked: a session's, one modern request's, or (for `GET /tools`) that of a person at their browser.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    holder: Holder,
    session: Option<Arc<Session>>,
}

impl Asker {
    pub(crate) fn session(session: &Arc<Session>) -> Self {
        let holder = Holder {
            user: session.user.clone(),
            client: session.client.clone(),
            session: session.holder_name(),
            client_capabilities: session.client_capabilities.clone(),
            person: session.person.clone(),
            lane: 0,
            era: session.era(),
        };
        Self { holder, session: Some(Arc::clone(session)) }
    }

    /// A person at their browser, who sees what most of their applications see.
    pub(crate) fn at_browser(caller: &Caller) -> Self {
        let Self { holder, session } = Self::alone(caller, ClientCapabilities::default());
        Self { holder: Holder { era: Era::Legacy, ..holder }, session }
    }

    /// A modern client has no session.
    pub(crate) fn alone(caller: &Caller, client_capabilities: ClientCapabilities) -> Self {
        let principal = &caller.principal;
        let (user, client) = (principal.user.clone(), principal.client.clone());
        let holder =
            Holder { user, client, session: None, client_capabilities, person: caller.person(), lane: 0, era: Era::Modern };
        Self { holder, session: None }
    }

    /// The same, on another of the client's connections.
    pub(crate) fn on_lane(&self, lane: u8) -> Self {
        Self { holder: Holder { lane, ..self.holder.clone() }, session: self.session.clone() }
    }

    /// Who speaks in a call on its behalf.
    pub(crate) fn speaker(&self) -> Speaker {
        match &self.holder.session {
            Some(session) => Speaker::Session(session.as_str().into()),
            None => Speaker::Request,
        }
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.holder.client
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.holder.user
    }

    pub(crate) fn client_capabilities(&self) -> &ClientCapabilities {
        &self.holder.client_capabilities
    }

    pub(crate) fn is(&self, session: &Session) -> bool {
        self.session.as_ref().is_some_and(|own| own.id == session.id)
    }

    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// Which connection to `spec` the session uses.
pub(crate) fn key(spec: &ServerSpec, session: &Arc<Session>) -> ConnectionKey {
    ConnectionKey::of(spec, Asker::session(session).holder())
}

impl Inner {
    pub(crate) async fn connect(self: &Arc<Self>, server: &ServerName, asker: &Asker) -> Result<Arc<dyn Peer>, UpstreamError> {
        let peer = self.servers.connection(server, asker.holder()).await?;
        match &asker.session {
            Some(session) if session.meets(server, &peer) => {
                self.watch(&peer);
                self.join_levels(session, &peer).await;
            }
            Some(_) => {}
            None => self.watch(&peer),
        }
        Ok(peer)
    }

    /// A notification of the client's that we have nothing to do with ourselves.
    pub(crate) async fn pass_on(self: &Arc<Self>, server: &ServerName, asker: &Asker, method: &str, params: Option<Payload>) {
        let sent = match self.connect(server, asker).await {
            Ok(peer) => peer.notify(method, params).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(%server, method, %error, "a notification was not passed on");
        }
    }

    /// Tells every server that the session is connected to: nobody is connected for it, since a server learns what is so when it is (FB78).
    pub(crate) async fn tell_all(&self, session: &Arc<Session>, method: &str, params: Option<&Payload>) {
        let registry = self.registry.load();
        let peers = registry.entries.iter().filter_map(|entry| self.find_live(&entry.spec, session));
        let told = peers.map(|peer| async move {
            if let Err(error) = peer.notify(method, params.cloned()).await {
                tracing::debug!(server = %peer.key().server, method, %error, "a notification was not passed on");
            }
        });
        futures::future::join_all(told).await;
    }

    /// The connection to `spec` that `session` uses, if there is one right now.
    pub(crate) fn find_live(&self, spec: &ServerSpec, session: &Arc<Session>) -> Option<Arc<dyn Peer>> {
        let key = key(spec, session);
        let peer = locked(&self.watches.0).get(&key).and_then(Weak::upgrade)?;
        (!peer.is_closed()).then_some(peer)
    }

    /// Listens to a connection, unless somebody does already.
    fn watch(self: &Arc<Self>, peer: &Arc<dyn Peer>) {
        let key = peer.key().clone();
        {
            let mut watches = locked(&self.watches.0);
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
        let (hub, me) = (Arc::downgrade(self), Arc::downgrade(peer));
        tokio::spawn(async move {
            loop {
                let event = events.recv().await;
                let Some(hub) = hub.upgrade() else { return };
                match event {
                    Ok(Event::Notification { method, params }) => hub.deliver(&key, &method, params.as_ref()),
                    Ok(Event::LateProgress { session, params }) => hub.deliver_late(&key, &session, &params),
                    // Too much at once: any of it may have been a change.
                    Err(RecvError::Lagged(_)) => hub.deliver_all_changes(&key),
                    Ok(Event::Closed(_)) | Err(RecvError::Closed) => {
                        let mut watches = locked(&hub.watches.0);
                        if watches.get(&key).is_some_and(|known| known.ptr_eq(&me)) {
                            watches.remove(&key);
                        }
                        return;
                    }
                }
            }
        });
        self.introduce(Arc::clone(peer));
    }

    /// Tells a new connection what its predecessor was told: the level of logging, the subscriptions, the tasks that are followed.
    fn introduce(self: &Arc<Self>, peer: Arc<dyn Peer>) {
        let sessions = self.concerned(peer.key());
        let level = wanted_level(peer.key(), &sessions);
        let subscribed: Vec<_> = sessions
            .iter()
            .flat_map(|session| session.subscriptions().into_iter().map(|(server, uri)| (Arc::clone(session), server, uri)))
            .filter(|(_, server, _)| *server == peer.key().server)
            .collect();
        let followed: Vec<_> =
            sessions.iter().flat_map(|session| self.task_watches.of(&session.id, &peer.key().server)).collect();
        if level.is_none() && subscribed.is_empty() && followed.is_empty() {
            return;
        }
        tokio::spawn(async move {
            if let Some(level) = level {
                tell_level(&peer, level).await;
            }
            for (session, server, uri) in subscribed {
                tell_uri(&peer, "resources/subscribe", &uri).await;
                session.keep_subscribed(&server, &uri, peer.hold());
            }
            for task in followed {
                if let Err(error) = peer.follow_task(&task, true).await {
                    tracing::debug!(server = %peer.key().server, %error, "a server was not told of a task that somebody follows");
                }
            }
        });
    }

    /// Passes on the level that the session has set.
    pub(crate) async fn spread_level(&self, session: &Arc<Session>) {
        let registry = self.registry.load();
        let seen = registry.entries.iter().filter(|entry| session.sees(entry.name()));
        let peers = seen.filter_map(|entry| self.find_live(&entry.spec, session));
        let told = peers.filter_map(|peer| {
            let level = wanted_level(peer.key(), &self.concerned(peer.key()))?;
            Some(async move { tell_level(&peer, level).await })
        });
        futures::future::join_all(told).await;
    }

    /// A level that others have set is not that of a session which begins to use their connection, and has set none.
    async fn join_levels(&self, session: &Arc<Session>, peer: &Arc<dyn Peer>) {
        if session.level().is_some() {
            return;
        }
        let mut sessions = self.concerned(peer.key());
        // It may be in no table yet.
        sessions.retain(|other| other.id != session.id);
        sessions.push(Arc::clone(session));
        if let Some(level) = wanted_level(peer.key(), &sessions) {
            tell_level(peer, level).await;
        }
    }

    /// What a session has set goes with it (FB84): those that share its connections hear what they want themselves, and who comes later, what the
    /// server says by itself. Nothing takes a level back, so that takes a connection that never had one.
    pub(super) async fn forget_level(&self, session: &Arc<Session>) {
        if session.level().is_none() {
            return;
        }
        let registry = self.registry.load();
        let seen = registry.entries.iter().filter(|entry| session.sees(entry.name()));
        for peer in seen.filter_map(|entry| self.find_live(&entry.spec, session)) {
            // Of these nobody has set one.
            if peer.key().owner == Owner::Everybody || peer.info().era == Era::Modern {
                continue;
            }
            let mut others = self.concerned(peer.key());
            others.retain(|other| other.id != session.id);
            // What a child still works on would end with it.
            let is_at_work = self.tasks.has_of(&session.user, &session.client, &peer.key().server);
            // At once or not at all: a session that begins later must not lose its connection in the middle.
            let is_free = others.is_empty() && !is_at_work && !self.sessions.room(&session.user).is_opening();
            if !(is_free && peer.end_if_idle().await) {
                tell_level(&peer, wanted_level(peer.key(), &others).unwrap_or(Level::Debug)).await;
            }
        }
    }

    /// The sessions that share a connection and look at its server.
    pub(crate) fn concerned(&self, key: &ConnectionKey) -> Vec<Arc<Session>> {
        let mut sessions = match &key.owner {
            Owner::Everybody => self.sessions.of_everybody(),
            Owner::Client(user, _) | Owner::Session(user, ..) => self.sessions.of_user(user),
        };
        let spec = self.spec(&key.server);
        let uses_it = |session: &Arc<Session>| {
            spec.as_ref().is_some_and(|spec| ConnectionKey::of(spec, Asker::session(session).holder()) == *key)
        };
        sessions.retain(|session| session.sees(&key.server) && uses_it(session));
        sessions
    }
}

/// The level to set on a connection that these sessions share: the most talkative that one of them wants; `None` while nobody has set any. Beside one
/// that has, a session that has none hears what the server says by itself, which may be all of it. What a shared connection says cannot be told
/// apart by user, so nobody hears it and nobody sets its level (threat 37).
pub(crate) fn wanted_level(key: &ConnectionKey, sessions: &[Arc<Session>]) -> Option<Level> {
    if key.owner == Owner::Everybody {
        return None;
    }
    let handshakes = || sessions.iter().filter(|session| session.can_be_asked());
    let lowest = handshakes().filter_map(|session| session.level()).min()?;
    let is_anybodys_choice = handshakes().all(|session| session.level().is_some());
    Some(if is_anybodys_choice { lowest } else { Level::Debug })
}

pub(crate) async fn tell_level(peer: &Arc<dyn Peer>, level: Level) {
    // A modern server is told with each request.
    if peer.info().era == Era::Legacy && capabilities::has(&peer.info().capabilities, "logging") {
        let params = wire::object(&[("level", &wire::quote(level.as_str()))]);
        aside(peer, "logging/setLevel", params).await;
    }
}

pub(crate) async fn tell_uri(peer: &Arc<dyn Peer>, method: &str, uri: &str) {
    aside(peer, method, wire::object(&[("uri", &wire::quote(uri))])).await;
}

/// A request whose answer matters to nobody but the log.
async fn aside(peer: &Arc<dyn Peer>, method: &str, params: Payload) {
    let call = Call { timeout: Some(ASIDE), ..Call::default() };
    if let Err(error) = peer.request(method, Some(params), call).await {
        tracing::debug!(server = %peer.key().server, method, %error, "a server was not told");
    }
}
