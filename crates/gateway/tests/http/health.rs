//! What operators and load balancers rely on: health, unknown paths, CORS, a stop that leaves nothing behind.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use http::Method;
use portunus_testkit::{
    agent::{Agent, McpClient, Page, Request},
    mcp_servers::fixture_binary,
    wait::eventually,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup, stdio};

#[tokio::test]
async fn health_and_readiness() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    for path in ["/health", "/healthz"] {
        // Load balancers call by address.
        let page = agent.send(Request::get(&fixture.at(path)).header("host", "10.1.2.3:8080")).await.expect(200);
        assert_eq!(page.json(), json!({"status": "ok"}), "{path}");
    }
    assert_eq!(agent.send(Request::get(&fixture.at("/ready"))).await.expect(200).json()["status"], "ok");
    fixture.close().await;
}

#[tokio::test]
async fn unknown_paths_are_404_and_say_nothing_of_sign_in() {
    let fixture = GatewayFixture::start().await;
    for path in ["/nothing", "/mcp/nobody", "/mcp/dice/more", "/auth/nothing", "/.well-known/oauth-protected-resource/mcp/nobody"]
    {
        let page = fixture.browser().send(Request::get(&fixture.at(path))).await.expect(404);
        assert_eq!(page.header("www-authenticate"), "", "{path}");
        assert!(!page.header("x-request-id").is_empty(), "{path}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn browser_clients_of_allowed_origins_may_ask_first() {
    let setup = Setup { https: true, allowed_origins: vec!["https://inspector.example".to_owned()], ..Setup::default() };
    let fixture = GatewayFixture::of(setup).await;
    let preflight = |path: &str, origin: &str| {
        let request = Request::new(Method::OPTIONS, &fixture.at(path)).header("origin", origin);
        request.header("access-control-request-method", "POST").header("access-control-request-headers", "authorization")
    };
    let agent = fixture.browser();
    let mcp = agent.send(preflight("/mcp", "https://inspector.example")).await.expect(204);
    assert_eq!(mcp.header("access-control-allow-origin"), "https://inspector.example");
    assert!(mcp.header("access-control-allow-headers").contains("mcp-session-id"), "{mcp:?}");
    agent.send(preflight("/mcp", "https://evil.example")).await.expect(403);
    // Everybody may register and redeem: no cookie is read there.
    let token = agent.send(preflight("/auth/token", "https://evil.example")).await.expect(204);
    assert_eq!(token.header("access-control-allow-origin"), "*");
    assert_eq!(token.header("access-control-allow-credentials"), "");
    agent.send(preflight("/auth/consent", "https://evil.example")).await.expect(403);
    fixture.close().await;
}

#[tokio::test]
async fn a_stop_ends_children_and_open_streams() {
    let more_servers = vec![stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"])];
    let mut fixture = GatewayFixture::of(Setup { more_servers, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let child = mcp.call_text("child_process", json!({})).await;
    let offspring = mcp.call_text("child_offspring", json!({})).await;
    assert!(is_alive(&child) && is_alive(&offspring), "{child} {offspring}");
    let stream = Request::get(&mcp.url).without_cookies().bearer(&mcp.token).header("accept", "text/event-stream");
    let stream = tokio::spawn(send(&browser, stream.header("mcp-session-id", &mcp.session)));
    mcp.call_text("uuid_echo", json!({"text": "wakes the server"})).await;
    let before = fixture.uuid.seen().len();
    let slow = json!({"name": "uuid_slow", "arguments": {"steps": 10, "step_ms": 100}});
    let slow = mcp.message(&json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": slow}));
    let slow = tokio::spawn(send(&browser, slow));
    eventually("the call reaches the server", async || fixture.uuid.seen().len() > before).await;
    fixture.stop().await;
    assert!(!is_alive(&child), "the child ends with the gateway");
    // It was killed, but nobody could wait for its end: it is not ours.
    let patience = Instant::now() + Duration::from_secs(20);
    while is_alive(&offspring) {
        assert!(Instant::now() < patience, "what the child started ends with it (threat 44)");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(slow.await.unwrap().body.contains("10 steps"), "the call under way was finished (F11)");
    stream.await.unwrap().expect(200);
    fixture.restart().await;
    fixture.close().await;
}

/// Sends without waiting for whoever holds the agent.
fn send(agent: &Agent, request: Request) -> impl Future<Output = Page> + use<> {
    let agent = agent.clone();
    async move { agent.send(request).await }
}

fn is_alive(pid: &str) -> bool {
    // A zombie has ended; its parent just has not looked yet.
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    !status.is_empty() && !status.rsplit(") ").next().unwrap_or_default().starts_with('Z')
}

/// Parity B10: one id in the gateway's log, in the answer, and at the server.
#[tokio::test]
async fn a_servers_log_can_name_the_request() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    for _ in 0..2 {
        let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "uuid_echo", "arguments": {"text": "x"}}});
        let answer = browser.send(mcp.message(&call).header("x-request-id", "made-up")).await.expect(200);
        let id = answer.header("x-request-id").to_owned();
        assert_ne!(id, "made-up");
        let seen = fixture.uuid.seen();
        assert!(seen.iter().any(|request| request.headers.get("x-request-id").is_some_and(|value| *value == *id)), "{seen:?}");
    }
    assert!(fixture.uuid.seen().iter().all(|request| request.headers.get("x-request-id").is_none_or(|value| value != "made-up")));
    fixture.close().await;
}

/// Also of what goes on behind the answer, on tasks of its own, and at another node: whoever searches for an id finds all of it.
#[tokio::test]
async fn every_line_of_a_request_has_its_id() {
    let broken = stdio("broken", "/no/such/program", &[]);
    let fixture = GatewayFixture::of(Setup { nodes: 2, more_servers: vec![broken], ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    for url in [fixture.at("/mcp"), fixture.at_node(1, "/mcp")] {
        mcp.url = url;
        let params = json!({"name": "broken_tool", "arguments": {}});
        let answer = mcp.post(&json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params})).await.expect(200);
        let id = answer.header("x-request-id").to_owned();
        let is_told = |line: &str| line.contains("a server did not answer") && line.contains(&format!("\"request_id\":\"{id}\""));
        eventually(&format!("the log tells of it: {}", mcp.url), async || fixture.log.text().lines().any(is_told)).await;
    }
    let text = fixture.log.text();
    let told: Vec<_> = text.lines().filter(|line| line.contains("a server did not answer")).collect();
    assert!(told.len() >= 2 && told.iter().all(|line| line.contains("\"request_id\":\"")), "{told:#?}");
    fixture.close().await;
}
