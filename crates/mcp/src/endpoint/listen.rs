//! GET: the stream for what servers say without being asked.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sse;
use crate::session::{Session, table::Place};

/// One open stream. While it lives it counts against the user's cap, and its session is in use.
struct Listening {
    session: Arc<Session>,
    closing: CancellationToken,
    keep_alive: Duration,
    opened: bool,
    _place: Place,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.session.stream_closed();
    }
}

/// The stream, until the session ends, `closing` is cancelled, or the client goes. Several streams of one session share its
/// messages: each goes to one of them.
pub(crate) fn stream(
    session: Arc<Session>,
    place: Place,
    closing: CancellationToken,
    keep_alive: Duration,
) -> impl Stream<Item = Bytes> + Send + 'static {
    session.stream_opened();
    let listening = Listening { session, closing, keep_alive, opened: false, _place: place };
    stream::unfold(listening, |mut listening| async move {
        if !std::mem::replace(&mut listening.opened, true) {
            // The client's library may tell its user that the stream is open only once something has come.
            return Some((Bytes::from_static(b": open\n\n"), listening));
        }
        let next = next(&listening).await?;
        Some((next, listening))
    })
}

async fn next(listening: &Listening) -> Option<Bytes> {
    tokio::select! {
        biased;
        () = listening.session.ended.cancelled() => None,
        () = listening.closing.cancelled() => None,
        message = listening.session.outbox.next(|| true) => Some(sse::message(&message)),
        () = tokio::time::sleep_until(Instant::now() + listening.keep_alive) => Some(sse::keep_alive()),
    }
}
