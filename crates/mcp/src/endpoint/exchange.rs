//! The answer to a modern client's request: one JSON message when nothing but the result is to be sent, else a stream that ends with it. A
//! client that disconnects has cancelled (MCP 2026-07-28, cancellation). A server that asks something in the middle ends the answer with
//! `input_required`, and the exchange is put aside until the client comes back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::DropGuard;

use super::{answers, sse};
use crate::{
    answer::{Answer, Refused},
    client_capabilities::ClientCapabilities,
    hub::{
        Caller, Inner,
        reply::{self, Problem, Reply},
    },
    session::{level::Level, table::CallPlace},
    sync::locked,
    translate::input::{self, InputRequest},
    upstream::{CallEvent, ServerAsk},
    wire::{self, Outcome, Payload, Request, RequestId, code},
};

/// How long after one question of a server another may come that belongs to it. A person is going to be asked, which takes longer.
const GATHERING: Duration = Duration::from_millis(40);

/// Who is answered, and what.
pub(crate) struct Asking {
    pub(crate) hub: Arc<Inner>,
    pub(crate) caller: Caller,
    pub(crate) request: Request,
}

/// The call's place, which it has while it is at work.
pub(crate) type PlaceOfCall = Arc<Mutex<Option<CallPlace>>>;

/// What is still to come of a call under way. Dropping it cancels the call.
pub(crate) struct Exchange {
    call_events: mpsc::Receiver<CallEvent>,
    /// The sender is dropped without a reply when the call broke off.
    reply: oneshot::Receiver<Reply>,
    _cancel: DropGuard,
    /// Among the user's calls at work, while it is at work.
    place: PlaceOfCall,
    client_capabilities: ClientCapabilities,
    level: Option<Level>,
    token: Option<RequestId>,
    /// Names what servers ask.
    asked: u32,
}

enum Next {
    Event(Bytes),
    Silence,
    /// What came between the questions goes before them.
    Asked(VecDeque<Bytes>, Vec<(InputRequest, ServerAsk)>),
    Reply(Option<Reply>),
}

/// The last message of an answer.
struct Last {
    status: StatusCode,
    message: Bytes,
    refused: Option<Refused>,
}

impl Exchange {
    pub(crate) fn new(
        call_events: mpsc::Receiver<CallEvent>,
        reply: oneshot::Receiver<Reply>,
        cancel: DropGuard,
        place: PlaceOfCall,
        client_capabilities: ClientCapabilities,
        level: Option<Level>,
        token: Option<RequestId>,
    ) -> Self {
        Self { call_events, reply, _cancel: cancel, place, client_capabilities, level, token, asked: 0 }
    }

    /// It is at work again.
    pub(crate) fn takes(&self, place: CallPlace) {
        *locked(&self.place) = Some(place);
    }

    /// A retry has wishes of its own.
    pub(crate) fn goes_on_for(&mut self, level: Option<Level>, token: Option<RequestId>) {
        self.level = level;
        self.token = token;
    }

    /// Waits for the first thing to send; that decides the form of the answer.
    pub(crate) async fn answer(mut self, asking: Asking) -> Answer {
        match self.next(&asking).await {
            Next::Event(event) => self.stream(asking, event),
            Next::Silence => self.stream(asking, sse::keep_alive()),
            Next::Asked(events, asked) if events.is_empty() => self.ask_again(&asking, asked),
            Next::Asked(mut events, asked) => {
                events.push_back(sse::message(&self.put_aside(&asking, asked).message));
                answers::events(stream::iter(events))
            }
            Next::Reply(reply) => {
                let mut events = self.late_call_events();
                let last = last_of(&asking, reply);
                if events.is_empty() {
                    return last.into_answer();
                }
                events.push_back(sse::message(&last.message));
                answers::events(stream::iter(events))
            }
        }
    }

    /// The answer that asks the client.
    pub(crate) fn ask_again(self, asking: &Asking, asked: Vec<(InputRequest, ServerAsk)>) -> Answer {
        self.put_aside(asking, asked).into_answer()
    }

    fn stream(self, asking: Asking, first: Bytes) -> Answer {
        let begun = (Some((self, asking)), VecDeque::from([first]));
        answers::events(stream::unfold(begun, |(mut open, mut ready)| async move {
            loop {
                if let Some(event) = ready.pop_front() {
                    return Some((event, (open, ready)));
                }
                let (mut exchange, asking) = open.take()?;
                match exchange.next(&asking).await {
                    Next::Event(event) => {
                        ready.push_back(event);
                        open = Some((exchange, asking));
                    }
                    Next::Silence => {
                        ready.push_back(sse::keep_alive());
                        open = Some((exchange, asking));
                    }
                    Next::Asked(events, asked) => {
                        ready = events;
                        ready.push_back(sse::message(&exchange.put_aside(&asking, asked).message));
                    }
                    Next::Reply(reply) => {
                        ready = exchange.late_call_events();
                        ready.push_back(sse::message(&last_of(&asking, reply).message));
                    }
                }
            }
        }))
    }

    async fn next(&mut self, asking: &Asking) -> Next {
        let keep_alive = asking.hub.settings.keep_alive;
        loop {
            tokio::select! {
                biased;
                Some(call_event) = self.call_events.recv() => {
                    if let CallEvent::Ask(ask) = call_event {
                        return match self.questions(ask).await {
                            Ok((events, asked)) => Next::Asked(events, asked),
                            Err(problem) => Next::Reply(Some(Err(problem))),
                        };
                    } else if let Some(event) = self.event(call_event) {
                        return Next::Event(event);
                    }
                }
                reply = &mut self.reply => return Next::Reply(reply.ok()),
                () = tokio::time::sleep_until(Instant::now() + keep_alive) => return Next::Silence,
            }
        }
    }

    /// This question, and those that come with it: servers ask several things at once, each in a message of its own. A client that cannot
    /// answer one of them is told what it lacks, and the call ends.
    async fn questions(&mut self, first: ServerAsk) -> Result<(VecDeque<Bytes>, Vec<(InputRequest, ServerAsk)>), Problem> {
        let (mut asks, mut events) = (vec![first], VecDeque::new());
        let enough = Instant::now() + GATHERING * 5;
        while let Ok(Some(call_event)) =
            tokio::time::timeout_at(enough.min(Instant::now() + GATHERING), self.call_events.recv()).await
        {
            match call_event {
                CallEvent::Ask(ask) => asks.push(ask),
                other => events.extend(self.event(other)),
            }
        }
        let mut questions = Vec::new();
        for ask in asks {
            if let Some(missing) = self.client_capabilities.lacks(&ask.method, ask.params.as_ref()) {
                return Err(Problem::missing_capability(&missing));
            }
            let params = input::params_to_modern(&ask.method, ask.params.as_ref())?;
            self.asked += 1;
            let key = format!("{}-{}", ask.method.replace('/', "-"), self.asked);
            questions.push((InputRequest { key, method: ask.method.clone(), params }, ask));
        }
        Ok((events, questions))
    }

    /// An event of the call that the client wants, as one of its stream.
    fn event(&self, call_event: CallEvent) -> Option<Bytes> {
        let message = match call_event {
            CallEvent::Progress(params) => progress(self.token.as_ref()?, &params),
            CallEvent::Notification { method, params } => {
                if method == "notifications/message" && !self.wants_log(params.as_ref()) {
                    return None;
                }
                wire::notification(&method, params.as_ref())
            }
            CallEvent::Ask(_) => return None,
        };
        Some(sse::message(&message))
    }

    fn wants_log(&self, params: Option<&Payload>) -> bool {
        let level = params.and_then(|params| wire::params_head(params).ok()).and_then(|head| head.level);
        let level = level.as_deref().and_then(Level::parse);
        self.level.is_some_and(|wanted| level.is_none_or(|level| level >= wanted))
    }

    /// What came together with the reply goes before it.
    fn late_call_events(&mut self) -> VecDeque<Bytes> {
        let mut events = VecDeque::new();
        while let Ok(call_event) = self.call_events.try_recv() {
            events.extend(self.event(call_event));
        }
        events
    }

    fn put_aside(self, asking: &Asking, asked: Vec<(InputRequest, ServerAsk)>) -> Last {
        let requests: Vec<_> = asked.iter().map(|(request, _)| request.clone()).collect();
        // Whoever waits for a person is not at work.
        drop(locked(&self.place).take());
        let state = asking.hub.put_aside(&asking.caller, &asking.request, self, asked);
        let reply = match state {
            Some(state) => Ok(Outcome::Result(input::write(&requests, &state))),
            None => Err(Problem::refused(
                answers::LIMIT_REACHED,
                "too many requests of yours wait for their client's input: answer some of them",
            )),
        };
        last_of(asking, Some(reply))
    }
}

fn progress(token: &RequestId, params: &Payload) -> Bytes {
    let restored = wire::replace_member(params, &["progressToken"], token.payload());
    wire::notification("notifications/progress", Some(restored.as_ref().unwrap_or(params)))
}

fn last_of(asking: &Asking, reply: Option<Reply>) -> Last {
    let broken = || Err(Problem::refused(code::INTERNAL_ERROR, "the request broke off"));
    let (status, message, refused) = reply::modern(&asking.request.id, reply.unwrap_or_else(broken));
    Last { status, message, refused }
}

impl Last {
    fn into_answer(self) -> Answer {
        match self.refused {
            Some(refused) => answers::refused(self.message, refused),
            None => answers::json(self.status, self.message),
        }
    }
}
