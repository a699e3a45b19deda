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
mod tests {
    use std::{convert::Infallible, future};

    use axum::{Router, routing};
    use http::StatusCode;
    use http_body_util::{Empty, Full};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        config::Limits,
        edge::{
            connections::{Connections, Rules},
            secure::Secure,
            server,
        },
    };

    async fn goes_on<B: Body<Data = Bytes> + Unpin>(body: B, headers: &HeaderMap) -> bool {
        let (body, drain) = drained(body, headers);
        drop(body);
        let mut answer = HeaderMap::new();
        drain.finish(&mut answer).await;
        !answer.contains_key(header::CONNECTION)
    }

    fn full(length: usize) -> Full<Bytes> {
        Full::new(Bytes::from(vec![b'x'; length]))
    }

    /// Of unknown length, and never at its end.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
        }
    }

    #[tokio::test]
    async fn what_is_left_is_read_within_bounds() {
        let plain = HeaderMap::new();
        assert!(goes_on(Empty::new(), &plain).await);
        let most = usize::try_from(MOST).unwrap();
        assert!(goes_on(full(most), &plain).await);
        assert!(!goes_on(full(most + 1), &plain).await);
        assert!(!goes_on(Endless, &plain).await);
        let mut asking = HeaderMap::new();
        asking.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        assert!(!goes_on(full(2), &asking).await);
    }

    #[tokio::test]
    async fn a_body_still_in_use_is_left_alone() {
        let (body, drain) = drained(Endless, &HeaderMap::new());
        let mut answer = HeaderMap::new();
        drain.finish(&mut answer).await;
        assert!(answer.is_empty());
        drop(body);
    }

    #[tokio::test]
    async fn a_connection_outlives_a_refusal_that_came_before_the_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let router = Router::new().route("/", routing::post(async || StatusCode::UNAUTHORIZED));
        let connections = Connections::new(Rules::new(&Limits::default(), &[], None));
        let serving = tokio::spawn(server::run(
            listener,
            Secure::default(),
            connections,
            router,
            future::pending(),
            async {},
        ));

        for _ in 0..3 {
            client
                .write_all(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n")
                .await
                .unwrap();
            // The refusal needs nothing more; let it be made before the body goes out.
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.write_all(b"{}").await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with("HTTP/1.1 401"), "{head}");
            assert!(!head.contains("close"), "{head}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn fb50_a_client_that_sends_all_of_its_body_first_reads_the_refusal() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let router =
            Router::new().route("/", routing::post(async || StatusCode::PAYLOAD_TOO_LARGE));
        let connections = Connections::new(Rules::new(&Limits::default(), &[], None));
        let serving = tokio::spawn(server::run(
            listener,
            Secure::default(),
            connections,
            router,
            future::pending(),
            async {},
        ));

        for length in [1024 * 1024, 100_000, 3 * 1024 * 1024] {
            let head = format!("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            client
                .write_all(&vec![b'x'; length])
                .await
                .expect("the connection is there until all is sent");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&head));
        }
        serving.abort();
    }
}
