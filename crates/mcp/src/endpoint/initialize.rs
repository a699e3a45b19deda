//! `initialize`: the handshake that opens a session.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use portunus_core::ids::ServerName;
use tokio::time::Instant;

use super::{answers, context::Endpoint, encode};
use crate::{
    answer::Answer,
    caller::{Caller, View},
    calls::{greeting, instructions},
    client_capabilities::ClientCapabilities,
    era::{self, Era},
    lifecycle::SessionLifecycle,
    problem::{Problem, Reply},
    session::{Kind, Session, SessionId, requester::Requester},
    translate,
    upstream::UpstreamError,
    wire::{self, Outcome, Payload, Request, WireError, protocol::header_name},
};

/// What a client may say of itself, in bytes; longer ones count as if it had said nothing (threat
/// 56).
pub(crate) const MAX_CLIENT_INFO: usize = 8 * 1024;

/// Answers with a new session, or with an error and none. A server that is down is told of in a
/// JSON-RPC error with HTTP status 200, as any server that refuses to initialize would: the gateway
/// itself is fine, and a 5xx would have clients try other transports.
pub(crate) async fn initialize(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    request: &Request,
) -> Answer {
    let id = Some(&request.id);
    let usage = endpoint.sessions.usage(&caller.principal.user);
    let Ok(_permit) = usage.call_permit(endpoint.calls_per_user()).await else {
        return answers::too_many(id, "requests");
    };
    let (client_capabilities, kind, revision) = match introduction(request.params.as_ref()) {
        Ok(introduction) => introduction,
        Err(error) => return answers::wire_error(id, &error),
    };
    let client_capabilities =
        endpoint.capability_sets.admit(&caller.principal.user, client_capabilities, Instant::now());
    // Before a server is started for it: what is not going to be a session must cost nothing.
    let Ok(_permit_to_open) = usage.opening(endpoint.settings.max_sessions_per_user) else {
        return answers::too_many(id, "sessions");
    };
    let session = Session::new(
        SessionId::generate(&*endpoint.entropy),
        caller,
        kind,
        client_capabilities,
        Arc::clone(&usage.kept),
    );
    let session = Arc::new(session);
    let opening = Opening { lifecycle: &endpoint.lifecycle, session: Some(Arc::clone(&session)) };
    let reply = greet(endpoint, caller, &session, revision).await;
    encode::log(&request.method, &reply);
    let Some(message) = encode::message(&request.id, &reply) else {
        return answers::empty(StatusCode::ACCEPTED);
    };
    match &reply {
        Ok(Outcome::Result(_)) => {}
        Err(Problem::Server { error: UpstreamError::ShareUsedUp { .. }, .. }) => {
            return answers::json(StatusCode::TOO_MANY_REQUESTS, message);
        }
        _ => return answers::json(StatusCode::OK, message),
    }
    let Ok(added) = endpoint.sessions.add(&session, endpoint.settings.max_sessions_per_user) else {
        return answers::too_many(id, "sessions");
    };
    opening.keep();
    if let Some(evicted) = added.evicted {
        endpoint.lifecycle.end_in_background(evicted);
    }
    endpoint.lifecycle.keep(&session).await;
    tracing::debug!(session = ?session.id, user = %session.user, view = ?session.view, "a session begins");
    let mut answer = answers::json(StatusCode::OK, message);
    if let Ok(value) = HeaderValue::from_str(session.id.as_str()) {
        answer.headers.insert(header_name::SESSION_ID, value);
    }
    answer
}

async fn greet(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    session: &Arc<Session>,
    revision: &str,
) -> Reply {
    let result = match &session.view {
        View::All => {
            greeting::meet(
                &endpoint.calls,
                &*caller.allow,
                &Requester::session(session),
                Era::Legacy,
            )
            .await;
            greeting::result(&endpoint.calls, &*caller.allow, revision).await
        }
        View::One(server) => introduce_server(endpoint, server, session, revision).await?,
    };
    Ok(Outcome::Result(result))
}

/// The server's own words, but for instructions that changed; the revision is the one agreed on
/// with this client.
async fn introduce_server(
    endpoint: &Arc<Endpoint>,
    server: &ServerName,
    session: &Arc<Session>,
    revision: &str,
) -> Result<Payload, Problem> {
    let peer = endpoint
        .calls
        .connections
        .connect(server, &Requester::session(session))
        .await
        .map_err(|error| Problem::server(server, error))?;
    let info = instructions::sifted(&endpoint.calls, server, peer.info()).await?;
    Ok(translate::greeting::to_initialize(&info, revision)?)
}

/// A session that is not in the table yet. When nothing comes of it, or its client is gone before,
/// what was started for it ends.
struct Opening<'a> {
    lifecycle: &'a Arc<SessionLifecycle>,
    session: Option<Arc<Session>>,
}

impl Opening<'_> {
    fn keep(mut self) {
        self.session = None;
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            self.lifecycle.end_in_background(session);
        }
    }
}

/// What the client says it can do, who it says it is, and the revision that it gets.
fn introduction(
    params: Option<&Payload>,
) -> Result<(ClientCapabilities, Kind, &'static str), WireError> {
    let head = params.map(wire::params_head).transpose()?.unwrap_or_default();
    let revision = negotiate(
        &head.protocol_version.ok_or_else(|| WireError::Missing("protocolVersion".to_owned()))?,
    );
    let (mut capabilities, mut client_info) = (None, wire::object(&[]));
    for (key, value) in params.map(wire::members).transpose()?.unwrap_or_default() {
        match &*key {
            "capabilities" => capabilities = Some(value),
            // Kept as long as the session; what is longer than any that was seen says nothing that
            // is needed.
            "clientInfo"
                if value.as_str().starts_with('{') && value.as_str().len() <= MAX_CLIENT_INFO =>
            {
                client_info = value.detached();
            }
            _ => {}
        }
    }
    Ok((
        ClientCapabilities::of(capabilities.as_ref()),
        Kind::Handshake { client_info, revision },
        revision,
    ))
}

/// The requested revision if we have it, else our latest of this era (lifecycle, version
/// negotiation). 2024-11-05 had another transport, but the same messages: a client that asks for it
/// over this one is understood.
fn negotiate(requested: &str) -> &'static str {
    era::LEGACY.into_iter().find(|revision| *revision == requested).unwrap_or(era::LATEST_LEGACY)
}
