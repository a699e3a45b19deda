//! Takes requests in from other nodes, forwarded ones and those to shared servers, on an address of
//! its own that clients have no business with.

use std::{future::Future, io, net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use portunus_core::{
    address_block::AddressBlock,
    ids::{ServerName, UserId},
};
use portunus_mcp::shared::SharedServers;
use tokio::net::TcpListener;
use tracing::Instrument as _;

use super::{
    envelope::{Opened, OpenedRequest, Rejected},
    forwarded::ForwardedRequest,
    membership::{Member, Owner},
    sender::{ENVELOPE, PATH, REFUSED},
    servers,
};
use crate::{
    audit::RequestAudit,
    edge::{
        body::{self, ByteBudget},
        connections::Connection,
        extensions::ConnectedFrom,
        keyed_limit::KeyedLimit,
        mcp::local::LocalMcp,
        resource_server::access::Remembered,
        server,
        spanned_body::in_span,
    },
};

/// What a request to a shared server has beside the parameters that a client sent.
const AROUND: usize = 256 * 1024;
/// Connections of one address on which no node has proven itself yet (threat 62). Those of nodes do
/// not count.
const CONNECTIONS_PER_ADDRESS: usize = 4096;
/// Bytes of requests to shared servers from one node, whosever messages they carry: each person's
/// are counted at the node that took them from outside (threat 56).
const BYTES_PER_NODE: usize = 256 * 1024 * 1024;

/// What requests of other nodes need.
#[derive(Clone)]
pub struct ListenerState {
    pub member: Arc<Member>,
    /// What runs requests, as it is configured right now.
    pub mcp: Arc<dyn Fn() -> LocalMcp + Send + Sync>,
    pub shared: Arc<SharedServers>,
}

/// Serves until `stop` resolves, and what is under way to its end.
pub async fn serve(
    listener: TcpListener,
    state: ListenerState,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let held = KeyedLimit::default();
    let router =
        Router::new().route(PATH, routing::post(take)).with_state(Listening { state, held });
    server::run_apart(listener, CONNECTIONS_PER_ADDRESS, router, stop).await
}

/// The state, and what is held of bodies.
#[derive(Clone)]
struct Listening {
    state: ListenerState,
    held: KeyedLimit<AddressBlock>,
}

/// Only a node with our secret comes as far as this.
fn is_a_node(request: &http::request::Parts) {
    if let Some(connection) = request.extensions.get::<Arc<Connection>>() {
        connection.trusted();
    }
}

/// The seal first, then the body within its bounds, then whether this node is the owner: whatever
/// the request is about.
async fn take(State(listening): State<Listening>, request: Request) -> Response {
    let Listening { state, held } = &listening;
    let mcp = (state.mcp)();
    let (parts, body) = request.into_parts();
    let sealed = envelope(&parts.headers);
    let unread = match state.member.envelopes.open(&state.member.me.id, sealed, &parts.headers) {
        Ok(unread) => unread,
        Err(rejected) => return not_ours(rejected),
    };
    is_a_node(&parts);
    let body = match unread.said() {
        Opened::Forwarded(opened) => {
            let budget = mcp.shares.budget(&opened.principal.user);
            body::read_within(body, mcp.body_limit, &budget).await
        }
        Opened::SharedServer(_) => {
            let from = parts.extensions.get::<ConnectedFrom>();
            let from = from.map_or(IpAddr::from([0, 0, 0, 0]), |from| from.0);
            let budget = ByteBudget { held, whose: &AddressBlock::of(from), most: BYTES_PER_NODE };
            body::read_within(body, mcp.body_limit + AROUND, &budget).await
        }
    };
    let body = match body {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let opened = match unread.with_body(&body) {
        Ok(opened) => opened,
        Err(rejected) => return not_ours(rejected),
    };
    let owned = match &opened {
        Opened::Forwarded(opened) => opened.principal.user.clone(),
        Opened::SharedServer(server) => servers::user_of(server),
    };
    if !is_here(&state.member, &owned).await {
        return refuse(StatusCode::MISDIRECTED_REQUEST);
    }
    match opened {
        Opened::Forwarded(opened) => run(&mcp, *opened, body).await,
        Opened::SharedServer(server) => ask_shared(state, &server, &body),
    }
}

/// Runs a forwarded request as one of this node's own.
async fn run(mcp: &LocalMcp, opened: OpenedRequest, body: Bytes) -> Response {
    let OpenedRequest { what, principal, view, headers, address } = opened;
    let scopes = mcp.resources.catalogue().effective(&principal.scopes);
    // The id is that of the node which took the request: one id, whichever node logs.
    let request_id =
        headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let audit = RequestAudit::new(mcp.audit.clone(), address, request_id.as_str());
    let span = tracing::info_span!("request", request_id);
    let principal = Arc::new(principal);
    let remembered = Remembered::default();
    let forwarded =
        ForwardedRequest { what, principal, remembered, scopes, view, headers, body, audit };
    let response = mcp.run(forwarded);
    in_span(response.instrument(span.clone()).await, span)
}

/// Has this node's shared server asked, and streams what comes of it.
fn ask_shared(state: &ListenerState, server: &ServerName, request: &Bytes) -> Response {
    match state.shared.take(server, request, &state.member.leaving) {
        Some(pieces) => Response::new(Body::from_stream(
            pieces.map(|piece| piece.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))),
        )),
        None => refuse(StatusCode::MISDIRECTED_REQUEST),
    }
}

fn envelope(headers: &HeaderMap) -> &str {
    headers.get(ENVELOPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn not_ours(rejected: Rejected) -> Response {
    tracing::warn!(?rejected, "a forwarded request is rejected: its sender is not a live node");
    refuse(StatusCode::FORBIDDEN)
}

/// The sender finds out where else; a forwarded request that is passed on twice could go round for
/// ever.
async fn is_here(member: &Member, user: &UserId) -> bool {
    match member.owner(user).await {
        Ok(Owner::ThisNode) => true,
        Ok(Owner::Other(_)) => false,
        Err(error) => {
            tracing::warn!(%error, "a forwarded request cannot be served now");
            false
        }
    }
}

fn refuse(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(REFUSED, HeaderValue::from_static("yes"));
    response
}
