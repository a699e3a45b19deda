//! Making an [`Answer`]: JSON, an error, a stream, nothing. Which one, is decided next door.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::sse;
use crate::{
    answer::{Answer, Body, Refused},
    lifecycle::NoSession,
    limits::seconds,
    problem::LIMIT_REACHED,
    wire::{self, RequestId, WireError, code},
};

/// The session is unknown, as the official SDKs spell it.
const SESSION_NOT_FOUND: i64 = -32001;

pub(crate) fn json(status: StatusCode, message: Bytes) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Answer { status, headers, body: Body::Json(message), refused: None }
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: Body::Empty, refused: None }
}

pub(crate) fn events(stream: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx collects a stream into large pieces unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let stream: BoxStream<'static, Bytes> = stream.boxed();
    Answer { status: StatusCode::OK, headers, body: Body::Events(stream), refused: None }
}

pub(crate) fn error(
    status: StatusCode,
    id: Option<&RequestId>,
    code: i64,
    message: &str,
) -> Answer {
    json(status, wire::error(id, code, message, None))
}

/// The client has not been granted what it asks for. `message` is the whole response.
pub(crate) fn refused(message: Bytes, refused: Refused) -> Answer {
    Answer { refused: Some(refused), ..json(StatusCode::FORBIDDEN, message) }
}

/// A limit of the configuration was met (`limits.calls`).
pub(crate) fn limited(message: Bytes, retry_after: Duration) -> Answer {
    let mut answer = json(StatusCode::TOO_MANY_REQUESTS, message);
    answer.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(retry_after)));
    answer
}

pub(crate) fn bad_request(message: &str) -> Answer {
    error(StatusCode::BAD_REQUEST, None, code::INVALID_REQUEST, message)
}

/// What is wrong with a message is told with 400; what is wrong with a method's parameters is an
/// ordinary answer.
pub(crate) fn wire_error(id: Option<&RequestId>, problem: &WireError) -> Answer {
    let status = if problem.code() == code::INVALID_PARAMS {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    error(status, id, problem.code(), &problem.to_string())
}

pub(crate) fn session_missing() -> Answer {
    bad_request("the Mcp-Session-Id header is missing: begin with an initialize request")
}

/// The same for a session that never was, has ended, or is another client's.
pub(crate) fn session_unknown() -> Answer {
    error(StatusCode::NOT_FOUND, None, SESSION_NOT_FOUND, "Session not found")
}

/// Not 404: the client must not take the session for ended.
pub(crate) fn stream_unknown() -> Answer {
    bad_request(
        "the stream of this Last-Event-ID is no longer kept: the request may or may not have run",
    )
}

/// For a client that comes back for the answer of a call which went with the process it was made
/// in: what the stream would have said.
pub(crate) fn lost(request: &RequestId) -> Answer {
    let text = "the node that worked on this request is gone: it may or may not have run";
    let message = wire::error(
        Some(request),
        code::INTERNAL_ERROR,
        text,
        Some(&wire::object(&[("retriable", "true")])),
    );
    events(stream::iter([sse::message(&message)]))
}

/// Why there is no session for a request.
pub(crate) fn no_session(why: NoSession) -> Answer {
    match why {
        NoSession::Unknown => session_unknown(),
        NoSession::RecordsDown => records_down(),
        NoSession::TooMany => too_many(None, "sessions"),
    }
}

/// Whether there is such a session cannot be told just now.
fn records_down() -> Answer {
    let mut answer = error(
        StatusCode::SERVICE_UNAVAILABLE,
        None,
        LIMIT_REACHED,
        "the session cannot be looked up now: try again",
    );
    answer.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

pub(crate) fn too_many(id: Option<&RequestId>, what: &str) -> Answer {
    let text =
        format!("too many {what} at once: wait for some to end, and come back in a second or more");
    let mut answer = error(StatusCode::TOO_MANY_REQUESTS, id, LIMIT_REACHED, &text);
    answer.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}
