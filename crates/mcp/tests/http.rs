//! Servers on Streamable HTTP built with the official SDK.

mod support;

use std::time::Duration;

use http::Method;
use portunus_mcp::{
    era::Era,
    upstream::{Call, CallEvent, ConnectionUser, Event, Options, UpstreamError},
    wire::Outcome,
};
use portunus_testkit::mcp_servers::{FixtureServer, HttpOptions};
use serde_json::json;
use support::{
    call, connect, connection_user, eventually, http, name, payload, pool, pool_with, quick,
    request, tool, try_call,
};
use tokio::sync::mpsc;

#[tokio::test]
async fn calls_with_answers_on_event_streams() {
    let server = FixtureServer::start().await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    assert_eq!(connection.info().protocol_version, "2025-11-25");
    assert_eq!(call(&connection, "add", json!({"a": 1, "b": 2})).await, "3");
    let calls = (0..30).map(|n| call(&connection, "echo", json!({"text": n.to_string()})));
    let texts = futures::future::join_all(calls.collect::<Vec<_>>()).await;
    assert_eq!(texts, [""; 30].iter().enumerate().map(|(n, _)| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn calls_with_answers_in_json() {
    let server = FixtureServer::start_with(HttpOptions {
        sessions: false,
        json: true,
        ..HttpOptions::default()
    })
    .await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    assert_eq!(call(&connection, "add", json!({"a": 1, "b": 2})).await, "3");
    let error = try_call(&connection, "error", json!({})).await.unwrap();
    assert_eq!(error["code"], json!(-32603));
}

#[tokio::test]
async fn t31_only_configured_headers_and_the_sessions_are_sent() {
    let server = FixtureServer::start().await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    call(&connection, "echo", json!({"text": "x"})).await;
    let seen = server.seen();
    for (n, request) in seen.iter().enumerate() {
        assert_eq!(request.headers["x-key"], "the-key");
        for name in ["authorization", "cookie"] {
            assert!(!request.headers.contains_key(name), "{request:?}");
        }
        // First comes the handshake, which begins the session.
        assert_eq!(request.headers.contains_key("mcp-session-id"), n > 0, "{request:?}");
        assert_eq!(request.headers.contains_key("mcp-protocol-version"), n > 0, "{request:?}");
    }
    assert_eq!(seen[1].headers["mcp-protocol-version"], "2025-11-25");
    // On behalf of a modern client it is asked in that era first.
    let modern = ConnectionUser { era: Era::Modern, ..connection_user("bob", "1") };
    pool.connection(&name("fixture"), &modern).await.unwrap();
    let discovery = &server.seen()[seen.len()];
    assert_eq!(discovery.headers["mcp-protocol-version"], "2026-07-28");
    assert_eq!(discovery.headers["mcp-method"], "server/discover");
}

#[tokio::test]
async fn a_forgotten_session_is_begun_anew() {
    let server = FixtureServer::start().await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    server.forget_sessions().await;
    let echo = Some(tool("echo", &json!({"text": "x"})));
    assert_eq!(
        connection.request("tools/call", echo.clone(), Call::default()).await,
        Err(UpstreamError::SessionExpired)
    );
    assert!(connection.is_closed());
    server.forget_sessions().await;
    let connection = connect(&pool).await.unwrap();
    server.forget_sessions().await;
    let answer = request(&pool, &connection_user("ada", "1"), "tools/call", echo).await;
    assert!(matches!(answer, Ok(Outcome::Result(_))), "{answer:?}");
    assert!(connection.is_closed());
}

#[tokio::test]
async fn notifications_come_on_the_get_stream() {
    let server = FixtureServer::start().await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    let mut events = connection.events();
    eventually("the stream is open", || async {
        server.seen().iter().any(|request| request.method == Method::GET)
    })
    .await;
    call(&connection, "change_tools", json!({})).await;
    eventually("the change is told", async || {
        matches!(events.recv().await, Ok(Event::Notification { method, .. }) if method == "notifications/tools/list_changed")
    })
    .await;
}

#[tokio::test]
async fn progress_and_cancellation() {
    let server = FixtureServer::start().await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    let (progress, mut heard) = mpsc::channel(10);
    let params = json!({"name": "slow", "arguments": {"steps": 3, "step_ms": 20}, "_meta": {"progressToken": "mine"}});
    let answer = connection
        .request(
            "tools/call",
            Some(payload(&params)),
            Call { call_events: Some(progress), ..Call::default() },
        )
        .await;
    assert!(answer.is_ok(), "{answer:?}");
    let mut count = 0;
    while let Some(CallEvent::Progress(params)) = heard.recv().await {
        assert!(!params.as_str().contains("mine"));
        count += 1;
    }
    assert_eq!(count, 3);

    let timeout = Some(Duration::from_millis(200));
    let hung = connection
        .request("tools/call", Some(tool("hang", &json!({}))), Call { timeout, ..Call::default() })
        .await;
    assert_eq!(hung, Err(UpstreamError::Timeout));
    eventually("it is cancelled", || async {
        call(&connection, "cancelled", json!({})).await == "1"
    })
    .await;
}

#[tokio::test]
async fn the_session_is_deleted_at_the_end() {
    let server = FixtureServer::start().await;
    let pool = pool(http(server.url()));
    let connection = connect(&pool).await.unwrap();
    call(&connection, "echo", json!({"text": "x"})).await;
    assert_eq!(server.session_count().await, 1);
    pool.shutdown(support::PATIENCE).await;
    assert_eq!(server.session_count().await, 0);
    assert_eq!(server.seen().iter().filter(|request| request.method == Method::DELETE).count(), 1);
}

#[tokio::test]
async fn large_answers_are_refused() {
    for json in [true, false] {
        let server = FixtureServer::start_with(HttpOptions {
            sessions: !json,
            json,
            ..HttpOptions::default()
        })
        .await;
        let pool = pool_with(http(server.url()), Options { max_message: 50_000, ..quick() });
        let connection = connect(&pool).await.unwrap();
        assert_eq!(
            try_call(&connection, "big", json!({"bytes": 100_000})).await,
            Err(UpstreamError::TooLarge),
            "json: {json}"
        );
        assert_eq!(
            call(&connection, "big", json!({"bytes": 40_000})).await.len(),
            40_000,
            "json: {json}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_away_comes_back() {
    let server = FixtureServer::start().await;
    let url = server.url().clone();
    let port = url.port().unwrap();
    let pool = pool(http(&url));
    let connection = connect(&pool).await.unwrap();
    drop(server);
    eventually("calls fail", || async {
        try_call(&connection, "echo", json!({"text": "x"})).await.is_err()
    })
    .await;
    eventually("the port is free", || async {
        tokio::net::TcpListener::bind(("127.0.0.1", port)).await.is_ok()
    })
    .await;
    let _again = FixtureServer::start_with(HttpOptions { port, ..HttpOptions::default() }).await;
    eventually("calls work again", || async {
        let echo = Some(tool("echo", &json!({"text": "x"})));
        let answer = request(&pool, &connection_user("ada", "1"), "tools/call", echo).await;
        matches!(answer, Ok(Outcome::Result(_)))
    })
    .await;
}

#[tokio::test]
async fn nobody_listening_is_a_clear_error() {
    let pool = pool(http(&"http://127.0.0.1:1/mcp?key=secret".parse().unwrap()));
    let error = connect(&pool).await.err().unwrap();
    let UpstreamError::Connect { detail } = &error else { panic!("{error:?}") };
    assert!(!detail.contains("secret"), "{detail}");
}
