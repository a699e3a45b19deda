//! A connection that carries a stream of a legacy client: the answer to a request
//! ([`super::respond`]), or what a GET asked for ([`super::listen`]). Streams outlive their
//! connections (`session::resume`): the events have ids, and the client that comes back with one of
//! them gets a new connection to the same stream.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{answers, sse};
use crate::{
    allow::Allow,
    answer::Answer,
    session::{
        Session,
        resume::{EventId, Origin, Reader, Resumable, Step},
        table::Permit,
    },
};

/// Dropped with the body of the HTTP response, so when the client is gone, too.
pub(crate) struct Connection {
    session: Arc<Session>,
    /// Of the token that this very connection was opened with.
    allow: Arc<dyn Allow>,
    stream: Arc<Resumable>,
    reader: Reader,
    /// What the client has.
    after: EventId,
    keep_alive: Duration,
    /// Of a GET.
    get: Option<Get>,
    opening: Option<Bytes>,
}

/// While it lives it counts against the user's cap, and its session is in use.
pub(crate) struct Get {
    session: Arc<Session>,
    /// The gateway stops: nothing that lasts for ever may hold it up.
    closing: CancellationToken,
    said_goodbye: bool,
    _permit: Permit,
}

impl Get {
    pub(crate) fn new(session: &Arc<Session>, closing: CancellationToken, permit: Permit) -> Self {
        session.stream_opened();
        Self { session: Arc::clone(session), closing, said_goodbye: false, _permit: permit }
    }
}

impl Drop for Get {
    fn drop(&mut self) {
        self.session.stream_closed();
    }
}

impl Connection {
    /// The first connection of a stream.
    pub(crate) fn begin(
        session: Arc<Session>,
        allow: Arc<dyn Allow>,
        (stream, reader): (Arc<Resumable>, Reader),
        keep_alive: Duration,
    ) -> Self {
        let after = stream.id(0);
        let opening = session.wants_priming().then(|| sse::priming(&stream.name(after)));
        Self { session, allow, stream, reader, after, keep_alive, get: None, opening }
    }

    /// The client has come back with the id of the last event that it got.
    pub(crate) fn again(
        session: Arc<Session>,
        allow: Arc<dyn Allow>,
        (stream, reader): (Arc<Resumable>, Reader),
        after: EventId,
        keep_alive: Duration,
    ) -> Self {
        Self { session, allow, stream, reader, after, keep_alive, get: None, opening: None }
    }

    /// Nothing has come for so long that something has to be sent.
    pub(crate) fn after_silence(mut self) -> Self {
        self.opening.get_or_insert_with(sse::keep_alive);
        self
    }

    pub(crate) fn into_answer(self) -> Answer {
        answers::events(stream::unfold(self, |mut connection| async move {
            Some((connection.next().await?, connection))
        }))
    }

    pub(crate) fn into_answer_to_get(mut self, get: Get) -> Answer {
        // The client's library may tell its user that the stream is open only once something has
        // come.
        let opening =
            [Bytes::from_static(b": open\n\n"), self.opening.take().unwrap_or_default()].concat();
        self.opening = Some(opening.into());
        self.get = Some(get);
        self.into_answer()
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let Self { session, allow, stream, reader, after, keep_alive, get, .. } = self;
        let allow = &**allow;
        let is_listening = after.origin == Origin::Listening;
        // With a GET stream open, that one carries what belongs to no request.
        let may_take = || is_listening || !session.has_stream();
        tokio::select! {
            biased;
            () = reader.taken_over.cancelled() => None,
            () = closing(get.as_ref().filter(|_| is_listening)) => goodbye(session, get.as_mut()),
            step = std::future::poll_fn(|cx| stream.poll_after(reader, after.number, allow, cx)) => match step {
                Step::Message(id, message) => {
                    *after = id;
                    Some(sse::named(&stream.name(id), &message))
                }
                Step::End => None,
            },
            () = session.ended.cancelled() => None,
            (message, about) = session.outbox.next(allow, may_take) => {
                *after = stream.push(&message, about);
                Some(sse::named(&stream.name(*after), &message))
            }
            () = tokio::time::sleep_until(Instant::now() + *keep_alive) => Some(sse::keep_alive()),
        }
    }
}

async fn closing(get: Option<&Get>) {
    match get {
        Some(get) => get.closing.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Tells the client to come back, then ends.
fn goodbye(session: &Session, get: Option<&mut Get>) -> Option<Bytes> {
    let get = get?;
    (session.wants_priming() && !std::mem::replace(&mut get.said_goodbye, true)).then(sse::retry)
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(reader) = self.stream.leave(&self.reader) else { return };
        // At the very end of the process there is no runtime any more, and no call either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(Arc::clone(&self.stream).drain(reader));
        }
    }
}
