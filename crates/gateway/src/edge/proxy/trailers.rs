//! Bodies without their trailers, which are headers too: no list of [`super::headers`] has any.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The same body, its trailers left out.
pub(super) struct WithoutTrailers<B>(pub(super) B);

impl<B: Body<Data = Bytes> + Unpin> Body for WithoutTrailers<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http::{HeaderMap, HeaderValue};
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    #[tokio::test]
    async fn t61_trailers_are_left_out_and_lengths_stay() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-remote-user", HeaderValue::from_static("root"));
        let frames =
            [Ok::<_, std::io::Error>(Frame::data(Bytes::from("x"))), Ok(Frame::trailers(trailers))];
        let collected =
            WithoutTrailers(StreamBody::new(stream::iter(frames))).collect().await.unwrap();
        assert_eq!(collected.trailers(), None);
        assert_eq!(collected.to_bytes(), "x");
        assert_eq!(WithoutTrailers(Full::new(Bytes::from("four"))).size_hint().exact(), Some(4));
    }
}
