//! One request of a client on its way: to the one server of its view, or into the merged catalogue. What both ways share is here.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use portunus_core::ids::ServerName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Asker, Inner, View,
    connect::{key, tell_uri},
    forward,
    reply::{Problem, Reply, done},
    single,
};
use crate::{
    aggregate,
    allow::Allow,
    era::Era,
    session::{Session, level::Level},
    upstream::CallEvent,
    wire::{self, Outcome, ParamsHead, Payload, code},
};

pub(crate) struct Ask {
    pub(crate) asker: Asker,
    pub(crate) view: View,
    pub(crate) allow: Arc<dyn Allow>,
    /// The client's.
    pub(crate) era: Era,
    /// Who speaks, as a modern server is told: of a modern client, its own parameters say it.
    pub(crate) speaker: Option<Arc<Session>>,
    pub(crate) method: String,
    pub(crate) params: Option<Payload>,
    /// Of a modern client: the parameters that it mirrored into headers, and the log messages that it wants.
    pub(crate) mirrors: HeaderMap,
    pub(crate) level: Option<Level>,
    /// Goes along to servers over HTTP.
    pub(crate) request_id: Option<HeaderValue>,
    pub(crate) call_events: mpsc::Sender<CallEvent>,
    pub(crate) cancel: CancellationToken,
}

/// Of a subscription, which is kept as long as its session.
const MAX_URI: usize = 8 * 1024;

/// One way of subscribing or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    Begin,
    End,
}

impl Ask {
    /// The session of a legacy client: the methods that need one are those of its era.
    pub(crate) fn session(&self) -> Result<&Arc<Session>, Problem> {
        self.speaker.as_ref().ok_or_else(|| Problem::method_not_found(&self.method))
    }

    pub(crate) fn head(&self) -> Result<ParamsHead, Problem> {
        Ok(self.params.as_ref().map(wire::params_head).transpose()?.unwrap_or_default())
    }

    /// Remembers what `logging/setLevel` asks for.
    pub(crate) fn note_level(&self) -> Result<Level, Problem> {
        let level = self.head()?.level.ok_or_else(|| Problem::missing("level"))?;
        let level = Level::parse(&level).ok_or_else(|| {
            let known = Level::ALL.map(Level::as_str).join(", ");
            Problem::invalid_params(format!("`level` must be one of {known}"))
        })?;
        self.session()?.set_level(level);
        Ok(level)
    }

    /// The same client's, about something else.
    pub(crate) fn instead(&self, method: &str, params: Payload) -> Self {
        Self {
            asker: self.asker.clone(),
            view: self.view.clone(),
            allow: Arc::clone(&self.allow),
            era: self.era,
            speaker: self.speaker.clone(),
            method: method.to_owned(),
            params: Some(params),
            mirrors: HeaderMap::new(),
            level: self.level,
            request_id: self.request_id.clone(),
            call_events: self.call_events.clone(),
            cancel: self.cancel.clone(),
        }
    }

    /// Sends the request on with these parameters, whatever they are.
    pub(crate) async fn forward(&self, hub: &Arc<Inner>, server: &ServerName, params: Option<Payload>) -> Reply {
        forward::forward(hub, self, server, params).await
    }
}

impl Inner {
    pub(crate) async fn request(self: &Arc<Self>, ask: &Ask) -> Reply {
        match &ask.view {
            View::One(server) => single::request(self, server, ask).await,
            View::All => aggregate::call::request(self, ask).await,
        }
    }

    /// `resources/subscribe` and `resources/unsubscribe`, once the server is known. Sessions that share a connection share its
    /// subscriptions: the last one to leave ends them.
    pub(crate) async fn subscribe(self: &Arc<Self>, server: &ServerName, ask: &Ask, uri: &str, way: Subscription) -> Reply {
        let session = ask.session()?;
        if way == Subscription::End {
            session.unsubscribe(server, uri);
            if self.is_subscribed_elsewhere(server, session, uri) {
                return Ok(done());
            }
            return ask.forward(self, server, ask.params.clone()).await;
        }
        if uri.is_empty() || uri.len() > MAX_URI {
            return Err(Problem::refused(code::INVALID_PARAMS, "the uri is empty, or too long to be remembered"));
        }
        if session.subscribe(server, uri, self.settings.max_subscriptions).is_err() {
            return Err(Problem::refused(
                crate::endpoint::answers::LIMIT_REACHED,
                "too many subscriptions in this session: unsubscribe from some",
            ));
        }
        let reply = ask.forward(self, server, ask.params.clone()).await;
        match (&reply, self.spec(server).and_then(|spec| self.find_live(&spec, session))) {
            (Ok(Outcome::Result(_)), Some(peer)) => session.keep_subscribed(server, uri, peer.hold()),
            (Ok(Outcome::Result(_)), None) => {}
            _ => session.unsubscribe(server, uri),
        }
        reply
    }

    fn is_subscribed_elsewhere(&self, server: &ServerName, session: &Arc<Session>, uri: &str) -> bool {
        let Some(spec) = self.spec(server) else { return false };
        self.concerned(&key(&spec, session)).iter().any(|other| other.id != session.id && other.is_subscribed(server, uri))
    }

    /// Ends a session that is out of the table already: its streams, its calls, its subscriptions, its own children.
    pub(crate) async fn end_session(&self, session: &Arc<Session>) {
        session.ended.cancel();
        self.forget_level(session).await;
        self.forget(session).await;
        self.clear_away(session).await;
    }

    /// What a session that is out of the table had here, its record left aside.
    pub(crate) async fn clear_away(&self, session: &Arc<Session>) {
        session.ended.cancel();
        session.resumables.clear();
        self.unwatch_tasks(session).await;
        for (server, uri) in session.take_subscriptions() {
            let live = self.spec(&server).and_then(|spec| self.find_live(&spec, session));
            if let Some(peer) = live
                && !self.is_subscribed_elsewhere(&server, session, &uri)
            {
                tell_uri(&peer, "resources/unsubscribe", &uri).await;
            }
        }
        if session.can_be_asked() {
            self.servers.close_session(Asker::session(session).holder()).await;
        }
    }
}
