//! The Streamable HTTP transport, stateless: every `POST` is answered with JSON, there are no
//! sessions and no streams.

use std::io;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::{Host, Url};

use super::{DemoMcp, INVALID_REQUEST, REVISIONS};

const MAX_BODY: usize = 1024 * 1024;
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Serves at `/mcp` and `/` until the future is dropped. Bind the listener to a loopback address:
/// there is no authorization here.
pub async fn serve_http(server: DemoMcp, listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, router(server)).await
}

/// The transport as a router.
pub fn router(server: DemoMcp) -> Router {
    // GET would open a stream and DELETE end a session; there are none, so both are 405.
    let endpoint = routing::post(post);
    Router::new()
        .route("/mcp", endpoint.clone())
        .route("/", endpoint)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(server)
}

async fn post(State(server): State<DemoMcp>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some((status, message)) = refusal(&headers) {
        return (status, Json(error(message))).into_response();
    }
    match server.handle(&body) {
        Some(answer) => Json(answer).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    }
}

/// Web pages must not reach a server on this machine: neither directly (`Origin`) nor by giving
/// their own name our address (`Host`, DNS rebinding).
fn refusal(headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_json = |value: &str| {
        value
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    };
    if text(header::HOST).is_some_and(|host| !is_loopback(&format!("http://{host}"))) {
        return Some((StatusCode::FORBIDDEN, "Host must be a loopback name"));
    }
    if text(header::ORIGIN).is_some_and(|origin| !is_loopback(origin)) {
        return Some((StatusCode::FORBIDDEN, "Origin must be a loopback origin"));
    }
    if !text(header::CONTENT_TYPE).is_some_and(is_json) {
        return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"));
    }
    if text(PROTOCOL_VERSION).is_some_and(|revision| !REVISIONS.contains(&revision)) {
        return Some((StatusCode::BAD_REQUEST, "Unsupported MCP-Protocol-Version"));
    }
    None
}

fn is_loopback(origin: &str) -> bool {
    match Url::parse(origin).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn error(message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": null, "error": {"code": INVALID_REQUEST, "message": message}})
}
