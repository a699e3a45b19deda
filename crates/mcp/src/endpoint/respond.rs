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
    answer::Answer,
    hub::reply::{self, Problem, Reply},
    session::Session,
    upstream::News,
    wire::{self, Payload, RequestId},
};

/// What is still to come of a call under way.
pub(crate) struct UnderWay {
    pub(crate) session: Arc<Session>,
    /// The request's.
    pub(crate) id: RequestId,
    /// The client's token, to be put back into notifications of progress.
    pub(crate) token: Option<RequestId>,
    pub(crate) news: mpsc::Receiver<News>,
    /// The sender is dropped without a reply when the call broke off.
    pub(crate) reply: oneshot::Receiver<Reply>,
    pub(crate) keep_alive: Duration,
}

enum Next {
    Event(Bytes),
    Reply(Option<Reply>),
}

impl UnderWay {
    /// Waits for the first thing to send; that decides the form of the answer.
    pub(crate) async fn answer(mut self) -> Answer {
        let first = self.next().await;
        let mut ready = VecDeque::new();
        match first {
            Next::Event(_) => self.stream(first),
            Next::Reply(reply) => {
                self.late_news(&mut ready);
                let message = reply.as_ref().and_then(|reply| reply::message(&self.id, reply));
                match (message, reply) {
                    (Some(message), Some(Err(Problem::NotGranted(refused)))) if ready.is_empty() => {
                        answers::refused(message, refused)
                    }
                    (Some(message), _) if ready.is_empty() => answers::json(StatusCode::OK, message),
                    // Cancelled: there is no response to send (MCP cancellation), so the stream ends without one.
                    (message, _) => {
                        ready.extend(message.map(|message| sse::message(&message)));
                        answers::events(stream::iter(ready))
                    }
                }
            }
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

    /// Makes events of what came. `true`: that was the last.
    fn enqueue(&mut self, next: Next, ready: &mut VecDeque<Bytes>) -> bool {
        match next {
            Next::Event(event) => {
                ready.push_back(event);
                false
            }
            Next::Reply(reply) => {
                self.late_news(ready);
                let message = reply.and_then(|reply| reply::message(&self.id, &reply));
                ready.extend(message.map(|message| sse::message(&message)));
                true
            }
        }
    }

    /// What came together with the reply goes before it.
    fn late_news(&mut self, ready: &mut VecDeque<Bytes>) {
        while let Ok(news) = self.news.try_recv() {
            ready.extend(event(&self.session, self.token.as_ref(), news));
        }
    }

    async fn next(&mut self) -> Next {
        let Self { session, token, news, reply, keep_alive, .. } = self;
        loop {
            tokio::select! {
                biased;
                Some(news) = news.recv() => {
                    if let Some(event) = event(session, token.as_ref(), news) {
                        return Next::Event(event);
                    }
                }
                ended = &mut *reply => return Next::Reply(ended.ok()),
                () = session.ended.cancelled() => return Next::Reply(None),
                // With a GET stream open, that one carries what does not belong to this request.
                message = session.outbox.next(|| !session.has_stream()) => return Next::Event(sse::message(&message)),
                () = tokio::time::sleep_until(Instant::now() + *keep_alive) => return Next::Event(sse::keep_alive()),
            }
        }
    }
}

/// News as the client gets it; `None` when there is nothing to tell.
fn event(session: &Arc<Session>, token: Option<&RequestId>, news: News) -> Option<Bytes> {
    match news {
        News::Progress(params) => Some(progress_event(token, &params)),
        News::Notification { method, params } => {
            let is_quiet = method == "notifications/message" && !session.wants_log(params.as_ref());
            (!is_quiet).then(|| sse::message(&wire::notification(&method, params.as_ref())))
        }
        News::Ask(ask) => session.pose(ask).map(|message| sse::message(&message)),
    }
}

fn progress_event(token: Option<&RequestId>, params: &Payload) -> Bytes {
    let restored = token.and_then(|token| wire::replace_member(params, &["progressToken"], token.payload()).ok());
    sse::message(&wire::notification("notifications/progress", Some(restored.as_ref().unwrap_or(params))))
}
