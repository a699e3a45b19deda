//! Reading a request's body within its bounds, of size and of time (threats 23, 46). Bodies that stream through are `proxy`'s.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;

use super::limits;

/// How long reading a body may take altogether.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole body, of at most `limit` bytes; or the answer for one that is too large, too slow, or breaks off.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Box<Response>> {
    let refuse = |status: StatusCode, why: &str| {
        Err(Box::new((status, Json(json!({"error": "invalid_request", "error_description": why}))).into_response()))
    };
    match tokio::time::timeout(TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than is accepted here (limits.body in config.yaml for MCP messages)",
        ),
        Ok(Err(_)) => refuse(StatusCode::BAD_REQUEST, "the body could not be read"),
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"),
    }
}

/// A layer for endpoints that take forms and metadata: they see the body once it is all there.
pub async fn whole(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read(body, limits::FORM).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(response) => *response,
    }
}
