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

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing};
    use tower::ServiceExt as _;

    use super::*;

    async fn status(body: Body) -> StatusCode {
        let endpoint = routing::post(async |body: Bytes| body.len().to_string());
        let router = Router::new().route("/", endpoint).layer(middleware::from_fn(whole));
        let request = Request::builder().method("POST").uri("/").body(body).unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test(start_paused = true)]
    async fn t23_t46_bodies_have_an_end_or_are_given_up() {
        assert_eq!(status(Body::from("x=1")).await, StatusCode::OK);
        assert_eq!(status(Body::from(vec![b'x'; limits::FORM + 1])).await, StatusCode::PAYLOAD_TOO_LARGE);
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(status(Body::from_stream(never)).await, StatusCode::REQUEST_TIMEOUT);
        let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
        assert_eq!(status(Body::from_stream(broken)).await, StatusCode::BAD_REQUEST);
    }
}
