//! Threat 47: what one person may have under way at once, and how large a message may be. Past the
//! bound the answer is 429 or 413, nothing reaches a server, and no other person notices.

use std::sync::Arc;

use insta::assert_snapshot;
use portunus_testkit::{
    agent::{McpClient, Request, raw},
    wait::{eventually, in_time},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::fixture::GatewayFixture;

/// Streams, and calls, that one person may have at once.
const EACH: usize = 64;

/// A stream of a session, open; or the answer in place of it.
async fn open_stream(fixture: &GatewayFixture, mcp: &McpClient) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let host = fixture.url.trim_start_matches("http://");
    let head = format!(
        "GET /mcp/uuid HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {}\r\n\
         Mcp-Protocol-Version: 2025-11-25\r\n\r\n",
        mcp.token, mcp.session
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    in_time("an answer begins", async {
        // bounded: by the answer, which comes in time.
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    let head = String::from_utf8(answer).unwrap();
    if head.starts_with("HTTP/1.1 200") { Ok(stream) } else { Err(head) }
}

#[tokio::test]
async fn t47_one_person_has_so_many_streams_and_the_next_is_429() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let mut open = Vec::new();
    for n in 0..EACH {
        open.push(
            open_stream(&fixture, &mcp).await.unwrap_or_else(|head| panic!("stream {n}: {head}")),
        );
    }
    let reached = fixture.uuid.seen().len();
    for _ in 0..3 {
        let refused = open_stream(&fixture, &mcp).await.unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    }
    assert_eq!(fixture.uuid.seen().len(), reached, "nothing reached the server");
    // The session itself, and another person, notice nothing.
    assert_eq!(mcp.call_text("echo", json!({"text": "still"})).await, "still");
    fixture.okta.sign_in_as("bob");
    let (_, browser, bobs) = fixture.connect("/mcp/uuid").await;
    let bob = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &bobs.access).await;
    drop(open_stream(&fixture, &bob).await.unwrap());
    // A stream that ends makes room.
    open.pop();
    eventually("there is room again", async || open_stream(&fixture, &mcp).await.is_ok()).await;
    assert_eq!((fixture.grants("alice").await, fixture.grants("bob").await), (1, 1));
    fixture.close().await;
}

#[tokio::test]
async fn t47_one_person_has_so_many_calls_under_way_and_the_next_is_429() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp =
        Arc::new(McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await);
    mcp.call_text("echo", json!({"text": "wakes the server"})).await;
    let before = fixture.uuid.seen().len();
    let hang = |n: usize| json!({"jsonrpc": "2.0", "id": n.to_string(), "method": "tools/call", "params": {"name": "hang"}});
    let hanging: Vec<_> = (0..EACH)
        .map(|n| {
            let (agent, call) = (browser.clone(), mcp.message(&hang(n)));
            tokio::spawn(async move { agent.try_send(call).await })
        })
        .collect();
    eventually("all of them reach the server", async || fixture.uuid.seen().len() >= before + EACH)
        .await;
    let reached = fixture.uuid.seen().len();
    let modern = json!({"jsonrpc": "2.0", "id": "modern", "method": "tools/call", "params": {"name": "hang", "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}});
    let modern =
        Request::json(&fixture.at("/mcp/uuid"), &modern).without_cookies().bearer(&tokens.access);
    let modern = modern
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28");
    let modern = modern.header("mcp-method", "tools/call").header("mcp-name", "hang");
    // However it is asked: in the session, and without one.
    let refused = browser.send(mcp.message(&hang(EACH))).await;
    assert_snapshot!(fixture.shown(&refused), @r#"
    429 Too Many Requests
    content-type: application/json
    retry-after: 1

    {"jsonrpc":"2.0","id":"64","error":{"code":-32000,"message":"too many requests at once: wait for some to end, and come back in a second or more"}}
    "#);
    assert_snapshot!(fixture.shown(&browser.send(modern).await), @r#"
    429 Too Many Requests
    content-type: application/json
    retry-after: 1

    {"jsonrpc":"2.0","id":"modern","error":{"code":-32000,"message":"too many requests at once: wait for some to end, and come back in a second or more"}}
    "#);
    assert_eq!(fixture.uuid.seen().len(), reached, "nothing more reached the server");
    fixture.okta.sign_in_as("bob");
    let (_, browser, bobs) = fixture.connect("/mcp/uuid").await;
    let bob = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &bobs.access).await;
    assert_eq!(bob.call_text("echo", json!({"text": "another"})).await, "another");
    // A call that ends makes room.
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "0"}});
    mcp.post(&cancelled).await.expect(202);
    eventually("there is room again", async || {
        let echo = json!({"jsonrpc": "2.0", "id": "next", "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}});
        mcp.post(&echo).await.status == 200
    })
    .await;
    assert_eq!((fixture.grants("alice").await, fixture.grants("bob").await), (1, 1));
    for call in hanging {
        call.abort();
    }
    fixture.close().await;
}

#[tokio::test]
async fn t47_a_message_past_the_limit_is_413_however_it_is_framed() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let host = fixture.url.trim_start_matches("http://");
    let head = format!(
        "POST /mcp/uuid HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMcp-Session-Id: {}\r\nMcp-Protocol-Version: 2025-11-25\r\n",
        mcp.token, mcp.session
    );
    let limit = fixture.config.limits.body;
    let message = |length: usize| {
        let (before, after) = (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":""#,
            r#""}}}"#,
        );
        let text = "x".repeat(length - before.len() - after.len());
        format!("{before}{text}{after}")
    };
    let declared = |body: &str| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = |body: &str| {
        let pieces = body.as_bytes().chunks(64 * 1024);
        let pieces: Vec<_> = pieces
            .map(|piece| {
                format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap())
            })
            .collect();
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", pieces.concat())
    };
    let reached = fixture.uuid.seen().len();
    for body in [message(limit + 1), message(2 * limit)] {
        for bytes in [declared(&body), chunked(&body)] {
            assert_eq!(
                raw::exchange(fixture.address, bytes.as_bytes()).await.status(),
                413,
                "{} bytes",
                body.len()
            );
        }
    }
    assert_eq!(fixture.uuid.seen().len(), reached, "nothing reached the server");
    assert_eq!(
        raw::exchange(fixture.address, declared(&message(limit)).as_bytes()).await.status(),
        200,
        "the limit itself is allowed"
    );
    assert_eq!(
        mcp.call_text("echo", json!({"text": "after"})).await,
        "after",
        "the session goes on"
    );
    assert_eq!(fixture.grants("alice").await, 1);
    assert!(
        !fixture.log.text().contains("xxxxxxxxxxxxxxxx"),
        "the log says nothing of what was in the body"
    );
    fixture.close().await;
}
