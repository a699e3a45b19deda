//! From a server's connection to the sessions it concerns: which hear what. The sessions' streams pick it up from there.

use std::sync::Arc;

use bytes::Bytes;
use portunus_core::ids::ServerName;

use super::{Inner, View, connect::Asker};
use crate::{
    aggregate::{catalogue::Keeper, kind::Kind},
    session::{Kind as SessionKind, Session},
    upstream::{ConnectionKey, Owner},
    wire::{self, Payload},
};

/// Of the extension `io.modelcontextprotocol/tasks`: whoever listens to a task has said so by its id.
const TASK_CHANGED: &str = "notifications/tasks";

impl Inner {
    /// A notification of a server.
    pub(crate) fn deliver(&self, key: &ConnectionKey, method: &str, params: Option<&Payload>) {
        // Of our own subscription at the server.
        if method == "notifications/subscriptions/acknowledged" {
            return;
        }
        let untagged = params.and_then(|params| wire::without_meta(params, &[wire::meta::SUBSCRIPTION_ID]).ok());
        let params = untagged.as_ref();
        let head = params.and_then(|params| wire::params_head(params).ok()).unwrap_or_default();
        for kind in Kind::changed_by(method) {
            self.mark_changed(key, kind);
        }
        let message = wire::notification(method, params);
        for session in self.hearers(key, method) {
            let hears = match method {
                _ if Kind::changed_by(method).next().is_some() => true,
                "notifications/message" => key.owner != Owner::Everybody && session.wants_log(params),
                "notifications/resources/updated" => head.uri.as_deref().is_some_and(|uri| {
                    session.hears_of(&key.server, uri) && session.allow().resource(&key.server, uri).is_allowed()
                }),
                // Its id says which question it is about, and nobody can guess one.
                "notifications/elicitation/complete" => key.owner != Owner::Everybody,
                TASK_CHANGED => head.task_id.as_deref().is_some_and(|task| self.task_watches.has(&session.id, &key.server, task)),
                // Of revision 2025-11-25: whose task it is about is known when it was made here.
                "notifications/tasks/status" if session.view == View::All => head
                    .task_id
                    .as_deref()
                    .is_some_and(|task| self.tasks.is_followed_by(&session.user, task, &key.server, &session.id)),
                // On the merged endpoint nobody could tell which server spoke; on a shared connection, to whom.
                _ => key.owner != Owner::Everybody && session.view != View::All,
            };
            if hears && (method == TASK_CHANGED || wants(&session, method)) {
                session.outbox.push(&message);
            }
        }
    }

    /// Some notifications were missed.
    pub(crate) fn deliver_all_changes(&self, key: &ConnectionKey) {
        for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
            self.deliver(key, kind.changed(), None);
        }
    }

    /// A list came after merged lists had been answered without it. Who asked for it may have it already.
    pub(crate) fn announce_late_list(&self, server: &ServerName, asker: &Asker, kind: Kind, keeper: &Keeper, asker_has_it: bool) {
        let sessions = match keeper {
            Keeper::Everybody => self.sessions.of_everybody(),
            Keeper::User(user) => self.sessions.of_user(user),
        };
        let message = wire::notification(kind.changed(), None);
        for session in sessions.iter().filter(|session| session.view == View::All && session.sees(server)) {
            if !(asker_has_it && asker.is(session)) {
                tell_changed(session, kind, &message);
            }
        }
    }

    /// A user's list is one for all of the user's sessions, also where each has a connection of its own; all else concerns
    /// the sessions of the connection.
    fn hearers(&self, key: &ConnectionKey, method: &str) -> Vec<Arc<Session>> {
        match &key.owner {
            Owner::Session(user, _) if Kind::changed_by(method).next().is_some() => {
                let mut sessions = self.sessions.of_user(user);
                sessions.retain(|session| session.sees(&key.server));
                sessions
            }
            _ => self.concerned(key),
        }
    }
}

/// `message` says that a list changed.
pub(crate) fn tell_changed(session: &Session, kind: Kind, message: &Bytes) {
    if wants(session, kind.changed()) {
        session.outbox.push(message);
    }
}

/// A client that listens says to what.
fn wants(session: &Session, method: &str) -> bool {
    match &session.kind {
        SessionKind::Handshake { .. } => true,
        SessionKind::Listening(filter) => filter.wants(method),
    }
}
