//! The guarded reverse proxy of `config.yaml` (parity B4, B5).

use portunus::config::ProxyRoute;
use portunus_testkit::{
    agent::{McpClient, Request},
    mcp_servers::FixtureServer,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

#[tokio::test]
async fn a_client_at_b5s_address_signs_in_and_calls() {
    let legacy = FixtureServer::start().await;
    let target = legacy.url().join("/").unwrap();
    let fixture = GatewayFixture::of(Setup {
        proxies: vec![ProxyRoute::new("/mcp/legacy/", target)],
        ..Setup::default()
    })
    .await;
    let (client, browser, tokens) = fixture.connect("/mcp/legacy/mcp").await;
    assert_eq!(
        client.discovery.resource["resource"],
        fixture.at("/mcp/legacy"),
        "one resource for all below the pattern"
    );
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/legacy/mcp"), &tokens.access).await;
    assert_eq!(mcp.server["serverInfo"]["name"], "fixture", "the server itself answers");
    assert_eq!(
        mcp.call_text("echo", json!({"text": "straight through"})).await,
        "straight through"
    );
    let refused = browser
        .send(Request::get(&fixture.at("/mcp/legacy/anything")).without_cookies())
        .await
        .expect(401);
    assert!(
        refused
            .header("www-authenticate")
            .contains("/.well-known/oauth-protected-resource/mcp/legacy"),
        "{refused:?}"
    );
    fixture.close().await;
}
