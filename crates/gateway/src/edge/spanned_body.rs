//! The body of an answer in its request's span: what is logged while a stream goes on carries the
//! request's id, as what was logged before it does.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

struct SpannedBody {
    body: Body,
    span: Span,
}

/// The same answer, whose body is made in `span`.
pub fn in_span(response: Response, span: Span) -> Response {
    response.map(|body| Body::new(SpannedBody { body, span }))
}

impl HttpBody for SpannedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, span } = self.get_mut();
        let _in = span.enter();
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
