//! Why a request is not forwarded, and what the client is told.

use std::error::Error as _;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use thiserror::Error;

use super::path::NotForwarded;

/// Why a request was not forwarded, or its answer not passed on. `Display` is for the log.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Path(#[from] NotForwarded),
    #[error("no such route")]
    NoRoute,
    #[error("this method is not forwarded")]
    Method,
    #[error("the request asks for a websocket")]
    Upgrade,
    #[error("a header cannot be made")]
    Headers,
    #[error("the request body is too large")]
    TooLarge,
    #[error("the request body took too long to arrive")]
    SlowBody,
    #[error("the target cannot be reached: {0}")]
    Unreachable(hyper_util::client::legacy::Error),
    #[error("the target did not begin to answer in time")]
    Slow,
    #[error(
        "the target itself asks for credentials (status {0}): let it trust the gateway, or give it none of its own"
    )]
    Locked(StatusCode),
    #[error("the target switched protocols unasked")]
    Switching,
}

impl Refusal {
    /// Status, machine-readable error, and the fixed text for the client.
    fn public(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Path(_) => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The path cannot be forwarded: it is too long, not below its route, or could be read as another one.",
            ),
            Self::NoRoute => (StatusCode::NOT_FOUND, "not_found", "There is no such route."),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "This method is not forwarded.")
            }
            Self::Upgrade => {
                (StatusCode::NOT_IMPLEMENTED, "invalid_request", "WebSockets are not forwarded.")
            }
            Self::Headers => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The request's headers cannot be forwarded.",
            ),
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The request body is too large.")
            }
            Self::SlowBody => (
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "The request body took too long to arrive.",
            ),
            Self::Unreachable(_) => (
                StatusCode::BAD_GATEWAY,
                "bad_gateway",
                "The server behind this route cannot be reached at the moment.",
            ),
            Self::Slow => (
                StatusCode::GATEWAY_TIMEOUT,
                "gateway_timeout",
                "The server behind this route did not answer in time.",
            ),
            Self::Locked(_) => (
                StatusCode::BAD_GATEWAY,
                "bad_gateway",
                "The server behind this route asks for credentials of its own. Signing in again will not help: ask your \
                 administrator.",
            ),
            Self::Switching => (
                StatusCode::BAD_GATEWAY,
                "bad_gateway",
                "The server behind this route gave an unusable answer.",
            ),
        }
    }

    pub(super) fn respond(&self, pattern: &str, request_id: &str) -> Response {
        let (status, error, description) = self.public();
        if status.is_server_error() {
            let cause = match self {
                Self::Unreachable(error) => error.source().map(ToString::to_string),
                _ => None,
            };
            tracing::warn!(
                pattern,
                request_id,
                status = status.as_u16(),
                cause,
                "not forwarded: {self}"
            );
        } else {
            tracing::debug!(pattern, request_id, status = status.as_u16(), "not forwarded: {self}");
        }
        let body =
            json!({"error": error, "error_description": description, "request_id": request_id});
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (status, headers, body.to_string()).into_response()
    }
}
