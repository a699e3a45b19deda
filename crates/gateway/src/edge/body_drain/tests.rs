//! Bodies that are not read to their end, by connection and protocol.

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
    let router = Router::new().route("/", routing::post(async || StatusCode::PAYLOAD_TOO_LARGE));
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
