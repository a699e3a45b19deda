//! Where a transport puts what the server sends: answers find their call, events of a call its listener, everything else is an event
//! or a request. Nothing here waits, so no slow caller holds up a connection that others share.
//!
//! Some transports carry what a server says about a call on that call's own stream; then it is known whose events they are. On the others
//! only progress names its call. The rest is never attributed by a guess (threats 49, 50): see [`calls`].

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
    owner::{ConnectionKey, Owner, Speaker},
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
/// How many events a slow listener may fall behind before it misses some.
const EVENTS: usize = 64;
/// How many messages one array may have.
const BATCH: usize = 1024;
/// Some programs begin what they write with it.
pub(super) const BOM: &[u8] = "\u{feff}".as_bytes();
/// What every message has, and hardly anything else.
const MARK: &[u8] = b"\"jsonrpc\"";
/// How many requests of the server may wait for their handler.
const ASKS: usize = 32;

/// What a server says without being asked.
#[derive(Clone, Debug)]
pub enum Event {
    Notification {
        method: String,
        params: Option<Payload>,
    },
    /// Progress of a call of this session that has been answered: it came on another stream than the answer, and later. With the caller's own token.
    LateProgress {
        session: Arc<str>,
        params: Payload,
    },
    /// The connection is gone; the text is for the log.
    Closed(String),
}

/// What the server wants of us.
pub(super) enum Ask {
    /// With who can be asked, which is told when it comes: a call that begins later is none that it could be about.
    Request(Request, Respondent),
    Cancelled(RequestId),
}

pub(crate) struct Inbox {
    pub(super) key: ConnectionKey,
    calls: Mutex<Calls>,
    next_id: AtomicU64,
    server_log: OnceLock<Arc<ServerLog>>,
    /// A question could not be attributed: the next caller is better off with a new connection.
    spent: AtomicBool,
    /// It ended of itself, as if all were well, and nobody waited for anything.
    ended_well: AtomicBool,
    events: broadcast::Sender<Event>,
    asks: mpsc::Sender<Ask>,
    closed: CancellationToken,
    reason: OnceLock<UpstreamError>,
}

/// Who can be asked what a server wants to know.
pub(super) enum Respondent {
    Caller(Asking),
    /// It is about no call, on a connection of one session.
    Handler,
    /// Nobody, and why.
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

    /// Ids of an earlier process must not come again in one session: a late answer would meet another call.
    pub(super) fn begin_at(&self, first: u64) {
        self.next_id.store(first, Ordering::Relaxed);
    }

    /// Does anybody wait for an answer?
    pub(super) fn is_awaited(&self) -> bool {
        !self.calls().pending.is_empty()
    }

    /// Room for one answer. Ids are ours alone, so that no two callers of a shared connection can meet (threat 37).
    /// `token` is the caller's, for progress.
    pub(super) fn register(
        &self,
        call_events: Option<mpsc::Sender<CallEvent>>,
        speaker: Speaker,
        token: Option<RequestId>,
    ) -> Result<Awaited, UpstreamError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, awaited) = oneshot::channel();
        let clock = Arc::new(CallClock::default());
        let mut calls = self.calls();
        // Asked under the lock: `close` empties the table under the same one.
        if let Some(reason) = self.reason.get() {
            return Err(reason.clone());
        }
        if calls.pending.len() >= MAX_PENDING {
            return Err(UpstreamError::Busy);
        }
        let attribution = Attribution::of(speaker, id, call_events.is_some());
        calls.insert(id, Pending { answer, call_events, clock: Arc::clone(&clock), attribution, token });
        Ok(Awaited { id, answer: awaited, clock })
    }

    /// Nobody waits for this answer any more. Was anybody waiting?
    pub(super) fn forget(&self, id: u64) -> bool {
        self.calls().forget(id)
    }

    /// Where what reaches no client is written. `secrets` are taken out of it.
    pub(super) fn server_log<'a>(&self, secrets: impl Iterator<Item = &'a SecretText>) -> Arc<ServerLog> {
        Arc::clone(self.server_log.get_or_init(|| Arc::new(ServerLog::new(self.key.server.clone(), secrets))))
    }

    /// Did the server ask what nobody could be asked, since it was uncertain whose call it was about?
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// The server is about to end, as if all were well: that is no failure if nothing is under way.
    pub(super) fn note_good_end(&self) {
        self.ended_well.store(!self.is_awaited(), Ordering::Relaxed);
    }

    pub(super) fn has_ended_well(&self) -> bool {
        self.ended_well.load(Ordering::Relaxed)
    }

    pub(crate) fn awaits(&self, id: u64) -> bool {
        self.calls().pending.contains_key(&id)
    }

    /// Is there a call whose caller listens to what is said about it?
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

    /// Takes one message from the server, or several in one array (revision 2025-03-26); `call` is the one whose own stream it came on. What is no
    /// message is logged and dropped.
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
            _ => self.server_log(std::iter::empty()).line("output", &text),
        }
    }

    fn deliver_one(&self, text: &Bytes, call: Option<u64>) {
        match wire::parse(text) {
            Ok(Message::Response(response)) => self.answer(response),
            Ok(Message::Notification(notification)) => self.notice(notification, call),
            Ok(Message::Request(request)) => {
                let asked = if request.method == method::PING { Respondent::Handler } else { self.find_respondent(call) };
                self.ask(Ask::Request(request, asked));
            }
            // A line of a log may be JSON, with an `id` too (FB32).
            Err(_) if !text.windows(MARK.len()).any(|part| part == MARK) => {
                self.server_log(std::iter::empty()).line("output", text);
            }
            Err(error) => {
                tracing::warn!(server = %self.key.server, %error, "ignored what is no JSON-RPC message");
                if let Some(id) = IdFinder::of(text) {
                    self.fail(id, UpstreamError::protocol(format!("an answer that cannot be read: {error}")));
                }
            }
        }
    }

    fn answer(&self, response: Response) {
        let id = response.id.as_ref().and_then(RequestId::as_u64);
        if !id.is_some_and(|id| self.settle(id, response.outcome)) {
            tracing::debug!(server = %self.key.server, ?id, "ignored an answer nobody waits for");
        }
    }

    /// Ends a call with what the server answered. `false`: nobody waits for it.
    pub(super) fn settle(&self, id: u64, outcome: Outcome) -> bool {
        let found = {
            let mut calls = self.calls();
            // It is done with a call that was given up, too.
            calls.abandoned.remove(&id);
            calls.take_answered(id)
        };
        let Some(pending) = found else { return false };
        // The caller may be gone: then nobody misses the answer.
        let _ = pending.answer.send(Ok(outcome));
        true
    }

    fn notice(&self, Notification { method, params }: Notification, call: Option<u64>) {
        match method.as_str() {
            notification::PROGRESS => self.progress(params),
            notification::CANCELLED => {
                let id = params.and_then(|params| wire::params_head(&params).ok()).and_then(|head| head.request_id);
                if let Some(id) = id {
                    self.ask(Ask::Cancelled(id));
                }
            }
            _ if is_of_all(&method) => self.tell(method, params),
            _ => match self.recipient(call, &method) {
                // A listener that is slow misses some of it.
                Recipient::Call(call_events) => drop(call_events.try_send(CallEvent::Notification { method, params })),
                Recipient::Connection => self.tell(method, params),
                Recipient::Log => self.server_log(std::iter::empty()).unnamed(&method, params.as_ref()),
            },
        }
    }

    /// A direct client hears it too: its streams are apart, and it waits for none of them (FB85).
    fn tell_late(&self, session: Arc<str>, own: &RequestId, params: &Payload) {
        if let Ok(params) = wire::replace_member(params, &[member::PROGRESS_TOKEN], own.payload()) {
            // Nobody listening is fine.
            let _ = self.events.send(Event::LateProgress { session, params });
        }
    }

    /// Does its caller want to hear of the progress of this call?
    pub(super) fn wants_progress(&self, id: u64) -> bool {
        self.calls().pending.get(&id).is_some_and(|call| call.token.is_some())
    }

    /// Something that concerns everybody on the connection.
    pub(super) fn tell(&self, method: String, params: Option<Payload>) {
        // Nobody listening is fine.
        let _ = self.events.send(Event::Notification { method, params });
    }

    /// Who hears a notification that came on the stream of `call`, or on none's.
    fn recipient(&self, call: Option<u64>, method: &str) -> Recipient {
        let calls = self.calls();
        let is_one_sessions = matches!(self.key.owner, Owner::Session(..));
        match call.map(|id| calls.pending.get(&id)) {
            Some(Some(call)) => match &call.call_events {
                Some(call_events) => Recipient::Call(call_events.clone()),
                // The gateway's own.
                None if self.key.owner == Owner::Everybody => Recipient::Log,
                None => Recipient::Connection,
            },
            Some(None) if is_one_sessions => Recipient::Connection,
            Some(None) => Recipient::Log,
            // It names the task that it is about.
            None if method == notification::TASKS_STATUS => Recipient::Connection,
            None => match calls.subject(&self.key.owner) {
                // Of what is no log message, the one session has always heard beside its calls.
                Subject::Call(_) if is_one_sessions && method != notification::MESSAGE => Recipient::Connection,
                Subject::Call(call) => call.call_events.clone().map_or(Recipient::Connection, Recipient::Call),
                Subject::NoCall => Recipient::Connection,
                Subject::Uncertain => Recipient::Log,
            },
        }
    }

    /// Who is to answer what the server asks on the stream of `call`, or on none's.
    fn find_respondent(&self, call: Option<u64>) -> Respondent {
        let calls = self.calls();
        let is_shared = self.key.owner == Owner::Everybody;
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
        let Some(call_events) = call.call_events.clone() else { return Respondent::Missing(OVER) };
        Respondent::Caller(Asking::about(call, call_events))
    }

    fn progress(&self, params: Option<Payload>) {
        let Some(params) = params else { return };
        let token = wire::params_head(&params).ok().and_then(|head| head.progress_token).and_then(|token| token.as_u64());
        let calls = self.calls();
        let Some(pending) = token.and_then(|token| calls.pending.get(&token)) else {
            if let Some((session, own)) = token.and_then(|token| calls.find_answered(token)) {
                self.tell_late(session, own, &params);
            }
            return;
        };
        pending.clock.restart.notify_one();
        if let Some(listener) = &pending.call_events {
            // A listener that is slow misses some progress; it is told of the call, and is no answer.
            let _ = listener.try_send(CallEvent::Progress(params));
        }
    }

    fn ask(&self, ask: Ask) {
        if self.asks.try_send(ask).is_err() {
            tracing::warn!(server = %self.key.server, "dropped a request of the server: too many at once");
        }
    }

    /// The connection ended: every call in flight fails now. The first reason stays.
    pub(crate) fn close(&self, reason: &UpstreamError) {
        self.end(reason, |_| reason.clone());
    }

    /// The session is over, and calls that come later may be made on a new connection. So may `own`, to whose own request the server said just
    /// that: nothing of it was done. Every other call in flight may have run, and is never made again (FB74).
    pub(crate) fn expire(&self, own: Option<u64>) {
        self.end(&UpstreamError::SessionExpired, |id| {
            if own == Some(id) {
                UpstreamError::SessionExpired
            } else {
                UpstreamError::closed("the session with the server ended while it worked on the call")
            }
        });
    }

    /// The same while no call is in flight, and none can begin meanwhile. `false`: one is.
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

/// Who hears a notification.
enum Recipient {
    Call(mpsc::Sender<CallEvent>),
    /// Those whose connection it is: the hub says which of them.
    Connection,
    /// It is written to the gateway's log.
    Log,
}

/// These concern everybody on the connection, on whichever stream they come.
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
