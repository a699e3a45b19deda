//! The body of an answer that breaks off when something happens: what its client was allowed to
//! read is so no longer. Bytes, trailers and length pass as they are.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

struct CutBody {
    body: Body,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The same answer; its body breaks off with `end`.
pub fn until(response: Response, end: impl Future<Output = ()> + Send + 'static) -> Response {
    response.map(|body| {
        if body.is_end_stream() { body } else { Body::new(CutBody { body, end: Box::pin(end) }) }
    })
}

impl HttpBody for CutBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "it was ended");
            return Poll::Ready(Some(Err(axum::Error::new(broken))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_passes_until_it_is_ended() {
        let whole = until(Response::new(Body::from("all of it")), std::future::pending());
        assert_eq!(whole.body().size_hint().exact(), Some(9));
        assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "all of it");
        let cut = until(Response::new(Body::from("nothing of it")), std::future::ready(()));
        assert!(cut.into_body().collect().await.is_err());
    }
}
