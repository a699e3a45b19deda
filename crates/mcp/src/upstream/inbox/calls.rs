//! The calls that a server's messages may be about, and the attribution of a message that names
//! none: to the only call that it can be about, or to none (threats 49, 50). Where the message then
//! goes is decided next door, in [`super`].

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    upstream::{
        call_event::CallEvent,
        error::UpstreamError,
        owner::{CallOrigin, Owner},
    },
    wire::{Outcome, RequestId},
};

/// How many calls that were given up without an answer are remembered. Past that, nothing on the
/// connection is attributed any more.
pub(super) const MAX_ABANDONED: usize = 256;
/// How many calls that were answered are remembered for the progress that comes late.
pub(super) const MAX_ANSWERED: usize = 64;
/// A longer token is not remembered.
const LONGEST_TOKEN: usize = 256;

/// The calls that the server's messages may be about.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) pending: BTreeMap<u64, Pending>,
    /// Cancelled or timed out: until the server answers them, it may go on with them and ask.
    pub(super) abandoned: BTreeMap<u64, Attribution>,
    /// Answered a moment ago: calls of sessions that asked for progress, with the session's token.
    answered: VecDeque<(u64, Arc<str>, RequestId)>,
    /// More calls were given up than are remembered.
    lost_track: bool,
    /// A message may come after the answer to its call.
    speaks_late: bool,
    /// The session of the first call, and whether another session has made one since.
    session: Option<Arc<str>>,
    has_several_sessions: bool,
}

/// One call that waits for its answer.
pub(super) struct Pending {
    pub(super) answer: oneshot::Sender<Result<Outcome, UpstreamError>>,
    pub(super) call_events: Option<mpsc::Sender<CallEvent>>,
    pub(super) clock: Arc<CallClock>,
    /// `None` for the gateway's own requests, which no client knows of.
    pub(super) attribution: Option<Attribution>,
    /// The caller's progress token, if it has one.
    pub(super) token: Option<RequestId>,
}

/// Whom messages about a call are for. Calls with the same attribution may receive each other's
/// messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attribution {
    Session(Arc<str>),
    Request(u64),
}

impl Attribution {
    pub(super) fn of(origin: CallOrigin, id: u64, is_heard: bool) -> Option<Self> {
        match origin {
            CallOrigin::Session(session) => Some(Self::Session(session)),
            CallOrigin::Request => Some(Self::Request(id)),
            CallOrigin::Gateway => is_heard.then_some(Self::Request(id)),
        }
    }
}

/// What a message that names no call is about.
pub(super) enum Subject<'a> {
    /// Calls with this call's attribution alone.
    Call(&'a Pending),
    /// No call.
    NoCall,
    /// Calls of several attributions are possible.
    Uncertain,
}

impl Calls {
    pub(super) fn new(speaks_late: bool) -> Self {
        Self { speaks_late, ..Self::default() }
    }

    pub(super) fn insert(&mut self, id: u64, call: Pending) {
        if let Some(Attribution::Session(session)) = &call.attribution {
            let first = self.session.get_or_insert_with(|| Arc::clone(session));
            self.has_several_sessions |= first != session;
        }
        self.pending.insert(id, call);
    }

    /// The call that a message without a call's name can be about.
    ///
    /// On a connection of all users it is always uncertain: the server may still work on calls that
    /// are no longer in flight, and need not have a call to speak of a person.
    ///
    /// Calls that a client without sessions gave up do not make it uncertain: servers need not
    /// answer what was cancelled, and both calls are the same application's.
    pub(super) fn subject(&self, owner: &Owner) -> Subject<'_> {
        let is_one_sessions = matches!(owner, Owner::Session(..));
        let is_late = self.speaks_late && self.has_several_sessions;
        if *owner == Owner::AllUsers || ((self.lost_track || is_late) && !is_one_sessions) {
            return Subject::Uncertain;
        }
        let given_up = self
            .abandoned
            .values()
            .filter(|attribution| matches!(attribution, Attribution::Session(_)));
        let mut attributions =
            self.pending.values().filter_map(|call| call.attribution.as_ref()).chain(given_up);
        let Some(first) = attributions.next() else {
            return if self.abandoned.is_empty() { Subject::NoCall } else { Subject::Uncertain };
        };
        if attributions.any(|other| other != first) {
            return Subject::Uncertain;
        }
        let heard = self
            .pending
            .iter()
            .filter(|(_, call)| call.attribution.is_some() && call.call_events.is_some());
        match heard.max_by_key(|(id, call)| (!call.clock.waits_for_client(), **id)) {
            Some((_, call)) => Subject::Call(call),
            // The connection has no other session, so the message is for this one.
            None if is_one_sessions => Subject::NoCall,
            None => Subject::Uncertain,
        }
    }

    /// Another call that may be asked in place of one that ended before its caller heard the
    /// question: one of the same attribution. The question names no call, so it was the server's
    /// call that went on, and not this one.
    pub(super) fn in_place_of(&self, over: &Asking) -> Option<Asking> {
        let attribution = over.attribution.as_ref()?;
        let same = self.pending.iter().filter(|(_, call)| {
            call.attribution.as_ref() == Some(attribution)
                && call.call_events.as_ref().is_some_and(|events| !events.is_closed())
        });
        let (_, call) = same.max_by_key(|(id, call)| (!call.clock.waits_for_client(), **id))?;
        Asking::about(call, false)
    }

    /// Takes out a call whose answer has come.
    pub(super) fn take_answered(&mut self, id: u64) -> Option<Pending> {
        let call = self.pending.remove(&id)?;
        if let (Some(Attribution::Session(session)), Some(token)) = (&call.attribution, &call.token)
            && token.raw().len() <= LONGEST_TOKEN
        {
            self.answered.truncate(MAX_ANSWERED - 1);
            self.answered.push_front((id, Arc::clone(session), token.clone()));
        }
        Some(call)
    }

    /// The session of a call that was answered, and the token that the session gave it.
    pub(super) fn find_answered(&self, id: u64) -> Option<(Arc<str>, &RequestId)> {
        let (_, session, token) = self.answered.iter().find(|(of, ..)| *of == id)?;
        Some((Arc::clone(session), token))
    }

    pub(super) fn forget(&mut self, id: u64) -> bool {
        let Some(call) = self.pending.remove(&id) else { return false };
        if let Some(attribution) = call.attribution {
            if self.abandoned.len() < MAX_ABANDONED {
                self.abandoned.insert(id, attribution);
            } else {
                self.lost_track = true;
            }
        }
        true
    }
}

/// What stops and restarts the timeout of one call.
#[derive(Default)]
pub(in crate::upstream) struct CallClock {
    /// Notified at each sign of progress.
    pub(in crate::upstream) restart: Notify,
    /// How many requests of the server the client has not answered yet. Meanwhile the server is not
    /// late.
    asking: AtomicUsize,
}

impl CallClock {
    pub(in crate::upstream) fn waits_for_client(&self) -> bool {
        self.asking.load(Ordering::Acquire) > 0
    }
}

/// The receiver for a request of the server about a call. While this lives, the call does not time
/// out.
pub(in crate::upstream) struct Asking {
    pub(in crate::upstream) call_events: mpsc::Sender<CallEvent>,
    clock: Arc<CallClock>,
    /// Whose calls may be asked in place of this one; `None` if the request came on the stream of
    /// its call.
    attribution: Option<Attribution>,
}

impl Asking {
    /// `is_named`: the request came on the stream of the call.
    pub(super) fn about(call: &Pending, is_named: bool) -> Option<Self> {
        let call_events = call.call_events.clone()?;
        call.clock.asking.fetch_add(1, Ordering::AcqRel);
        let attribution = call.attribution.clone().filter(|_| !is_named);
        Some(Self { call_events, clock: Arc::clone(&call.clock), attribution })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.clock.asking.fetch_sub(1, Ordering::AcqRel);
        self.clock.restart.notify_one();
    }
}
