//! One live connection to a server, of either era: calls with ids of our own, progress, cancellation, timeouts. How bytes travel is
//! [`super::link`]'s; who gets which connection is [`super::pool`]'s; what modern requests carry, [`super::modern`]'s.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::broadcast, time::Instant};

use super::{
    activity::{Activity, Hold},
    call::{Call, ask},
    error::UpstreamError,
    inbox::{Event, Inbox},
    link::{Link, Outgoing},
    listen::{Listening, Subject},
    modern,
    owner::ConnectionKey,
    server_info::ServerInfo,
    stored::{HeldRecord, Record, StoredConnection},
};
use crate::{
    era::Era,
    sync::locked,
    wire::{self, Outcome, Payload, protocol::method},
};

pub struct Connection {
    inbox: Arc<Inbox>,
    link: Arc<dyn Link>,
    info: ServerInfo,
    activity: Arc<Activity>,
    request_timeout: Duration,
    /// Where its session is written down, until it ended or was handed over.
    record: Mutex<Option<Arc<HeldRecord>>>,
    /// Of a modern server: the stream of its changes.
    listening: Option<Listening>,
}

impl Connection {
    pub(super) fn new(inbox: Arc<Inbox>, link: Arc<dyn Link>, info: ServerInfo, request_timeout: Duration) -> Self {
        let listening = (info.era == Era::Modern).then(|| Listening::start(&inbox, &link, &info));
        Self { inbox, link, info, activity: Arc::default(), request_timeout, record: Mutex::default(), listening }
    }

    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    pub fn key(&self) -> &ConnectionKey {
        &self.inbox.key
    }

    /// Asks, and waits for the answer. The caller's progress token, if it has one, is replaced by one of ours. A modern server has no
    /// `resources/subscribe`: it is asked on the stream of its changes.
    pub async fn request(&self, method: &str, params: Option<Payload>, call: Call) -> Result<Outcome, UpstreamError> {
        let _busy = self.hold();
        let Some(listening) = &self.listening else {
            return ask(&self.inbox, &self.link, method, params, call, self.request_timeout).await;
        };
        if let method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE = method {
            let uri = params.as_ref().map(wire::params_head).transpose()?.and_then(|head| head.uri).unwrap_or_default();
            return listening.subscribe(uri, method == method::RESOURCES_SUBSCRIBE, self.request_timeout).await;
        }
        let is_whole = match &params {
            Some(params) => wire::meta_of(params)?.protocol_version.is_some(),
            None => false,
        };
        let params = if is_whole {
            params
        } else {
            Some(modern::own_params(params.as_ref(), &self.inbox.key.client_capabilities.capabilities())?)
        };
        let mut headers = modern::headers(method, params.as_ref())?;
        headers.extend(call.headers);
        let call = Call { headers, ..call };
        ask(&self.inbox, &self.link, method, params, call, self.request_timeout).await
    }

    /// Wants to hear of a task, or no longer. Does the server tell of it?
    pub async fn follow_task(&self, task: &str, is_wanted: bool) -> Result<bool, UpstreamError> {
        let _busy = self.hold();
        match &self.listening {
            Some(listening) => listening.change(Subject::Task(task.to_owned()), is_wanted, self.request_timeout).await,
            None => Ok(false),
        }
    }

    /// Wants to hear of changes of lists, by the members of the filter, that the server may announce though it has not declared it. What it does not
    /// agree to is not asked for again.
    pub async fn follow_lists(&self, members: &[&'static str]) {
        let Some(listening) = &self.listening else { return };
        let _busy = self.hold();
        for member in members {
            if let Err(error) = listening.change(Subject::List(member), true, self.request_timeout).await {
                tracing::debug!(server = %self.key().server, member, %error, "a server was not asked for changes of a list");
            }
        }
    }

    pub async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError> {
        let _busy = self.hold();
        let outgoing = Outgoing::aside(wire::notification(method, params.as_ref()));
        tokio::select! {
            biased;
            () = self.inbox.closed().cancelled() => Err(self.closed_error()),
            sent = tokio::time::timeout(self.request_timeout, self.link.send(outgoing)) => {
                sent.unwrap_or(Err(UpstreamError::Timeout))
            }
        }
    }

    /// What the server says from now on. A listener that falls behind misses some of it.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inbox.events()
    }

    /// Is somebody's call under way who would miss its answer? Lists that are fetched, and what is listened to, can be asked for again.
    pub(crate) fn is_at_work(&self) -> bool {
        self.inbox.has_heard_calls()
    }

    pub fn is_closed(&self) -> bool {
        self.inbox.closed().is_cancelled()
    }

    /// Returns once the connection is gone.
    pub async fn closed(&self) {
        self.inbox.closed().cancelled().await;
    }

    /// Keeps the connection from being closed as idle, as a call in flight does: for who listens to its events.
    #[must_use]
    pub fn hold(&self) -> Hold {
        Hold::new(&self.activity)
    }

    /// Somebody is about to use it.
    pub(super) fn touch(&self) {
        drop(self.hold());
    }

    /// Ends it, and its session with it, unless a call is under way. A caller that was handed it just now gets another.
    pub(crate) async fn end_if_idle(&self) -> bool {
        if self.is_calling() {
            return false;
        }
        // First: a session that another process has taken over by now is spared.
        self.forget_record().await;
        self.inbox.expire_if_idle()
    }

    /// Did the server ask something about one of several calls? Then a connection without a past serves the next caller better.
    pub(super) fn is_spent(&self) -> bool {
        self.inbox.is_spent()
    }

    /// Since when nobody uses the connection; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.activity.idle_since()
    }

    /// Is a call under way? Unlike [`Connection::hold`], what only listens does not count.
    pub(super) fn is_calling(&self) -> bool {
        self.inbox.is_awaited()
    }

    /// Did it end of itself, with nothing under way? There are servers that do so after each call (FB39).
    pub(super) fn has_ended_well(&self) -> bool {
        self.inbox.has_ended_well()
    }

    pub(super) fn close_reason(&self) -> Option<&UpstreamError> {
        self.inbox.reason()
    }

    /// Has its session, if the server keeps one, written down for another process; this is the `life`th that has it.
    pub(super) async fn keep(&self, record: &Record, life: u32) {
        let Some(session) = self.link.session_id() else { return };
        let held = record.keep(&StoredConnection { session, info: self.info.clone(), life }).await;
        if held.is_none() {
            tracing::warn!(server = %self.key().server, "a session with a server could not be written down");
        }
        *locked(&self.record) = held.map(Arc::new);
    }

    pub(super) fn is_kept(&self) -> bool {
        locked(&self.record).is_some()
    }

    /// The record of its session must not expire.
    pub(super) async fn touch_record(&self) {
        let held = locked(&self.record).clone();
        if let Some(held) = held {
            held.touch().await;
        }
    }

    /// Ends it: calls in flight fail, the child is ended, the session deleted.
    pub(super) async fn close(&self, reason: &str) {
        self.inbox.close(&UpstreamError::closed(reason));
        self.forget_record().await;
        self.link.close().await;
    }

    /// Nobody is to go on with its session; who does already, keeps it.
    pub(super) async fn forget_record(&self) {
        let held = locked(&self.record).take();
        if let Some(held) = held
            && !held.forget().await
        {
            self.link.spare_session();
        }
    }

    /// Ends it since the server runs at another node from now on.
    pub(super) async fn give_up(&self) {
        self.inbox.close(&UpstreamError::Lost);
        self.link.close().await;
    }

    /// Ends it here: another process goes on with the session, if it is written down.
    pub(super) async fn hand_over(&self, reason: &str) {
        self.inbox.close(&UpstreamError::closed(reason));
        if locked(&self.record).take().is_some() {
            self.link.spare_session();
        }
        self.link.close().await;
    }

    fn closed_error(&self) -> UpstreamError {
        self.inbox.reason().cloned().unwrap_or_else(|| UpstreamError::closed("closed"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.inbox.close(&UpstreamError::closed("dropped"));
    }
}
