//! Threat 46: whoever sends slowly is given up, and holds nobody else up.

use std::time::Duration;

use portunus_testkit::agent::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::World;

/// The gateway gives a head ten seconds and a body thirty; a busy machine gets two minutes.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn t46_a_head_that_never_ends_is_given_up_and_others_are_served() {
    let world = World::start().await;
    let mut slow = Vec::new();
    let starts: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /auth/token HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ];
    for start in starts.repeat(10) {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(start).await.unwrap();
        slow.push(stream);
    }
    world.browser().send(Request::get(&world.at("/health"))).await.expect(200);
    for mut stream in slow {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection is still open");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    world.close().await;
}

#[tokio::test]
async fn t46_a_body_that_never_ends_is_given_up() {
    let world = World::start().await;
    let head = b"POST /auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Content-Length: 100\r\n\r\ngrant";
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is still open");
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    world.close().await;
}

#[tokio::test]
async fn t46_a_connection_that_ends_abruptly_ends_nothing_else() {
    let world = World::start().await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(b"POST /auth/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{").await.unwrap();
        drop(stream);
    }
    // An HTTP/2 preface, then frames without content, then nothing.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(1_000)).await.unwrap();
    drop(stream);
    world.browser().send(Request::get(&world.at("/health"))).await.expect(200);
    world.close().await;
}
