//! Getting connections to servers, and listening to each new one: its pump carries what the server says to the sessions that
//! it concerns ([`super::events`]).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use portunus_core::ids::{ServerName, UserId};
use tokio::sync::broadcast::error::RecvError;

use super::{Inner, Peer, capabilities};
use crate::{
    session::{Session, level::Level},
    spec::{Isolation, ServerSpec},
    sync::locked,
    upstream::{Call, ConnectionKey, Event, Holder, Owner, UpstreamError},
    wire::{self, Outcome, Payload},
};

/// How long telling a server of a level or a subscription may take.
const ASIDE: Duration = Duration::from_secs(10);

/// The connections that are listened to.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<ConnectionKey, Weak<dyn Peer>>>);

/// On whose behalf a server is asked: a session's, or (for `GET /tools`) just a user's.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    user: UserId,
    session: Option<Arc<Session>>,
}

impl Asker {
    pub(crate) fn session(session: &Arc<Session>) -> Self {
        Self { user: session.user.clone(), session: Some(Arc::clone(session)) }
    }

    pub(crate) fn user_alone(user: &UserId) -> Self {
        Self { user: user.clone(), session: None }
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    pub(crate) fn is(&self, session: &Session) -> bool {
        self.session.as_ref().is_some_and(|own| own.id == session.id)
    }

    /// No session has an empty name, so nothing of this user's can be mixed up.
    pub(crate) fn holder(&self) -> Holder {
        let session = self.session.as_ref().map_or_else(String::new, |session| session.id.as_str().to_owned());
        Holder { user: self.user.clone(), session }
    }
}

/// Who owns the connection to `spec` that `session` uses.
pub(crate) fn owner(spec: &ServerSpec, session: &Session) -> Owner {
    match spec.isolation {
        Isolation::Shared => Owner::Everybody,
        Isolation::User => Owner::User(session.user.clone()),
        Isolation::Session => Owner::Session(session.user.clone(), session.id.as_str().to_owned()),
    }
}

impl Inner {
    pub(crate) async fn connect(self: &Arc<Self>, server: &ServerName, asker: &Asker) -> Result<Arc<dyn Peer>, UpstreamError> {
        let peer = self.servers.connection(server, &asker.holder()).await?;
        if asker.session.as_ref().is_none_or(|session| session.meets(server, &peer)) {
            self.watch(&peer);
        }
        Ok(peer)
    }

    /// Asks a server. A connection whose session the server has forgotten did nothing, so a new one is tried, once.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        server: &ServerName,
        asker: &Asker,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        let cancel = call.cancel.clone();
        let attempts = async {
            let peer = self.connect(server, asker).await?;
            match peer.request(method, params.clone(), call.clone()).await {
                Err(UpstreamError::SessionExpired) => self.connect(server, asker).await?.request(method, params, call).await,
                other => other,
            }
        };
        tokio::select! {
            biased;
            outcome = attempts => outcome,
            () = cancel.cancelled() => Err(UpstreamError::Cancelled),
        }
    }

    /// A notification of the client's that we have nothing to do with ourselves.
    pub(crate) async fn pass_on(
        self: &Arc<Self>,
        server: &ServerName,
        session: &Arc<Session>,
        method: &str,
        params: Option<Payload>,
    ) {
        let sent = match self.connect(server, &Asker::session(session)).await {
            Ok(peer) => peer.notify(method, params).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(%server, method, %error, "a notification was not passed on");
        }
    }

    /// The connection to `spec` that `session` uses, if there is one right now.
    pub(crate) fn find_live(&self, spec: &ServerSpec, session: &Session) -> Option<Arc<dyn Peer>> {
        let key = ConnectionKey { server: spec.name.clone(), owner: owner(spec, session) };
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
        if let Some(profile) = self.profiles.get(&key.server) {
            *locked(profile) = Some(peer.info().clone());
        }
        let mut events = peer.events();
        let (hub, me) = (Arc::downgrade(self), Arc::downgrade(peer));
        tokio::spawn(async move {
            loop {
                let event = events.recv().await;
                let Some(hub) = hub.upgrade() else { return };
                match event {
                    Ok(Event::Notification { method, params }) => hub.deliver(&key, &method, params.as_ref()),
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

    /// Tells a new connection what its predecessor was told: the level of logging, the subscriptions.
    fn introduce(self: &Arc<Self>, peer: Arc<dyn Peer>) {
        let sessions = self.concerned(peer.key());
        let level = lowest_level(peer.key(), &sessions);
        let subscribed: Vec<_> = sessions
            .iter()
            .flat_map(|session| session.subscriptions().into_iter().map(|(server, uri)| (Arc::clone(session), server, uri)))
            .filter(|(_, server, _)| *server == peer.key().server)
            .collect();
        if level.is_none() && subscribed.is_empty() {
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
        });
    }

    /// Passes on the level that the session has set.
    pub(crate) async fn spread_level(&self, session: &Session) {
        let peers = self.specs.iter().filter(|spec| session.sees(&spec.name)).filter_map(|spec| self.find_live(spec, session));
        let told = peers.filter_map(|peer| {
            let level = lowest_level(peer.key(), &self.concerned(peer.key()))?;
            Some(async move { tell_level(&peer, level).await })
        });
        futures::future::join_all(told).await;
    }

    /// The sessions that share a connection and look at its server.
    pub(crate) fn concerned(&self, key: &ConnectionKey) -> Vec<Arc<Session>> {
        let mut sessions = match &key.owner {
            Owner::Everybody => self.sessions.of_everybody(),
            Owner::User(user) => self.sessions.of_user(user),
            Owner::Session(user, name) => {
                let mut sessions = self.sessions.of_user(user);
                sessions.retain(|session| session.id.as_str() == name);
                sessions
            }
        };
        sessions.retain(|session| session.sees(&key.server));
        sessions
    }
}

/// The most talkative level that a session of this connection wants. What a shared connection says cannot be told apart by
/// user, so nobody hears it and nobody sets its level (threat 37).
fn lowest_level(key: &ConnectionKey, sessions: &[Arc<Session>]) -> Option<Level> {
    if key.owner == Owner::Everybody {
        return None;
    }
    sessions.iter().filter_map(|session| session.level()).min()
}

async fn tell_level(peer: &Arc<dyn Peer>, level: Level) {
    if capabilities::has(&peer.info().capabilities, "logging") {
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
