//! Threat 46: a client that sends slowly is given up, in time by a clock that is moved, and holds
//! up no other; a client that leaves abruptly ends nothing.

use std::time::Duration;

use futures::future::join_all;
use portunus::config::ProxyRoute;
use portunus_testkit::{
    agent::{McpClient, Request},
    figures::Figures,
    mcp_servers::FixtureServer,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::fixture::{GatewayFixture, Setup};

/// The gateway gives a head ten seconds, and a body thirty.
const HEAD: u64 = 10;
const BODY: u64 = 30;
/// Past that nothing is left open; in time that passes at once.
const LIMIT: Duration = Duration::from_secs(120);

/// What a client sends, and then no more; with the seconds after which it is given up, and how the
/// answer begins, if there may be one.
struct Slow {
    what: &'static str,
    bytes: Vec<u8>,
    seconds: u64,
    answer: &'static str,
}

fn head(what: &'static str, bytes: &[u8]) -> Slow {
    Slow { what, bytes: bytes.to_vec(), seconds: HEAD, answer: "" }
}

fn body(what: &'static str, lines: &str, rest: &str) -> Slow {
    let bytes =
        format!("{lines}\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{rest}").into_bytes();
    Slow { what, bytes, seconds: BODY, answer: "HTTP/1.1 408" }
}

/// Frames of HTTP/2 behind its preface: type, flags, stream and payload of each.
fn http2(frames: &[(u8, u8, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    for (kind, flags, stream, payload) in frames {
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
        bytes.extend_from_slice(&[*kind, *flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
    }
    bytes
}

const SETTINGS: (u8, u8, u32, &[u8]) = (4, 0, 0, b"");
/// A POST to `/auth/token`, its head in HPACK without any compression: the static table's method
/// and scheme, the path and host as they are.
const POST: &[u8] = b"\x83\x86\x04\x0b/auth/token\x01\x09localhost";

fn whoever_is_slow(token: &str) -> Vec<Slow> {
    let form = "Content-Type: application/x-www-form-urlencoded";
    let message = format!(
        "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
    );
    vec![
        head("says nothing", b""),
        head("one letter", b"P"),
        head("half a preface of HTTP/2", b"PRI * HTTP/2.0\r\n"),
        head("a preface of HTTP/2 and no frame", &http2(&[])),
        head("a preface of HTTP/2 and settings", &http2(&[SETTINGS])),
        head(
            "a head that does not end",
            b"POST /auth/token HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        ),
        head("a head of HTTP/2 that does not end", &http2(&[SETTINGS, (1, 0, 1, POST)])),
        head(
            "a head of HTTP/2 that goes on with nothing",
            &http2(
                &[&[SETTINGS, (1, 0, 1, POST)][..], &[(9, 0, 1, b"".as_slice()); 20][..]].concat(),
            ),
        ),
        body("a form that does not end", &format!("POST /auth/token HTTP/1.1\r\n{form}"), "grant"),
        body(
            "a registration that does not end",
            "POST /auth/register HTTP/1.1\r\nContent-Type: application/json",
            "{",
        ),
        body("a message that does not end", &message, "{\"jsonrpc\""),
        body("a message that does not begin", &message, ""),
    ]
}

/// Connections on which all of it was sent.
async fn connections(fixture: &GatewayFixture, slow: &[Slow]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for Slow { bytes, .. } in slow {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        open.push(stream);
    }
    open
}

/// Reads until the other side closes: how long that took, and what came.
async fn until_given_up(mut stream: TcpStream, slow: &Slow, since: Instant) -> (Duration, String) {
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "{}: the connection is still open", slow.what);
    (since.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn f9_t46_whoever_is_slow_is_given_up_in_time_and_others_are_served() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "before"})).await, "before");
    let unused = fixture.stores().clients.count_unused_clients().await.unwrap();
    let slow = whoever_is_slow(&tokens.access);
    // Others are served while all of them are there.
    let waiting = connections(&fixture, &slow).await;
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "meanwhile"})).await, "meanwhile");
    client.tokens(client.refresh(tokens.refresh()).await);
    // From now on nothing happens but that time passes, which it does at once.
    tokio::time::pause();
    let since = Instant::now();
    let ended = join_all(
        waiting.into_iter().zip(&slow).map(|(stream, slow)| until_given_up(stream, slow, since)),
    )
    .await;
    tokio::time::resume();
    let mut longest = 0;
    for (slow, (took, answer)) in slow.iter().zip(ended) {
        // Whole seconds: a timer may be a thousandth late.
        let took = took.as_secs();
        assert!(took <= slow.seconds, "{}: given up after {took} s", slow.what);
        assert!(
            answer.starts_with(slow.answer) && !answer.starts_with("HTTP/1.1 2"),
            "{}: {answer}",
            slow.what
        );
        longest = longest.max(took);
    }
    fixture.browser().send(Request::get(&fixture.at("/health"))).await.expect(200);
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        unused,
        "nothing was registered"
    );
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
    Figures::of("F9", "sqlite", "slow heads and bodies, by a clock that is moved")
        .at_most("given up after", longest, BODY)
        .at_least("kinds of them", slow.len(), 10)
        .report();
}

#[tokio::test]
async fn t46_frames_without_content_end_nothing_and_do_not_keep_a_body_open() {
    let fixture = GatewayFixture::start().await;
    // An empty DATA frame brings nothing, and prolongs nothing.
    let empty = (0, 0, 1, b"".as_slice());
    let bytes = http2(&[&[SETTINGS, (1, 4, 1, POST)][..], &vec![empty; 10_000]].concat());
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    // It may be told to stop before all of it is sent.
    let _ = stream.write_all(&bytes).await;
    let other = fixture.browser();
    other.send(Request::get(&fixture.at("/health"))).await.expect(200);
    let sending = async {
        // bounded: by the body's time, after which the write fails or the other half of the select
        // ends.
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let frame = &http2(&[empty])[24..];
            if stream.write_all(frame).await.is_err() {
                return;
            }
            let mut answer = [0; 4096];
            if let Ok(Ok(read)) =
                tokio::time::timeout(Duration::from_millis(1), stream.read(&mut answer)).await
                && (read == 0 || answer[..read].windows(9).any(is_the_end))
            {
                return;
            }
        }
    };
    tokio::time::pause();
    let began = Instant::now();
    tokio::time::timeout(LIMIT, sending).await.expect("the body is given up");
    assert!(began.elapsed().as_secs() <= BODY + 2, "{:?}", began.elapsed());
    tokio::time::resume();
    other.send(Request::get(&fixture.at("/health"))).await.expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn t46_a_proxied_body_that_does_not_end_is_given_up_as_any_other() {
    let target = FixtureServer::start().await;
    let fixture = GatewayFixture::of(Setup {
        proxies: vec![ProxyRoute::new("/mcp/legacy/", target.url().join("/").unwrap())],
        ..Setup::default()
    })
    .await;
    let (_, _, tokens) = fixture.connect("/mcp/legacy/mcp").await;
    let lines = format!(
        "POST /mcp/legacy/mcp HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nAuthorization: Bearer {}",
        tokens.access
    );
    let slow = [body("does not end", &lines, "{\"jsonrpc\""), body("does not begin", &lines, "")];
    let waiting = connections(&fixture, &slow).await;
    fixture.browser().send(Request::get(&fixture.at("/health"))).await.expect(200);
    tokio::time::pause();
    let since = Instant::now();
    for (stream, slow) in waiting.into_iter().zip(&slow) {
        let (took, answer) = until_given_up(stream, slow, since).await;
        // The store is asked on a thread of its own, and a clock that stands jumps meanwhile.
        assert!(took.as_secs() <= 2 * BODY, "{}: given up after {took:?}", slow.what);
        assert!(answer.starts_with(slow.answer), "{}: {answer}", slow.what);
    }
    tokio::time::resume();
    fixture.browser().send(Request::get(&fixture.at("/health"))).await.expect(200);
    fixture.close().await;
}

/// The head of a frame that ends the stream or the connection: HEADERS of stream 1, `RST_STREAM`,
/// GOAWAY.
fn is_the_end(head: &[u8]) -> bool {
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    matches!((head[3], stream), (1 | 3, 1) | (7, 0)) && head[0] == 0
}

#[tokio::test]
async fn t46_a_connection_that_ends_abruptly_ends_nothing_else() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let unused = fixture.stores().clients.count_unused_clients().await.unwrap();
    let starts = [
        b"POST /auth/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".to_vec(),
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\r\n{{",
            tokens.access
        )
        .into_bytes(),
        // An HTTP/2 preface, then frames without content, then nothing.
        http2(&vec![SETTINGS; 1_000]),
        http2(&[SETTINGS, (1, 4, 1, POST), (0, 0, 1, b"grant")]),
    ];
    for start in starts.iter().cycle().take(100) {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        // A part of it may be refused before the rest is sent.
        let _ = stream.write_all(start).await;
        stream.set_zero_linger().unwrap();
        drop(stream);
    }
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "after"})).await, "after");
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        unused,
        "nothing was registered"
    );
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}
