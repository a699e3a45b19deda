//! Ways around access rules and identity (threats 32, 33), tried at a running gateway: names and
//! methods in other spellings, subscriptions, what was kept, identity headers of the caller's
//! making, at every node. What rules come to is in [`super::access`].

use portunus_core::access::{Effect, What, Who};
use portunus_testkit::agent::{Agent, McpClient, Request};
use serde_json::{Value, json};

use super::access::{
    allow, assert_absent, by_groups, group, modern, patterns, person, policy, rule, server,
};
use crate::fixture::{GatewayFixture, Setup};

/// Everything of `uuid`, but for some.
fn with_exceptions() -> std::sync::Arc<portunus_core::access::Policy> {
    let nobody = |what| rule(Effect::Deny, Who::default(), what);
    policy(vec![
        allow(group("engineering"), server("uuid")),
        nobody(What { tools: patterns(&["add", "crash"]), ..What::default() }),
        nobody(What { prompts: patterns(&["greet"]), ..What::default() }),
        nobody(What { resources: patterns(&["fixture://uuid/numbers"]), ..What::default() }),
    ])
}

/// A request of either era, and its answer.
async fn ask(era: &str, mcp: &McpClient, browser: &Agent, method: &str, params: Value) -> Value {
    if era == "legacy" {
        return mcp.request(method, params).await;
    }
    modern(browser, &mcp.url, &mcp.token, method, params).await.json()
}

#[tokio::test]
async fn t32_a_rule_that_denies_holds_for_every_spelling() {
    let setup = Setup { access: with_exceptions(), ..Setup::default() };
    let fixture = GatewayFixture::of(setup).await;
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let (own, own_token) = person(&fixture, "alice", "/mcp/uuid").await;
    let ways = [
        (fixture.at("/mcp"), &browser, &token, "uuid_"),
        (fixture.at("/mcp?server_name=uuid"), &browser, &token, ""),
        (fixture.at("/mcp/uuid"), &own, &own_token, ""),
    ];
    for (url, browser, token, prefix) in ways {
        let mcp = McpClient::connect(browser, &url, token).await;
        for era in ["legacy", "modern"] {
            let named = |name: &str| json!({"name": format!("{prefix}{name}"), "arguments": {}});
            for name in ["add", "Add", "ADD", "aDd"] {
                let answer = ask(era, &mcp, browser, "tools/call", named(name)).await;
                assert_absent(&answer, &format!("{era} {url} {name}"));
            }
            let complete = json!({
                "ref": {"type": "ref/prompt", "name": format!("{prefix}Greet")},
                "argument": {"name": "who", "value": "A"},
            });
            for (method, params) in
                [("prompts/get", named("Greet")), ("completion/complete", complete)]
            {
                let answer = ask(era, &mcp, browser, method, params).await;
                assert_absent(&answer, &format!("{era} {url} {method}"));
            }
            for method in ["Tools/Call", "tools/CALL", "Prompts/get", "Tasks/get"] {
                let answer = ask(era, &mcp, browser, method, named("add")).await;
                assert_absent(&answer, &format!("{era} {url} {method}"));
            }
            let said =
                json!({"name": format!("{prefix}echo"), "arguments": {"text": "still there"}});
            let said = ask(era, &mcp, browser, "tools/call", said).await;
            assert!(said.to_string().contains("still there"), "{era} {url}: {said}");
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn t32_what_is_denied_is_not_subscribed_to_and_subscriptions_end_with_new_rules() {
    let setup = Setup { access: with_exceptions(), ..Setup::default() };
    let mut fixture = GatewayFixture::of(setup).await;
    for path in ["/mcp", "/mcp/uuid"] {
        let (browser, token) = person(&fixture, "alice", path).await;
        let mcp = McpClient::connect(&browser, &fixture.at(path), &token).await;
        let subscribe =
            async |uri: &str| mcp.request("resources/subscribe", json!({"uri": uri})).await;
        assert_absent(&subscribe("fixture://uuid/numbers").await, path);
        assert!(subscribe("fixture://uuid/greeting").await["result"].is_object());
    }
    fixture.config.access = policy(vec![allow(group("sales"), server("uuid"))]);
    fixture.reload().await.unwrap();
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    let again = mcp.request("resources/subscribe", json!({"uri": "fixture://uuid/greeting"})).await;
    assert_absent(&again, "after the reload");
    fixture.close().await;
}

/// Headers by which a caller might want to pass for another, or for a node.
const SPOOFED: [(&str, &str); 12] = [
    ("x-portunus-user", "ptn_user_alice"),
    ("x-portunus-groups", "engineering,admins"),
    ("x-portunus-email", "alice@acme.example"),
    ("x-portunus-client", "robot"),
    ("x_portunus_groups", "engineering"),
    ("x-forwarded-user", "alice"),
    ("x-forwarded-groups", "engineering"),
    ("x-auth-request-groups", "engineering"),
    ("remote-user", "alice"),
    ("portunus-envelope", "AAAA"),
    ("portunus-refused", "0"),
    ("x-internal-request", "1"),
];

/// At the node that owns a person's sessions, and at the one that passes requests on.
#[tokio::test]
async fn t33_identity_headers_of_callers_open_nothing_at_any_node() {
    let setup = Setup { nodes: 2, access: by_groups(), ..Setup::default() };
    let fixture = GatewayFixture::of(setup).await;
    let (browser, token) = person(&fixture, "bob", "/mcp").await;
    let send = async |url: &str, session: Option<&str>, method: &str, params: Value| {
        let message = json!({"jsonrpc": "2.0", "id": 3, "method": method, "params": params});
        let request = Request::json(url, &message)
            .without_cookies()
            .header("accept", "application/json, text/event-stream")
            .bearer(&token);
        let request = session
            .into_iter()
            .fold(request, |request, session| request.header("mcp-session-id", session));
        let request =
            SPOOFED.iter().fold(request, |request, (name, value)| request.header(name, value));
        browser.send(request).await
    };
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    let own = mcp.tools().await;
    assert!(own.iter().all(|name| name.starts_with("dice_")) && !own.is_empty(), "{own:?}");
    for url in [fixture.at("/mcp"), fixture.at_node(1, "/mcp")] {
        let before = fixture.uuid.seen().len();
        let session = Some(mcp.session.as_str());
        let listed = send(&url, session, "tools/list", json!({})).await.expect(200);
        assert!(!listed.body.contains("uuid_") && listed.body.contains("dice_roll"), "{url}");
        let add = json!({"name": "uuid_add", "arguments": {"a": 1, "b": 2}});
        let refused = send(&url, session, "tools/call", add).await;
        assert!(refused.body.contains("-32602"), "{url}: {refused:?}");
        assert_eq!(fixture.uuid.seen().len(), before, "{url}: nothing reached the server");
        // Without a token, they prove nothing.
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let nobody = Request::json(&url, &ping).without_cookies();
        let nobody =
            SPOOFED.iter().fold(nobody, |request, (name, value)| request.header(name, value));
        browser.send(nobody).await.expect(401);
    }
    // Nor do they reach a server that the caller may use.
    let (browser, token) = person(&fixture, "alice", "/mcp").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &token).await;
    for url in [fixture.at("/mcp"), fixture.at_node(1, "/mcp")] {
        mcp.url = url;
        let before = fixture.uuid.seen().len();
        let echo = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call",
            "params": {"name": "uuid_echo", "arguments": {"text": "x"}}});
        let request = SPOOFED
            .iter()
            .fold(mcp.message(&echo), |request, (name, value)| request.header(name, value));
        let answer = browser.send(request).await.expect(200);
        assert!(!answer.body.contains("\"error\""), "{answer:?}");
        let seen = fixture.uuid.seen().split_off(before);
        assert!(!seen.is_empty());
        for (name, _) in SPOOFED {
            assert!(seen.iter().all(|request| !request.headers.contains_key(name)), "{name}");
        }
    }
    fixture.close().await;
}
