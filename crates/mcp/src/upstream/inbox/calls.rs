//! The calls that a server may still say something about, and which of them a message without a name is about: the one that it can be
//! about, or none (threats 49, 50).

use std::{
    collections::{HashMap, VecDeque},
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
        owner::{Owner, Speaker},
    },
    wire::{Outcome, RequestId},
};

/// How many calls that were given up without an answer are remembered; past it, nothing on the connection is attributed any more.
pub(super) const MAX_ABANDONED: usize = 256;
/// How many calls that were answered are remembered for the progress that comes late.
pub(super) const MAX_ANSWERED: usize = 64;
/// A longer token is not remembered.
const LONGEST_TOKEN: usize = 256;

/// The calls that the server may still say something about.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) pending: HashMap<u64, Pending>,
    /// Cancelled, or too late: the server may go on with them, and ask, until it has answered.
    pub(super) abandoned: HashMap<u64, Attribution>,
    /// Answered a moment ago: calls of sessions that want progress, with the token that the session knows.
    answered: VecDeque<(u64, Arc<str>, RequestId)>,
    /// There were more than can be remembered.
    lost_track: bool,
    /// A message may come after the answer of the call that it is about.
    speaks_late: bool,
    /// The session that had the first call, and whether another one had any since.
    session: Option<Arc<str>>,
    has_several_sessions: bool,
}

/// One call that waits for its answer.
pub(super) struct Pending {
    pub(super) answer: oneshot::Sender<Result<Outcome, UpstreamError>>,
    pub(super) call_events: Option<mpsc::Sender<CallEvent>>,
    pub(super) clock: Arc<CallClock>,
    /// `None`: the gateway's own request, which no client knows of.
    pub(super) attribution: Option<Attribution>,
    /// The caller's, if it wants to hear of progress.
    pub(super) token: Option<RequestId>,
}

/// Whose call it is: what is said about two calls of one attribution may be told on either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attribution {
    Session(Arc<str>),
    Request(u64),
}

impl Attribution {
    pub(super) fn of(speaker: Speaker, id: u64, is_heard: bool) -> Option<Self> {
        match speaker {
            Speaker::Session(session) => Some(Self::Session(session)),
            Speaker::Request => Some(Self::Request(id)),
            Speaker::Gateway => is_heard.then_some(Self::Request(id)),
        }
    }
}

/// What a message that names no call is about.
pub(super) enum Subject<'a> {
    /// It can be about no other call than those of this one's attribution.
    Call(&'a Pending),
    /// There is no call.
    NoCall,
    /// It could be about the call of another.
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

    /// The one call that an unnamed message can be about. Of a connection that everybody shares nothing is ever certain: neither is the
    /// only call in flight the only one that the server still works on, nor does a server need a call to speak of a person.
    ///
    /// Requests that a client without sessions gave up do not make it uncertain: servers need not answer what was cancelled, and whichever of the
    /// two it is about is the same application's.
    pub(super) fn subject(&self, owner: &Owner) -> Subject<'_> {
        let is_one_sessions = matches!(owner, Owner::Session(..));
        let is_late = self.speaks_late && self.has_several_sessions;
        if *owner == Owner::Everybody || ((self.lost_track || is_late) && !is_one_sessions) {
            return Subject::Uncertain;
        }
        let given_up = self.abandoned.values().filter(|attribution| matches!(attribution, Attribution::Session(_)));
        let mut attributions = self.pending.values().filter_map(|call| call.attribution.as_ref()).chain(given_up);
        let Some(first) = attributions.next() else {
            return if self.abandoned.is_empty() { Subject::NoCall } else { Subject::Uncertain };
        };
        if attributions.any(|other| other != first) {
            return Subject::Uncertain;
        }
        let heard = self.pending.iter().filter(|(_, call)| call.attribution.is_some() && call.call_events.is_some());
        match heard.max_by_key(|(id, call)| (!call.clock.waits_for_client(), **id)) {
            Some((_, call)) => Subject::Call(call),
            // Its session can be told all the same: the connection has no other.
            None if is_one_sessions => Subject::NoCall,
            None => Subject::Uncertain,
        }
    }

    /// The call is over, for its answer is there.
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

    /// Whose call it was that was answered, and the token that they gave it.
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

/// Signs of life of one call, for its clock.
#[derive(Default)]
pub(in crate::upstream) struct CallClock {
    /// Told at each sign of progress.
    pub(in crate::upstream) restart: Notify,
    /// How many requests of the server the client is busy with: meanwhile the server is not late.
    asking: AtomicUsize,
}

impl CallClock {
    pub(in crate::upstream) fn waits_for_client(&self) -> bool {
        self.asking.load(Ordering::Acquire) > 0
    }
}

/// The listener of a call that the server asks something about; while this lives, the call's clock stands still.
pub(in crate::upstream) struct Asking {
    pub(in crate::upstream) call_events: mpsc::Sender<CallEvent>,
    clock: Arc<CallClock>,
}

impl Asking {
    pub(super) fn about(call: &Pending, call_events: mpsc::Sender<CallEvent>) -> Self {
        call.clock.asking.fetch_add(1, Ordering::AcqRel);
        Self { call_events, clock: Arc::clone(&call.clock) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.clock.asking.fetch_sub(1, Ordering::AcqRel);
        self.clock.restart.notify_one();
    }
}
