//! Statuses, headers, versions: the transport's own rules.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use insta::assert_snapshot;
use portunus_mcp::{
    answer::Body,
    hub::{HubSettings, View},
};
use serde_json::Value;

use super::{
    client::{Client, caller, headers, hub, initialize, text},
    fake::{Fakes, Script, name},
};

fn dice() -> std::sync::Arc<Fakes> {
    Fakes::new(vec![Script::new("dice").tools(&["roll"])])
}

#[tokio::test]
async fn revisions_are_negotiated() {
    let hub = hub(&dice(), HubSettings::default());
    for (asked, given) in [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1.0.0", "2025-11-25"),
    ] {
        for view in [View::All, View::One(name("dice"))] {
            let answer = initialize(&hub, &caller("alice", view), asked).await;
            let id = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
            assert!(id.len() == 43 && id.bytes().all(|b| (0x21..=0x7e).contains(&b)));
            let hello: Value = serde_json::from_str(&text(answer)).unwrap();
            assert_eq!(hello["result"]["protocolVersion"], given, "{asked}");
        }
    }
}

#[tokio::test]
async fn the_revision_header_is_checked() {
    let client = Client::all(&hub(&dice(), HubSettings::default()), "alice").await;
    let ping = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    for (version, status) in [
        (None, StatusCode::OK),
        (Some("2025-03-26"), StatusCode::OK),
        (Some("2025-11-25"), StatusCode::OK),
        (Some("2026-07-28"), StatusCode::BAD_REQUEST),
        (Some("nonsense"), StatusCode::BAD_REQUEST),
    ] {
        let mut headers = client.headers();
        headers.remove("mcp-protocol-version");
        if let Some(version) = version {
            headers.insert("mcp-protocol-version", version.parse().unwrap());
        }
        let answer = client.hub.post(client.caller.clone(), &headers, ping.clone()).await;
        assert_eq!(answer.status, status, "{version:?}");
    }
}

#[tokio::test]
async fn bodies_and_headers_of_other_kinds_are_refused() {
    let client = Client::all(&hub(&dice(), HubSettings::default()), "alice").await;
    let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let refused = async |change: (&'static str, &str), body: &'static [u8]| {
        let mut headers = client.headers();
        headers.insert(change.0, change.1.parse().unwrap());
        client.hub.post(client.caller.clone(), &headers, Bytes::from_static(body)).await.status
    };
    assert_eq!(
        refused(("content-type", "text/plain"), ping).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(refused(("accept", "application/json"), ping).await, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(refused(("accept", "*/*"), ping).await, StatusCode::OK);
    let mut answers = String::new();
    for body in [
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        "[]",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"pong"}"#,
        r#"{"jsonrpc":"2.0","id":1,"Method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        "{",
        "",
    ] {
        let answer = client.post(body).await;
        answers = format!("{answers}{} {}\n", answer.status.as_u16(), text(answer));
    }
    assert_snapshot!(answers, @r#"
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batches are not supported: send one JSON-RPC message at a time"}}
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batches are not supported: send one JSON-RPC message at a time"}}
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"the key `method` appears more than once"}}
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"the key `Method` must be spelt `method`"}}
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"not a JSON-RPC 2.0 message: `jsonrpc` must be \"2.0\""}}
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the message is not valid JSON"}}
    400 {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the message is not valid JSON"}}
    "#);
}

#[tokio::test]
async fn what_needs_no_answer_gets_202() {
    let fakes = dice();
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#,
        r#"{"jsonrpc":"2.0","id":5,"result":{}}"#,
    ] {
        let answer = client.post(body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{body}");
        assert!(matches!(answer.body, Body::Empty));
    }
    let heard: Vec<_> = fakes
        .script("dice")
        .heard
        .lock()
        .unwrap()
        .iter()
        .map(|(method, _)| method.clone())
        .collect();
    assert_eq!(heard, ["notifications/roots/list_changed"], "nothing else is a server's business");
}

#[tokio::test]
async fn ping_is_answered_here_and_keeps_the_id() {
    let fakes = dice();
    let client = Client::one(&hub(&fakes, HubSettings::default()), "alice", "dice").await;
    let answer = client.post(r#"{"jsonrpc":"2.0","id":"\u0061-1","method":"ping"}"#).await;
    assert_eq!(text(answer), r#"{"jsonrpc":"2.0","id":"\u0061-1","result":{}}"#);
    assert!(fakes.script("dice").heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_server_is_404_everywhere() {
    let hub = hub(&dice(), HubSettings::default());
    let caller = caller("alice", View::One(name("nobody")));
    assert_eq!(initialize(&hub, &caller, "2025-06-18").await.status, StatusCode::NOT_FOUND);
    let accepts = headers(&[("accept", "text/event-stream")]);
    assert_eq!(hub.get(caller.clone(), &accepts).await.status, StatusCode::NOT_FOUND);
    assert_ne!(hub.delete(caller, &HeaderMap::new()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn initialize_wants_a_version() {
    let hub = hub(&dice(), HubSettings::default());
    let headers = headers(&[("content-type", "application/json"), ("accept", "*/*")]);
    let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#);
    let answer = hub.post(caller("alice", View::All), &headers, body).await;
    assert!(!answer.headers.contains_key("mcp-session-id"));
    assert!(text(answer).contains("-32602"));
}
