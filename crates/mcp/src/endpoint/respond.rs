//! The answer to a request: one JSON message when nothing but the result is to be sent, else a stream that ends with it. The
//! call itself runs in a task of its own, so a client that disconnects has not cancelled anything; it may come back to the stream.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{answers, connection::Connection};
use crate::{
    allow::Allow,
    answer::Answer,
    hub::{
        operation::Operation,
        reply::{self, Problem, Reply},
    },
    session::Session,
    upstream::CallEvent,
    wire::{self, Payload, RequestId},
};

/// What is still to come of a call under way.
pub(crate) struct UnderWay {
    pub(crate) session: Arc<Session>,
    /// Of the request's token.
    pub(crate) allow: Arc<dyn Allow>,
    pub(crate) operation: Arc<Operation>,
    /// The request's.
    pub(crate) id: RequestId,
    /// The client's token, to be put back into notifications of progress.
    pub(crate) token: Option<RequestId>,
    pub(crate) call_events: mpsc::Receiver<CallEvent>,
    /// The sender is dropped without a reply when the call broke off.
    pub(crate) reply: oneshot::Receiver<Reply>,
    pub(crate) keep_alive: Duration,
}

enum Next {
    Message(Bytes),
    Reply(Option<Reply>),
}

impl UnderWay {
    /// Waits for the first thing to send; that decides the form of the answer.
    pub(crate) async fn answer(mut self) -> Answer {
        let mut ready = VecDeque::new();
        match self.next_or_silence().await {
            Some(Next::Message(message)) => {
                ready.push_back(message);
                self.stream(ready, false)
            }
            None => self.stream(ready, false),
            Some(Next::Reply(reply)) => {
                self.late_call_events(&mut ready);
                let message = reply.as_ref().and_then(|reply| reply::message(&self.id, reply));
                match (message, reply) {
                    (Some(message), Some(Err(Problem::NotGranted(refused)))) if ready.is_empty() => {
                        answers::refused(message, refused)
                    }
                    (Some(message), _) if ready.is_empty() => answers::json(StatusCode::OK, message),
                    // Cancelled: there is no response to send (MCP cancellation), so the stream ends without one.
                    (None, _) if ready.is_empty() => answers::events(stream::empty()),
                    (message, _) => {
                        ready.extend(message);
                        self.stream(ready, true)
                    }
                }
            }
        }
    }

    /// The answer as a stream: what is `ready`, and all that is still to come unless it is `over`.
    fn stream(self, ready: VecDeque<Bytes>, over: bool) -> Answer {
        let is_silent = ready.is_empty() && !over;
        let (session, id, keep_alive) = (Arc::clone(&self.session), self.id.clone(), self.keep_alive);
        let (allow, operation) = (Arc::clone(&self.allow), Arc::clone(&self.operation));
        let feed = stream::unfold((self, ready, over), |(mut call, mut ready, mut over)| async move {
            loop {
                if let Some(message) = ready.pop_front() {
                    return Some((message, (call, ready, over)));
                }
                if over {
                    return None;
                }
                match call.next().await {
                    Next::Message(message) => ready.push_back(message),
                    Next::Reply(reply) => {
                        call.late_call_events(&mut ready);
                        ready.extend(reply.and_then(|reply| reply::message(&call.id, &reply)));
                        over = true;
                    }
                }
            }
        });
        let opened = session.resumables.open_call(id, operation, feed.boxed());
        let connection = Connection::begin(session, allow, opened, keep_alive);
        if is_silent { connection.after_silence().into_answer() } else { connection.into_answer() }
    }

    /// What came together with the reply goes before it.
    fn late_call_events(&mut self, ready: &mut VecDeque<Bytes>) {
        while let Ok(call_event) = self.call_events.try_recv() {
            ready.extend(message(&self.session, &self.operation, self.token.as_ref(), call_event));
        }
    }

    /// The first thing to send. `None`: nothing for so long that something has to be, or something that only waits for a stream.
    async fn next_or_silence(&mut self) -> Option<Next> {
        let (session, allow, keep_alive) = (Arc::clone(&self.session), Arc::clone(&self.allow), self.keep_alive);
        tokio::select! {
            biased;
            next = self.next() => Some(next),
            () = session.outbox.waits(&*allow, || !session.has_stream()) => None,
            () = tokio::time::sleep_until(Instant::now() + keep_alive) => None,
        }
    }

    async fn next(&mut self) -> Next {
        let Self { session, operation, token, call_events, reply, .. } = self;
        loop {
            tokio::select! {
                biased;
                Some(call_event) = call_events.recv() => {
                    if let Some(message) = message(session, operation, token.as_ref(), call_event) {
                        return Next::Message(message);
                    }
                }
                ended = &mut *reply => return Next::Reply(ended.ok()),
                () = session.ended.cancelled() => return Next::Reply(None),
            }
        }
    }
}

/// An event of the call as the client gets it; `None` when there is nothing to tell.
fn message(
    session: &Arc<Session>,
    operation: &Arc<Operation>,
    token: Option<&RequestId>,
    call_event: CallEvent,
) -> Option<Bytes> {
    match call_event {
        CallEvent::Progress(params) => Some(progress(token, &params)),
        CallEvent::Notification { method, params } => {
            let is_quiet = method == "notifications/message" && !session.wants_log(params.as_ref());
            (!is_quiet).then(|| wire::notification(&method, params.as_ref()))
        }
        CallEvent::Ask(ask) => session.pose(ask, Some(Arc::clone(operation))),
    }
}

fn progress(token: Option<&RequestId>, params: &Payload) -> Bytes {
    let restored = token.and_then(|token| wire::replace_member(params, &["progressToken"], token.payload()).ok());
    wire::notification("notifications/progress", Some(restored.as_ref().unwrap_or(params)))
}
