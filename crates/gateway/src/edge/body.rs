//! Reading a request's body within its bounds, of size and of time (threats 23, 46). Bodies that
//! stream through are `proxy`'s.

use std::{hash::Hash, time::Duration};

use axum::{
    BoxError, Json,
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;

use super::{
    extensions::AddressPermit,
    keyed_limit::{KeyedLimit, Permit},
    limits,
};
use crate::audit::AuditLog;

/// How long a body may take to come, altogether.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole body, of at most `limit` bytes; or the answer for one that is too large, too slow, or
/// breaks off.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Box<Response>> {
    check_declared(&body, limit)?;
    match tokio::time::timeout(TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) => Err(Box::new(broken(&error))),
        Err(_) => {
            Err(Box::new(refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")))
        }
    }
}

/// A declared length past the limit is answered before anything is read: a client that expects `100
/// Continue` would wait for it in vain.
fn check_declared(body: &Body, limit: usize) -> Result<(), Box<Response>> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|length| length <= limit) {
        Ok(())
    } else {
        Err(Box::new(too_large()))
    }
}

fn too_large() -> Response {
    let why =
        "the body is larger than is accepted here (limits.body in config.yaml for MCP messages)";
    refuse(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn broken(error: &BoxError) -> Response {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    refuse(StatusCode::BAD_REQUEST, "the body could not be read")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": "invalid_request", "error_description": why}))).into_response()
}

/// How many bytes of bodies one person, or one node, may have in memory at once (threat 56).
pub struct ByteBudget<'a, K> {
    pub held: &'a KeyedLimit<K>,
    pub whose: &'a K,
    pub most: usize,
}

/// The whole body of a request whose sender is known. Each byte counts for the sender as soon as it
/// has come, and for as long as any part of the body is kept anywhere; past the budget the answer
/// is 429.
pub async fn read_within<K>(
    body: Body,
    limit: usize,
    budget: &ByteBudget<'_, K>,
) -> Result<Bytes, Box<Response>>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
{
    check_declared(&body, limit)?;
    let reading = async {
        let Some(mut permit) = budget.held.acquire(budget.whose, 0, budget.most) else {
            return Ok(Err(Box::new(over_budget())));
        };
        let mut body = std::pin::pin!(Limited::new(body, limit));
        let mut whole = Whole::default();
        while let Some(frame) = body.frame().await {
            if let Ok(chunk) = frame?.into_data() {
                if !permit.grow(chunk.len(), budget.most) {
                    return Ok(Err(Box::new(over_budget())));
                }
                whole.add(chunk);
            }
        }
        Ok(Ok(Bytes::from_owner(Counted { bytes: whole.into_bytes(), _permit: permit })))
    };
    match tokio::time::timeout(TIMEOUT, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => Err(Box::new(broken(&error))),
        Err(_) => {
            Err(Box::new(refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")))
        }
    }
}

/// What was read of a body so far: most come in one piece, which is not copied.
#[derive(Default)]
struct Whole {
    first: Bytes,
    more: Vec<u8>,
}

impl Whole {
    fn add(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            self.more.extend_from_slice(&chunk);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() {
            self.first
        } else {
            Bytes::from([&self.first[..], &self.more].concat())
        }
    }
}

/// A body and what it counts for: slices of it keep both.
struct Counted<K: Eq + Hash + Clone> {
    bytes: Bytes,
    _permit: Permit<K>,
}

impl<K: Eq + Hash + Clone> AsRef<[u8]> for Counted<K> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn over_budget() -> Response {
    let body = json!({
        "error": "too_many_requests",
        "error_description": "your messages under way take as much memory as they may (limits.bytes_per_user): wait for some to end",
    });
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], Json(body)).into_response()
}

/// A layer for endpoints that take forms and metadata: they see the body once it is all there, and
/// end though the client hangs up.
pub async fn whole(State(audit): State<AuditLog>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let permit = parts.extensions.get().cloned();
    match read(body, limits::FORM).await {
        Ok(bytes) => {
            let request = Request::from_parts(parts, Body::from(bytes));
            to_its_end(&audit, permit, next.run(request)).await
        }
        Err(response) => *response,
    }
}

/// Sees it through in a task of its own: a client that hangs up in the middle must not keep what
/// was redeemed, allowed or registered by then out of the audit trail, which does not end before
/// the task does. It counts for its address until it is done.
async fn to_its_end(
    audit: &AuditLog,
    permit: Option<AddressPermit>,
    answering: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let answering = async move {
        let response = answering.await;
        permit.inspect(AddressPermit::release);
        response
    };
    match audit.see_through(answering).await {
        Ok(response) => response,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The gateway ends.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

#[cfg(test)]
mod tests;
