//! Where a transport puts what the server sends: answers find their call, news of a call its listener, everything else is an event
//! or a request. Nothing here waits, so no slow caller holds up a connection that others share.
//!
//! Some transports carry what a server says about a call on that call's own stream; then it is known whose news it is. On the others
//! only progress names its call; the rest is taken to be about the newest call that is not held up by a question already. On a connection
//! of one person's that can be wrong, but tells nobody what is not theirs; on one that everybody shares it must be the only call.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{ConnectionKey, News, Owner, UpstreamError, id_finder::IdFinder};
use crate::wire::{self, Message, Notification, Outcome, Payload, Request, RequestId, Response};

/// How many calls may be in flight on one connection.
const MAX_PENDING: usize = 1024;
/// How many events a slow listener may fall behind before it misses some.
const EVENTS: usize = 64;
/// How many requests of the server may wait for their handler.
const ASKS: usize = 32;

/// What a server says without being asked.
#[derive(Clone, Debug)]
pub enum Event {
    Notification {
        method: String,
        params: Option<Payload>,
    },
    /// The connection is gone; the text is for the log.
    Closed(String),
}

/// What the server wants of us.
pub(super) enum Ask {
    /// With the call whose stream it came on.
    Request(Request, Option<u64>),
    Cancelled(RequestId),
}

pub(crate) struct Inbox {
    pub(super) key: ConnectionKey,
    pending: Mutex<HashMap<u64, Pending>>,
    next_id: AtomicU64,
    events: broadcast::Sender<Event>,
    asks: mpsc::Sender<Ask>,
    closed: CancellationToken,
    reason: OnceLock<UpstreamError>,
}

/// One call that waits for its answer.
struct Pending {
    answer: oneshot::Sender<Result<Outcome, UpstreamError>>,
    news: Option<mpsc::Sender<News>>,
    pulse: Arc<Pulse>,
}

/// Signs of life of one call, for its clock.
#[derive(Default)]
pub(super) struct Pulse {
    /// Told at each sign of progress.
    pub(super) beat: Notify,
    /// How many requests of the server the client is busy with: meanwhile the server is not late.
    asking: AtomicUsize,
}

impl Pulse {
    pub(super) fn waits_for_client(&self) -> bool {
        self.asking.load(Ordering::Acquire) > 0
    }
}

/// The listener of a call that the server asks something about; while this lives, the call's clock stands still.
pub(super) struct Asking {
    pub(super) news: mpsc::Sender<News>,
    pulse: Arc<Pulse>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.pulse.asking.fetch_sub(1, Ordering::AcqRel);
        self.pulse.beat.notify_one();
    }
}

/// The caller's end of a [`Pending`].
pub(super) struct Awaited {
    pub(super) id: u64,
    pub(super) answer: oneshot::Receiver<Result<Outcome, UpstreamError>>,
    pub(super) pulse: Arc<Pulse>,
}

impl Inbox {
    pub(super) fn new(key: ConnectionKey) -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS);
        let inbox = Self {
            key,
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            events: broadcast::channel(EVENTS).0,
            asks,
            closed: CancellationToken::new(),
            reason: OnceLock::new(),
        };
        (Arc::new(inbox), asked)
    }

    /// Ids of an earlier process must not come again in one session: a late answer would meet another call.
    pub(super) fn begin_at(&self, first: u64) {
        self.next_id.store(first, Ordering::Relaxed);
    }

    /// Does anybody wait for an answer?
    pub(super) fn is_awaited(&self) -> bool {
        !self.pending().is_empty()
    }

    /// Room for one answer. Ids are ours alone, so that no two callers of a shared connection can meet (threat 37).
    pub(super) fn register(&self, news: Option<mpsc::Sender<News>>) -> Result<Awaited, UpstreamError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, awaited) = oneshot::channel();
        let pulse = Arc::new(Pulse::default());
        let mut pending = self.pending();
        // Asked under the lock: `close` empties the table under the same one.
        if let Some(reason) = self.reason.get() {
            return Err(reason.clone());
        }
        if pending.len() >= MAX_PENDING {
            return Err(UpstreamError::Busy);
        }
        pending.insert(id, Pending { answer, news, pulse: Arc::clone(&pulse) });
        Ok(Awaited { id, answer: awaited, pulse })
    }

    /// Nobody waits for this answer any more. Was anybody waiting?
    pub(super) fn forget(&self, id: u64) -> bool {
        self.pending().remove(&id).is_some()
    }

    pub(crate) fn awaits(&self, id: u64) -> bool {
        self.pending().contains_key(&id)
    }

    /// Is there a call whose caller listens to what is said about it?
    pub(super) fn has_heard_calls(&self) -> bool {
        self.pending().values().any(|call| call.news.is_some())
    }

    /// Ends one call with an error.
    pub(crate) fn fail(&self, id: u64, error: UpstreamError) {
        if let Some(pending) = self.pending().remove(&id) {
            let _ = pending.answer.send(Err(error));
        }
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Takes one message from the server; `call` is the one whose own stream it came on. What is no message is logged and dropped.
    pub(crate) fn deliver(&self, text: &Bytes, call: Option<u64>) {
        match wire::parse(text) {
            Ok(Message::Response(response)) => self.answer(response),
            Ok(Message::Notification(notification)) => self.notice(notification, call),
            Ok(Message::Request(request)) => self.ask(Ask::Request(request, call)),
            Err(error) => {
                tracing::warn!(server = %self.key.server, %error, "ignored what is no JSON-RPC message");
                if let Some(id) = IdFinder::of(text) {
                    self.fail(id, UpstreamError::protocol(format!("an answer that cannot be read: {error}")));
                }
            }
        }
    }

    fn answer(&self, response: Response) {
        let found = response.id.as_ref().and_then(RequestId::as_u64).and_then(|id| self.pending().remove(&id));
        if let Some(pending) = found {
            // The caller may be gone: then nobody misses the answer.
            let _ = pending.answer.send(Ok(response.outcome));
        } else {
            tracing::debug!(server = %self.key.server, id = ?response.id, "ignored an answer nobody waits for");
        }
    }

    fn notice(&self, Notification { method, params }: Notification, call: Option<u64>) {
        match method.as_str() {
            "notifications/progress" => self.progress(params),
            "notifications/cancelled" => {
                let id = params.and_then(|params| wire::params_head(&params).ok()).and_then(|head| head.request_id);
                if let Some(id) = id {
                    self.ask(Ask::Cancelled(id));
                }
            }
            _ if is_of_all(&method) => self.tell(method, params),
            _ => match self.find_listener(call, &method) {
                // A listener that is slow misses some of it.
                Some(news) => drop(news.try_send(News::Notification { method, params })),
                None => self.tell(method, params),
            },
        }
    }

    /// Something that concerns everybody on the connection.
    pub(super) fn tell(&self, method: String, params: Option<Payload>) {
        // Nobody listening is fine.
        let _ = self.events.send(Event::Notification { method, params });
    }

    /// Who hears of the call; of a log message that names no call, the one call that there is.
    fn find_listener(&self, call: Option<u64>, method: &str) -> Option<mpsc::Sender<News>> {
        let pending = self.pending();
        match call {
            Some(id) => pending.get(&id)?.news.clone(),
            None if method == "notifications/message" => self.likeliest(&pending)?.news.clone(),
            None => None,
        }
    }

    /// Who is to answer what the server asks about `call`, or about the one call that there is.
    pub(super) fn find_asked(&self, call: Option<u64>) -> Option<Asking> {
        let pending = self.pending();
        let call = match call {
            Some(id) => pending.get(&id)?,
            None => self.likeliest(&pending)?,
        };
        let news = call.news.clone()?;
        call.pulse.asking.fetch_add(1, Ordering::AcqRel);
        Some(Asking { news, pulse: Arc::clone(&call.pulse) })
    }

    /// The call that an unnamed message is most likely about.
    fn likeliest<'a>(&self, pending: &'a HashMap<u64, Pending>) -> Option<&'a Pending> {
        if self.key.owner == Owner::Everybody && pending.len() != 1 {
            return None;
        }
        let heard = pending.iter().filter(|(_, call)| call.news.is_some());
        heard.max_by_key(|(id, call)| (!call.pulse.waits_for_client(), **id)).map(|(_, call)| call)
    }

    fn progress(&self, params: Option<Payload>) {
        let Some(params) = params else { return };
        let token = wire::params_head(&params).ok().and_then(|head| head.progress_token).and_then(|token| token.as_u64());
        let pending = self.pending();
        let Some(pending) = token.and_then(|token| pending.get(&token)) else {
            tracing::debug!(server = %self.key.server, "ignored progress of no call in flight");
            return;
        };
        pending.pulse.beat.notify_one();
        if let Some(listener) = &pending.news {
            // A listener that is slow misses some progress; it is news, not payload.
            let _ = listener.try_send(News::Progress(params));
        }
    }

    fn ask(&self, ask: Ask) {
        if self.asks.try_send(ask).is_err() {
            tracing::warn!(server = %self.key.server, "dropped a request of the server: too many at once");
        }
    }

    /// The connection ended: every call in flight fails now. The first reason stays.
    pub(crate) fn close(&self, reason: &UpstreamError) {
        let waiting = {
            let mut pending = self.pending();
            if self.reason.set(reason.clone()).is_err() {
                return;
            }
            std::mem::take(&mut *pending)
        };
        for (_, pending) in waiting {
            let _ = pending.answer.send(Err(reason.clone()));
        }
        let _ = self.events.send(Event::Closed(reason.detail().unwrap_or_default().to_owned()));
        self.closed.cancel();
    }

    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(super) fn reason(&self) -> Option<&UpstreamError> {
        self.reason.get()
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<u64, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// These concern everybody on the connection, on whichever stream they come.
fn is_of_all(method: &str) -> bool {
    matches!(
        method,
        "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated"
            | "notifications/subscriptions/acknowledged"
            | "notifications/tasks"
    )
}
