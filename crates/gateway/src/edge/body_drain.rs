//! Bodies of requests that no endpoint read. A request is often refused by its head alone, while
//! its body is still on the way. hyper then closes an HTTP/1 connection as soon as the answer is
//! out, without a word to the client, whose next request on that connection is lost. So what an
//! endpoint leaves is read here, within bounds; past them the answer says that the connection
//! closes. Bodies that are read have their own bounds where they are read.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

/// How much of such a body is read: many clients send all of a body before they look at the answer,
/// and lose it when the connection closes under them (FB50). Nothing of it is kept.
const MOST: u64 = 8 * 1024 * 1024;
/// And for how long.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body that an endpoint reads: dropped before its end, the rest of it goes to its
/// [`BodyDrain`].
pub struct DrainedBody<B> {
    body: Option<B>,
    rest: Option<oneshot::Sender<B>>,
}

/// Gets what was not read of a body.
pub struct BodyDrain<B> {
    returned: oneshot::Receiver<B>,
    /// The client waits for our word before it sends the body (RFC 9110 section 10.1.1); reading
    /// would be that word.
    asks_first: bool,
}

/// The body of a request with these headers, and what reads the rest of it.
pub fn drained<B>(body: B, headers: &HeaderMap) -> (DrainedBody<B>, BodyDrain<B>) {
    let (rest, returned) = oneshot::channel();
    (
        DrainedBody { body: Some(body), rest: Some(rest) },
        BodyDrain { returned, asks_first: headers.contains_key(header::EXPECT) },
    )
}

impl<B: Body<Data = Bytes> + Unpin> BodyDrain<B> {
    /// To be called with the answer's headers, before it is sent. A body that is still in use is
    /// left alone.
    pub async fn finish(mut self, answer: &mut HeaderMap) {
        let Ok(rest) = self.returned.try_recv() else { return };
        if rest.is_end_stream() {
            return;
        }
        if self.asks_first || rest.size_hint().lower() > MOST || !read_to_end(rest).await {
            answer.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Was that all of it?
async fn read_to_end<B: Body<Data = Bytes> + Unpin>(mut body: B) -> bool {
    let reading = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > MOST {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or(false)
}

impl<B: Body<Data = Bytes> + Unpin> Body for DrainedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.get_mut().body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for DrainedBody<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) {
            // There is no taker when the connection is gone; then it is dropped here.
            drop(rest.send(body));
        }
    }
}

#[cfg(test)]
mod tests;
