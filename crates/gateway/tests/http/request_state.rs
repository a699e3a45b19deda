//! What goes to a client and comes back with its retry: the `requestState` of a call that waits for
//! its client's input. It is bound to user, client, resource, method and arguments, and good once
//! (threat 36, and MCP 2026-07-28, multi round-trip requests). Every part that it is bound to, and
//! its ten minutes, are gone through at the hub, in `crates/mcp/tests/hub/waiting.rs`; here is the
//! true seal, and several nodes.

use insta::{allow_duplicates, assert_snapshot};
use portunus_testkit::{
    agent::{Agent, Page, Request},
    redis::Server,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup, stdio};

const MODERN: &str = "2026-07-28";
/// Answers the handshake, asks for the roots in the middle of a call, and answers that with what it
/// was told.
const SERVER: &str = r#"
    read probe; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"?"}}'
    read hello; echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}'
    read initialized
    while read -r line; do case "$line" in
        *tools/list*) id=${line#*\"id\":}; echo "{\"jsonrpc\":\"2.0\",\"id\":${id%%,*},\"result\":{\"tools\":[{\"name\":\"where\",\"inputSchema\":{\"type\":\"object\"}}]}}" ;;
        *tools/call*) call=${line#*\"id\":}; call=${call%%,*}; echo '{"jsonrpc":"2.0","id":"q","method":"roots/list"}' ;;
        *\"q\"*) echo "{\"jsonrpc\":\"2.0\",\"id\":$call,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"there\"}]}}" ;;
    esac; done"#;

fn setup() -> Setup {
    Setup { more_servers: vec![stdio("asking", "sh", &["-c", SERVER])], ..Setup::default() }
}

async fn send(browser: &Agent, url: &str, token: &str, method: &str, mut params: Value) -> Page {
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {"roots": {}}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request = Request::json(url, &message)
        .without_cookies()
        .bearer(token)
        .header("mcp-protocol-version", MODERN);
    let request = request
        .header("accept", "application/json, text/event-stream")
        .header("mcp-method", method);
    browser.send(request.header("mcp-name", &name)).await
}

/// Calls, is asked, and gives the retry that answers.
async fn asked(browser: &Agent, url: &str, token: &str, tool: &str) -> Value {
    let arguments = json!({"amount": 1});
    let answer =
        send(browser, url, token, "tools/call", json!({"name": tool, "arguments": arguments}))
            .await
            .expect(200)
            .json();
    assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
    let state = answer["result"]["requestState"].as_str().unwrap().to_owned();
    browser.keep_secret(&state);
    let question =
        answer["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let answers = json!({question: {"roots": []}});
    json!({"name": tool, "arguments": arguments, "requestState": state, "inputResponses": answers})
}

fn goes_on(answer: &Page) -> bool {
    answer.status == 200 && answer.json()["result"]["content"][0]["text"] == "there"
}

/// Of another request, used, or none: which of them is not said.
#[track_caller]
fn is_refused(what: &str, answer: &Page) {
    allow_duplicates! {
        assert_snapshot!(answer.body, what, @r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"the `requestState` is not valid for this request: altered, used already, or too old. Begin again without it"}}"#);
    }
}

#[tokio::test]
async fn t36_a_request_state_is_good_for_its_own_request_alone() {
    let mut fixture = GatewayFixture::of(setup()).await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let url = fixture.at("/mcp");
    let retry = asked(&browser, &url, &tokens.access, "asking_where").await;

    // The same client, another user; the same user, another client; both the same, another
    // resource.
    fixture.okta.sign_in_as("bob");
    let bobs = client.connect(&fixture.browser()).await.access;
    fixture.okta.sign_in_as("alice");
    let (_, _, others) = fixture.connect("/mcp").await;
    let elsewhere = client.authorization().with("resource", &fixture.at("/mcp/asking"));
    let code = client.authorize(&browser, &elsewhere).await.code();
    let alone = client.tokens(client.redeem(&elsewhere, &code).await).access;
    for (what, token) in [("user", &bobs), ("client", &others.access)] {
        is_refused(what, &send(&browser, &url, token, "tools/call", retry.clone()).await);
    }
    for name in ["asking_where", "where"] {
        let mut there = retry.clone();
        there["name"] = name.into();
        let answer = send(&browser, &fixture.at("/mcp/asking"), &alone, "tools/call", there).await;
        is_refused("resource", &answer);
    }
    is_refused(
        "view",
        &send(
            &browser,
            &fixture.at("/mcp?server_name=asking"),
            &tokens.access,
            "tools/call",
            retry.clone(),
        )
        .await,
    );
    is_refused("method", &send(&browser, &url, &tokens.access, "prompts/get", retry.clone()).await);
    for (what, member, value) in [
        ("arguments", "arguments", json!({"amount": 2})),
        ("more arguments", "arguments", json!({"amount": 1, "to": "me"})),
        ("name", "name", json!("uuid_echo")),
        (
            "an altered state",
            "requestState",
            json!(retry["requestState"].as_str().unwrap().to_owned() + "A"),
        ),
        ("a cut state", "requestState", json!(retry["requestState"].as_str().unwrap()[..40])),
    ] {
        let mut params = retry.clone();
        params[member] = value;
        is_refused(what, &send(&browser, &url, &tokens.access, "tools/call", params).await);
    }

    // None of that has used it up. Once is enough.
    assert!(goes_on(&send(&browser, &url, &tokens.access, "tools/call", retry.clone()).await));
    is_refused("the second time", &send(&browser, &url, &tokens.access, "tools/call", retry).await);

    // The process that it waited in is gone: the user whose it was may send the request again, and
    // no other user is told so.
    let retry = asked(&browser, &url, &tokens.access, "asking_where").await;
    fixture.stop().await;
    fixture.restart().await;
    is_refused("user", &send(&browser, &url, &bobs, "tools/call", retry.clone()).await);
    let lost = send(&browser, &url, &tokens.access, "tools/call", retry).await;
    assert_snapshot!(lost.body, @r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the node that worked on this request is gone: it may or may not have run; to make it again, leave out the `requestState`","data":{"retriable":true}}}"#);
    assert_eq!(
        (fixture.grants("alice").await, fixture.grants("bob").await),
        (3, 1),
        "nothing was revoked"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t36_a_request_state_is_good_at_any_node_and_once_among_all() {
    let redis = Server::start(&[]);
    let fixture = GatewayFixture::over(Some(&redis), Setup { nodes: 2, ..setup() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let urls = [fixture.at("/mcp"), fixture.at_node(1, "/mcp")];
    for turn in 0..2 {
        let retry = asked(&browser, &urls[turn], &tokens.access, "asking_where").await;
        let answers = futures::future::join_all(
            urls.iter()
                .cycle()
                .take(10)
                .map(|url| send(&browser, url, &tokens.access, "tools/call", retry.clone())),
        )
        .await;
        let went_on = answers.iter().filter(|answer| goes_on(answer)).count();
        assert_eq!(went_on, 1, "{answers:?}");
        for refused in answers.iter().filter(|answer| !goes_on(answer)) {
            is_refused("a second use", refused);
        }
    }
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}
