//! The guarded reverse proxy of `config.yaml` (parity B4, B5).

use insta::assert_snapshot;
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
    // One resource for all below the pattern.
    assert_snapshot!(fixture.members(&client.discovery.resource), @r#"
    resource: "{gateway}/mcp/legacy"
    authorization_servers: ["{gateway}"]
    scopes_supported: ["mcp"]
    bearer_methods_supported: ["header"]
    resource_name: "/mcp/legacy/ (MCP service)"
    "#);
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/legacy/mcp"), &tokens.access).await;
    assert_eq!(mcp.server["serverInfo"]["name"], "fixture", "the server itself answers");
    assert_eq!(
        mcp.call_text("echo", json!({"text": "straight through"})).await,
        "straight through"
    );
    let refused =
        browser.send(Request::get(&fixture.at("/mcp/legacy/anything")).without_cookies()).await;
    assert_snapshot!(fixture.shown(&refused), @r#"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer resource_metadata="{gateway}/.well-known/oauth-protected-resource/mcp/legacy", scope="mcp"

    {"error":"invalid_token","error_description":"sign in: the WWW-Authenticate header says where"}
    "#);
    fixture.close().await;
}
