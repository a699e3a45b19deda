//! One live connection to a server, of either era. One call on it is next door, in [`super::call`];
//! the transport, in [`super::link`]; which client gets which connection, in [`super::pool`]; what
//! modern requests carry, in [`super::modern`].

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
    /// The stored record of its session, until the session ends or is handed over.
    record: Mutex<Option<Arc<HeldRecord>>>,
    /// The stream of changes, of a modern server alone.
    listening: Option<Listening>,
}

impl Connection {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        link: Arc<dyn Link>,
        info: ServerInfo,
        request_timeout: Duration,
    ) -> Self {
        let listening = (info.era == Era::Modern).then(|| Listening::start(&inbox, &link, &info));
        Self {
            inbox,
            link,
            info,
            activity: Arc::default(),
            request_timeout,
            record: Mutex::default(),
            listening,
        }
    }

    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    pub fn key(&self) -> &ConnectionKey {
        &self.inbox.key
    }

    /// Sends a request and waits for its answer.
    ///
    /// The gateway's own progress token takes the place of the caller's. A modern server has no
    /// `resources/subscribe`: subscriptions go through the stream of its changes.
    pub async fn request(
        &self,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        let _busy = self.hold();
        let Some(listening) = &self.listening else {
            return ask(&self.inbox, &self.link, method, params, call, self.request_timeout).await;
        };
        if let method::RESOURCES_SUBSCRIBE | method::RESOURCES_UNSUBSCRIBE = method {
            let uri = params
                .as_ref()
                .map(wire::params_head)
                .transpose()?
                .and_then(|head| head.uri)
                .unwrap_or_default();
            return listening
                .subscribe(uri, method == method::RESOURCES_SUBSCRIBE, self.request_timeout)
                .await;
        }
        let is_whole = match (&call.known, &params) {
            (Some(known), _) => known.says_revision,
            (None, Some(params)) => wire::meta_of(params)?.protocol_version.is_some(),
            (None, None) => false,
        };
        let params = if is_whole {
            params
        } else {
            Some(modern::own_params(
                params.as_ref(),
                &self.inbox.key.client_capabilities.capabilities(),
            )?)
        };
        let mut headers = modern::headers(method, params.as_ref(), call.known.as_ref())?;
        headers.extend(call.headers);
        let call = Call { headers, ..call };
        ask(&self.inbox, &self.link, method, params, call, self.request_timeout).await
    }

    /// Subscribes to the changes of a task, or unsubscribes. `false`: the server does not announce
    /// them.
    pub async fn follow_task(&self, task: &str, is_wanted: bool) -> Result<bool, UpstreamError> {
        let _busy = self.hold();
        match &self.listening {
            Some(listening) => {
                listening
                    .change(Subject::Task(task.to_owned()), is_wanted, self.request_timeout)
                    .await
            }
            None => Ok(false),
        }
    }

    /// Subscribes to changes of lists, by the members of the filter, that the server may announce
    /// without having declared it. What it does not agree to is not asked for again.
    pub async fn follow_lists(&self, members: &[&'static str]) {
        let Some(listening) = &self.listening else { return };
        let _busy = self.hold();
        for member in members {
            if let Err(error) =
                listening.change(Subject::List(member), true, self.request_timeout).await
            {
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

    /// The server's events from now on. A receiver that falls behind misses some of them.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inbox.events()
    }

    /// Is a call under way whose caller would miss the answer? Fetched lists and subscriptions do
    /// not count: they can be asked for again.
    pub(crate) fn is_at_work(&self) -> bool {
        self.inbox.has_heard_calls()
    }

    pub fn is_closed(&self) -> bool {
        self.inbox.closed().is_cancelled()
    }

    /// Returns once the connection is closed.
    pub async fn closed(&self) {
        self.inbox.closed().cancelled().await;
    }

    /// Keeps the connection from being closed as idle, as a call in flight does. Receivers of its
    /// events need it.
    #[must_use]
    pub fn hold(&self) -> Hold {
        Hold::new(&self.activity)
    }

    /// Notes that the connection is about to be used.
    pub(super) fn touch(&self) {
        drop(self.hold());
    }

    /// Ends the connection and its session, unless a call is under way. A caller that was handed it
    /// just now gets another.
    pub(crate) async fn end_if_idle(&self) -> bool {
        if self.is_calling() {
            return false;
        }
        // First, so that a session that another process has taken over by now is not ended.
        self.forget_record().await;
        self.inbox.expire_if_idle()
    }

    /// Did the server ask something that could be about several calls? The next caller then gets a
    /// new connection, which has no calls yet.
    pub(super) fn is_spent(&self) -> bool {
        self.inbox.is_spent()
    }

    /// Since when the connection is unused; `None` while it is used.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.activity.idle_since()
    }

    /// Is a call under way? Unlike for [`Connection::hold`], receivers of events do not count.
    pub(super) fn is_calling(&self) -> bool {
        self.inbox.is_awaited()
    }

    /// Did the server end by itself, with nothing under way? Some servers do so after each call
    /// (FB39).
    pub(super) fn has_ended_well(&self) -> bool {
        self.inbox.has_ended_well()
    }

    pub(super) fn close_reason(&self) -> Option<&UpstreamError> {
        self.inbox.reason()
    }

    /// Stores its session, if the server has one, for another process. `life` counts the processes
    /// that have had it.
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

    /// Prolongs the record of its session.
    pub(super) async fn touch_record(&self) {
        let held = locked(&self.record).clone();
        if let Some(held) = held {
            held.touch().await;
        }
    }

    /// Closes the connection: calls in flight fail, the child is ended, the session deleted.
    pub(super) async fn close(&self, reason: &str) {
        self.inbox.close(&UpstreamError::closed(reason));
        self.forget_record().await;
        self.link.close().await;
    }

    /// Deletes the record of its session. A process that has resumed the session already keeps it.
    pub(super) async fn forget_record(&self) {
        let held = locked(&self.record).take();
        if let Some(held) = held
            && !held.forget().await
        {
            self.link.spare_session();
        }
    }

    /// Closes the connection because the server runs at another node from now on.
    pub(super) async fn give_up(&self) {
        self.inbox.close(&UpstreamError::Lost);
        self.link.close().await;
    }

    /// Closes the connection here and leaves the session, if it is stored, to another process.
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
