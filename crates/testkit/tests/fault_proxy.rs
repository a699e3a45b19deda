//! The fault proxy does with connections what its mode says, and forwards everything else.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{net::SocketAddr, time::Duration};

use portunus_testkit::{
    fault_proxy::{FaultProxy, Mode},
    port::ReservedPort,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Answers whatever it is sent with the same.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

/// What comes back of `text`, as far as it comes.
async fn told(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0; text.len()];
    let mut read = 0;
    while read < answer.len() {
        match stream.read(&mut answer[read..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn it_carries_and_it_cuts() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(told(&mut stream, "all of it").await, "all of it");
    proxy.cut_next_reply_after(3);
    assert_eq!(told(&mut stream, "a part of it").await, "a p");
    assert_eq!(proxy.replies_cut(), 1);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.cut_next_reply_after(0);
    assert_eq!(told(&mut stream, "nothing").await, "");
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(told(&mut stream, "again").await, "again");
    proxy.cut();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0, "it ends while nothing is sent");
}

/// Says who it is, and no more.
async fn named(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(name.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn it_goes_round_and_passes_over_who_is_not_there() {
    let reserved = ReservedPort::any();
    let proxy =
        FaultProxy::before(vec![named("one").await, reserved.address(), named("two").await]).await;
    let mut heard = Vec::new();
    for _ in 0..4 {
        let mut text = String::new();
        TcpStream::connect(proxy.address()).await.unwrap().read_to_string(&mut text).await.unwrap();
        heard.push(text);
    }
    assert_eq!(heard, ["one", "two", "two", "one"]);
}

#[tokio::test]
async fn it_stalls_and_refuses() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(told(&mut stream, "before").await, "before");
    proxy.set(Mode::Stalled);
    {
        let telling = told(&mut stream, "late");
        tokio::pin!(telling);
        assert!(
            tokio::time::timeout(Duration::from_millis(100), &mut telling).await.is_err(),
            "nothing comes"
        );
        proxy.set(Mode::Open);
        assert_eq!(telling.await, "late");
    }
    proxy.set(Mode::Refused);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(told(&mut refused, "nobody").await, "");
    assert_eq!(told(&mut stream, "still").await, "still", "what is open goes on");
    let began = std::time::Instant::now();
    proxy.set(Mode::Slow(Duration::from_millis(50)));
    assert_eq!(told(&mut stream, "slow").await, "slow");
    assert!(began.elapsed() >= Duration::from_millis(100), "there and back");
}
