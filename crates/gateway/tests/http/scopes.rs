//! Tokens for parts of servers, and clients that become others: what was granted is what can be
//! used, and consent is to what was shown.

use insta::{allow_duplicates, assert_snapshot};
use portunus_core::{
    ids::{ClientId, ServerName},
    oauth::scopes::{Pattern, ScopeRule},
    redirect::RedirectUri,
    scope::Scope,
};
use portunus_testkit::agent::{Agent, McpClient, OAuthClient, Page, Request, Tokens};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

fn rule(name: &str, tools: &[&str], includes: &[&str]) -> ScopeRule {
    let patterns =
        |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    ScopeRule {
        name: Scope::parse(name).unwrap(),
        description: format!("Do what {name} says"),
        server: Some(ServerName::parse("uuid").unwrap()),
        tools: patterns(tools),
        prompts: patterns(&["plain"]),
        resources: patterns(&["fixture://uuid/g*"]),
        includes: includes.iter().map(|name| Scope::parse(name).unwrap()).collect(),
        ask_first: false,
    }
}

/// The fixture's tools in two parts.
async fn fixture() -> GatewayFixture {
    let scopes = vec![
        ScopeRule { ask_first: true, ..rule("uuid:say", &["echo", "slow"], &[]) },
        rule("uuid:count", &["add"], &[]),
    ];
    GatewayFixture::of(Setup { scopes, ..Setup::default() }).await
}

async fn granted(client: &OAuthClient, browser: &Agent, scope: &str) -> (Page, Tokens) {
    let authorization = client.authorization().with("scope", scope);
    let page = client.begin(browser, &authorization).await.page().expect(200);
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    (page, client.tokens(client.redeem(&authorization, &code).await))
}

/// The `scope` of the challenge of a 403.
fn needed(answer: &Page) -> &str {
    assert_eq!(answer.status, 403, "{answer:?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", "), "{challenge}");
    assert!(challenge.contains("resource_metadata=\""), "{challenge}");
    challenge.split_once("scope=\"").unwrap().1.split_once('"').unwrap().0
}

fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

#[tokio::test]
async fn t32_a_token_for_some_tools_lists_and_calls_those_alone() {
    let fixture = fixture().await;
    for (path, prefix) in [("/mcp", "uuid_"), ("/mcp/uuid", "")] {
        let (client, browser) = (fixture.client(path).await, fixture.browser());
        let (page, tokens) = granted(&client, &browser, "uuid:say").await;
        assert!(
            page.text().contains("Do what uuid:say says") && !page.text().contains("dice"),
            "{page:?}"
        );
        assert_eq!(tokens.scope, "uuid:say");
        let mcp = McpClient::connect(&browser, &fixture.at(path), &tokens.access).await;
        assert_eq!(mcp.tools().await, [format!("{prefix}echo"), format!("{prefix}slow")]);
        assert_eq!(
            mcp.call_text(&format!("{prefix}echo"), json!({"text": "hello"})).await,
            "hello"
        );
        let before = fixture.uuid.seen().len();
        let name = |text: &str| json!({"name": format!("{prefix}{text}"), "arguments": {}});
        let forbidden = [
            ("tools/call", name("add"), "uuid:count uuid:say"),
            ("tools/call", name("crash"), "uuid"),
            ("prompts/get", name("greet"), "uuid"),
            ("resources/read", json!({"uri": "fixture://uuid/numbers"}), "uuid"),
            ("resources/subscribe", json!({"uri": "fixture://uuid/numbers"}), "uuid"),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/resource", "uri": "fixture://uuid/items/{id}"}}),
                "uuid",
            ),
        ];
        for (method, params, expected) in forbidden {
            let answer = mcp.post(&request(method, &params)).await;
            assert_eq!(needed(&answer), expected, "{path} {method} {params}");
            assert_eq!(answer.json()["id"], 7, "it is an answer to the request too");
        }
        let read = mcp.request("resources/read", json!({"uri": "fixture://uuid/greeting"})).await;
        assert!(read["result"].is_object(), "{read}");
        let prompts = mcp.request("prompts/list", json!({})).await;
        let prompts = prompts["result"].to_string().replace(&format!("{prefix}plain"), "plain");
        allow_duplicates! {
            assert_snapshot!(prompts, @r#"{"prompts":[{"name":"plain","description":"Has no arguments"}]}"#);
        }
        if path == "/mcp/uuid" {
            assert_eq!(needed(&mcp.post(&request("extension/anything", &json!({}))).await), "uuid");
        } else {
            let answer = mcp
                .post(&request("tools/call", &json!({"name": "dice_roll", "arguments": {}})))
                .await;
            assert_eq!(needed(&answer), "dice uuid:say");
            let other =
                Request::json(&fixture.at("/mcp?server_name=dice"), &request("ping", &json!({})))
                    .without_cookies();
            assert_eq!(
                needed(&fixture.browser().send(other.bearer(&tokens.access)).await),
                "dice uuid:say"
            );
            let listed = fixture
                .browser()
                .send(Request::get(&fixture.at("/tools")).bearer(&tokens.access))
                .await;
            assert_snapshot!(fixture.shown(&listed), @r#"
            200 OK
            cache-control: no-store
            content-type: application/json

            {"tools":[{"server":"uuid","name":"uuid_echo","description":"Says `text` again","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},{"server":"uuid","name":"uuid_slow","description":"Takes `steps` steps of `step_ms`, telling of its progress","inputSchema":{"type":"object","properties":{"steps":{"type":"integer"},"step_ms":{"type":"integer"}}}}]}
            "#);
        }
        let methods = fixture.uuid.seen().len() - before;
        assert!(methods < 10, "what was refused never reached the server: {methods}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_client_that_needs_more_steps_up() {
    let fixture = fixture().await;
    let (client, browser) = (fixture.web_client("/mcp/uuid").await, fixture.browser());
    assert_snapshot!(client.discovery.challenge.replace(&fixture.url, "{gateway}"), @r#"Bearer resource_metadata="{gateway}/.well-known/oauth-protected-resource/mcp/uuid", scope="uuid:say""#);
    assert_snapshot!(fixture.members(&client.discovery.resource), @r#"
    resource: "{gateway}/mcp/uuid"
    authorization_servers: ["{gateway}"]
    scopes_supported: ["mcp","uuid","uuid:count","uuid:say"]
    bearer_methods_supported: ["header"]
    resource_name: "uuid (MCP server)"
    "#);
    let (_, tokens) = granted(&client, &browser, "uuid:say").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let call = request("tools/call", &json!({"name": "add", "arguments": {"a": 1, "b": 2}}));
    let refused = mcp.post(&call).await;

    let (page, tokens) = granted(&client, &browser, needed(&refused)).await;
    let text = page.text();
    assert!(text.contains("Do what uuid:count says uuid:count new"), "{text}");
    assert!(text.contains("uuid:say") && !text.contains("uuid:say new"), "{text}");
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 2})).await, "3");
    assert_eq!(mcp.call_text("echo", json!({"text": "still"})).await, "still");

    // What was allowed is remembered together: either part of it is given without a question, at an
    // address on the web.
    for scope in ["uuid:say", "uuid:count", "uuid:count uuid:say"] {
        client
            .begin(&browser, &client.authorization().with("scope", scope))
            .await
            .returned()
            .code();
    }
    // Asking for another part shows what stays allowed.
    let page = client
        .begin(&browser, &client.authorization().with("scope", "uuid:say offline_access"))
        .await
        .page();
    assert!(
        page.text().contains("stays allowed") && page.text().contains("uuid:count"),
        "{page:?}"
    );
    fixture.close().await;
}

async fn change(fixture: &GatewayFixture, client: &OAuthClient, redirect_uris: &[&str]) {
    let clients = &fixture.stores().clients;
    let mut changed = clients.find_client(&ClientId::from_text(&client.id)).await.unwrap().unwrap();
    changed.redirect_uris =
        redirect_uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
    assert!(clients.update_client(&changed).await.unwrap());
}

#[tokio::test]
async fn t28_a_client_with_other_addresses_is_asked_about_again() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.web_client("/mcp").await, fixture.browser());
    client.connect(&browser).await;
    client.begin(&browser, &client.authorization()).await.returned().code();

    change(&fixture, &client, &[&client.redirect_uri, "https://evil.example/collect"]).await;
    let page = client.begin(&browser, &client.authorization()).await.page().expect(200);
    assert!(page.text().contains("has changed since you allowed it"), "{page:?}");
    let silent = client
        .authorization()
        .with("prompt", "none")
        .with("redirect_uri", "https://evil.example/collect");
    client.begin(&browser, &silent).await.page().expect(400);
    page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    client.begin(&browser, &client.authorization()).await.returned().code();
    fixture.close().await;
}

#[tokio::test]
async fn t28_a_client_cannot_change_behind_the_page() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    fixture.sign_in(&browser).await;
    let page = client.begin(&browser, &client.authorization()).await.page();
    change(&fixture, &client, &[&client.redirect_uri, "https://evil.example/collect"]).await;
    let ended = page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(400);
    assert!(ended.text().contains("changed its addresses or keys"), "{ended:?}");
    let resource = portunus_core::resource::Resource::from_stored(fixture.at("/mcp")).into();
    let (alice, id) = (fixture.user("alice"), ClientId::from_text(&client.id));
    let consent = fixture.stores().consents.find_consent(&alice, &id, &resource).await.unwrap();
    assert!(consent.is_none(), "nothing is remembered");
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}
