//! Takes errands in from other nodes, on an address of its own that clients have no business with.

use std::{future::Future, io, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderValue, StatusCode};
use tokio::net::TcpListener;

use super::{
    Errand, Member,
    membership::Place,
    relay::{ENVELOPE, PATH, REFUSED},
};
use crate::edge::{body, mcp::McpRoom, secure::Secure, server};

#[derive(Clone)]
struct Room {
    member: Arc<Member>,
    /// The endpoints' room as it is configured right now.
    mcp: Arc<dyn Fn() -> McpRoom + Send + Sync>,
}

/// Serves until `stop` resolves, and what is under way to its end.
pub async fn serve(
    listener: TcpListener,
    member: Arc<Member>,
    mcp: impl Fn() -> McpRoom + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = Router::new().route(PATH, routing::post(take)).with_state(Room { member, mcp: Arc::new(mcp) });
    server::run(listener, Secure::default(), router, stop, std::future::ready(())).await
}

async fn take(State(room): State<Room>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mcp = (room.mcp)();
    let body = match body::read(body, mcp.body_limit).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let text = parts.headers.get(ENVELOPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let opened = match room.member.envelopes.open(&room.member.me.id, text, &body) {
        Ok(opened) => opened,
        Err(rejected) => {
            tracing::warn!(?rejected, "an errand is refused: it is not, or no longer, from a node of ours");
            return refuse(StatusCode::FORBIDDEN);
        }
    };
    match room.member.place(&opened.principal.user).await {
        Ok(Place::Here) => {}
        // The sender finds out where; an errand that is passed on twice could go round for ever.
        Ok(Place::At(_)) => return refuse(StatusCode::MISDIRECTED_REQUEST),
        Err(error) => {
            tracing::warn!(%error, "an errand cannot be served now");
            return refuse(StatusCode::MISDIRECTED_REQUEST);
        }
    }
    let reach = mcp.resources.catalogue().reach(&opened.principal.scopes);
    let (principal, headers) = (Arc::new(opened.principal), parts.headers);
    let errand = Errand { what: opened.what, principal, reach, view: opened.view, headers, body };
    mcp.here(errand).await
}

fn refuse(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(REFUSED, HeaderValue::from_static("yes"));
    response
}
