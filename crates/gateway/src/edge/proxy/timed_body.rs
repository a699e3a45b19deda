//! Bodies of proxied requests that have to have come in time (threat 46). Bodies that are read
//! whole are `edge::body`'s, with the same time.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// The body took too long to come.
#[derive(Debug, Error)]
#[error("the body took too long to arrive")]
pub(super) struct TooSlow;

/// The same body; an error if its end has not come by then.
pub(super) struct TimedBody<B> {
    body: B,
    until: Pin<Box<Sleep>>,
}

impl<B> TimedBody<B> {
    pub(super) fn new(body: B, until: Instant) -> Self {
        Self { body, until: Box::pin(tokio::time::sleep_until(until)) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TimedBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.until.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
