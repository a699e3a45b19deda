//! The answer to a request: one JSON message when nothing but the result is to be sent, else a stream that ends with it. The
//! call itself runs in a task of its own, so a client that disconnects has not cancelled anything.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{answers, sse};
use crate::{
    answer::{Answer, Refused},
    session::Session,
    wire::{self, Payload, RequestId},
};

/// What is still to come of a call under way.
pub(crate) struct UnderWay {
    pub(crate) session: Arc<Session>,
    /// The client's token, to be put back into notifications of progress.
    pub(crate) token: Option<RequestId>,
    pub(crate) progress: mpsc::Receiver<Payload>,
    /// The sender is dropped without a response when the call was cancelled.
    pub(crate) response: oneshot::Receiver<Response>,
    pub(crate) keep_alive: Duration,
}

/// How a call ended.
pub(crate) struct Response {
    /// The whole message.
    pub(crate) message: Bytes,
    /// What the client lacked; told as an HTTP status too, unless a stream has begun.
    pub(crate) refused: Option<Refused>,
}

enum Next {
    Event(Bytes),
    Response(Option<Response>),
}

impl UnderWay {
    /// Waits for the first thing to send; that decides the form of the answer.
    pub(crate) async fn answer(mut self) -> Answer {
        match self.next().await {
            Next::Response(Some(response)) if self.progress.is_empty() => match response.refused {
                Some(refused) => answers::refused(response.message, refused),
                None => answers::json(StatusCode::OK, response.message),
            },
            // Cancelled: there is no response to send (MCP cancellation), so an empty stream.
            Next::Response(None) => answers::events(stream::empty()),
            first => self.stream(first),
        }
    }

    fn stream(mut self, first: Next) -> Answer {
        let mut ready = VecDeque::new();
        let over = self.enqueue(first, &mut ready);
        answers::events(stream::unfold((self, ready, over), |(mut call, mut ready, mut over)| async move {
            loop {
                if let Some(event) = ready.pop_front() {
                    return Some((event, (call, ready, over)));
                }
                if over {
                    return None;
                }
                let next = call.next().await;
                over = call.enqueue(next, &mut ready);
            }
        }))
    }

    /// Makes events of what came. `true`: that was the last. Progress that came with the response goes before it.
    fn enqueue(&mut self, next: Next, ready: &mut VecDeque<Bytes>) -> bool {
        match next {
            Next::Event(event) => {
                ready.push_back(event);
                false
            }
            Next::Response(response) => {
                while let Ok(params) = self.progress.try_recv() {
                    ready.push_back(progress_event(self.token.as_ref(), &params));
                }
                ready.extend(response.map(|response| sse::message(&response.message)));
                true
            }
        }
    }

    async fn next(&mut self) -> Next {
        let Self { session, token, progress, response, keep_alive } = self;
        tokio::select! {
            biased;
            Some(params) = progress.recv() => Next::Event(progress_event(token.as_ref(), &params)),
            ended = response => Next::Response(ended.ok()),
            () = session.ended.cancelled() => Next::Response(None),
            // With a GET stream open, that one carries what does not belong to this request.
            message = session.outbox.next(|| !session.has_stream()) => Next::Event(sse::message(&message)),
            () = tokio::time::sleep_until(Instant::now() + *keep_alive) => Next::Event(sse::keep_alive()),
        }
    }
}

fn progress_event(token: Option<&RequestId>, params: &Payload) -> Bytes {
    let restored = token.and_then(|token| wire::replace_member(params, &["progressToken"], token.payload()).ok());
    sse::message(&wire::notification("notifications/progress", Some(restored.as_ref().unwrap_or(params))))
}
