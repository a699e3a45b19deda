//! What Prometheus reads: what happened is counted, and no label says who did it.

use portunus_testkit::{
    agent::{McpClient, Request},
    wait::eventually,
};
use serde_json::json;

use crate::fixture::GatewayFixture;

async fn page(fixture: &GatewayFixture) -> String {
    let answer = fixture
        .browser()
        .send(Request::get(&format!("http://{}/metrics", fixture.metrics)).without_cookies())
        .await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.body
}

/// The value of one series, spelled as the page has it.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn what_happens_is_counted_and_nobody_is_named() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    for _ in 0..3 {
        assert_eq!(mcp.call_text("uuid_echo", json!({"text": "x"})).await, "x");
    }
    mcp.call("uuid_fail", json!({})).await;
    mcp.call("dice_made_up_by_a_client", json!({})).await;
    let uri = "fixture://uuid/greeting";
    mcp.request("resources/read", json!({ "uri": uri })).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let stranger = Request::json(&fixture.at("/mcp"), &ping).without_cookies();
    assert_eq!(browser.send(stranger.bearer("ptn_at_made_up")).await.status, 401);
    client.tokens(client.refresh(tokens.refresh()).await);

    let echoed = r#"portunus_calls_total{kind="tool",server="uuid",name="echo",outcome="ok"}"#;
    eventually("the calls are counted", async || value(&page(&fixture).await, echoed) == Some(3.0))
        .await;
    let page = page(&fixture).await;
    for (series, expected) in [
        (
            r#"portunus_calls_total{kind="tool",server="uuid",name="fail",outcome="tool_error"}"#,
            1.0,
        ),
        (r#"portunus_calls_total{kind="tool",server="",name="<other>",outcome="refused"}"#, 1.0),
        (r#"portunus_calls_total{kind="resource",server="uuid",name="",outcome="ok"}"#, 1.0),
        (r#"portunus_call_seconds_count{kind="tool",server="uuid"}"#, 4.0),
        (r#"portunus_events_total{event="signed_in",detail="okta"}"#, 1.0),
        (r#"portunus_events_total{event="refused",detail="unknown_token"}"#, 1.0),
        (r#"portunus_events_total{event="code_redeemed",detail=""}"#, 1.0),
        (r#"portunus_events_total{event="token_refreshed",detail=""}"#, 1.0),
        (r#"portunus_events_total{event="refresh_reused",detail=""}"#, 0.0),
        (r#"portunus_events_total{event="signed_out",detail="okta"}"#, 0.0),
        (r#"portunus_http_requests_total{route="/auth/token",method="POST",status="200"}"#, 2.0),
        (r#"portunus_http_requests_total{route="/mcp",method="POST",status="401"}"#, 2.0),
        (r#"portunus_server_connections{server="uuid",state="live"}"#, 1.0),
        (r#"portunus_server_connection_changes_total{server="uuid",change="started"}"#, 1.0),
        ("portunus_sessions", 1.0),
        ("portunus_audit_dropped_total", 0.0),
        ("portunus_audit_refused_total", 0.0),
        ("portunus_store_unavailable_total", 0.0),
        ("portunus_http_requests_under_way", 0.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
    for series in [
        r#"portunus_store_seconds_count{kind="read"}"#,
        r#"portunus_store_seconds_count{kind="write"}"#,
        r#"portunus_token_checks_total{from="memory"}"#,
        r#"portunus_token_checks_total{from="store"}"#,
        r#"portunus_http_request_seconds_bucket{route="/mcp",le="+Inf"}"#,
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(value(&page, series).is_some_and(|value| value > 0.0), "{series}\n{page}");
    }
    let alice = fixture.user("alice");
    for secret in [alice.as_str(), "alice", "127.0.0.1", &tokens.access, "made_up", uri, "greeting"]
    {
        assert!(!page.contains(secret), "{secret} is on the page");
    }
    fixture.close().await;
}

#[tokio::test]
async fn there_is_nothing_else_at_the_address_and_no_metrics_at_the_other() {
    let fixture = GatewayFixture::start().await;
    let status = async |url: String| {
        fixture.browser().send(Request::get(&url).without_cookies()).await.status
    };
    for path in ["/", "/mcp", "/auth/token", "/health", "/metrics/"] {
        assert_eq!(status(format!("http://{}{path}", fixture.metrics)).await, 404, "{path}");
    }
    assert_eq!(status(fixture.at("/metrics")).await, 404);
    fixture.close().await;
}
