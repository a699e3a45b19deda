//! Takes errands in from other nodes, on an address of its own that clients have no business with.

use std::{future::Future, io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing,
};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use portunus_core::ids::UserId;
use portunus_mcp::shared::SharedServers;
use tokio::net::TcpListener;

use super::{
    Errand, Member,
    envelope::{Opened, Rejected},
    membership::Place,
    relay::{ENVELOPE, PATH, REFUSED},
    servers,
};
use crate::edge::{body, mcp::McpRoom, secure::Secure, server};

/// What an order has beside the parameters that a client sent.
const AROUND: usize = 256 * 1024;

/// What errands and orders need.
#[derive(Clone)]
pub struct Room {
    pub member: Arc<Member>,
    /// The endpoints' room as it is configured right now.
    pub mcp: Arc<dyn Fn() -> McpRoom + Send + Sync>,
    pub shared: Arc<SharedServers>,
}

/// Serves until `stop` resolves, and what is under way to its end.
pub async fn serve(listener: TcpListener, room: Room, stop: impl Future<Output = ()>) -> io::Result<()> {
    let router = Router::new().route(PATH, routing::post(take)).route(servers::PATH, routing::post(take_order)).with_state(room);
    server::run(listener, Secure::default(), router, stop, std::future::ready(())).await
}

async fn take(State(room): State<Room>, request: Request) -> Response {
    let mcp = (room.mcp)();
    let (parts, body) = request.into_parts();
    let unread = match room.member.envelopes.open(&room.member.me.id, envelope(&parts.headers), &parts.headers) {
        Ok(unread) => unread,
        Err(rejected) => return not_ours(rejected),
    };
    let body = match body::read(body, mcp.body_limit).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let opened = match unread.with_body(&body) {
        Ok(opened) => opened,
        Err(rejected) => return not_ours(rejected),
    };
    if !is_here(&room.member, &opened.principal.user).await {
        return refuse(StatusCode::MISDIRECTED_REQUEST);
    }
    let reach = mcp.resources.catalogue().reach(&opened.principal.scopes);
    let Opened { what, principal, view, headers } = opened;
    mcp.here(Errand { what, principal: Arc::new(principal), reach, view, headers, body }).await
}

async fn take_order(State(room): State<Room>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let unread = match room.member.envelopes.open_order(&room.member.me.id, envelope(&parts.headers)) {
        Ok(unread) => unread,
        Err(rejected) => return not_ours(rejected),
    };
    let body = match body::read(body, (room.mcp)().body_limit + AROUND).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let server = match unread.with_body(&body) {
        Ok(server) => server,
        Err(rejected) => return not_ours(rejected),
    };
    if !is_here(&room.member, &servers::tenant(&server)).await {
        return refuse(StatusCode::MISDIRECTED_REQUEST);
    }
    match room.shared.take(&server, &body, &room.member.leaving) {
        Some(pieces) => {
            Response::new(Body::from_stream(pieces.map(|piece| piece.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)))))
        }
        None => refuse(StatusCode::MISDIRECTED_REQUEST),
    }
}

fn envelope(headers: &HeaderMap) -> &str {
    headers.get(ENVELOPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn not_ours(rejected: Rejected) -> Response {
    tracing::warn!(?rejected, "an errand is refused: it is not, or no longer, from a node of ours");
    refuse(StatusCode::FORBIDDEN)
}

/// The sender finds out where else; an errand that is passed on twice could go round for ever.
async fn is_here(member: &Member, tenant: &UserId) -> bool {
    match member.place(tenant).await {
        Ok(Place::Here) => true,
        Ok(Place::At(_)) => false,
        Err(error) => {
            tracing::warn!(%error, "an errand cannot be served now");
            false
        }
    }
}

fn refuse(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(REFUSED, HeaderValue::from_static("yes"));
    response
}
