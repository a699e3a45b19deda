//! The answer to a request that a server works on: one JSON message when nothing but the result is
//! to be sent, else a stream that ends with it. The call runs in a task of its own. What is sent,
//! and in which form, is said by the [`Encoder`] of the client's era: [`super::legacy_answer`],
//! [`super::modern_answer`].

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

use super::answers;
use crate::{
    answer::{Answer, Refused},
    problem::{Problem, Reply},
    upstream::CallEvent,
    wire::{
        self, Payload, RequestId,
        protocol::{member, notification},
    },
};

/// How many events of a call may wait for a slow client; progress beyond it is dropped.
const WAITING_EVENTS: usize = 32;

/// What is still to come of a call under way.
pub(crate) struct UnderWay {
    pub(crate) call_events: mpsc::Receiver<CallEvent>,
    /// The sender is dropped without a reply when the call broke off.
    reply: oneshot::Receiver<Reply>,
    /// Cancels the call when nothing waits for its answer any more.
    _cancel: Option<DropGuard>,
}

/// The call's side of [`UnderWay`].
pub(crate) struct Work {
    pub(crate) call_events: mpsc::Sender<CallEvent>,
    pub(crate) reply: oneshot::Sender<Reply>,
}

impl UnderWay {
    pub(crate) fn begin(cancel: Option<DropGuard>) -> (Self, Work) {
        let (call_events_in, call_events) = mpsc::channel(WAITING_EVENTS);
        let (replied, reply) = oneshot::channel();
        (
            Self { call_events, reply, _cancel: cancel },
            Work { call_events: call_events_in, reply: replied },
        )
    }
}

/// The last message of an answer.
pub(crate) struct Last {
    pub(crate) status: StatusCode,
    /// `None`: the call was cancelled, and has no response (MCP 2025-11-25, cancellation).
    pub(crate) message: Option<Bytes>,
    pub(crate) refused: Option<Refused>,
    /// A limit was met, and will not be after this time.
    pub(crate) retry_after: Option<Duration>,
}

impl Last {
    pub(crate) fn into_answer(self) -> Answer {
        let Some(message) = self.message else { return answers::events(stream::empty()) };
        match (self.refused, self.retry_after) {
            (Some(refused), _) => answers::refused(message, refused),
            (None, Some(retry_after)) => answers::limited(message, retry_after),
            (None, None) => answers::json(self.status, message),
        }
    }
}

/// The questions that end an answer, and the messages that came between them.
pub(crate) type Gathered<Questions> = Result<(VecDeque<Bytes>, Questions), Problem>;

/// How an answer is written for the clients of one era.
pub(crate) trait Encoder: Sized + Send + 'static {
    /// A question of a server that ends this answer: the call is suspended until the client comes
    /// back.
    type Question: Send;
    type Questions: Send;
    /// What it takes to make a stream of messages an answer.
    type Form;

    /// The event as a JSON-RPC message; `Ok(None)` when there is nothing to tell the client.
    fn message(&mut self, event: CallEvent) -> Result<Option<Bytes>, Self::Question>;

    /// The questions that come with the first one, and the messages that came between them. A
    /// client that cannot answer one of them is told what it lacks, and the call ends.
    fn gather<'a>(
        &'a mut self,
        first: Self::Question,
        under_way: &'a mut UnderWay,
    ) -> BoxFuture<'a, Gathered<Self::Questions>>;

    /// Puts the call aside; the answer ends with what its client is asked.
    fn suspend(self, under_way: UnderWay, questions: Self::Questions) -> Last;

    /// How the call ended; `None`: it broke off.
    fn last(&self, reply: Option<Reply>) -> Last;

    /// Ready when the answer has to end, whatever is still to come.
    fn ended(&self) -> impl Future<Output = ()> + Send + 'static;

    /// Ready when something has to be sent although nothing has come.
    fn silence(&self) -> impl Future<Output = ()> + Send + 'static;

    fn form(&self) -> Self::Form;

    /// The answer as a stream. `is_silent`: nothing is there to be sent yet.
    fn stream(form: Self::Form, messages: BoxStream<'static, Bytes>, is_silent: bool) -> Answer;
}

enum Next<E: Encoder> {
    Message(Bytes),
    Questions(VecDeque<Bytes>, E::Questions),
    Reply(Option<Reply>),
}

/// Waits for the first thing to send; that decides the form of the answer.
pub(crate) async fn answer<E: Encoder>(mut encoder: E, mut under_way: UnderWay) -> Answer {
    let silence = encoder.silence();
    let first = tokio::select! {
        biased;
        next = next(&mut encoder, &mut under_way) => Some(next),
        () = silence => None,
    };
    let form = encoder.form();
    let (mut messages, last) = match first {
        None => return E::stream(form, rest(encoder, under_way, VecDeque::new()), true),
        Some(Next::Message(message)) => {
            return E::stream(form, rest(encoder, under_way, VecDeque::from([message])), false);
        }
        Some(Next::Questions(messages, questions)) => {
            (messages, encoder.suspend(under_way, questions))
        }
        Some(Next::Reply(reply)) => {
            (late_messages(&mut encoder, &mut under_way), encoder.last(reply))
        }
    };
    if messages.is_empty() {
        return last.into_answer();
    }
    messages.extend(last.message);
    E::stream(form, stream::iter(messages).boxed(), false)
}

/// All messages of an answer from here on, after those that are ready.
fn rest<E: Encoder>(
    encoder: E,
    under_way: UnderWay,
    ready: VecDeque<Bytes>,
) -> BoxStream<'static, Bytes> {
    let begun = (Some((encoder, under_way)), ready);
    let messages = stream::unfold(begun, |(mut open, mut ready)| async move {
        loop {
            if let Some(message) = ready.pop_front() {
                return Some((message, (open, ready)));
            }
            let (mut encoder, mut under_way) = open.take()?;
            match next(&mut encoder, &mut under_way).await {
                Next::Message(message) => {
                    ready.push_back(message);
                    open = Some((encoder, under_way));
                }
                Next::Questions(messages, questions) => {
                    ready = messages;
                    ready.extend(encoder.suspend(under_way, questions).message);
                }
                Next::Reply(reply) => {
                    ready = late_messages(&mut encoder, &mut under_way);
                    ready.extend(encoder.last(reply).message);
                }
            }
        }
    });
    messages.boxed()
}

async fn next<E: Encoder>(encoder: &mut E, under_way: &mut UnderWay) -> Next<E> {
    let ended = encoder.ended();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            biased;
            Some(call_event) = under_way.call_events.recv() => match encoder.message(call_event) {
                Ok(Some(message)) => return Next::Message(message),
                Ok(None) => {}
                Err(question) => {
                    return match encoder.gather(question, under_way).await {
                        Ok((messages, questions)) => Next::Questions(messages, questions),
                        Err(problem) => Next::Reply(Some(Err(problem))),
                    };
                }
            },
            reply = &mut under_way.reply => return Next::Reply(reply.ok()),
            () = &mut ended => return Next::Reply(None),
        }
    }
}

/// What came together with the reply goes before it.
fn late_messages<E: Encoder>(encoder: &mut E, under_way: &mut UnderWay) -> VecDeque<Bytes> {
    let mut messages = VecDeque::new();
    while let Ok(call_event) = under_way.call_events.try_recv() {
        // A question that comes too late is dropped, which answers it.
        messages.extend(encoder.message(call_event).ok().flatten());
    }
    messages
}

/// A notification of progress, with the client's own token in it.
pub(crate) fn progress(token: &RequestId, params: &Payload) -> Bytes {
    let restored = wire::replace_member(params, &[member::PROGRESS_TOKEN], token.payload());
    wire::notification(notification::PROGRESS, Some(restored.as_ref().unwrap_or(params)))
}
