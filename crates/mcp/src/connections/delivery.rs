//! From a server's connection to the sessions that it concerns: which hear what. The sessions'
//! streams pick it up from there.

use std::sync::Arc;

use bytes::Bytes;
use portunus_core::{
    access::ToolHints,
    ids::{ClientId, ServerName, UserId},
};

use crate::{
    caller::View,
    registry::{ServerRegistry, catalogue::ListOwner, kind::Kind},
    session::{
        Kind as SessionKind, Session,
        outbox::About,
        requester::{Requester, key},
        table::Sessions,
        task_table::TaskTable,
        task_watches::TaskWatches,
    },
    upstream::{ConnectionKey, Owner},
    wire::{self, Payload, protocol::notification},
};

/// Who hears what servers say.
pub(crate) struct Delivery {
    pub(crate) registry: Arc<ServerRegistry>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tasks: Arc<TaskTable>,
    pub(crate) task_watches: TaskWatches,
}

impl Delivery {
    /// A notification of a server.
    pub(crate) fn deliver(&self, key: &ConnectionKey, method: &str, params: Option<&Payload>) {
        // Of our own subscription at the server.
        if method == notification::SUBSCRIPTIONS_ACKNOWLEDGED {
            return;
        }
        let untagged = params
            .and_then(|params| wire::without_meta(params, &[wire::meta::SUBSCRIPTION_ID]).ok());
        let params = untagged.as_ref();
        let head = params.and_then(|params| wire::params_head(params).ok()).unwrap_or_default();
        for kind in Kind::changed_by(method) {
            self.registry.mark_changed(key, kind);
        }
        let message = wire::notification(method, params);
        let hearers = self.hearers(key, method);
        // What comes here without a name is about no call: of a connection that not all users share
        // it is told to those whose it is. Where it may be about a call that has just ended, it is
        // told only if all calls are of one session.
        let is_certain = hearers.len() <= 1
            || !self.registry.spec(&key.server).is_some_and(|spec| spec.speaks_late());
        let is_own = key.owner != Owner::AllUsers && is_certain;
        if !is_own && method == notification::MESSAGE {
            tracing::debug!(server = %key.server, "a log message that names no call is told to no client");
        }
        let about = match (method, head.uri.as_deref()) {
            (notification::RESOURCES_UPDATED, Some(uri)) => About::resource(&key.server, uri),
            _ => About::server(&key.server),
        };
        for session in hearers {
            let hears = match method {
                _ if Kind::changed_by(method).next().is_some() => true,
                notification::MESSAGE => is_own && session.wants_log(params),
                notification::RESOURCES_UPDATED => {
                    head.uri.as_deref().is_some_and(|uri| session.hears_of(&key.server, uri))
                }
                // Its id says which question it is about, and no other client can guess one.
                notification::ELICITATION_COMPLETE => is_own,
                notification::TASKS => head
                    .task_id
                    .as_deref()
                    .is_some_and(|task| self.task_watches.has(&session.id, &key.server, task)),
                // Of revision 2025-11-25: it is told to the session that dealt with the task, which
                // is its owner's.
                notification::TASKS_STATUS => head.task_id.as_deref().is_some_and(|task| {
                    self.tasks.is_followed_by(
                        &session.user,
                        &session.client,
                        task,
                        &key.server,
                        &session.id,
                    )
                }),
                // On the merged endpoint a client could not tell which server spoke.
                _ => is_own && session.view != View::All,
            };
            if !hears || method != notification::TASKS && !wants(&session, method) {
                continue;
            }
            match (method, head.task_id.as_deref()) {
                (notification::TASKS | notification::TASKS_STATUS, Some(task)) => {
                    let about = self.about_task(&session, &key.server, task);
                    // What rules hide does not wait for other rules.
                    if !about.verdict(&*session.judged_by()).is_denied() {
                        session.outbox.push(&message, Some(&about));
                    }
                }
                _ => session.outbox.push(&message, Some(&about)),
            }
        }
    }

    /// What is told of a task is for who may call its tool.
    pub(crate) fn about_task(
        &self,
        session: &Arc<Session>,
        server: &ServerName,
        task: &str,
    ) -> About {
        let origin = self.tasks.find_of(&session.user, &session.client, task, server);
        let tool = origin.and_then(|origin| origin.tool);
        let hints = tool.as_deref().and_then(|tool| self.hints(session, server, tool));
        About::task(server, tool, hints.unwrap_or_default())
    }

    /// By the list that is kept for the session; `None`: it is not known.
    fn hints(&self, session: &Arc<Session>, server: &ServerName, tool: &str) -> Option<ToolHints> {
        let entry = self.registry.find(server)?;
        let slot =
            entry.lists.slot(&key(&entry.spec, session), Kind::Tools, &Requester::session(session));
        slot.list_cache.kept()?.listed(tool).map(|item| item.hints)
    }

    /// Progress of a call of this session that has been answered. Its client knows the token, so it
    /// needs no stream of that call's own.
    pub(crate) fn deliver_late(&self, key: &ConnectionKey, session: &str, params: &Payload) {
        let hearers = self.concerned(key);
        if let Some(session) = hearers.iter().find(|hearer| hearer.id.as_str() == session) {
            session.outbox.push(
                &wire::notification(notification::PROGRESS, Some(params)),
                Some(&About::server(&key.server)),
            );
        }
    }

    /// Some notifications were missed.
    pub(crate) fn deliver_all_changes(&self, key: &ConnectionKey) {
        for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
            self.deliver(key, kind.changed(), None);
        }
    }

    /// A list came after merged lists had been answered without it. Who asked for it may have it
    /// already.
    pub(crate) fn announce_late_list(
        &self,
        server: &ServerName,
        requester: &Requester,
        kind: Kind,
        owner: &ListOwner,
        requester_has_it: bool,
    ) {
        let sessions = match owner {
            ListOwner::AllUsers => self.sessions.of_all_users(),
            ListOwner::Client(user, client) => self.sessions_of(user, client),
        };
        let message = wire::notification(kind.changed(), None);
        for session in
            sessions.iter().filter(|session| session.view == View::All && session.sees(server))
        {
            if !(requester_has_it && requester.is(session)) {
                tell_changed(session, kind, &message, Some(&About::server(server)));
            }
        }
    }

    /// The sessions that share a connection and look at its server.
    pub(crate) fn concerned(&self, key: &ConnectionKey) -> Vec<Arc<Session>> {
        let mut sessions = match &key.owner {
            Owner::AllUsers => self.sessions.of_all_users(),
            Owner::Client(user, _) | Owner::Session(user, ..) => self.sessions.of_user(user),
        };
        let spec = self.registry.spec(&key.server);
        let uses_it = |session: &Arc<Session>| {
            spec.as_ref().is_some_and(|spec| {
                ConnectionKey::of(spec, Requester::session(session).connection_user()) == *key
            })
        };
        sessions.retain(|session| session.sees(&key.server) && uses_it(session));
        sessions
    }

    /// Is a session that shares the connection of `session` to `server` subscribed to the same
    /// resource?
    pub(crate) fn is_subscribed_elsewhere(
        &self,
        server: &ServerName,
        session: &Arc<Session>,
        uri: &str,
    ) -> bool {
        let Some(spec) = self.registry.spec(server) else { return false };
        self.concerned(&key(&spec, session))
            .iter()
            .any(|other| other.id != session.id && other.is_subscribed(server, uri))
    }

    /// The sessions that the user has with this client.
    fn sessions_of(&self, user: &UserId, client: &ClientId) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions.of_user(user);
        sessions.retain(|session| session.client == *client);
        sessions
    }

    /// A client's list is one for all of its user's sessions with it, also where each has a
    /// connection of its own; all else concerns the sessions of the connection.
    fn hearers(&self, key: &ConnectionKey, method: &str) -> Vec<Arc<Session>> {
        match &key.owner {
            Owner::Client(user, client) | Owner::Session(user, client, _)
                if Kind::changed_by(method).next().is_some() =>
            {
                let mut sessions = self.sessions_of(user, client);
                sessions.retain(|session| session.sees(&key.server));
                sessions
            }
            _ => self.concerned(key),
        }
    }
}

/// `message` says that a list changed.
pub(crate) fn tell_changed(session: &Session, kind: Kind, message: &Bytes, about: Option<&About>) {
    if wants(session, kind.changed()) {
        session.outbox.push(message, about);
    }
}

/// A client that listens says to what.
fn wants(session: &Session, method: &str) -> bool {
    match &session.kind {
        SessionKind::Handshake { .. } => true,
        SessionKind::Listening(filter) => filter.wants(method),
    }
}
