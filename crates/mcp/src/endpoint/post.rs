//! POST: one message from the client.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::{
    answers, era, headers,
    respond::{Response, UnderWay},
};
use crate::{
    allow::Verdict,
    answer::{Answer, Refused, Wanted},
    hub::{
        Caller, Inner, View,
        ask::Ask,
        reply::{self, Problem},
    },
    session::{Session, table::Place},
    wire::{self, Message, Notification, Request, code},
};

/// How much progress may wait for a slow client; what is beyond is dropped, being news only.
const PROGRESS: usize = 32;

impl Inner {
    pub(crate) async fn post(self: &Arc<Self>, caller: &Caller, map: &HeaderMap, body: Bytes) -> Result<Answer, Box<Answer>> {
        headers::check_post(map)?;
        let message = wire::parse(&body).map_err(|error| Box::new(answers::wire_error(None, &error)))?;
        match era::of(&message, map)? {
            era::Era::Legacy => self.post_legacy(caller, map, message).await,
        }
    }

    async fn post_legacy(self: &Arc<Self>, caller: &Caller, map: &HeaderMap, message: Message) -> Result<Answer, Box<Answer>> {
        if let Message::Request(request) = &message
            && request.method == "initialize"
        {
            return Ok(self.initialize(caller, request).await);
        }
        let session = self.session(caller, map)?;
        Ok(match message {
            Message::Request(request) => self.answer(session, request).await,
            Message::Notification(notification) => self.notice(&session, notification).await,
            // Nothing was asked of the client, so there is nothing to do with what it answers.
            Message::Response(_) => answers::empty(StatusCode::ACCEPTED),
        })
    }

    /// The session that the request belongs to, in use from now on.
    pub(crate) fn session(&self, caller: &Caller, map: &HeaderMap) -> Result<Arc<Session>, Box<Answer>> {
        let id = headers::session(map)?;
        let session = self.sessions.find(caller, &id).ok_or_else(|| Box::new(answers::session_unknown()))?;
        session.set_allow(&caller.allow);
        Ok(session)
    }

    async fn answer(self: &Arc<Self>, session: Arc<Session>, request: Request) -> Answer {
        let id = Some(&request.id);
        if request.method == "ping" {
            return answers::json(StatusCode::OK, wire::result(&request.id, &wire::object(&[])));
        }
        let token = match request.params.as_ref().map(wire::progress_token).transpose() {
            Ok(token) => token.flatten(),
            Err(error) => return answers::wire_error(id, &error),
        };
        let room = self.sessions.room(&session.user);
        let Ok(place) = room.call_place(self.settings.max_in_flight_per_user) else {
            return answers::too_many(id, "requests");
        };
        let Some(cancel) = session.begin_call(&request.id) else {
            return answers::error(StatusCode::BAD_REQUEST, id, code::INVALID_REQUEST, "a request of this id is under way");
        };
        let (progress_in, progress) = mpsc::channel(PROGRESS);
        let (respond, response) = oneshot::channel();
        let ask = Ask {
            allow: session.allow(),
            session: Arc::clone(&session),
            method: request.method,
            params: request.params,
            progress: token.is_some().then_some(progress_in),
            cancel,
        };
        let call = CallUnderWay { ask, id: request.id, _place: place };
        tokio::spawn(Arc::clone(self).run(call, respond));
        UnderWay { session, token, progress, response, keep_alive: self.settings.keep_alive }.answer().await
    }

    /// Runs to its end whether or not the client is still there: a broken connection cancels nothing in this era.
    async fn run(self: Arc<Self>, call: CallUnderWay, respond: oneshot::Sender<Response>) {
        let reply = self.request(&call.ask).await;
        reply::log(&call.ask.method, &reply);
        let message = reply::message(&call.id, &reply);
        drop(call);
        let refused = match reply {
            Err(Problem::NotGranted(refused)) => Some(refused),
            _ => None,
        };
        if let Some(message) = message {
            // Nobody is left to read it, if this fails.
            let _ = respond.send(Response { message, refused });
        }
    }

    async fn notice(self: &Arc<Self>, session: &Arc<Session>, notification: Notification) -> Answer {
        let Notification { method, params } = notification;
        match method.as_str() {
            "notifications/cancelled" => {
                let head = params.as_ref().and_then(|params| wire::params_head(params).ok());
                if let Some(id) = head.and_then(|head| head.request_id) {
                    session.cancel_call(&id);
                }
            }
            // The handshake with the server was ours; and nothing was asked of the client that it could be busy with.
            "notifications/initialized" | "notifications/progress" => {}
            _ => {
                let room = self.sessions.room(&session.user);
                let Ok(_place) = room.call_place(self.settings.max_in_flight_per_user) else {
                    return answers::too_many(None, "requests");
                };
                if let View::One(server) = &session.view {
                    // Of the client itself, and so nothing that it could lack.
                    let is_own = method == "notifications/roots/list_changed";
                    match session.allow().method(server, &method) {
                        Verdict::Allowed => {}
                        _ if is_own => {}
                        Verdict::NotGranted => {
                            return reply::refusal(None, Refused { server: server.clone(), what: Wanted::Server });
                        }
                        Verdict::Hidden => return answers::empty(StatusCode::ACCEPTED),
                    }
                    self.pass_on(server, session, &method, params).await;
                }
            }
        }
        answers::empty(StatusCode::ACCEPTED)
    }
}

/// While it lives, the call counts against the user's cap and can be cancelled.
struct CallUnderWay {
    ask: Ask,
    id: wire::RequestId,
    _place: Place,
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.ask.session.end_call(&self.id);
    }
}
