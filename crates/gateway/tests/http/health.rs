//! What load balancers and browsers ask first: health, unknown paths, CORS. A stop is next door, in
//! `tests/ops/shutdown.rs`.

use http::Method;
use insta::assert_snapshot;
use portunus_testkit::agent::Request;
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

#[tokio::test]
async fn health_and_readiness() {
    let fixture = GatewayFixture::start().await;
    let agent = fixture.browser();
    for path in ["/health", "/healthz"] {
        // Load balancers call by address.
        let page = agent
            .send(Request::get(&fixture.at(path)).header("host", "10.1.2.3:8080"))
            .await
            .expect(200);
        assert_eq!(page.json(), json!({"status": "ok"}), "{path}");
    }
    let ready = agent.send(Request::get(&fixture.at("/ready"))).await;
    assert_snapshot!(fixture.shown(&ready), @r#"
    200 OK
    content-type: application/json

    {"status":"ok","store":"ok"}
    "#);
    fixture.close().await;
}

#[tokio::test]
async fn unknown_paths_are_404_and_say_nothing_of_sign_in() {
    let fixture = GatewayFixture::start().await;
    for path in [
        "/nothing",
        "/mcp/nobody",
        "/mcp/dice/more",
        "/auth/nothing",
        "/.well-known/oauth-protected-resource/mcp/nobody",
    ] {
        let page = fixture.browser().send(Request::get(&fixture.at(path))).await.expect(404);
        assert_eq!(page.header("www-authenticate"), "", "{path}");
        assert!(!page.header("x-request-id").is_empty(), "{path}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn browser_clients_of_allowed_origins_may_ask_first() {
    let setup = Setup {
        https: true,
        allowed_origins: vec!["https://inspector.example".to_owned()],
        ..Setup::default()
    };
    let fixture = GatewayFixture::of(setup).await;
    let preflight = |path: &str, origin: &str| {
        let request = Request::new(Method::OPTIONS, &fixture.at(path)).header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization")
    };
    let agent = fixture.browser();
    let mcp = agent.send(preflight("/mcp", "https://inspector.example")).await;
    assert_snapshot!(fixture.shown(&mcp), @"
    204 No Content
    access-control-allow-headers: authorization, content-type, accept, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, last-event-id, authorization
    access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS
    access-control-allow-origin: https://inspector.example
    access-control-expose-headers: mcp-session-id, www-authenticate, x-request-id
    access-control-max-age: 600
    ");
    agent.send(preflight("/mcp", "https://evil.example")).await.expect(403);
    // Pages of every origin may register and redeem: no cookie is read there.
    let token = agent.send(preflight("/auth/token", "https://evil.example")).await;
    assert_snapshot!(fixture.shown(&token), @"
    204 No Content
    access-control-allow-headers: authorization, content-type, accept, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, last-event-id, authorization
    access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS
    access-control-allow-origin: *
    access-control-expose-headers: mcp-session-id, www-authenticate, x-request-id
    access-control-max-age: 600
    ");
    agent.send(preflight("/auth/consent", "https://evil.example")).await.expect(403);
    fixture.close().await;
}
