//! How an answer is written for a legacy client: its stream has events with ids and outlives the
//! connection, so a client that disconnects has cancelled nothing, and may come back to it
//! ([`super::connection`]).

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use http::StatusCode;
use tokio::time::Instant;

use super::{
    answer_stream::{Encoder, Gathered, Last, UnderWay, progress},
    connection::Connection,
    encode,
};
use crate::{
    allow::Allow,
    answer::Answer,
    problem::{Problem, Reply},
    session::{Session, operation::Operation},
    upstream::CallEvent,
    wire::{self, RequestId, protocol::notification},
};

/// Whose answer it is, and what is asked.
#[derive(Clone)]
pub(crate) struct LegacyAnswer {
    pub(crate) session: Arc<Session>,
    /// Of the request's token.
    pub(crate) allow: Arc<dyn Allow>,
    pub(crate) operation: Arc<Operation>,
    /// The request's.
    pub(crate) id: RequestId,
    /// The client's token, to be put back into notifications of progress.
    pub(crate) token: Option<RequestId>,
    pub(crate) keep_alive: Duration,
}

impl Encoder for LegacyAnswer {
    /// The client is asked on the stream, and the answer goes on.
    type Question = Infallible;
    type Questions = Infallible;
    type Form = Self;

    fn message(&mut self, event: CallEvent) -> Result<Option<Bytes>, Infallible> {
        Ok(match event {
            CallEvent::Progress(params) => Some(match &self.token {
                Some(token) => progress(token, &params),
                None => wire::notification(notification::PROGRESS, Some(&params)),
            }),
            CallEvent::Notification { method, params } => {
                let is_quiet =
                    method == notification::MESSAGE && !self.session.wants_log(params.as_ref());
                (!is_quiet).then(|| wire::notification(&method, params.as_ref()))
            }
            CallEvent::Ask(ask) => self.session.pose(ask, Some(Arc::clone(&self.operation))),
        })
    }

    fn gather<'a>(
        &'a mut self,
        first: Infallible,
        _: &'a mut UnderWay,
    ) -> BoxFuture<'a, Gathered<Infallible>> {
        match first {}
    }

    fn suspend(self, _: UnderWay, questions: Infallible) -> Last {
        match questions {}
    }

    fn last(&self, reply: Option<Reply>) -> Last {
        let message = reply.as_ref().and_then(|reply| encode::message(&self.id, reply));
        let (refused, retry_after) = match reply {
            Some(Err(Problem::NotGranted(refused))) => (Some(refused), None),
            Some(Err(Problem::Limited(limited))) => (None, Some(limited.retry_after)),
            _ => (None, None),
        };
        Last { status: StatusCode::OK, message, refused, retry_after }
    }

    fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        self.session.ended.clone().cancelled_owned()
    }

    /// Nothing for so long that something has to be sent, or something that only waits for a
    /// stream.
    fn silence(&self) -> impl Future<Output = ()> + Send + 'static {
        let Self { session, allow, keep_alive, .. } = self.clone();
        async move {
            tokio::select! {
                biased;
                () = session.outbox.waits(&*allow, || !session.has_stream()) => {}
                () = tokio::time::sleep_until(Instant::now() + keep_alive) => {}
            }
        }
    }

    fn form(&self) -> Self {
        self.clone()
    }

    fn stream(form: Self, messages: BoxStream<'static, Bytes>, is_silent: bool) -> Answer {
        let Self { session, allow, operation, id, keep_alive, .. } = form;
        let opened = session.resumables.open_call(id, operation, messages);
        let connection = Connection::begin(session, allow, opened, keep_alive);
        if is_silent { connection.after_silence().into_answer() } else { connection.into_answer() }
    }
}
