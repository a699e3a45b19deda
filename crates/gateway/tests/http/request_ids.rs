//! One id for each request: in the answer, in every line of the log about it, and at the server.

use portunus_testkit::{agent::McpClient, wait::eventually};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup, stdio};

/// Parity B10: one id in the gateway's log, in the answer, and at the server.
#[tokio::test]
async fn a_servers_log_can_name_the_request() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    for _ in 0..2 {
        let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "uuid_echo", "arguments": {"text": "x"}}});
        let answer =
            browser.send(mcp.message(&call).header("x-request-id", "made-up")).await.expect(200);
        let id = answer.header("x-request-id").to_owned();
        assert_ne!(id, "made-up");
        let seen = fixture.uuid.seen();
        assert!(
            seen.iter().any(|request| request
                .headers
                .get("x-request-id")
                .is_some_and(|value| *value == *id)),
            "{seen:?}"
        );
    }
    assert!(
        fixture.uuid.seen().iter().all(|request| request
            .headers
            .get("x-request-id")
            .is_none_or(|value| value != "made-up"))
    );
    fixture.close().await;
}

/// Also of what goes on behind the answer, on tasks of its own, and at another node: a search for
/// an id finds all of it.
#[tokio::test]
async fn every_line_of_a_request_has_its_id() {
    let broken = stdio("broken", "/no/such/program", &[]);
    let fixture =
        GatewayFixture::of(Setup { nodes: 2, more_servers: vec![broken], ..Setup::default() })
            .await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    for url in [fixture.at("/mcp"), fixture.at_node(1, "/mcp")] {
        mcp.url = url;
        let params = json!({"name": "broken_tool", "arguments": {}});
        let answer = mcp
            .post(&json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}))
            .await
            .expect(200);
        let id = answer.header("x-request-id").to_owned();
        let is_told = |line: &str| {
            line.contains("a server did not answer")
                && line.contains(&format!("\"request_id\":\"{id}\""))
        };
        eventually(&format!("the log tells of it: {}", mcp.url), async || {
            fixture.log.text().lines().any(is_told)
        })
        .await;
    }
    let text = fixture.log.text();
    let told: Vec<_> =
        text.lines().filter(|line| line.contains("a server did not answer")).collect();
    assert!(
        told.len() >= 2 && told.iter().all(|line| line.contains("\"request_id\":\"")),
        "{told:#?}"
    );
    fixture.close().await;
}
