//! How sessions of legacy clients begin, go on and end. They outlive the process that they were
//! begun in: written down when they begin and change, found again when a client comes to a process
//! that does not know its session.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use portunus_core::ids::{ServerName, UserId};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    caller::{Caller, View},
    connections::{Connections, delivery::tell_changed},
    records::RecordsDown,
    registry::kind::Kind,
    session::{Session, SessionId, table::Sessions},
    settings::HubSettings,
    wire::{self, protocol::method},
};

/// What a client can change of its session.
pub(crate) fn changes_session(method: &str) -> bool {
    matches!(
        method,
        method::LOGGING_SET_LEVEL | method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE
    )
}

/// Why there is no session for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// It never was, has ended, or is another's (threat 36).
    Unknown,
    /// It may be written down, which cannot be told just now.
    RecordsDown,
    /// The user has as many as one may have, all of them in use.
    TooMany,
}

/// Begins, finds and ends sessions.
pub(crate) struct SessionLifecycle {
    sessions: Arc<Sessions>,
    connections: Arc<Connections>,
    settings: Arc<HubSettings>,
}

impl SessionLifecycle {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        connections: Arc<Connections>,
        settings: Arc<HubSettings>,
    ) -> Self {
        Self { sessions, connections, settings }
    }

    /// The session that the request belongs to, in use from now on.
    pub(crate) async fn find(
        self: &Arc<Self>,
        caller: &Caller,
        id: &SessionId,
    ) -> Result<Arc<Session>, NoSession> {
        let session = match self.sessions.find(caller, id) {
            // Its end is being written down.
            Some(session) if session.ended.is_cancelled() => return Err(NoSession::Unknown),
            Some(session) => session,
            None => self.take_on(caller, id).await?,
        };
        session.judge_by(&caller.allow);
        self.touch_record(&session);
        Ok(session)
    }

    /// Writes down what there is to know of a session. Without it the session ends with this
    /// process, which is no reason to refuse what was asked.
    pub(crate) async fn keep(&self, session: &Session) {
        let Some(state) = session.write().filter(|_| !session.ended.is_cancelled()) else { return };
        if self.settings.records.keep(session.id.as_str(), &session.user, &state).await
            == Err(RecordsDown)
        {
            tracing::warn!(session = ?session.id, "a session could not be written down");
        }
        // Not if it only left this process: the record is another's by now.
        if session.is_forgotten.load(Ordering::SeqCst) {
            self.forget(session).await;
        }
    }

    /// The session is over, here and everywhere.
    pub(crate) async fn forget(&self, session: &Session) {
        session.is_forgotten.store(true, Ordering::SeqCst);
        if session.can_be_asked()
            && self.settings.records.forget(session.id.as_str()).await == Err(RecordsDown)
        {
            tracing::warn!(session = ?session.id, "the record of a session that ended could not be deleted");
        }
    }

    /// A session that another process began.
    async fn take_on(
        self: &Arc<Self>,
        caller: &Caller,
        id: &SessionId,
    ) -> Result<Arc<Session>, NoSession> {
        let found = self
            .settings
            .records
            .find(id.as_str())
            .await
            .map_err(|RecordsDown| NoSession::RecordsDown)?;
        let (_, state) =
            found.filter(|(user, _)| *user == caller.principal.user).ok_or(NoSession::Unknown)?;
        let usage = self.sessions.usage(&caller.principal.user);
        let session = Session::read(id.clone(), caller, &state, Arc::clone(&usage.kept));
        let session = Arc::new(session.ok_or(NoSession::Unknown)?);
        match self.sessions.add(&session, self.settings.max_sessions_per_user) {
            Ok(added) => {
                if let Some(evicted) = added.evicted {
                    self.end_in_background(evicted);
                }
                // Two requests may find it at the same time.
                if let Some(there) = added.already {
                    return Ok(there);
                }
            }
            Err(_) => return Err(NoSession::TooMany),
        }
        tracing::info!(session = ?session.id, user = %session.user, "a session goes on here");
        self.keep(&session).await;
        self.connections.renew_subscriptions(&session, |_| true);
        Ok(session)
    }

    /// Now and then, so that the record does not expire under a session that is in use.
    fn touch_record(self: &Arc<Self>, session: &Arc<Session>) {
        let pause = u64::try_from(self.settings.session_idle.as_millis() / 4).unwrap_or(u64::MAX);
        let (touched, used) = (session.record_touched.load(Ordering::Relaxed), session.last_used());
        let is_due = used.saturating_sub(touched) > pause;
        if is_due
            && session
                .record_touched
                .compare_exchange(touched, used, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let (lifecycle, session) = (Arc::clone(self), Arc::clone(session));
            let prolonging = async move {
                if lifecycle.settings.records.touch(session.id.as_str()).await == Err(RecordsDown) {
                    tracing::warn!(session = ?session.id, "the record of a session could not be prolonged");
                }
            };
            tokio::spawn(prolonging.in_current_span());
        }
    }

    /// Ends a session that is out of the table already: its streams, its calls, its subscriptions,
    /// its own children.
    pub(crate) async fn end(&self, session: &Arc<Session>) {
        session.ended.cancel();
        self.connections.forget_level(session).await;
        self.forget(session).await;
        self.clear_away(session).await;
    }

    /// What a session that is out of the table had here, its record left aside.
    pub(crate) async fn clear_away(&self, session: &Arc<Session>) {
        session.ended.cancel();
        session.resumables.clear();
        self.connections.unwatch_tasks(session).await;
        for (server, uri) in session.take_subscriptions() {
            self.connections.stop_updates(session, &server, &uri).await;
        }
        if session.can_be_asked() {
            self.connections.close_session(session).await;
        }
    }

    pub(crate) fn end_in_background(self: &Arc<Self>, session: Arc<Session>) {
        let lifecycle = Arc::clone(self);
        tokio::spawn(async move { lifecycle.end(&session).await }.in_current_span());
    }

    /// After a new configuration: these servers may have other lists now, or be gone.
    pub(crate) fn reconfigured(self: &Arc<Self>, affected: &BTreeSet<ServerName>) {
        for session in self.sessions.of_all_users() {
            self.tell_reconfigured(&session, affected);
        }
    }

    /// Callers may have other things now: of what they may not have any more, nothing goes on.
    pub(crate) fn permissions_changed(self: &Arc<Self>) {
        self.judge_anew(self.sessions.of_all_users());
    }

    /// The same for the sessions of one user.
    pub(crate) fn permissions_of_user_changed(self: &Arc<Self>, user: &UserId) {
        self.judge_anew(self.sessions.of_user(user));
    }

    fn judge_anew(self: &Arc<Self>, sessions: Vec<Arc<Session>>) {
        let servers = self.connections.registry.load().names().cloned().collect();
        for session in sessions {
            self.tell_reconfigured(&session, &servers);
            let lifecycle = Arc::clone(self);
            let ending = async move {
                if lifecycle.connections.end_denied(&session).await {
                    lifecycle.keep(&session).await;
                }
            };
            tokio::spawn(ending.in_current_span());
        }
    }

    fn tell_reconfigured(
        self: &Arc<Self>,
        session: &Arc<Session>,
        affected: &BTreeSet<ServerName>,
    ) {
        match &session.view {
            View::One(server) if self.connections.registry.find(server).is_none() => {
                tracing::info!(session = ?session.id, %server, "a session ends: its server is not configured any more");
                self.sessions.remove(session);
                self.end_in_background(Arc::clone(session));
            }
            _ if affected.iter().any(|server| session.sees(server)) => {
                for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
                    tell_changed(session, kind, &wire::notification(kind.changed(), None), None);
                }
                self.connections.renew_subscriptions(session, |server| affected.contains(server));
            }
            _ => {}
        }
    }

    /// Ends sessions that were not used for `idle`, and forgets streams that can no longer be taken
    /// up.
    pub(crate) fn sweep(self: &Arc<Self>, idle: Duration, now: Instant) {
        for session in self.sessions.take_idle(idle) {
            tracing::debug!(session = ?session.id, "an idle session ends");
            self.end_in_background(session);
        }
        for session in self.sessions.of_all_users() {
            session.resumables.sweep(now);
        }
    }
}
