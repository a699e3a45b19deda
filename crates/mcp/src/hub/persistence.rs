//! Legacy sessions outlive the process they were begun in: written down when they begin and change, found again when a client comes to a
//! process that does not know its session.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use http::HeaderMap;
use portunus_core::ids::ServerName;

use super::{Asker, Caller, Inner};
use crate::{
    answer::Answer,
    endpoint::{answers, headers},
    records::RecordsDown,
    session::{Session, SessionId},
};

/// What a client can change of its session.
pub(crate) fn changes_session(method: &str) -> bool {
    matches!(method, "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe")
}

impl Inner {
    /// The session that the request belongs to, in use from now on.
    pub(crate) async fn session(self: &Arc<Self>, caller: &Caller, map: &HeaderMap) -> Result<Arc<Session>, Box<Answer>> {
        let id = headers::session(map)?;
        let session = match self.sessions.find(caller, &id) {
            // Its end is being written down.
            Some(session) if session.ended.is_cancelled() => return Err(Box::new(answers::session_unknown())),
            Some(session) => session,
            None => self.take_on(caller, &id).await?,
        };
        self.touch_record(&session);
        Ok(session)
    }

    /// Writes down what there is to know of a session. Without it the session ends with this process, which is no reason to refuse what was
    /// asked.
    pub(crate) async fn keep(&self, session: &Session) {
        let Some(state) = session.write().filter(|_| !session.ended.is_cancelled()) else { return };
        if self.settings.records.keep(session.id.as_str(), &session.user, &state).await == Err(RecordsDown) {
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
        if session.can_be_asked() && self.settings.records.forget(session.id.as_str()).await == Err(RecordsDown) {
            tracing::warn!(session = ?session.id, "the record of a session that ended could not be deleted");
        }
    }

    /// A session that another process began.
    async fn take_on(self: &Arc<Self>, caller: &Caller, id: &SessionId) -> Result<Arc<Session>, Box<Answer>> {
        let found = self.settings.records.find(id.as_str()).await.map_err(|RecordsDown| Box::new(answers::records_down()))?;
        let (_, state) =
            found.filter(|(user, _)| *user == caller.principal.user).ok_or_else(|| Box::new(answers::session_unknown()))?;
        let room = self.sessions.room(&caller.principal.user);
        let session = Session::read(id.clone(), caller, &state, Arc::clone(&room.kept));
        let session = Arc::new(session.ok_or_else(|| Box::new(answers::session_unknown()))?);
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
            Err(_) => return Err(Box::new(answers::too_many(None, "sessions"))),
        }
        tracing::info!(session = ?session.id, user = %session.user, "a session goes on here");
        self.keep(&session).await;
        self.renew_subscriptions(&session, |_| true);
        Ok(session)
    }

    /// Connects to the servers, of those wanted, that the session has subscribed to something at: a new connection is told what its
    /// sessions have subscribed to.
    pub(crate) fn renew_subscriptions(self: &Arc<Self>, session: &Arc<Session>, is_wanted: impl Fn(&ServerName) -> bool) {
        let servers: BTreeSet<_> = session.subscriptions().into_iter().map(|(server, _)| server).filter(is_wanted).collect();
        for server in servers {
            let (hub, asker) = (Arc::clone(self), Asker::session(session));
            tokio::spawn(async move {
                if let Err(error) = hub.connect(&server, &asker).await {
                    tracing::debug!(%server, %error, "subscriptions are not renewed yet");
                }
            });
        }
    }

    /// Now and then, so that the record does not expire under a session that is in use.
    fn touch_record(self: &Arc<Self>, session: &Arc<Session>) {
        let pause = u64::try_from(self.settings.session_idle.as_millis() / 4).unwrap_or(u64::MAX);
        let (touched, used) = (session.record_touched.load(Ordering::Relaxed), session.last_used());
        let is_due = used.saturating_sub(touched) > pause;
        if is_due && session.record_touched.compare_exchange(touched, used, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (hub, session) = (Arc::clone(self), Arc::clone(session));
            tokio::spawn(async move {
                if hub.settings.records.touch(session.id.as_str()).await == Err(RecordsDown) {
                    tracing::warn!(session = ?session.id, "the record of a session could not be prolonged");
                }
            });
        }
    }
}
