//! What a client is told when its request was not answered where it should run, and for how long
//! that is tried.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use portunus_core::store::StoreError;
use portunus_mcp::wire;
use serde_json::json;

use super::forwarded::ForwardedRequest;

/// How long a request waits for an owner node that does not answer, longer than it takes to notice
/// that a node is dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
pub(super) const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn unavailable(forwarded: &ForwardedRequest, error: &StoreError) -> Response {
    tracing::warn!(%error, "the owner node of a user cannot be found out");
    retry(forwarded, "the gateway cannot reach its store: try again")
}

const LOST: &str = "the node that worked on this request is gone: it may or may not have run";

pub(super) fn lost(forwarded: &ForwardedRequest) -> Response {
    retry(forwarded, LOST)
}

pub(super) fn lost_error(forwarded: &ForwardedRequest) -> serde_json::Value {
    retriable(forwarded, LOST)
}

/// 503 with a JSON-RPC error for the request, which the client may repeat.
fn retry(forwarded: &ForwardedRequest, text: &str) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "1")],
        Json(retriable(forwarded, text)),
    )
        .into_response()
}

fn retriable(forwarded: &ForwardedRequest, text: &str) -> serde_json::Value {
    let id = match wire::parse(&forwarded.body) {
        Ok(wire::Message::Request(request)) => {
            serde_json::from_str(request.id.raw()).unwrap_or_default()
        }
        _ => serde_json::Value::Null,
    };
    let error = json!({"code": -32000, "message": text, "data": {"retriable": true}});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}
