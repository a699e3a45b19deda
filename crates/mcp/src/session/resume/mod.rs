//! Streams of a session that outlive the connection they are read on, so that a client whose
//! connection broke takes them up where it left off (MCP 2025-11-25, transports, "Resumability and
//! Redelivery"). What a stream carries is numbered and kept for a while; how it becomes bytes on a
//! connection is in `endpoint::connection`.
//!
//! Memory is bounded three times: by what one stream keeps, by what one user has kept in all, and
//! by how many streams one session keeps.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::stream::{BoxStream, Stream as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{operation::Operation, outbox::About};
use crate::{
    allow::{Allow, AllowAll},
    sync::locked,
    wire::{self, RequestId, code},
};
pub(crate) use event_id::{EventId, NamedEvent, Origin};

mod event_id;

/// How long a stream that has ended, or is not read, can still be taken up.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(120);
/// Bytes that one stream keeps.
const MAX_STREAM_BYTES: usize = 1024 * 1024;
/// Messages that one stream keeps.
const MAX_EVENTS: usize = 256;
/// Bytes that the streams of one user keep.
const MAX_USER_BYTES: usize = 8 * 1024 * 1024;
/// Streams that one session keeps although they have ended, or are not read.
const MAX_KEPT: usize = 16;

/// What is still to come of a call: whole JSON-RPC messages.
pub(crate) type Feed = BoxStream<'static, Bytes>;

/// One stream. The last reader has it: an earlier reader is told that it was taken over.
pub(crate) struct Resumable {
    origin: Origin,
    number: u64,
    /// What follows the ids of its events.
    tail: String,
    state: Mutex<State>,
}

struct State {
    /// `None` once all of it is in, and for streams that are fed from outside.
    feed: Option<Feed>,
    kept: VecDeque<Kept>,
    bytes: usize,
    budget: Arc<AtomicUsize>,
    /// The number of the newest message.
    last: u64,
    /// Of the request that this answers.
    request: Option<RequestId>,
    operation: Option<Arc<Operation>>,
    reader: Reader,
    waker: Option<Waker>,
    /// Since when it has been over, or without a reader.
    idle_since: Option<Instant>,
    over: bool,
}

struct Kept {
    number: u64,
    message: Bytes,
    about: Option<About>,
}

/// The right to read, until another connection takes it.
#[derive(Clone)]
pub(crate) struct Reader {
    generation: u64,
    pub(crate) taken_over: CancellationToken,
}

/// What comes after a certain event.
pub(crate) enum Step {
    Message(EventId, Bytes),
    /// The last one has been read, or another connection reads now.
    End,
}

impl Resumable {
    /// Notes a message from outside of the feed, and names it.
    pub(crate) fn push(&self, message: &Bytes, about: Option<About>) -> EventId {
        let mut state = locked(&self.state);
        let number = state.keep(message, about);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        self.id(number)
    }

    pub(crate) fn id(&self, number: u64) -> EventId {
        EventId { origin: self.origin, stream: self.number, number }
    }

    /// As the client is told.
    pub(crate) fn name(&self, id: EventId) -> String {
        format!("{id}{}", self.tail)
    }

    /// The first message after number `after` that `allow` lets the reader have: from what is kept,
    /// else from the feed.
    pub(crate) fn poll_after(
        &self,
        reader: &Reader,
        after: u64,
        allow: &dyn Allow,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        let mut state = locked(&self.state);
        if state.reader.generation != reader.generation {
            return Poll::Ready(Step::End);
        }
        let next = state.kept.partition_point(|kept| kept.number <= after);
        let may_have =
            |kept: &&Kept| kept.about.as_ref().is_none_or(|about| about.is_allowed(allow));
        if let Some(kept) = state.kept.iter().skip(next).find(may_have) {
            return Poll::Ready(Step::Message(self.id(kept.number), kept.message.clone()));
        }
        if state.over {
            return Poll::Ready(match state.lost(after) {
                Some(message) => Step::Message(self.id(state.last), message),
                None => Step::End,
            });
        }
        match state.feed.as_mut().map(|feed| Pin::new(feed).poll_next(cx)) {
            Some(Poll::Ready(Some(message))) => {
                let number = state.keep(&message, None);
                Poll::Ready(Step::Message(self.id(number), message))
            }
            Some(Poll::Ready(None)) => {
                state.end();
                Poll::Ready(Step::End)
            }
            Some(Poll::Pending) | None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Reads on to the end without a listener: what comes is kept, and the call behind it is not
    /// held up.
    pub(crate) async fn drain(self: Arc<Self>, reader: Reader) {
        let mut after = locked(&self.state).last;
        loop {
            // It is not shown: a client that comes back for what is kept is judged then.
            let step = std::future::poll_fn(|cx| self.poll_after(&reader, after, &AllowAll, cx));
            tokio::select! {
                biased;
                () = reader.taken_over.cancelled() => return,
                step = step => match step {
                    Step::Message(id, _) => after = id.number,
                    Step::End => return,
                },
            }
        }
    }

    /// Notes that the connection is gone. Answers with the reader that goes on, if one has to.
    pub(crate) fn leave(&self, reader: &Reader) -> Option<Reader> {
        let mut state = locked(&self.state);
        if state.reader.generation != reader.generation || state.over {
            return None;
        }
        state.idle_since = Some(Instant::now());
        state.feed.is_some().then(|| state.hand_over())
    }

    fn take_over(&self, after: u64) -> Option<Reader> {
        let mut state = locked(&self.state);
        if state.over && after >= state.last {
            return None;
        }
        if !state.over {
            state.idle_since = None;
        }
        Some(state.hand_over())
    }

    fn idle_since(&self) -> Option<Instant> {
        locked(&self.state).idle_since
    }
}

impl State {
    fn hand_over(&mut self) -> Reader {
        self.reader.taken_over.cancel();
        self.reader =
            Reader { generation: self.reader.generation + 1, taken_over: CancellationToken::new() };
        self.reader.clone()
    }

    fn end(&mut self) {
        self.over = true;
        self.feed = None;
        self.idle_since = Some(Instant::now());
    }

    /// Numbers a message and keeps it, the oldest ones making room. One too large to be kept is
    /// lost to a client that comes back.
    fn keep(&mut self, message: &Bytes, about: Option<About>) -> u64 {
        self.last += 1;
        while !self.kept.is_empty()
            && (self.kept.len() >= MAX_EVENTS || self.bytes + message.len() > MAX_STREAM_BYTES)
        {
            self.drop_oldest();
        }
        while self.bytes + message.len() <= MAX_STREAM_BYTES {
            let room =
                |taken: usize| Some(taken + message.len()).filter(|taken| *taken <= MAX_USER_BYTES);
            if self.budget.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok() {
                self.bytes += message.len();
                self.kept.push_back(Kept { number: self.last, message: message.clone(), about });
                break;
            }
            if self.kept.is_empty() {
                break;
            }
            self.drop_oldest();
        }
        self.last
    }

    /// In place of a response that was not kept.
    fn lost(&self, after: u64) -> Option<Bytes> {
        let request = self.request.as_ref().filter(|_| after < self.last)?;
        let text = "the request has run, but its response was too large to be kept while the connection was broken";
        Some(wire::error(Some(request), code::INTERNAL_ERROR, text, None))
    }

    fn drop_oldest(&mut self) {
        if let Some(Kept { message, .. }) = self.kept.pop_front() {
            self.bytes -= message.len();
            self.budget.fetch_sub(message.len(), Ordering::AcqRel);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.budget.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// The streams of one session.
pub(crate) struct Resumables {
    streams: Mutex<Vec<Arc<Resumable>>>,
    opened: AtomicU64,
    /// Streams up to this one were opened by processes that had the session before.
    inherited: AtomicU64,
    /// Bytes kept for the user, in all of the sessions.
    budget: Arc<AtomicUsize>,
}

impl Resumables {
    pub(crate) fn new(budget: Arc<AtomicUsize>) -> Self {
        Self {
            streams: Mutex::default(),
            opened: AtomicU64::new(0),
            inherited: AtomicU64::new(0),
            budget,
        }
    }

    pub(crate) fn begin_at(&self, first: u64) {
        self.opened.store(first, Ordering::Relaxed);
        self.inherited.store(first, Ordering::Relaxed);
    }

    /// Is it an event of a stream that went with an earlier process?
    pub(crate) fn is_lost(&self, event: &EventId) -> bool {
        event.stream <= self.inherited.load(Ordering::Relaxed)
    }

    /// The answer to a request: `feed` gives all of its messages.
    pub(crate) fn open_call(
        &self,
        request: RequestId,
        operation: Arc<Operation>,
        feed: Feed,
    ) -> (Arc<Resumable>, Reader) {
        self.open(Origin::Call, Some((request, operation)), Some(feed))
    }

    /// A stream that is fed by [`Resumable::push`] alone.
    pub(crate) fn open_listening(&self) -> (Arc<Resumable>, Reader) {
        self.open(Origin::Listening, None, None)
    }

    fn open(
        &self,
        origin: Origin,
        call: Option<(RequestId, Arc<Operation>)>,
        feed: Option<Feed>,
    ) -> (Arc<Resumable>, Reader) {
        let (request, operation) = call.unzip();
        let reader = Reader { generation: 0, taken_over: CancellationToken::new() };
        let tail = request.as_ref().map(event_id::tail).unwrap_or_default();
        let state = State {
            feed,
            kept: VecDeque::new(),
            bytes: 0,
            budget: Arc::clone(&self.budget),
            last: 0,
            request,
            operation,
            reader: reader.clone(),
            waker: None,
            idle_since: None,
            over: false,
        };
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let stream = Arc::new(Resumable { origin, number, tail, state: Mutex::new(state) });
        let mut streams = locked(&self.streams);
        self.make_room(&mut streams);
        streams.push(Arc::clone(&stream));
        (stream, reader)
    }

    /// What the stream of this event answers: a client that comes back for it must be allowed that.
    pub(crate) fn operation(&self, event: &EventId) -> Option<Arc<Operation>> {
        let streams = locked(&self.streams);
        let stream = streams
            .iter()
            .find(|stream| stream.number == event.stream && stream.origin == event.origin)?;
        locked(&stream.state).operation.clone()
    }

    /// The stream of this event, to be read on after it. `None`: it is not kept, or nothing comes
    /// after.
    pub(crate) fn take_up(&self, event: &EventId) -> Option<(Arc<Resumable>, Reader)> {
        let streams = locked(&self.streams);
        let stream = streams
            .iter()
            .find(|stream| stream.number == event.stream && stream.origin == event.origin)?;
        Some((Arc::clone(stream), stream.take_over(event.number)?))
    }

    /// Forgets what no client has come back for.
    pub(crate) fn sweep(&self, now: Instant) {
        let is_wanted = |since: Instant| now.saturating_duration_since(since) < KEPT_FOR;
        locked(&self.streams).retain(|stream| stream.idle_since().is_none_or(is_wanted));
    }

    pub(crate) fn clear(&self) {
        let streams = std::mem::take(&mut *locked(&self.streams));
        // What they hold is dropped without the lock.
        drop(streams);
    }

    /// The streams that have been idle the longest go first. Half of the user's bytes stay free for
    /// those that are being read.
    fn make_room(&self, streams: &mut Vec<Arc<Resumable>>) {
        loop {
            let idle = streams
                .iter()
                .enumerate()
                .filter_map(|(at, stream)| Some((at, stream.idle_since()?)));
            let is_full = self.budget.load(Ordering::Acquire) > MAX_USER_BYTES / 2;
            let (count, oldest) = idle.fold((0, None), |(count, oldest), one| {
                let is_older = oldest.is_none_or(|(_, since)| one.1 < since);
                (count + 1, if is_older { Some(one) } else { oldest })
            });
            match oldest {
                Some((at, _)) if is_full || count >= MAX_KEPT => drop(streams.swap_remove(at)),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
