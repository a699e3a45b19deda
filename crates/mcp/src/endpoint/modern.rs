//! A message of a modern client (MCP 2026-07-28, Streamable HTTP): checked, then answered on its own, with nothing remembered between two
//! of them but what a server is waiting for ([`crate::hub::waiting`]). How the answer comes about is [`super::exchange`]'s.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, StatusCode};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    answers,
    exchange::{Asking, Exchange, PlaceOfCall},
    metadata::{self, Sound},
};
use crate::{
    allow::Verdict,
    answer::Answer,
    client_capabilities::ClientCapabilities,
    era::Era,
    hub::{
        Asker, Caller, Inner, View,
        ask::Ask,
        changes, discover,
        reply::{self, Problem, Reply},
        waiting::Waiter,
    },
    sync::locked,
    translate::input,
    wire::{self, Message, Notification, Payload, Request, code},
};

/// How many events may wait for a slow client.
const WAITING_EVENTS: usize = 32;
/// These belong to the handshake era alone.
const GONE: [&str; 5] = ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

impl Inner {
    pub(super) async fn post_modern(
        self: &Arc<Self>,
        caller: &Caller,
        map: &HeaderMap,
        message: Message,
    ) -> Result<Answer, Box<Answer>> {
        match message {
            Message::Request(request) => {
                let sound = metadata::check(&request, map)?;
                Ok(self.answer_modern(caller, request, sound).await)
            }
            Message::Notification(notification) => {
                self.notice_modern(caller, notification).await;
                Ok(answers::empty(StatusCode::ACCEPTED))
            }
            Message::Response(_) => Err(Box::new(answers::bad_request("clients send no responses in revision 2026-07-28"))),
        }
    }

    async fn answer_modern(self: &Arc<Self>, caller: &Caller, request: Request, sound: Sound) -> Answer {
        if GONE.contains(&request.method.as_str()) {
            let reply = Err(Problem::method_not_found(&request.method));
            return reply::modern_answer(&request.id, reply);
        }
        let client_capabilities = ClientCapabilities::of(sound.head.meta.client_capabilities.as_ref());
        let client_capabilities = self.capability_sets.admit(&caller.principal.user, client_capabilities, Instant::now());
        if request.method == "subscriptions/listen" {
            return changes::answer(self, caller, request, client_capabilities).await;
        }
        let waiter = match self.waiter(caller, &request, sound.head.request_state.as_deref(), &client_capabilities).await {
            Ok(waiter) => waiter,
            Err(problem) => return reply::modern_answer(&request.id, Err(problem)),
        };
        let asking = Asking { hub: Arc::clone(self), caller: caller.clone(), request };
        match waiter {
            Some(waiter) => resume(asking, waiter, &sound).await,
            None => self.begin(asking, client_capabilities, sound).await,
        }
    }

    /// The request that is retried, if it is one. Whose state it is comes first, so that nothing is started for a stranger; then whether the
    /// token, which may be another by now, allows the request (threat 71); only then it is taken.
    async fn waiter(
        self: &Arc<Self>,
        caller: &Caller,
        request: &Request,
        state: Option<&str>,
        client_capabilities: &ClientCapabilities,
    ) -> Result<Option<Waiter>, Problem> {
        let Some(state) = state else { return Ok(None) };
        let Some(name) = self.find_waiting(caller, request, state)? else { return Ok(None) };
        self.judge_retry(caller, Asker::alone(caller, client_capabilities.clone()), request).await?;
        self.take_waiting(name).map(Some)
    }

    async fn begin(self: &Arc<Self>, asking: Asking, client_capabilities: ClientCapabilities, sound: Sound) -> Answer {
        let (caller, request) = (&asking.caller, &asking.request);
        let room = self.sessions.room(&caller.principal.user);
        let Ok(place) = room.call_place(self.calls_per_user()).await else {
            return answers::too_many(Some(&request.id), "requests");
        };
        let (call_events_in, call_events) = mpsc::channel(WAITING_EVENTS);
        let (replied, reply) = oneshot::channel();
        let cancel = CancellationToken::new();
        let ask = Ask {
            asker: Asker::alone(caller, client_capabilities.clone()),
            view: caller.view.clone(),
            allow: Arc::clone(&caller.allow),
            era: Era::Modern,
            speaker: None,
            method: request.method.clone(),
            params: request.params.clone(),
            mirrors: sound.mirrors,
            level: sound.level,
            request_id: caller.request_id.clone(),
            call_events: call_events_in,
            cancel: cancel.clone(),
        };
        let place: PlaceOfCall = Arc::new(Mutex::new(Some(place)));
        tokio::spawn(run(Arc::clone(self), ask, Arc::clone(&place), replied).in_current_span());
        let exchange = Exchange::new(
            call_events,
            reply,
            cancel.drop_guard(),
            place,
            client_capabilities,
            sound.level,
            sound.head.meta.progress_token,
        );
        exchange.answer(asking).await
    }

    async fn notice_modern(self: &Arc<Self>, caller: &Caller, Notification { method, params }: Notification) {
        let View::One(server) = &caller.view else { return };
        let room = self.sessions.room(&caller.principal.user);
        let Ok(_place) = room.call_place(self.calls_per_user()).await else { return };
        // A disconnect cancels; there is nothing else that the protocol itself would tell a server.
        if method != "notifications/cancelled" && caller.allow.method(server, &method) == Verdict::Allowed {
            self.pass_on(server, &Asker::alone(caller, ClientCapabilities::default()), &method, params).await;
        }
    }
}

/// Until it is done, or its client has gone.
async fn run(hub: Arc<Inner>, ask: Ask, place: PlaceOfCall, replied: oneshot::Sender<Reply>) {
    let reply = match ask.method.as_str() {
        "server/discover" => discover::reply(&hub, &ask).await,
        _ => hub.request(&ask).await,
    };
    reply::log(&ask.method, &reply);
    drop(ask);
    drop(locked(&place).take());
    // Nobody is left to read it, if this fails.
    let _ = replied.send(reply);
}

/// The client comes back with what a server wanted to know. What it left out is asked for again.
async fn resume(asking: Asking, waiter: Waiter, sound: &Sound) -> Answer {
    let Waiter { mut exchange, asked, .. } = waiter;
    let room = asking.hub.sessions.room(&asking.caller.principal.user);
    if let Ok(place) = room.call_place(asking.hub.calls_per_user()).await {
        exchange.takes(place);
    } else {
        // Its answers are taken: refused now, they would be lost.
        tracing::debug!("a call goes on beside as many as there may be");
    }
    let keys: HashSet<&str> = asked.iter().map(|(request, _)| request.key.as_str()).collect();
    let nothing = wire::object(&[]);
    let responses: &Payload = sound.head.input_responses.as_ref().unwrap_or(&nothing);
    let mut answers = input::answers(responses, &keys).unwrap_or_default();
    let mut open = Vec::new();
    for (request, ask) in asked {
        match answers.iter().position(|(key, _)| *key == request.key) {
            // Of memory of its own: the request it came in is soon done with.
            Some(at) => ask.answer(Ok(answers.swap_remove(at).1.detached())),
            None if ask.is_withdrawn() => {}
            None => open.push((request, ask)),
        }
    }
    exchange.goes_on_for(sound.level, sound.head.meta.progress_token.clone());
    if open.is_empty() { exchange.answer(asking).await } else { exchange.ask_again(&asking, open) }
}

/// The HTTP status of an answer with this error code; `None` is a result.
pub(crate) fn status_of(code: Option<i64>) -> StatusCode {
    match code {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            code::HEADER_MISMATCH
            | code::MISSING_CLIENT_CAPABILITY
            | code::UNSUPPORTED_PROTOCOL_VERSION
            | code::PARSE_ERROR
            | code::INVALID_REQUEST,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}
