//! Reading a request's body within its bounds, of size and of time (threats 23, 46). Bodies that
//! stream through are `proxy`'s.

use std::{hash::Hash, time::Duration};

use axum::{
    BoxError, Json,
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;

use super::{
    keyed_limit::{KeyedLimit, Permit},
    limits,
};

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

/// A layer for endpoints that take forms and metadata: they see the body once it is all there.
pub async fn whole(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read(body, limits::FORM).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(response) => *response,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use axum::{Router, middleware, routing};
    use http_body::{Frame, SizeHint};
    use tower::ServiceExt as _;

    use super::*;

    /// Declares a length, and never comes.
    struct Declared(u64);

    impl http_body::Body for Declared {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    async fn status(body: Body) -> StatusCode {
        let endpoint = routing::post(async |body: Bytes| body.len().to_string());
        let router = Router::new().route("/", endpoint).layer(middleware::from_fn(whole));
        let request = Request::builder().method("POST").uri("/").body(body).unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test(start_paused = true)]
    async fn t56_bytes_of_one_person_have_a_bound_and_count_as_long_as_they_are_kept() {
        let held = KeyedLimit::<u8>::default();
        let read = |whose: &'static u8, length: usize| {
            let budget = ByteBudget { held: &held, whose, most: 100 };
            async move { read_within(Body::from(vec![b'x'; length]), 80, &budget).await }
        };
        let first = read(&1, 60).await.unwrap();
        assert_eq!((first.len(), held.held(&1)), (60, 60));
        assert_eq!(read(&1, 50).await.unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(read(&2, 81).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!((held.held(&1), held.held(&2)), (60, 0), "what was refused is given back");
        assert!(read(&2, 80).await.is_ok(), "another person");
        let piece = first.slice(10..12);
        drop(first);
        assert_eq!(held.held(&1), 60, "a piece keeps the whole in memory");
        drop(piece);
        assert_eq!(held.held(&1), 0);
        let chunks = futures::stream::iter(
            (0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"))),
        );
        let endless = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let budget = ByteBudget { held: &held, whose: &1, most: 100 };
        let body = Body::from_stream(futures::StreamExt::chain(chunks, endless));
        let slow = read_within(body, 80, &budget).await.unwrap_err();
        assert_eq!((slow.status(), held.held(&1)), (StatusCode::REQUEST_TIMEOUT, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn t23_t46_bodies_have_an_end_or_are_given_up() {
        assert_eq!(status(Body::from("x=1")).await, StatusCode::OK);
        assert_eq!(
            status(Body::from(vec![b'x'; limits::FORM + 1])).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(status(Body::from_stream(never)).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(
            status(Body::new(Declared(limits::FORM as u64 + 1))).await,
            StatusCode::PAYLOAD_TOO_LARGE,
            "not a byte was read"
        );
        assert_eq!(
            status(Body::new(Declared(limits::FORM as u64))).await,
            StatusCode::REQUEST_TIMEOUT
        );
        let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
        assert_eq!(status(Body::from_stream(broken)).await, StatusCode::BAD_REQUEST);
    }
}
