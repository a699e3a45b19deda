//! One live, initialized connection of the legacy era: calls with ids of our own, progress, cancellation, timeouts. How bytes
//! travel is [`super::link`]'s; who gets which connection is [`super::pool`]'s.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    ConnectionKey, Event, UpstreamError,
    inbox::{Awaited, Inbox},
    link::{Link, Outgoing},
};
use crate::wire::{self, Outcome, Payload, RequestId};

/// Progress may prolong a call to this many times its timeout.
const PROLONGED: u32 = 20;
/// How long telling the server of a cancellation may take.
const CANCEL_NOTICE: Duration = Duration::from_secs(5);

/// What the server said of itself in the handshake.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub protocol_version: String,
    pub capabilities: Payload,
    pub server_info: Payload,
    pub instructions: Option<String>,
    /// The whole result of `initialize`.
    pub raw: Payload,
}

/// How one request is to be made.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Hears the raw parameters of this call's progress notifications. They carry our token: put the caller's back. Only of
    /// use when the parameters of the request have a `_meta.progressToken`.
    pub progress: Option<mpsc::Sender<Payload>>,
    /// Cancels the call, at the server too. Dropping the future of the call does the same.
    pub cancel: CancellationToken,
    /// How long to wait since the request or since the last progress; by default the server's `request_timeout`.
    pub timeout: Option<Duration>,
}

pub struct Connection {
    inbox: Arc<Inbox>,
    link: Arc<dyn Link>,
    info: ServerInfo,
    activity: Arc<Activity>,
    request_timeout: Duration,
}

impl Connection {
    pub(super) fn new(inbox: Arc<Inbox>, link: Arc<dyn Link>, info: ServerInfo, request_timeout: Duration) -> Self {
        Self { inbox, link, info, activity: Arc::default(), request_timeout }
    }

    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    pub fn key(&self) -> &ConnectionKey {
        &self.inbox.key
    }

    /// Asks, and waits for the answer. The caller's progress token, if it has one, is replaced by one of ours.
    pub async fn request(&self, method: &str, params: Option<Payload>, call: Call) -> Result<Outcome, UpstreamError> {
        let _busy = self.hold();
        ask(&self.inbox, &self.link, method, params, call, self.request_timeout).await
    }

    pub async fn notify(&self, method: &str, params: Option<Payload>) -> Result<(), UpstreamError> {
        let _busy = self.hold();
        let outgoing = Outgoing { message: wire::notification(method, params.as_ref()), awaits: None };
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

    /// Since when nobody uses the connection; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.activity.idle_since()
    }

    pub(super) fn close_reason(&self) -> Option<&UpstreamError> {
        self.inbox.reason()
    }

    /// Ends it: calls in flight fail, the child is ended, the session deleted.
    pub(super) async fn close(&self, reason: &str) {
        self.inbox.close(&UpstreamError::closed(reason));
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

/// A request from its registration to its answer.
pub(super) async fn ask(
    inbox: &Arc<Inbox>,
    link: &Arc<dyn Link>,
    method: &str,
    params: Option<Payload>,
    call: Call,
    default_timeout: Duration,
) -> Result<Outcome, UpstreamError> {
    let token = params.as_ref().map(wire::progress_token).transpose()?.flatten();
    let Awaited { id, mut answer, beat } = inbox.register(call.progress)?;
    let mut in_flight = InFlight { inbox, link, id, cancellable: false };
    let own = RequestId::number(id);
    let params = match (params, token) {
        (Some(params), Some(_)) => Some(wire::replace_progress_token(&params, &own)?),
        (params, _) => params,
    };
    let send = link.send(Outgoing { message: wire::request(&own, method, params.as_ref()), awaits: Some(id) });
    tokio::pin!(send);
    in_flight.cancellable = method != "initialize";
    let mut unsent = true;
    let timeout = call.timeout.unwrap_or(default_timeout);
    let started = Instant::now();
    let mut deadline = started + timeout;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => {
                in_flight.cancellable = false;
                return answer.unwrap_or_else(|_| Err(UpstreamError::closed("the answer was dropped")));
            }
            () = call.cancel.cancelled() => return Err(UpstreamError::Cancelled),
            () = beat.notified() => deadline = (Instant::now() + timeout).min(started + timeout * PROLONGED),
            handed_over = &mut send, if unsent => {
                unsent = false;
                if let Err(error) = handed_over {
                    in_flight.cancellable = false;
                    return Err(error);
                }
                if link.answers_inline() && inbox.awaits(id) {
                    in_flight.cancellable = false;
                    return Err(UpstreamError::protocol("the response ended without an answer"));
                }
            }
            () = tokio::time::sleep_until(deadline) => return Err(UpstreamError::Timeout),
        }
    }
}

/// A request in flight. However its caller leaves (cancelled, too late, gone), the table is cleared and the server told.
struct InFlight<'a> {
    inbox: &'a Arc<Inbox>,
    link: &'a Arc<dyn Link>,
    id: u64,
    cancellable: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.inbox.forget(self.id) || !self.cancellable || self.inbox.closed().is_cancelled() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let params = wire::object(&[("requestId", &self.id.to_string())]);
        let message = wire::notification("notifications/cancelled", Some(&params));
        let link = Arc::clone(self.link);
        runtime.spawn(async move {
            let _ = tokio::time::timeout(CANCEL_NOTICE, link.send(Outgoing { message, awaits: None })).await;
        });
    }
}

#[derive(Debug)]
struct Activity(Mutex<(usize, Instant)>);

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }
}

impl Activity {
    fn change(&self, by: isize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (state.0.saturating_add_signed(by), Instant::now());
    }

    fn idle_since(&self) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.0 == 0).then_some(state.1)
    }
}

/// See [`Connection::hold`].
#[derive(Debug)]
pub struct Hold(Arc<Activity>);

impl Hold {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.change(1);
        Self(Arc::clone(activity))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.change(-1);
    }
}
