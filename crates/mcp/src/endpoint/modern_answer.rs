//! How an answer is written for a modern client: a client that disconnects has cancelled (MCP
//! 2026-07-28, cancellation), and a server that asks something in the middle ends the answer with
//! `input_required`; the call is suspended until the client comes back ([`super::suspended`]).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::time::Instant;

use super::{
    answer_stream::{Encoder, Gathered, Last, UnderWay, progress},
    answers,
    context::Endpoint,
    encode, sse,
    suspended::{Exchange, HeldPermit},
};
use crate::{
    answer::Answer,
    caller::Caller,
    client_capabilities::ClientCapabilities,
    problem::{LIMIT_REACHED, Problem, Reply},
    session::level::Level,
    sync::locked,
    translate::input::{self, InputRequest},
    upstream::{CallEvent, ServerAsk},
    wire::{self, Outcome, Payload, Request, RequestId, code, protocol::notification},
};

/// How long after one question of a server another may come that belongs to it. A person is going
/// to be asked, which takes longer.
const GATHERING: Duration = Duration::from_millis(40);

/// Who is answered, what is asked, and what the client wants to hear of it.
pub(crate) struct ModernAnswer {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    pub(crate) client_capabilities: ClientCapabilities,
    pub(crate) level: Option<Level>,
    pub(crate) token: Option<RequestId>,
    pub(crate) permit: HeldPermit,
    /// How many questions were asked so far.
    pub(crate) asked: u32,
}

pub(crate) type Questions = Vec<(InputRequest, ServerAsk)>;

impl ModernAnswer {
    fn wants_log(&self, params: Option<&Payload>) -> bool {
        let level =
            params.and_then(|params| wire::params_head(params).ok()).and_then(|head| head.level);
        let level = level.as_deref().and_then(Level::parse);
        self.level.is_some_and(|wanted| level.is_none_or(|level| level >= wanted))
    }

    async fn questions(
        &mut self,
        first: ServerAsk,
        under_way: &mut UnderWay,
    ) -> Gathered<Questions> {
        let (mut asks, mut messages) = (vec![first], VecDeque::new());
        let enough = Instant::now() + GATHERING * 5;
        // Servers ask several things at once, each in a message of its own.
        while let Ok(Some(call_event)) = tokio::time::timeout_at(
            enough.min(Instant::now() + GATHERING),
            under_way.call_events.recv(),
        )
        .await
        {
            match self.message(call_event) {
                Err(ask) => asks.push(ask),
                Ok(message) => messages.extend(message),
            }
        }
        let mut questions = Vec::new();
        for ask in asks {
            if let Some(missing) = self.client_capabilities.lacks(&ask.method, ask.params.as_ref())
            {
                return Err(Problem::missing_capability(&missing));
            }
            let params = input::params_to_modern(&ask.method, ask.params.as_ref())?;
            self.asked += 1;
            let key = format!("{}-{}", ask.method.replace('/', "-"), self.asked);
            questions.push((InputRequest { key, method: ask.method.clone(), params }, ask));
        }
        Ok((messages, questions))
    }
}

impl Encoder for ModernAnswer {
    type Question = ServerAsk;
    type Questions = Questions;
    /// How long the stream may be silent.
    type Form = Duration;

    fn message(&mut self, event: CallEvent) -> Result<Option<Bytes>, ServerAsk> {
        match event {
            CallEvent::Progress(params) => {
                Ok(self.token.as_ref().map(|token| progress(token, &params)))
            }
            CallEvent::Notification { method, params } => {
                let is_quiet = method == notification::MESSAGE && !self.wants_log(params.as_ref());
                Ok((!is_quiet).then(|| wire::notification(&method, params.as_ref())))
            }
            CallEvent::Ask(ask) => Err(ask),
        }
    }

    fn gather<'a>(
        &'a mut self,
        first: ServerAsk,
        under_way: &'a mut UnderWay,
    ) -> BoxFuture<'a, Gathered<Questions>> {
        Box::pin(self.questions(first, under_way))
    }

    fn suspend(self, under_way: UnderWay, questions: Questions) -> Last {
        let Self { endpoint, caller, request, client_capabilities, permit, asked, .. } = self;
        let requests: Vec<_> = questions.iter().map(|(request, _)| request.clone()).collect();
        // A call that waits for a person is not at work.
        drop(locked(&permit).take());
        let limits = caller.limits.clone();
        if let Some(limits) = &limits {
            limits.pause();
        }
        let usage = endpoint.sessions.usage(&caller.principal.user);
        let suspended = usage.suspension_permit(endpoint.settings.max_waiting_per_user).ok();
        let exchange = Exchange { under_way, permit, limits, client_capabilities, asked };
        let state = suspended.and_then(|suspended| {
            endpoint.suspended.suspend(&caller, &request, exchange, questions, suspended)
        });
        let reply = match state {
            Some(state) => Ok(Outcome::Result(input::write(&requests, &state))),
            None => Err(Problem::refused(
                LIMIT_REACHED,
                "too many requests of yours wait for their client's input: answer some of them",
            )),
        };
        last_of(&request, Some(reply))
    }

    fn last(&self, reply: Option<Reply>) -> Last {
        last_of(&self.request, reply)
    }

    /// Nothing but its client ends it early, by going.
    fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }

    fn silence(&self) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(self.endpoint.settings.keep_alive)
    }

    fn form(&self) -> Duration {
        self.endpoint.settings.keep_alive
    }

    fn stream(
        keep_alive: Duration,
        messages: BoxStream<'static, Bytes>,
        is_silent: bool,
    ) -> Answer {
        let opening = is_silent.then(sse::keep_alive);
        answers::events(stream::iter(opening).chain(stream::unfold(
            messages,
            move |mut messages| async move {
                match tokio::time::timeout(keep_alive, messages.next()).await {
                    Ok(message) => Some((sse::message(&message?), messages)),
                    Err(_) => Some((sse::keep_alive(), messages)),
                }
            },
        )))
    }
}

fn last_of(request: &Request, reply: Option<Reply>) -> Last {
    let broken = || Err(Problem::refused(code::INTERNAL_ERROR, "the request broke off"));
    encode::modern(&request.id, reply.unwrap_or_else(broken))
}
