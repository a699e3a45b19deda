//! A message of a legacy client: the session it belongs to, and what is done with it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use super::{answers, respond::UnderWay};
use crate::{
    allow::Verdict,
    answer::{Answer, Refused, Wanted},
    era::{self, Era},
    hub::{
        Asker, Caller, Inner, View,
        ask::Ask,
        operation::Operation,
        persistence::changes_session,
        reply::{self, Problem, Reply},
    },
    session::{Session, table::CallPlace},
    wire::{self, Message, Notification, Request, Response, code},
};

/// How many events may wait for a slow client; progress beyond it is dropped.
const WAITING_EVENTS: usize = 32;

impl Inner {
    pub(super) async fn post_legacy(
        self: &Arc<Self>,
        caller: &Caller,
        map: &HeaderMap,
        message: Message,
    ) -> Result<Answer, Box<Answer>> {
        if let Message::Request(request) = &message
            && request.method == "initialize"
        {
            return Ok(self.initialize(caller, request).await);
        }
        let session = self.session(caller, map).await?;
        Ok(match message {
            Message::Request(request) => self.answer(caller, session, request).await,
            Message::Notification(notification) => self.notice(caller, &session, notification).await,
            Message::Response(response) => self.take_answer(caller, &session, response).await,
        })
    }

    /// The client answers a server. Who may not make the call in which it was asked may not answer for it either (threat 71).
    async fn take_answer(self: &Arc<Self>, caller: &Caller, session: &Arc<Session>, response: Response) -> Answer {
        let judged = match session.question(&response) {
            Some((_, Some(operation))) => self.judge(caller, Asker::session(session), &operation).await,
            Some((server, None)) => Self::judge_answer(caller, &server),
            None => Ok(()),
        };
        match judged {
            Ok(()) => {
                session.take_answer(response);
                answers::empty(StatusCode::ACCEPTED)
            }
            Err(Problem::NotGranted(refused)) => reply::refusal(None, refused),
            Err(_) => answers::bad_request("the question is about what this token does not allow"),
        }
    }

    async fn answer(self: &Arc<Self>, caller: &Caller, session: Arc<Session>, request: Request) -> Answer {
        let id = Some(&request.id);
        if request.method == "ping" {
            return answers::json(StatusCode::OK, wire::result(&request.id, &wire::object(&[])));
        }
        let meta = match request.params.as_ref().map(wire::meta_of).transpose() {
            Ok(meta) => meta.unwrap_or_default(),
            Err(error) => return answers::wire_error(id, &error),
        };
        if meta.protocol_version.is_some_and(|revision| revision == era::MODERN) {
            let text = "Header mismatch: MCP-Protocol-Version does not match the body";
            return answers::error(StatusCode::BAD_REQUEST, id, code::HEADER_MISMATCH, text);
        }
        let room = self.sessions.room(&session.user);
        let Ok(place) = room.call_place(self.calls_per_user()).await else {
            return answers::too_many(id, "requests");
        };
        let Some(cancel) = session.begin_call(&request.id) else {
            return answers::error(StatusCode::BAD_REQUEST, id, code::INVALID_REQUEST, "a request of this id is under way");
        };
        let (call_events_in, call_events) = mpsc::channel(WAITING_EVENTS);
        let (replied, reply) = oneshot::channel();
        let operation = Operation::of(caller, &request.method, request.params.as_ref());
        let ask = Ask {
            asker: Asker::session(&session),
            view: session.view.clone(),
            allow: Arc::clone(&caller.allow),
            era: Era::Legacy,
            speaker: Some(Arc::clone(&session)),
            method: request.method,
            params: request.params,
            mirrors: HeaderMap::new(),
            level: None,
            request_id: caller.request_id.clone(),
            call_events: call_events_in,
            cancel,
        };
        let call = CallUnderWay { ask, session: Arc::clone(&session), id: request.id.clone(), _place: place };
        tokio::spawn(Arc::clone(self).run(call, replied).in_current_span());
        let keep_alive = self.settings.keep_alive;
        let allow = Arc::clone(&caller.allow);
        let token = meta.progress_token;
        UnderWay { session, allow, operation, id: request.id, token, call_events, reply, keep_alive }.answer().await
    }

    /// Runs to its end whether or not the client is still there: a broken connection cancels nothing in this era.
    async fn run(self: Arc<Self>, call: CallUnderWay, replied: oneshot::Sender<Reply>) {
        let reply = self.request(&call.ask).await;
        if changes_session(&call.ask.method) {
            self.keep(&call.session).await;
        }
        reply::log(&call.ask.method, &reply);
        drop(call);
        // Nobody is left to read it, if this fails.
        let _ = replied.send(reply);
    }

    async fn notice(self: &Arc<Self>, caller: &Caller, session: &Arc<Session>, notification: Notification) -> Answer {
        let Notification { method, params } = notification;
        match method.as_str() {
            "notifications/cancelled" => {
                let head = params.as_ref().and_then(|params| wire::params_head(params).ok());
                if let Some(id) = head.and_then(|head| head.request_id) {
                    session.cancel_call(&id);
                }
            }
            // The handshake with the server was ours.
            "notifications/initialized" => {}
            _ => {
                let room = self.sessions.room(&session.user);
                let Ok(_place) = room.call_place(self.calls_per_user()).await else {
                    return answers::too_many(None, "requests");
                };
                if let View::One(server) = &session.view {
                    // Of the client itself, and so nothing that it could lack.
                    let is_own = matches!(method.as_str(), "notifications/roots/list_changed" | "notifications/progress");
                    match caller.allow.method(server, &method) {
                        Verdict::Allowed => {}
                        _ if is_own => {}
                        Verdict::NotGranted => {
                            return reply::refusal(None, Refused { server: server.clone(), what: Wanted::Server });
                        }
                        Verdict::Hidden => return answers::empty(StatusCode::ACCEPTED),
                    }
                    self.pass_on(server, &Asker::session(session), &method, params).await;
                } else if method == "notifications/roots/list_changed" {
                    self.tell_all(session, &method, params.as_ref()).await;
                }
            }
        }
        answers::empty(StatusCode::ACCEPTED)
    }
}

/// While it lives, the call counts against the user's cap and can be cancelled.
struct CallUnderWay {
    ask: Ask,
    session: Arc<Session>,
    id: wire::RequestId,
    _place: CallPlace,
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.session.end_call(&self.id);
    }
}
