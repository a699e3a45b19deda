//! `subscriptions/listen` of modern clients (MCP 2026-07-28, subscriptions): a stream of the
//! changes that the client wants to hear of. While it is open it is a session that cannot be named,
//! so that whatever concerns sessions concerns it too.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use portunus_core::{access::ToolHints, ids::ServerName};
use tokio::{sync::mpsc, time::Instant};

use super::{answers, context::Endpoint, encode, sse};
use crate::{
    allow::{Allow, CalledWith},
    answer::Answer,
    caller::{Caller, View},
    calls::{
        ask::{Ask, Head},
        route,
        subscribe::{Subscription, subscribe},
        tasks::watch,
    },
    client_capabilities::ClientCapabilities,
    era::Era,
    observer::Called,
    permission::check,
    problem::Problem,
    registry::kind::Kind as List,
    session::{
        Hold, Kind, Session, SessionId, filter::Filter, requester::Requester, table::Permit,
    },
    wire::{
        self, Payload, Request, RequestId, WireError, capabilities, meta,
        protocol::{filter, member, method, notification},
    },
};

pub(crate) async fn answer(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    request: Request,
    client_capabilities: ClientCapabilities,
) -> Answer {
    let (filter, uris, tasks) = match wanted(request.params.as_ref()) {
        Ok(wanted) => wanted,
        Err(error) => return encode::modern_answer(&request.id, Err(error.into())),
    };
    let usage = endpoint.sessions.usage(&caller.principal.user);
    let Ok(permit) = usage.stream_permit(endpoint.settings.max_streams_per_user) else {
        return answers::too_many(Some(&request.id), "streams");
    };
    let (promised, hold) = match promise(endpoint, caller, filter, &client_capabilities).await {
        Ok(promise) => promise,
        Err(problem) => return encode::modern_answer(&request.id, Err(problem)),
    };
    if !tasks.is_empty()
        && let Err(problem) = watch::may_watch(&endpoint.calls, caller, &client_capabilities)
    {
        return encode::modern_answer(&request.id, Err(problem));
    }
    let session = Session::new(
        SessionId::generate(&*endpoint.entropy),
        caller,
        Kind::Listening(filter),
        client_capabilities,
        Arc::clone(&usage.kept),
    );
    let session = Arc::new(session);
    match endpoint.sessions.add(&session, endpoint.settings.max_sessions_per_user) {
        Ok(added) => added
            .evicted
            .into_iter()
            .for_each(|evicted| endpoint.lifecycle.end_in_background(evicted)),
        Err(_) => return answers::too_many(Some(&request.id), "streams"),
    }
    session.stream_opened();
    // From here on, a client that leaves early has left the stream.
    let allow = Arc::clone(&caller.allow);
    let open = Open {
        endpoint: Arc::clone(endpoint),
        session,
        allow,
        id: request.id,
        _permit: permit,
        _hold: hold,
    };
    let mut agreed = Vec::new();
    for uri in uris.into_iter().take(endpoint.settings.max_subscriptions) {
        match open.subscribe(&uri).await {
            Ok(()) => agreed.push(uri),
            Err(problem) => {
                tracing::debug!(?problem, "a resource is left out of a subscription");
                if let Some(observer) = &caller.observer {
                    observer.refused(Called::Resource, None, &uri);
                }
            }
        }
    }
    let followed =
        open.follow(tasks.into_iter().take(endpoint.settings.max_subscriptions).collect()).await;
    let first = open.acknowledgement(promised, &agreed, &followed);
    let keep_alive = endpoint.settings.keep_alive;
    answers::events(stream::unfold((Some(open), Some(first)), move |(open, first)| async move {
        if let Some(first) = first {
            return Some((first, (open, None)));
        }
        let open = open?;
        let (event, goes_on) = open.next(keep_alive).await;
        Some((event, (goes_on.then_some(open), None)))
    }))
}

/// What is promised, and what keeps the one server connected that is listened to.
///
/// What is wanted and announced is told, whether or not the server had declared that it would be
/// (FB42).
async fn promise(
    endpoint: &Endpoint,
    caller: &Caller,
    filter: Filter,
    client_capabilities: &ClientCapabilities,
) -> Result<(Filter, Option<Hold>), Problem> {
    let View::One(server) = &caller.view else { return Ok((filter, None)) };
    let requester = Requester::alone(caller, client_capabilities.clone());
    let peer = endpoint.calls.connections.connect(server, &requester).await;
    let peer = peer.map_err(|error| Problem::server(server, error))?;
    let promised = offered(filter, &peer.info().capabilities);
    peer.follow_lists(&filter.beyond(promised)).await;
    Ok((promised, Some(peer.hold())))
}

/// Lists, URIs of resources, ids of tasks.
fn wanted(params: Option<&Payload>) -> Result<(Filter, Vec<String>, Vec<String>), WireError> {
    let members = params.map(wire::members).transpose()?.unwrap_or_default();
    match members.into_iter().find(|(key, _)| key == "notifications") {
        Some((_, notifications)) if notifications.as_str().starts_with('{') => {
            let (filter, uris) = Filter::read(&notifications)?;
            Ok((filter, uris, watch::wanted(&notifications)?))
        }
        Some(_) => Err(WireError::WrongType("notifications", "an object")),
        None => Err(WireError::Missing("notifications".to_owned())),
    }
}

/// What the server promises to tell of.
fn offered(wanted: Filter, declared: &Payload) -> Filter {
    let tells = |capability| capabilities::has_flag(declared, capability, "listChanged");
    Filter {
        tools: wanted.tools && tells("tools"),
        prompts: wanted.prompts && tells("prompts"),
        resources: wanted.resources && tells("resources"),
    }
}

/// One open stream. While it lives it counts against the user's cap; its subscriptions end with it.
struct Open {
    endpoint: Arc<Endpoint>,
    session: Arc<Session>,
    allow: Arc<dyn Allow>,
    /// Of the request: every message on the stream carries it.
    id: RequestId,
    _permit: Permit,
    /// The server that alone is listened to stays connected.
    _hold: Option<Hold>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.session.stream_closed();
        self.endpoint.sessions.remove(&self.session);
        if tokio::runtime::Handle::try_current().is_ok() {
            self.endpoint.lifecycle.end_in_background(Arc::clone(&self.session));
        }
    }
}

impl Open {
    /// The session asks something of its own.
    fn ask(&self, method: &str, params: Payload) -> Ask {
        let (call_events, _) = mpsc::channel(1);
        Ask {
            requester: Requester::session(&self.session),
            view: self.session.view.clone(),
            allow: Arc::clone(&self.allow),
            era: Era::Modern,
            legacy_session: Some(Arc::clone(&self.session)),
            method: method.to_owned(),
            params: Some(params),
            head: Head::default(),
            is_kept: false,
            header_params: HeaderMap::new(),
            level: None,
            request_id: None,
            observer: None,
            limits: None,
            call_events,
            cancel: self.session.ended.clone(),
        }
    }

    async fn subscribe(&self, uri: &str) -> Result<(), Problem> {
        let ask =
            self.ask(method::RESOURCES_SUBSCRIBE, wire::object(&[("uri", &wire::quote(uri))]));
        let server: ServerName = match &self.session.view {
            View::One(server) => {
                check(
                    &*ask.allow,
                    server,
                    List::Resources,
                    uri,
                    ToolHints::default(),
                    CalledWith::Any,
                )?;
                server.clone()
            }
            View::All => route::by_uri(&self.endpoint.calls, &ask, uri).await?,
        };
        match subscribe(&self.endpoint.calls, &server, &ask, uri, Subscription::Begin).await? {
            wire::Outcome::Result(_) => Ok(()),
            wire::Outcome::Error(_) => Err(Problem::invalid_params("the server refuses")),
        }
    }

    /// Those of the tasks that their servers tell of.
    async fn follow(&self, tasks: Vec<String>) -> Vec<String> {
        let mut followed = Vec::new();
        for task in tasks.into_iter().take(self.endpoint.settings.max_subscriptions) {
            let ask = self
                .ask(method::TASKS_GET, wire::object(&[(member::TASK_ID, &wire::quote(&task))]));
            match watch::watch(&self.endpoint.calls, &self.session, &ask, &task).await {
                Ok(()) => followed.push(task),
                Err(problem) => tracing::debug!(?problem, "a task is left out of a subscription"),
            }
        }
        followed
    }

    /// The first event: what was agreed to.
    fn acknowledgement(&self, filter: Filter, uris: &[String], tasks: &[String]) -> Bytes {
        let mut agreed = filter.write(uris);
        if !tasks.is_empty() {
            let tasks = Payload::from_value(&tasks.into());
            agreed = wire::with_members(&agreed, &[(filter::TASK_IDS, tasks.as_str())])
                .unwrap_or(agreed);
        }
        let params = wire::object(&[("notifications", agreed.as_str())]);
        self.tagged(notification::SUBSCRIPTIONS_ACKNOWLEDGED, Some(&params))
    }

    /// The next event, and whether another can follow.
    async fn next(&self, keep_alive: Duration) -> (Bytes, bool) {
        tokio::select! {
            biased;
            () = self.session.ended.cancelled() => (self.end(), false),
            () = self.endpoint.closing.cancelled() => (self.end(), false),
            (message, _) = self.session.outbox.next(&*self.allow, || true) => match wire::parse(&message) {
                Ok(wire::Message::Notification(told)) => (self.tagged(&told.method, told.params.as_ref()), true),
                // Nothing else is put there.
                _ => (sse::keep_alive(), true),
            },
            () = tokio::time::sleep_until(Instant::now() + keep_alive) => (sse::keep_alive(), true),
        }
    }

    fn tagged(&self, method: &str, params: Option<&Payload>) -> Bytes {
        let tagged = wire::with_meta(params, &[(meta::SUBSCRIPTION_ID, self.id.raw())]).ok();
        sse::message(&wire::notification(method, tagged.as_ref().or(params)))
    }

    /// The response, which says that the stream ends as it should.
    fn end(&self) -> Bytes {
        let tag = wire::object(&[(meta::SUBSCRIPTION_ID, self.id.raw())]);
        let result = wire::object(&[("resultType", "\"complete\""), ("_meta", tag.as_str())]);
        sse::message(&wire::result(&self.id, &result))
    }
}
