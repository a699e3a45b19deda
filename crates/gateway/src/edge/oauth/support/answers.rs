//! JSON answers of the OAuth endpoints: never cached, errors in the shape of RFC 6749 section 5.2.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portunus_core::{
    audit::Person,
    ids::{ClientId, UserId},
    oauth::{ErrorCode, OAuthError},
    store::StoreError,
};
use serde::Serialize;
use serde_json::json;

use crate::edge::{extensions::FailedAuthentication, throttle::limiter::TooMany};

/// A JSON answer that no cache may keep (RFC 6749 section 5.1).
pub fn no_store<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Json(serde_json::to_value(body).unwrap_or_default())).into_response()
}

/// An error with its status: 401 for a client that did not prove itself, with a challenge if it
/// tried HTTP Basic or a token; 403 for what is switched off; 503 when it is our fault; else 400.
pub fn error(error: &OAuthError, tried_basic: bool) -> Response {
    let status = match error.code {
        ErrorCode::InvalidClient | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
        ErrorCode::AccessDenied => StatusCode::FORBIDDEN,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({"error": error.code.as_str(), "error_description": error.description});
    let mut response = no_store(status, &body);
    if status == StatusCode::UNAUTHORIZED {
        response.extensions_mut().insert(FailedAuthentication);
    }
    let challenge = match error.code {
        ErrorCode::InvalidClient if tried_basic => Some("Basic realm=\"portunus\""),
        ErrorCode::InvalidToken => Some("Bearer error=\"invalid_token\""),
        _ => None,
    };
    if let Some(challenge) = challenge {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// Too much was asked: 429 (RFC 6585 section 4). RFC 6749 has no code for it; this one says best
/// what a client should do, which is to come back later.
pub fn too_many(too_many: TooMany) -> Response {
    let problem = OAuthError::new(
        ErrorCode::TemporarilyUnavailable,
        "too many requests; wait as long as Retry-After says",
    );
    let mut response = error(&problem, false);
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    too_many.with_retry_after(response)
}

/// Client metadata came as something else than JSON: 415.
pub fn not_json() -> Response {
    let problem =
        OAuthError::new(ErrorCode::InvalidClientMetadata, "send the metadata as application/json");
    let mut response = error(&problem, false);
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// Why a request of a client got no answer.
#[derive(Debug)]
pub enum Failure {
    OAuth(OAuthError),
    /// Who asks, or whose it is, is disabled; the client is told as much.
    Disabled(Box<Person>, OAuthError),
    Store(StoreError),
    TooMany(TooMany),
}

impl Failure {
    /// The client that asks is disabled.
    pub fn disabled_client(id: &ClientId) -> Self {
        let problem = "this client was disabled by the administrator of the gateway";
        let problem = OAuthError::new(ErrorCode::InvalidClient, problem);
        Self::Disabled(Box::new(Person::client(id.as_str())), problem)
    }

    /// The grant's person or its client is disabled.
    pub fn disabled_grant(user: &UserId, client: &ClientId) -> Self {
        let person = Person::user_id(user).with_client(client.as_str());
        Self::Disabled(Box::new(person), disabled_grant())
    }
}

fn disabled_grant() -> OAuthError {
    let problem = "this access was ended by the administrator of the gateway";
    OAuthError::new(ErrorCode::InvalidGrant, problem)
}

impl From<TooMany> for Failure {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Disabled => Self::Disabled(Box::default(), disabled_grant()),
            error => Self::Store(error),
        }
    }
}

/// The answer for a request to `endpoint` that failed.
pub fn failure(failure: &Failure, endpoint: &'static str, headers: &HeaderMap) -> Response {
    match failure {
        Failure::OAuth(problem) | Failure::Disabled(_, problem) => {
            tracing::info!(endpoint, %problem, "request refused");
            error(problem, headers.contains_key(header::AUTHORIZATION))
        }
        Failure::Store(cause) => store_down(cause),
        Failure::TooMany(limit) => too_many(*limit),
    }
}

/// The store failed: 503, and nothing was accepted.
pub fn store_down(cause: &StoreError) -> Response {
    tracing::error!(error = %cause, "the store failed");
    let mut response = error(
        &OAuthError::new(
            ErrorCode::TemporarilyUnavailable,
            "the store cannot be reached; try again",
        ),
        false,
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// What the request does could not be recorded: 503, and nothing was done.
pub fn audit_full() -> Response {
    let problem = OAuthError::new(
        ErrorCode::TemporarilyUnavailable,
        "what requests do cannot be recorded just now; try again",
    );
    let mut response = error(&problem, false);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clients_are_told_when_to_come_back() {
        for (wait, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
            let answer = too_many(TooMany(Duration::from_millis(wait)));
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.headers()[header::RETRY_AFTER], expected, "{wait} ms");
        }
    }
}
