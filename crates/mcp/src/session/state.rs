//! What one session holds: who its client is, what it asked to hear of, the calls it has under way.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use portunus_core::{
    ids::{ClientId, ServerName, UserId},
    resource::Resource,
    secret::TokenHash,
};
use tokio_util::sync::CancellationToken;

use super::{
    asks::Asks, filter::Filter, id::SessionId, level::Level, outbox::Outbox, resume::Resumables,
};
use crate::{
    allow::Allow,
    caller::{Caller, View},
    client_capabilities::ClientCapabilities,
    era::{self, Era},
    sync::locked,
    upstream::{Person, servers::Peer},
    wire::{self, Payload, RequestId},
};

/// Bytes of the URIs that one session is subscribed to.
pub(crate) const MAX_SUBSCRIBED_BYTES: usize = 256 * 1024;

/// Keeps a connection from being closed as idle.
pub(crate) type Hold = Box<dyn Any + Send + Sync>;

/// How the client got to know the gateway.
#[derive(Debug)]
pub(crate) enum Kind {
    /// By a handshake.
    Handshake {
        /// Who the client says it is.
        client_info: Payload,
        /// The revision agreed on.
        revision: &'static str,
    },
    /// It listens for these changes, as long as its stream is open.
    Listening(Filter),
}

/// One session. It belongs to a user (the table sees to that), a client, a resource and a view
/// (threat 36).
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) view: View,
    pub(crate) kind: Kind,
    pub(crate) client_capabilities: ClientCapabilities,
    pub(crate) person: Person,
    pub(crate) client: ClientId,
    /// What the client is known as: one that registered itself anew goes on with its sessions.
    pub(super) application: Option<TokenHash>,
    pub(super) resource: Resource,
    pub(crate) asks: Asks,
    /// Milliseconds on the table's clock.
    pub(super) last_used: AtomicU64,
    /// On the same clock: when what is written down of it was last prolonged.
    pub(crate) record_touched: AtomicU64,
    /// How often it was taken on by another process.
    pub(super) life: u32,
    /// It is over: nothing of it may be written down any more.
    pub(crate) is_forgotten: AtomicBool,
    /// Calls under way, by the client's ids.
    calls: Mutex<HashMap<RequestId, CancellationToken>>,
    pub(crate) outbox: Outbox,
    pub(crate) resumables: Resumables,
    level: Mutex<Option<Level>>,
    /// The resources it wants to hear of; each keeps its connection from being closed as idle.
    subscriptions: Mutex<BTreeMap<(ServerName, String), Option<Hold>>>,
    /// The connections met so far, so that most calls need not ask the hub whether one is new.
    met: Mutex<HashMap<ServerName, Weak<dyn Peer>>>,
    /// GET streams open now.
    streams: AtomicUsize,
    /// What its newest request was judged by: what servers are told on its behalf without one goes
    /// by the rules too (threat 32).
    judged_by: Mutex<Arc<dyn Allow>>,
    /// Cancelled when the session ends.
    pub(crate) ended: CancellationToken,
}

/// The session has as many of these as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Session {
    /// `kept` counts the bytes that are kept for the user's streams.
    pub(crate) fn new(
        id: SessionId,
        caller: &Caller,
        kind: Kind,
        client_capabilities: ClientCapabilities,
        kept: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            id,
            kind,
            client_capabilities,
            person: caller.person(),
            asks: Asks::default(),
            user: caller.principal.user.clone(),
            view: caller.view.clone(),
            client: caller.principal.client.clone(),
            application: caller.principal.application,
            resource: caller.principal.resource.clone(),
            last_used: AtomicU64::new(0),
            record_touched: AtomicU64::new(0),
            life: 0,
            is_forgotten: AtomicBool::new(false),
            calls: Mutex::default(),
            outbox: Outbox::default(),
            resumables: Resumables::new(kept),
            level: Mutex::default(),
            subscriptions: Mutex::default(),
            met: Mutex::default(),
            streams: AtomicUsize::new(0),
            judged_by: Mutex::new(Arc::clone(&caller.allow)),
            ended: CancellationToken::new(),
        }
    }

    /// Is this the caller's own? The user is compared too, although the table already did.
    pub(crate) fn is_of(&self, caller: &Caller) -> bool {
        let principal = &caller.principal;
        self.user == principal.user
            && is_same_client(&self.client, self.application, caller)
            && self.resource == principal.resource
            && self.view == caller.view
    }

    pub(crate) fn judge_by(&self, allow: &Arc<dyn Allow>) {
        *locked(&self.judged_by) = Arc::clone(allow);
    }

    pub(crate) fn judged_by(&self) -> Arc<dyn Allow> {
        Arc::clone(&locked(&self.judged_by))
    }

    /// Does this session look at `server`? Whether it may is for each of its requests and streams
    /// to say: two of them can come with different tokens (threat 71).
    pub(crate) fn sees(&self, server: &ServerName) -> bool {
        match &self.view {
            View::All => true,
            View::One(name) => name == server,
        }
    }

    /// Notes a call under way; `None` when the client already has one of this id.
    pub(crate) fn begin_call(&self, id: &RequestId) -> Option<CancellationToken> {
        let mut calls = locked(&self.calls);
        if calls.contains_key(id) {
            return None;
        }
        let token = self.ended.child_token();
        calls.insert(id.clone(), token.clone());
        Some(token)
    }

    pub(crate) fn end_call(&self, id: &RequestId) {
        locked(&self.calls).remove(id);
    }

    /// The client no longer wants this call. Unknown ids are ignored, as the specification says.
    pub(crate) fn cancel_call(&self, id: &RequestId) {
        if let Some(token) = locked(&self.calls).get(id) {
            token.cancel();
        }
    }

    pub(crate) fn level(&self) -> Option<Level> {
        *locked(&self.level)
    }

    pub(crate) fn set_level(&self, level: Level) {
        *locked(&self.level) = Some(level);
    }

    /// Is a log message loud enough? One without a level we know passes, and so does every one
    /// before the client has set a level.
    pub(crate) fn wants_log(&self, params: Option<&Payload>) -> bool {
        let level =
            params.and_then(|params| wire::params_head(params).ok()).and_then(|head| head.level);
        match (level.as_deref().and_then(Level::parse), self.level()) {
            (Some(level), Some(wanted)) => level >= wanted,
            _ => true,
        }
    }

    /// A stream of changes is a modern client's.
    pub(crate) fn era(&self) -> Era {
        match self.kind {
            Kind::Handshake { .. } => Era::Legacy,
            Kind::Listening(_) => Era::Modern,
        }
    }

    /// The name under which connections of this session alone are kept. A modern client has no
    /// session.
    pub(crate) fn name_for_connections(&self) -> Option<String> {
        self.can_be_asked().then(|| self.id.as_str().to_owned())
    }

    pub(crate) fn subscribe(&self, server: &ServerName, uri: &str, cap: usize) -> Result<(), Full> {
        let mut held = locked(&self.subscriptions);
        let wanted = (server.clone(), uri.to_owned());
        if !held.contains_key(&wanted) {
            let bytes: usize = held.keys().map(|(_, uri)| uri.len()).sum();
            if held.len() >= cap || bytes + uri.len() > MAX_SUBSCRIBED_BYTES {
                return Err(Full);
            }
        }
        held.entry(wanted).or_default();
        Ok(())
    }

    /// The subscription stands: `hold` keeps its connection.
    pub(crate) fn keep_subscribed(&self, server: &ServerName, uri: &str, hold: Hold) {
        if let Some(held) = locked(&self.subscriptions).get_mut(&(server.clone(), uri.to_owned())) {
            *held = Some(hold);
        }
    }

    pub(crate) fn unsubscribe(&self, server: &ServerName, uri: &str) {
        locked(&self.subscriptions).remove(&(server.clone(), uri.to_owned()));
    }

    pub(crate) fn is_subscribed(&self, server: &ServerName, uri: &str) -> bool {
        locked(&self.subscriptions).contains_key(&(server.clone(), uri.to_owned()))
    }

    /// Is `uri` a subscribed resource, or a part of one? Servers may report either.
    pub(crate) fn hears_of(&self, server: &ServerName, uri: &str) -> bool {
        let is_part = |subscribed: &str| {
            let rest = uri.strip_prefix(subscribed);
            rest.is_some_and(|rest| {
                rest.is_empty() || subscribed.ends_with('/') || rest.starts_with(['/', '#', '?'])
            })
        };
        locked(&self.subscriptions)
            .keys()
            .any(|(of, subscribed)| of == server && is_part(subscribed))
    }

    pub(crate) fn subscriptions(&self) -> Vec<(ServerName, String)> {
        locked(&self.subscriptions).keys().cloned().collect()
    }

    pub(crate) fn take_subscriptions(&self) -> Vec<(ServerName, String)> {
        std::mem::take(&mut *locked(&self.subscriptions)).into_keys().collect()
    }

    pub(crate) fn forget_subscriptions(&self, server: &ServerName) {
        locked(&self.subscriptions).retain(|(of, _), _| of != server);
    }

    /// Notes the connection to `server`. `true`: it is another than the last time.
    pub(crate) fn meets(&self, server: &ServerName, peer: &Arc<dyn Peer>) -> bool {
        let mut met = locked(&self.met);
        if met.get(server).is_some_and(|known| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(peer)))
        {
            return false;
        }
        met.insert(server.clone(), Arc::downgrade(peer));
        true
    }

    /// What there is to tell a modern server of this client.
    pub(crate) fn client_info(&self) -> Payload {
        match &self.kind {
            Kind::Handshake { client_info, .. } => client_info.clone(),
            Kind::Listening(_) => wire::object(&[]),
        }
    }

    /// On the table's clock.
    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Is this a client that can be asked?
    pub(crate) fn can_be_asked(&self) -> bool {
        matches!(self.kind, Kind::Handshake { .. })
    }

    /// Does the client know the empty event that opens a stream? Those of earlier revisions take it
    /// for a broken message.
    pub(crate) fn wants_priming(&self) -> bool {
        matches!(self.kind, Kind::Handshake { revision: era::LATEST_LEGACY, .. })
    }

    /// Is anything going on: a stream open, a call under way?
    pub(crate) fn is_busy(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0 || !locked(&self.calls).is_empty()
    }

    /// Is a GET stream there to carry the servers' messages?
    pub(crate) fn has_stream(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn stream_opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stream_closed(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The same registration, or the same application registered anew: there are clients that do so at
/// each authorization (FB77).
pub(super) fn is_same_client(
    client: &ClientId,
    application: Option<TokenHash>,
    caller: &Caller,
) -> bool {
    let principal = &caller.principal;
    *client == principal.client
        || application.is_some_and(|application| principal.application == Some(application))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}
