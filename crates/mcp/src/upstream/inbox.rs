//! Routes what a server sends: answers to their calls, messages about a call to the receiver of its
//! events, the rest as an event or a request. Nothing here waits, so a slow caller does not hold up
//! a connection that others share.
//!
//! Some transports carry messages about a call on the call's own stream, which names the call. On
//! the others only progress does. The rest is never attributed by a guess (threats 49, 50): see
//! [`calls`].

mod calls;

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use portunus_core::secret::SecretText;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub(super) use self::calls::{Asking, CallClock};
use self::calls::{Attribution, Calls, Pending, Subject};
use super::{
    call_event::CallEvent,
    error::UpstreamError,
    id_finder::IdFinder,
    owner::{CallOrigin, ConnectionKey, Owner},
    server_log::ServerLog,
};
use crate::{
    sync::locked,
    wire::{
        self, Message, Notification, Outcome, Payload, Request, RequestId, Response,
        protocol::{member, method, notification},
    },
};

/// How many calls may be in flight on one connection.
const MAX_PENDING: usize = 1024;
/// How many events a slow receiver may fall behind before it misses some.
const EVENTS: usize = 64;
/// How many messages one array may have.
const BATCH: usize = 1024;
/// The byte order mark: some programs begin their output with it.
pub(super) const BOM: &[u8] = "\u{feff}".as_bytes();
/// What every message contains, and hardly any line of a log does.
const MARK: &[u8] = b"\"jsonrpc\"";
/// How many requests of the server may wait for their handler.
const ASKS: usize = 32;

/// What a server sends beside its answers.
#[derive(Clone, Debug)]
pub enum Event {
    Notification {
        method: String,
        params: Option<Payload>,
    },
    /// Progress of a call of this session that came after the answer, on another stream. It has the
    /// caller's own token.
    LateProgress {
        session: Arc<str>,
        params: Payload,
    },
    /// The connection is gone; the text is for the log.
    Closed(String),
}

/// What the server asks of the gateway.
pub(super) enum Ask {
    /// The respondent is found when the request arrives: it cannot be about a call that begins
    /// later.
    Request(Request, Respondent),
    Cancelled(RequestId),
}

pub(crate) struct Inbox {
    pub(super) key: ConnectionKey,
    calls: Mutex<Calls>,
    next_id: AtomicU64,
    server_log: OnceLock<Arc<ServerLog>>,
    /// A question could not be attributed: the next caller gets a new connection.
    spent: AtomicBool,
    /// The server ended by itself with success while no call was under way.
    ended_well: AtomicBool,
    events: broadcast::Sender<Event>,
    asks: mpsc::Sender<Ask>,
    closed: CancellationToken,
    reason: OnceLock<UpstreamError>,
}

/// Who answers a request of the server.
pub(super) enum Respondent {
    Caller(Asking),
    /// It is about no call, on a connection of one session:
    /// [`ServerRequests`](super::ServerRequests) answers it.
    Handler,
    /// It can be attributed to no client; the text says why.
    Missing(&'static str),
}

const SHARED: &str = "this server is shared by several people, and the request does not name the call that it is about: nobody can be \
                      asked (`isolation: shared` in the gateway's configuration)";
const UNCERTAIN: &str = "the request does not name the call that it is about, and there are or were several: nobody can be asked";
const OVER: &str = "the call that this request is about is over: nobody can be asked";

/// The caller's end of a [`Pending`].
pub(super) struct Awaited {
    pub(super) id: u64,
    pub(super) answer: oneshot::Receiver<Result<Outcome, UpstreamError>>,
    pub(super) clock: Arc<CallClock>,
}

impl Inbox {
    /// `speaks_late`: see [`ServerSpec::speaks_late`](crate::spec::ServerSpec::speaks_late).
    pub(super) fn new(key: ConnectionKey, speaks_late: bool) -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS);
        let inbox = Self {
            key,
            calls: Mutex::new(Calls::new(speaks_late)),
            next_id: AtomicU64::new(1),
            server_log: OnceLock::new(),
            spent: AtomicBool::new(false),
            ended_well: AtomicBool::new(false),
            events: broadcast::channel(EVENTS).0,
            asks,
            closed: CancellationToken::new(),
            reason: OnceLock::new(),
        };
        (Arc::new(inbox), asked)
    }

    /// Sets the first id. Ids of an earlier process must not be used again in one session: a late
    /// answer would end another call.
    pub(super) fn begin_at(&self, first: u64) {
        self.next_id.store(first, Ordering::Relaxed);
    }

    /// Is a call under way?
    pub(super) fn is_awaited(&self) -> bool {
        !self.calls().pending.is_empty()
    }

    /// Registers a call. `token` is the caller's, for progress.
    ///
    /// Ids are the gateway's own, so that callers of a shared connection cannot get each other's
    /// answers (threat 37).
    pub(super) fn register(
        &self,
        call_events: Option<mpsc::Sender<CallEvent>>,
        origin: CallOrigin,
        token: Option<RequestId>,
    ) -> Result<Awaited, UpstreamError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, awaited) = oneshot::channel();
        let clock = Arc::new(CallClock::default());
        let mut calls = self.calls();
        // Checked under the lock: `close` empties the table under the same one.
        if let Some(reason) = self.reason.get() {
            return Err(reason.clone());
        }
        if calls.pending.len() >= MAX_PENDING {
            return Err(UpstreamError::Busy);
        }
        let attribution = Attribution::of(origin, id, call_events.is_some());
        calls.insert(
            id,
            Pending { answer, call_events, clock: Arc::clone(&clock), attribution, token },
        );
        Ok(Awaited { id, answer: awaited, clock })
    }

    /// Gives up a call. `false`: it was not under way.
    pub(super) fn forget(&self, id: u64) -> bool {
        self.calls().forget(id)
    }

    /// Opens the log of what reaches no client, unless it is open: `secrets` are taken out of it.
    pub(super) fn open_log<'a>(
        &self,
        secrets: impl Iterator<Item = &'a SecretText>,
    ) -> Arc<ServerLog> {
        Arc::clone(
            self.server_log
                .get_or_init(|| Arc::new(ServerLog::new(self.key.server.clone(), secrets))),
        )
    }

    /// The log of what reaches no client.
    pub(super) fn log(&self) -> Arc<ServerLog> {
        self.open_log(std::iter::empty())
    }

    /// Did the server ask something that could not be attributed to one call?
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Notes that the server is about to end with success, which is no failure while no call is
    /// under way.
    pub(super) fn note_good_end(&self) {
        self.ended_well.store(!self.is_awaited(), Ordering::Relaxed);
    }

    pub(super) fn has_ended_well(&self) -> bool {
        self.ended_well.load(Ordering::Relaxed)
    }

    pub(crate) fn awaits(&self, id: u64) -> bool {
        self.calls().pending.contains_key(&id)
    }

    /// Is there a call whose caller receives its events?
    pub(super) fn has_heard_calls(&self) -> bool {
        self.calls().pending.values().any(|call| call.call_events.is_some())
    }

    /// Ends one call with an error.
    pub(crate) fn fail(&self, id: u64, error: UpstreamError) {
        if let Some(pending) = self.calls().pending.remove(&id) {
            let _ = pending.answer.send(Err(error));
        }
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Takes one message from the server, or several in one array (revision 2025-03-26). `call` is
    /// the call on whose own stream it came. What is no message is logged and dropped.
    pub(crate) fn deliver(&self, text: &Bytes, call: Option<u64>) {
        let text = if text.starts_with(BOM) { text.slice(BOM.len()..) } else { text.clone() };
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
            return self.deliver_one(&text, call);
        }
        match Payload::whole(&text).and_then(|batch| wire::elements(&batch)) {
            Ok(messages) if messages.len() <= BATCH => {
                for message in messages {
                    self.deliver_one(message.as_bytes(), call);
                }
            }
            _ => self.log().line("output", &text),
        }
    }

    fn deliver_one(&self, text: &Bytes, call: Option<u64>) {
        match wire::parse(text) {
            Ok(Message::Response(response)) => self.answer(response),
            Ok(Message::Notification(notification)) => self.notice(notification, call),
            Ok(Message::Request(request)) => {
                let asked = if request.method == method::PING {
                    Respondent::Handler
                } else {
                    self.find_respondent(call)
                };
                self.ask(Ask::Request(request, asked));
            }
            // A line of a log may be JSON, with an `id` too (FB32).
            Err(_) if !text.windows(MARK.len()).any(|part| part == MARK) => {
                self.log().line("output", text);
            }
            Err(error) => {
                tracing::warn!(server = %self.key.server, %error, "ignored what is no JSON-RPC message");
                if let Some(id) = IdFinder::of(text) {
                    self.fail(
                        id,
                        UpstreamError::protocol(format!("an answer that cannot be read: {error}")),
                    );
                }
            }
        }
    }

    fn answer(&self, response: Response) {
        let id = response.id.as_ref().and_then(RequestId::as_u64);
        if !id.is_some_and(|id| self.settle(id, response.outcome)) {
            tracing::debug!(server = %self.key.server, ?id, "ignored an answer to no call under way");
        }
    }

    /// Ends a call with the server's answer. `false`: the call is not under way.
    pub(super) fn settle(&self, id: u64, outcome: Outcome) -> bool {
        let found = {
            let mut calls = self.calls();
            // The server is done with a call that was given up, too.
            calls.abandoned.remove(&id);
            calls.take_answered(id)
        };
        let Some(pending) = found else { return false };
        // The caller may be gone: the answer is dropped then.
        let _ = pending.answer.send(Ok(outcome));
        true
    }

    fn notice(&self, Notification { method, params }: Notification, call: Option<u64>) {
        match method.as_str() {
            notification::PROGRESS => self.progress(params),
            notification::CANCELLED => {
                let id = params
                    .and_then(|params| wire::params_head(&params).ok())
                    .and_then(|head| head.request_id);
                if let Some(id) = id {
                    self.ask(Ask::Cancelled(id));
                }
            }
            _ if is_of_all(&method) => self.tell(method, params),
            _ => match self.recipient(call, &method) {
                // A receiver that is slow misses some of them.
                Recipient::Call(call_events) => {
                    drop(call_events.try_send(CallEvent::Notification { method, params }));
                }
                Recipient::Connection => self.tell(method, params),
                Recipient::Log => self.log().unnamed(&method, params.as_ref()),
            },
        }
    }

    /// Delivers late progress as an event. A client without a gateway gets it too, since its
    /// streams are independent (FB85).
    fn tell_late(&self, session: Arc<str>, own: &RequestId, params: &Payload) {
        if let Ok(params) = wire::replace_member(params, &[member::PROGRESS_TOKEN], own.payload()) {
            // There may be no receiver.
            let _ = self.events.send(Event::LateProgress { session, params });
        }
    }

    /// Has the caller of this call asked for progress?
    pub(super) fn wants_progress(&self, id: u64) -> bool {
        self.calls().pending.get(&id).is_some_and(|call| call.token.is_some())
    }

    /// Sends a notification to all receivers of the connection's events.
    pub(super) fn tell(&self, method: String, params: Option<Payload>) {
        // There may be no receiver.
        let _ = self.events.send(Event::Notification { method, params });
    }

    /// The recipient of a notification that came on the stream of `call`, or on no call's.
    fn recipient(&self, call: Option<u64>, method: &str) -> Recipient {
        let calls = self.calls();
        let is_one_sessions = matches!(self.key.owner, Owner::Session(..));
        match call.map(|id| calls.pending.get(&id)) {
            Some(Some(call)) => match &call.call_events {
                Some(call_events) => Recipient::Call(call_events.clone()),
                // The gateway's own.
                None if self.key.owner == Owner::AllUsers => Recipient::Log,
                None => Recipient::Connection,
            },
            Some(None) if is_one_sessions => Recipient::Connection,
            Some(None) => Recipient::Log,
            // This notification names its task.
            None if method == notification::TASKS_STATUS => Recipient::Connection,
            None => match calls.subject(&self.key.owner) {
                // The only session gets all but log messages beside its calls, as it always has.
                Subject::Call(_) if is_one_sessions && method != notification::MESSAGE => {
                    Recipient::Connection
                }
                Subject::Call(call) => {
                    call.call_events.clone().map_or(Recipient::Connection, Recipient::Call)
                }
                Subject::NoCall => Recipient::Connection,
                Subject::Uncertain => Recipient::Log,
            },
        }
    }

    /// The respondent to a request that came on the stream of `call`, or on no call's.
    fn find_respondent(&self, call: Option<u64>) -> Respondent {
        let calls = self.calls();
        let (is_shared, is_named) = (self.key.owner == Owner::AllUsers, call.is_some());
        let call = match call.map(|id| calls.pending.get(&id)) {
            Some(Some(call)) if call.call_events.is_some() => call,
            Some(found) => {
                let is_ours = found.is_some() && matches!(self.key.owner, Owner::Session(..));
                return if is_ours { Respondent::Handler } else { Respondent::Missing(OVER) };
            }
            None => match calls.subject(&self.key.owner) {
                Subject::Call(call) => call,
                Subject::NoCall => return Respondent::Handler,
                Subject::Uncertain if is_shared => return Respondent::Missing(SHARED),
                Subject::Uncertain => {
                    self.spent.store(true, Ordering::Relaxed);
                    return Respondent::Missing(UNCERTAIN);
                }
            },
        };
        Asking::about(call, is_named).map_or(Respondent::Missing(OVER), Respondent::Caller)
    }

    /// The respondent in place of one whose call ended before its caller heard the question.
    pub(super) fn in_place_of(&self, over: &Asking) -> Option<Asking> {
        self.calls().in_place_of(over)
    }

    fn progress(&self, params: Option<Payload>) {
        let Some(params) = params else { return };
        let token = wire::params_head(&params)
            .ok()
            .and_then(|head| head.progress_token)
            .and_then(|token| token.as_u64());
        let calls = self.calls();
        let Some(pending) = token.and_then(|token| calls.pending.get(&token)) else {
            if let Some((session, own)) = token.and_then(|token| calls.find_answered(token)) {
                self.tell_late(session, own, &params);
            }
            return;
        };
        pending.clock.restart.notify_one();
        if let Some(listener) = &pending.call_events {
            // A receiver that is slow misses some progress.
            let _ = listener.try_send(CallEvent::Progress(params));
        }
    }

    fn ask(&self, ask: Ask) {
        if self.asks.try_send(ask).is_err() {
            tracing::warn!(server = %self.key.server, "dropped a request of the server: too many at once");
        }
    }

    /// Closes the inbox: every call in flight fails. The first reason stays.
    pub(crate) fn close(&self, reason: &UpstreamError) {
        self.end(reason, |_| reason.clone());
    }

    /// Closes the inbox because the session is over: later calls may be made on a new connection.
    ///
    /// So may `own`, the call whose request the server refused for that reason: nothing of it was
    /// done. Every other call in flight may have run and is not made again (FB74).
    pub(crate) fn expire(&self, own: Option<u64>) {
        self.end(&UpstreamError::SessionExpired, |id| {
            if own == Some(id) {
                UpstreamError::SessionExpired
            } else {
                UpstreamError::closed(
                    "the session with the server ended while it worked on the call",
                )
            }
        });
    }

    /// Closes the inbox in the same way if no call is in flight. `false`: one is.
    pub(super) fn expire_if_idle(&self) -> bool {
        {
            let calls = self.calls();
            if !calls.pending.is_empty() {
                return false;
            }
            if self.reason.set(UpstreamError::SessionExpired).is_err() {
                return true;
            }
        }
        self.announce_end(&UpstreamError::SessionExpired);
        true
    }

    fn end(&self, reason: &UpstreamError, error_of: impl Fn(u64) -> UpstreamError) {
        let waiting = {
            let mut calls = self.calls();
            if self.reason.set(reason.clone()).is_err() {
                return;
            }
            std::mem::take(&mut calls.pending)
        };
        for (id, pending) in waiting {
            let _ = pending.answer.send(Err(error_of(id)));
        }
        self.announce_end(reason);
    }

    fn announce_end(&self, reason: &UpstreamError) {
        let _ = self.events.send(Event::Closed(reason.detail().unwrap_or_default().to_owned()));
        self.closed.cancel();
    }

    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(super) fn reason(&self) -> Option<&UpstreamError> {
        self.reason.get()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        locked(&self.calls)
    }
}

/// The recipient of a notification.
enum Recipient {
    Call(mpsc::Sender<CallEvent>),
    /// The owners of the connection; the hub says which of them.
    Connection,
    /// The gateway's log alone.
    Log,
}

/// Is a notification of this method for all owners of the connection, on whichever stream it comes?
fn is_of_all(method: &str) -> bool {
    matches!(
        method,
        notification::TOOLS_LIST_CHANGED
            | notification::PROMPTS_LIST_CHANGED
            | notification::RESOURCES_LIST_CHANGED
            | notification::RESOURCES_UPDATED
            | notification::SUBSCRIPTIONS_ACKNOWLEDGED
            | notification::TASKS
    )
}

#[cfg(test)]
mod tests;
