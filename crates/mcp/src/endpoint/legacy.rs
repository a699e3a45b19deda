//! A message of a legacy client: the session it belongs to, and what is done with it. How the
//! answer to a request is written is [`super::legacy_answer`]'s.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{
    answer_stream::{self, UnderWay},
    answers,
    context::Endpoint,
    encode, initialize,
    legacy_answer::LegacyAnswer,
    listen::session_of,
};
use crate::{
    allow::Verdict,
    answer::{Answer, Refused, Wanted},
    caller::{Caller, View},
    calls::{
        ask::{Ask, Head},
        judge, pipeline, tasks,
    },
    era::{self, Era},
    lifecycle::changes_session,
    problem::{Problem, Reply},
    session::{Session, operation::Operation, requester::Requester, table::CallPermit},
    wire::{
        self, Message, Notification, ParamsHead, Request, Response, WireError, code,
        protocol::{method, notification},
    },
};

pub(super) async fn post(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    map: &HeaderMap,
    message: Message,
) -> Result<Answer, Box<Answer>> {
    if let Message::Request(request) = &message
        && request.method == method::INITIALIZE
    {
        // Boxed: every other message would carry its size.
        return Ok(Box::pin(initialize::initialize(endpoint, caller, request)).await);
    }
    let session = session_of(endpoint, caller, map).await?;
    Ok(match message {
        Message::Request(request) => answer(endpoint, caller, session, request).await,
        Message::Notification(notification) => {
            Box::pin(notice(endpoint, caller, &session, notification)).await
        }
        Message::Response(response) => {
            Box::pin(take_answer(endpoint, caller, &session, response)).await
        }
    })
}

/// The client answers a server. Who may not make the call in which it was asked may not answer for
/// it either (threat 71).
async fn take_answer(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    session: &Arc<Session>,
    response: Response,
) -> Answer {
    let judged = match session.question(&response) {
        Some((_, Some(operation))) => {
            judge::operation(&endpoint.calls, caller, Requester::session(session), &operation).await
        }
        Some((server, None)) => judge::answer(caller, &server),
        None => Ok(()),
    };
    match judged {
        Ok(()) => {
            session.take_answer(response);
            answers::empty(StatusCode::ACCEPTED)
        }
        Err(Problem::NotGranted(refused)) => encode::refusal(None, refused),
        Err(_) => answers::bad_request("the question is about what this token does not allow"),
    }
}

async fn answer(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    session: Arc<Session>,
    request: Request,
) -> Answer {
    let id = Some(&request.id);
    if request.method == method::PING {
        return answers::json(StatusCode::OK, wire::result(&request.id, &wire::object(&[])));
    }
    let head = read_head(&request);
    let meta = match &head {
        Ok(Some(head)) => head.meta.clone(),
        // What is wrong with the parameters is the method's to say, but for what every request may
        // have.
        Ok(None) | Err(_) => match request.params.as_ref().map(wire::meta_of).transpose() {
            Ok(meta) => meta.unwrap_or_default(),
            Err(error) => return answers::wire_error(id, &error),
        },
    };
    if meta.protocol_version.is_some_and(|revision| revision == era::MODERN) {
        let text = "Header mismatch: MCP-Protocol-Version does not match the body";
        return answers::error(StatusCode::BAD_REQUEST, id, code::HEADER_MISMATCH, text);
    }
    let usage = endpoint.sessions.usage(&session.user);
    let Ok(permit) = usage.call_permit(endpoint.calls_per_user()).await else {
        return answers::too_many(id, "requests");
    };
    let Some(cancel) = session.begin_call(&request.id) else {
        return answers::error(
            StatusCode::BAD_REQUEST,
            id,
            code::INVALID_REQUEST,
            "a request of this id is under way",
        );
    };
    // A broken connection cancels nothing in this era.
    let (under_way, work) = UnderWay::begin(None);
    let operation = Operation::of(caller, &request.method, head.as_ref().map(Option::as_ref));
    let ask = Ask {
        requester: Requester::session(&session),
        view: session.view.clone(),
        allow: Arc::clone(&caller.allow),
        era: Era::Legacy,
        legacy_session: Some(Arc::clone(&session)),
        method: request.method,
        params: request.params,
        head: head.ok().flatten().map(Head::of).unwrap_or_default(),
        is_kept: false,
        header_params: HeaderMap::new(),
        level: None,
        request_id: caller.request_id.clone(),
        observer: caller.observer.clone(),
        limits: caller.limits.clone(),
        call_events: work.call_events,
        cancel,
    };
    // Boxed: a task that is started is copied several times.
    let call = Box::new(CallUnderWay {
        ask,
        session: Arc::clone(&session),
        id: request.id.clone(),
        _permit: permit,
    });
    tokio::spawn(run(Arc::clone(endpoint), call, work.reply).in_current_span());
    let encoder = LegacyAnswer {
        session,
        allow: Arc::clone(&caller.allow),
        operation,
        id: request.id,
        token: meta.progress_token,
        keep_alive: endpoint.settings.keep_alive,
    };
    answer_stream::answer(encoder, under_way).await
}

/// The head of the parameters; `None` for methods of which it is not read.
fn read_head(request: &Request) -> Result<Option<ParamsHead>, WireError> {
    if !wire::is_read_whole(&request.method) && !tasks::is_about_tasks(&request.method) {
        return Ok(None);
    }
    request
        .params
        .as_ref()
        .map(wire::params_head)
        .transpose()
        .map(|head| Some(head.unwrap_or_default()))
}

/// Runs to its end whether or not the client is still there.
async fn run(endpoint: Arc<Endpoint>, call: Box<CallUnderWay>, replied: oneshot::Sender<Reply>) {
    let reply = pipeline::run(&endpoint.calls, &call.ask).await;
    if changes_session(&call.ask.method) {
        Box::pin(endpoint.lifecycle.keep(&call.session)).await;
    }
    encode::log(&call.ask.method, &reply);
    drop(call);
    // When this fails, its client is gone for good.
    let _ = replied.send(reply);
}

async fn notice(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    session: &Arc<Session>,
    notification: Notification,
) -> Answer {
    let Notification { method, params } = notification;
    match method.as_str() {
        notification::CANCELLED => {
            let head = params.as_ref().and_then(|params| wire::params_head(params).ok());
            if let Some(id) = head.and_then(|head| head.request_id) {
                session.cancel_call(&id);
            }
        }
        // The handshake with the server was ours.
        notification::INITIALIZED => {}
        _ => {
            let usage = endpoint.sessions.usage(&session.user);
            let Ok(_permit) = usage.call_permit(endpoint.calls_per_user()).await else {
                return answers::too_many(None, "requests");
            };
            if let View::One(server) = &session.view {
                // Of the client itself, and so nothing that it could lack.
                let is_own = matches!(
                    method.as_str(),
                    notification::ROOTS_LIST_CHANGED | notification::PROGRESS
                );
                match caller.allow.method(server, &method) {
                    Verdict::Allowed => {}
                    _ if is_own && !caller.allow.server(server).is_denied() => {}
                    Verdict::NotGranted => {
                        return encode::refusal(
                            None,
                            Refused { server: server.clone(), what: Wanted::Server },
                        );
                    }
                    Verdict::Hidden | Verdict::Unmet(_) => {
                        return answers::empty(StatusCode::ACCEPTED);
                    }
                }
                endpoint
                    .calls
                    .connections
                    .pass_on(server, &Requester::session(session), &method, params)
                    .await;
            } else if method == notification::ROOTS_LIST_CHANGED {
                let (allow, params) = (&*caller.allow, params.as_ref());
                endpoint.calls.connections.tell_all(session, allow, &method, params).await;
            }
        }
    }
    answers::empty(StatusCode::ACCEPTED)
}

/// While it lives, the call counts against the user's cap and can be cancelled.
struct CallUnderWay {
    ask: Ask,
    session: Arc<Session>,
    id: wire::RequestId,
    _permit: CallPermit,
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.session.end_call(&self.id);
    }
}
