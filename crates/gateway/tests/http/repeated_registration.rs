//! Applications that register anew at each authorization, as one of the official SDKs does (FB77).

use portunus_core::{
    ids::ServerName,
    oauth::scopes::{Pattern, ScopeRule},
    scope::Scope,
};
use portunus_testkit::agent::{Agent, McpClient, OAuthClient, Tokens};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

fn rule(name: &str, tool: &str) -> ScopeRule {
    ScopeRule {
        name: Scope::parse(name).unwrap(),
        description: format!("Do what {name} says"),
        server: Some(ServerName::parse("uuid").unwrap()),
        tools: vec![Pattern::parse(tool).unwrap()],
        prompts: Vec::new(),
        resources: Vec::new(),
        includes: Vec::new(),
        ask_first: false,
    }
}

/// A new registration, and what the person grants it.
async fn registered(
    fixture: &GatewayFixture,
    browser: &Agent,
    name: &str,
    scope: &str,
) -> (OAuthClient, Tokens) {
    let metadata = json!({ "client_name": name });
    let client =
        OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp/uuid"), metadata).await;
    let authorization = client.authorization().with("scope", scope);
    let page = client.begin(browser, &authorization).await.page().expect(200);
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    (client, tokens)
}

fn add() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 2, "b": 3}}})
}

#[tokio::test]
async fn fb77_after_a_step_up_an_application_that_registered_anew_goes_on_with_its_session() {
    let mut fixture = GatewayFixture::of(Setup {
        scopes: vec![rule("uuid:say", "echo"), rule("uuid:count", "add")],
        ..Setup::default()
    })
    .await;
    let browser = fixture.browser();
    let (first, tokens) = registered(&fixture, &browser, "Go client", "uuid:say").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let refused = mcp.post(&add()).await.expect(403);
    assert!(refused.header("www-authenticate").contains("uuid:count"), "{refused:?}");
    let (second, tokens) = registered(&fixture, &browser, "Go client", "uuid:say uuid:count").await;
    assert_ne!(first.id, second.id);
    mcp.token.clone_from(&tokens.access);
    assert_eq!(mcp.call_text("add", json!({"a": 2, "b": 3})).await, "5");
    // Another application of the same person, which has learnt the name of the session.
    let (_, others) = registered(&fixture, &browser, "Another client", "uuid:say uuid:count").await;
    let mut other = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &others.access).await;
    other.session.clone_from(&mcp.session);
    other.post(&add()).await.expect(404);
    // Neither is what is written down another's.
    fixture.stop().await;
    fixture.restart().await;
    other.post(&add()).await.expect(404);
    let (_, tokens) = registered(&fixture, &browser, "Go client", "uuid:say uuid:count").await;
    mcp.token.clone_from(&tokens.access);
    assert_eq!(mcp.call_text("add", json!({"a": 2, "b": 3})).await, "5");
    fixture.close().await;
}
