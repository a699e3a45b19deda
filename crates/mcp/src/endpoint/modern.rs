//! A message of a modern client (MCP 2026-07-28, Streamable HTTP): checked, then answered on its
//! own, with nothing remembered between two of them but the calls that a server is waiting for
//! ([`super::suspended`]). How the answer is written is [`super::modern_answer`]'s.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, StatusCode};
use tokio::{sync::oneshot, time::Instant};
use tracing::Instrument as _;

use super::{
    answer_stream::{self, Encoder as _, UnderWay},
    answers,
    context::Endpoint,
    encode,
    metadata::{self, Sound},
    modern_answer::ModernAnswer,
    subscriptions,
    suspended::{Exchange, HeldPermit, SuspendedCall},
};
use crate::{
    allow::Verdict,
    answer::Answer,
    caller::{Caller, View},
    calls::{
        ask::{Ask, Head},
        context::CallContext,
        judge, pipeline,
    },
    client_capabilities::ClientCapabilities,
    era::Era,
    problem::{Problem, Reply},
    session::requester::Requester,
    sync::locked,
    translate::input,
    wire::{
        self, Message, Notification, Payload, Request,
        protocol::{method, notification},
    },
};

/// These belong to the handshake era alone.
const GONE: [&str; 5] = [
    method::INITIALIZE,
    method::PING,
    method::LOGGING_SET_LEVEL,
    method::RESOURCES_SUBSCRIBE,
    method::RESOURCES_UNSUBSCRIBE,
];

pub(super) async fn post(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    map: &HeaderMap,
    message: Message,
) -> Result<Answer, Box<Answer>> {
    match message {
        Message::Request(request) => {
            // Boxed: the future of every request would carry it several times.
            let sound = Box::new(metadata::check(&request, map)?);
            Ok(answer(endpoint, caller, request, sound).await)
        }
        Message::Notification(notification) => {
            notice(endpoint, caller, notification).await;
            Ok(answers::empty(StatusCode::ACCEPTED))
        }
        Message::Response(_) => {
            Err(Box::new(answers::bad_request("clients send no responses in revision 2026-07-28")))
        }
    }
}

async fn answer(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    request: Request,
    sound: Box<Sound>,
) -> Answer {
    if GONE.contains(&request.method.as_str()) {
        let reply = Err(Problem::method_not_found(&request.method));
        return encode::modern_answer(&request.id, reply);
    }
    let client_capabilities = ClientCapabilities::of(sound.head.meta.client_capabilities.as_ref());
    let client_capabilities =
        endpoint.capability_sets.admit(&caller.principal.user, client_capabilities, Instant::now());
    if request.method == method::SUBSCRIPTIONS_LISTEN {
        // Boxed: every other request would carry its size.
        return Box::pin(subscriptions::answer(endpoint, caller, request, client_capabilities))
            .await;
    }
    let suspended = match suspended_call(
        endpoint,
        caller,
        &request,
        sound.head.request_state.as_deref(),
        &client_capabilities,
    )
    .await
    {
        Ok(suspended) => suspended,
        Err(problem) => return encode::modern_answer(&request.id, Err(problem)),
    };
    match suspended {
        Some(suspended) => Box::pin(resume(endpoint, caller, request, suspended, &sound)).await,
        None => begin(endpoint, caller, request, client_capabilities, sound).await,
    }
}

/// The request that is retried, if it is one. Whose state it is comes first, so that nothing is
/// started for a stranger; then whether the token, which may be another by now, allows the request
/// (threat 71); only then it is taken.
async fn suspended_call(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    request: &Request,
    state: Option<&str>,
    client_capabilities: &ClientCapabilities,
) -> Result<Option<SuspendedCall>, Problem> {
    let Some(state) = state else { return Ok(None) };
    let Some(found) = endpoint.suspended.find(caller, request, state)? else { return Ok(None) };
    let requester = Requester::alone(caller, client_capabilities.clone());
    Box::pin(judge::retry(&endpoint.calls, caller, requester, request)).await?;
    endpoint.suspended.take(found).map(Some)
}

async fn begin(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    request: Request,
    client_capabilities: ClientCapabilities,
    sound: Box<Sound>,
) -> Answer {
    let usage = endpoint.sessions.usage(&caller.principal.user);
    let Ok(permit) = usage.call_permit(endpoint.calls_per_user()).await else {
        return answers::too_many(Some(&request.id), "requests");
    };
    let Sound { head, level, header_params } = *sound;
    let token = head.meta.progress_token.clone();
    let head = if wire::is_read_whole(&request.method) { Head::of(head) } else { Head::default() };
    let cancel = usage.cancel_token();
    let (under_way, work) = UnderWay::begin(Some(cancel.clone().drop_guard()));
    let ask = Box::new(Ask {
        requester: Requester::alone(caller, client_capabilities.clone()),
        view: caller.view.clone(),
        allow: Arc::clone(&caller.allow),
        era: Era::Modern,
        legacy_session: None,
        method: request.method.clone(),
        params: request.params.clone(),
        head,
        is_kept: false,
        header_params,
        level,
        request_id: caller.request_id.clone(),
        observer: caller.observer.clone(),
        limits: caller.limits.clone(),
        call_events: work.call_events,
        cancel,
    });
    let permit: HeldPermit = Arc::new(Mutex::new(Some(permit)));
    tokio::spawn(
        run(Arc::clone(&endpoint.calls), ask, Arc::clone(&permit), work.reply).in_current_span(),
    );
    let encoder = ModernAnswer {
        endpoint: Arc::clone(endpoint),
        caller: caller.clone(),
        request,
        client_capabilities,
        level,
        token,
        permit,
        asked: 0,
    };
    answer_stream::answer(encoder, under_way).await
}

async fn notice(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    Notification { method, params }: Notification,
) {
    let View::One(server) = &caller.view else { return };
    let usage = endpoint.sessions.usage(&caller.principal.user);
    let Ok(_permit) = usage.call_permit(endpoint.calls_per_user()).await else { return };
    // A disconnect cancels; there is nothing else that the protocol itself would tell a server.
    if method != notification::CANCELLED && caller.allow.method(server, &method) == Verdict::Allowed
    {
        endpoint
            .calls
            .connections
            .pass_on(
                server,
                &Requester::alone(caller, ClientCapabilities::default()),
                &method,
                params,
            )
            .await;
    }
}

/// Until it is done, or its client has gone.
async fn run(
    context: Arc<CallContext>,
    ask: Box<Ask>,
    permit: HeldPermit,
    replied: oneshot::Sender<Reply>,
) {
    let reply = pipeline::run(&context, &ask).await;
    encode::log(&ask.method, &reply);
    drop(ask);
    drop(locked(&permit).take());
    // When this fails, its client is gone.
    let _ = replied.send(reply);
}

/// The client comes back with what a server wanted to know. What it left out is asked for again.
async fn resume(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    request: Request,
    suspended: SuspendedCall,
    sound: &Sound,
) -> Answer {
    let SuspendedCall { exchange, asked: questions, .. } = suspended;
    let Exchange { under_way, permit, limits, client_capabilities, asked } = exchange;
    if let Some(limits) = &limits {
        limits.resume();
    }
    let usage = endpoint.sessions.usage(&caller.principal.user);
    if let Ok(again) = usage.call_permit(endpoint.calls_per_user()).await {
        *locked(&permit) = Some(again);
    } else {
        // Its answers are taken: refused now, they would be lost.
        tracing::debug!("a call goes on beside as many as there may be");
    }
    let keys: HashSet<&str> = questions.iter().map(|(request, _)| request.key.as_str()).collect();
    let nothing = wire::object(&[]);
    let responses: &Payload = sound.head.input_responses.as_ref().unwrap_or(&nothing);
    let mut answers = input::answers(responses, &keys).unwrap_or_default();
    let mut open = Vec::new();
    for (request, ask) in questions {
        match answers.iter().position(|(key, _)| *key == request.key) {
            // Of memory of its own: the request it came in is soon done with.
            Some(at) => ask.answer(Ok(answers.swap_remove(at).1.detached())),
            None if ask.is_withdrawn() => {}
            None => open.push((request, ask)),
        }
    }
    // A retry has wishes of its own.
    let (level, token) = (sound.level, sound.head.meta.progress_token.clone());
    let encoder = ModernAnswer {
        endpoint: Arc::clone(endpoint),
        // The call is still the one that was counted when it came.
        caller: Caller { limits, ..caller.clone() },
        request,
        client_capabilities,
        level,
        token,
        permit,
        asked,
    };
    if open.is_empty() {
        answer_stream::answer(encoder, under_way).await
    } else {
        encoder.suspend(under_way, open).into_answer()
    }
}
