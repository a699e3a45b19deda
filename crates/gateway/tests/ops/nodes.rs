//! Several gateways on the same records: any of them takes any request, and whatever a user has
//! runs on one of them.

use std::time::Duration;

use http::Method;
use portunus_mcp::spec::{Isolation, ServerSpec};
use portunus_testkit::{
    agent::{Agent, McpClient, Page, Request},
    mcp_servers::{SeenRequest, fixture_binary},
    okta::Person,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup, stdio};

async fn two_nodes() -> (GatewayFixture, Agent, McpClient) {
    let more_servers =
        vec![stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"])];
    let fixture = GatewayFixture::of(Setup { nodes: 2, more_servers, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    (fixture, browser, mcp)
}

#[tokio::test]
async fn any_node_takes_any_request() {
    let (fixture, browser, mut mcp) = two_nodes().await;
    let child = mcp.call_text("child_process", json!({})).await;
    mcp.url = fixture.at_node(1, "/mcp");
    assert_eq!(
        mcp.call_text("child_process", json!({})).await,
        child,
        "a person has one child, wherever the request comes in"
    );
    assert!(mcp.tools().await.contains(&"uuid_add".to_owned()));
    // Another session of the same person, begun at the other node.
    let other = McpClient::connect(&browser, &fixture.at_node(1, "/mcp"), &mcp.token).await;
    assert_eq!(other.call_text("child_process", json!({})).await, child);
    let tools = Request::get(&fixture.at_node(1, "/tools")).without_cookies().bearer(&mcp.token);
    assert!(browser.send(tools).await.expect(200).body.contains(r#""server":"uuid""#));
    // Progress is streamed through, and a session that is ended is ended for all.
    let slow = json!({"name": "child_slow", "arguments": {"steps": 3, "step_ms": 10}, "_meta": {"progressToken": "mine"}});
    let answer = mcp
        .post(&json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": slow}))
        .await
        .expect(200);
    assert_eq!(answer.body.matches(r#""progressToken":"mine""#).count(), 3, "{}", answer.body);
    browser
        .send(
            Request::new(Method::DELETE, &mcp.url)
                .without_cookies()
                .bearer(&mcp.token)
                .header("mcp-session-id", &mcp.session),
        )
        .await
        .expect(204);
    mcp.url = fixture.at("/mcp");
    mcp.post(&json!({"jsonrpc": "2.0", "id": 78, "method": "ping"})).await.expect(404);
    fixture.close().await;
}

#[tokio::test]
async fn what_is_refused_is_refused_everywhere_alike() {
    let (fixture, browser, mut mcp) = two_nodes().await;
    mcp.url = fixture.at_node(1, "/mcp");
    let unknown =
        mcp.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "x/unknown"})).await.expect(200);
    assert!(unknown.body.contains("-32601"), "{}", unknown.body);
    mcp.session = "stolen".to_owned();
    mcp.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await.expect(404);
    let (_, stranger, tokens) = fixture.connect("/mcp/uuid").await;
    let elsewhere = McpClient::connect(&stranger, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let message = elsewhere.message(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    let page = browser.send(message.at(&fixture.at_node(1, "/mcp"))).await;
    assert_eq!(page.status, 401, "a token for another resource (threat 30)");
    fixture.close().await;
}

#[tokio::test]
async fn a_node_that_stops_hands_its_users_over() {
    let (mut fixture, ..) = two_nodes().await;
    // A user whose owner node is the second.
    fixture.okta.sign_in_as("bob");
    let bob = fixture.browser();
    let tokens = fixture.client("/mcp").await.connect(&bob).await;
    let mut mcp = McpClient::connect(&bob, &fixture.at_node(1, "/mcp"), &tokens.access).await;
    let child = mcp.call_text("child_process", json!({})).await;
    mcp.url = fixture.at("/mcp");
    assert_eq!(mcp.call_text("child_process", json!({})).await, child);
    // A call is under way when the node is told to stop: it is finished.
    let slow = json!({"name": "child_slow", "arguments": {"steps": 20, "step_ms": 100}});
    let slow = send(
        &bob,
        mcp.message(
            &json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": slow}),
        ),
    );
    let (slow, ()) = tokio::join!(slow, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.stop_node(1).await;
    });
    assert!(slow.body.contains("20 steps"), "{}", slow.body);
    let moved = mcp.call_text("child_process", json!({})).await;
    assert_ne!(moved, child, "the session goes on at the first node, with a child of its own");
    fixture.close().await;
}

#[tokio::test]
async fn what_an_http_server_keeps_in_its_session_moves_along() {
    let mut fixture = GatewayFixture::of(Setup { nodes: 2, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at_node(1, "/mcp"), &tokens.access).await;
    assert_eq!(mcp.call_text("uuid_count", json!({})).await, "1");
    fixture.stop_node(1).await;
    mcp.url = fixture.at("/mcp");
    assert_eq!(mcp.call_text("uuid_count", json!({})).await, "2");
    // There is one gateway now: the next one is its successor.
    fixture.stop().await;
    fixture.restart().await;
    assert_eq!(mcp.call_text("uuid_count", json!({})).await, "3");
    assert_eq!(fixture.uuid.session_count().await, 1, "nobody began another session");
    fixture.close().await;
}

fn shared_child() -> ServerSpec {
    let child = stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"]);
    ServerSpec { isolation: Isolation::Shared, ..child }
}

/// Two people, each at home at a node of their own. Bob's has the child: he is greeted first.
async fn alice_and_bob(setup: Setup) -> (GatewayFixture, McpClient, McpClient) {
    let fixture =
        GatewayFixture::of(Setup { nodes: 2, more_servers: vec![shared_child()], ..setup }).await;
    let mut people = Vec::new();
    for (name, home) in [("bob", fixture.at_node(1, "/mcp")), ("alice", fixture.at("/mcp"))] {
        fixture.okta.sign_in_as(name);
        let browser = fixture.browser();
        let tokens = fixture.client("/mcp").await.connect(&browser).await;
        people.push(McpClient::connect(&browser, &home, &tokens.access).await);
    }
    let alice = people.pop().unwrap();
    (fixture, alice, people.pop().unwrap())
}

#[tokio::test]
async fn a_child_that_everybody_shares_runs_on_one_node() {
    let (mut fixture, alice, mut bob) = Box::pin(alice_and_bob(Setup::default())).await;
    let child = bob.call_text("child_process", json!({})).await;
    assert_eq!(
        alice.call_text("child_process", json!({})).await,
        child,
        "one child, whoever is at home where"
    );
    // Its answers stream to the caller, and both nodes hear what it says to all users.
    let slow = json!({"name": "child_slow", "arguments": {"steps": 3, "step_ms": 10}, "_meta": {"progressToken": "mine"}});
    let answer = alice
        .post(&json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": slow}))
        .await
        .expect(200);
    assert_eq!(answer.body.matches(r#""progressToken":"mine""#).count(), 3, "{}", answer.body);
    assert!(!alice.tools().await.contains(&"child_late".to_owned()));
    bob.call_text("child_change_tools", json!({})).await;
    eventually("the new tool is listed everywhere", async || {
        alice.tools().await.contains(&"child_late".to_owned())
            && bob.tools().await.contains(&"child_late".to_owned())
    })
    .await;
    // Its node stops, with a call of the other's under way.
    let slow = json!({"name": "child_slow", "arguments": {"steps": 20, "step_ms": 100}});
    let slow = json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": slow});
    let (slow, ()) = tokio::join!(alice.post(&slow), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.stop_node(1).await;
    });
    assert!(slow.body.contains("20 steps"), "{}", slow.body);
    let moved = alice.call_text("child_process", json!({})).await;
    assert_ne!(moved, child);
    bob.url = fixture.at("/mcp");
    assert_eq!(bob.call_text("child_process", json!({})).await, moved);
    fixture.close().await;
}

#[tokio::test]
async fn a_node_that_leaves_gives_its_shared_child_up_at_once() {
    let (mut fixture, alice, bob) =
        Box::pin(alice_and_bob(Setup { stop_delay: LONG, ..Setup::default() })).await;
    let child = bob.call_text("child_process", json!({})).await;
    assert_eq!(alice.call_text("child_process", json!({})).await, child);
    fixture.begin_to_stop_node(1).await;
    says_that_it_stops(&fixture.browser(), Request::get(&fixture.at_node(1, "/ready"))).await;
    let moved = alice.call_text("child_process", json!({})).await;
    assert_ne!(moved, child);
    assert_eq!(
        bob.call_text("child_process", json!({})).await,
        moved,
        "through the node that leaves"
    );
    fixture.stop_node(1).await;
    fixture.close().await;
}

/// Longer than any test: a second signal ends it.
const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_node_that_is_about_to_stop_sends_everybody_to_where_they_belong() {
    let more_servers =
        vec![stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"])];
    let mut fixture =
        GatewayFixture::of(Setup { nodes: 3, more_servers, stop_delay: LONG, ..Setup::default() })
            .await;
    // One at home at each of the other nodes, and one at that which stops.
    let mut people = Vec::new();
    fixture.okta.put_person(Person::new("dora", &["Everyone"]));
    for (name, home) in [
        ("alice", fixture.at("/mcp")),
        ("bob", fixture.at_node(2, "/mcp")),
        ("dora", fixture.at_node(1, "/mcp")),
    ] {
        fixture.okta.sign_in_as(name);
        let browser = fixture.browser();
        let tokens = fixture.client("/mcp").await.connect(&browser).await;
        let mut mcp = McpClient::connect(&browser, &home, &tokens.access).await;
        let child = mcp.call_text("child_process", json!({})).await;
        mcp.url = fixture.at_node(1, "/mcp");
        people.push((name, mcp, child));
    }
    let ready = Request::get(&fixture.at_node(1, "/ready"));
    assert_eq!(fixture.browser().send(ready.clone()).await.expect(200).json()["node"], "ok");
    fixture.begin_to_stop_node(1).await;
    says_that_it_stops(&fixture.browser(), ready).await;
    for (name, mcp, child) in &people {
        // Twice: the first time may be what brings them elsewhere.
        let moved = [
            mcp.call_text("child_process", json!({})).await,
            mcp.call_text("child_process", json!({})).await,
        ];
        assert_eq!(moved[0], moved[1], "{name}");
        assert_eq!(
            moved[0] == *child,
            *name != "dora",
            "who is at home elsewhere stays there; who was at home here moves: {name}"
        );
    }
    fixture.stop_node(1).await;
    fixture.close().await;
}

#[tokio::test]
async fn two_of_three_may_stop_at_once() {
    let mut fixture =
        GatewayFixture::of(Setup { nodes: 3, stop_delay: LONG, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at_node(1, "/mcp"), &tokens.access).await;
    for n in [1, 2] {
        fixture.begin_to_stop_node(n).await;
        says_that_it_stops(&browser, Request::get(&fixture.at_node(n, "/ready"))).await;
    }
    assert!(mcp.tools().await.contains(&"uuid_add".to_owned()), "it goes to the one that stays");
    fixture.stop_node(1).await;
    fixture.stop_node(2).await;
    fixture.close().await;
}

#[tokio::test]
async fn the_last_node_serves_whoever_comes_until_it_stops() {
    let mut fixture =
        GatewayFixture::of(Setup { nodes: 2, stop_delay: LONG, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    fixture.stop_node(1).await;
    fixture.begin_to_stop().await;
    says_that_it_stops(&fixture.browser(), Request::get(&fixture.at("/ready"))).await;
    assert!(mcp.tools().await.contains(&"uuid_add".to_owned()));
    fixture.close().await;
}

async fn says_that_it_stops(agent: &Agent, ready: Request) {
    eventually("it says that it stops", async || agent.send(ready.clone()).await.status == 503)
        .await;
}

async fn send(agent: &Agent, request: Request) -> Page {
    agent.send(request).await
}

#[tokio::test]
async fn t33_nobody_but_a_node_can_send_errands() {
    let (fixture, browser, mcp) = two_nodes().await;
    let nodes = fixture.stores().nodes.list_nodes().await.unwrap();
    assert_eq!(nodes.len(), 2);
    for node in &nodes {
        for envelope in [None, Some("AAAA"), Some(mcp.token.as_str())] {
            let mut request = Request::json(
                &format!("{}/errand", node.url),
                &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
            );
            if let Some(envelope) = envelope {
                request = request.header("portunus-envelope", envelope);
            }
            browser.send(request.bearer(&mcp.token)).await.expect(403);
        }
        browser
            .send(Request::get(&format!("{}/mcp", node.url)).bearer(&mcp.token))
            .await
            .expect(404);
    }
    let value: Value = mcp.request("ping", json!({})).await;
    assert!(value["result"].is_object());
    fixture.close().await;
}

#[tokio::test]
async fn a_stream_for_another_nodes_user_holds_no_stop_up() {
    let (mut fixture, browser, mcp) = two_nodes().await;
    let listen = Request::get(&fixture.at_node(1, "/mcp"))
        .without_cookies()
        .bearer(&mcp.token)
        .header("accept", "text/event-stream");
    let listening = tokio::spawn({
        let browser = browser.clone();
        let listen = listen.header("mcp-session-id", &mcp.session);
        async move { browser.send(listen).await }
    });
    // It is open once something that is said comes on it: nothing else carries it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    fixture.stop_node(1).await;
    listening.await.unwrap().expect(200);
    let log = fixture.log.text();
    assert!(!log.contains("did not end in time"), "the stop waited for the stream");
    assert_eq!(
        mcp.call_text("uuid_add", json!({"a": 1, "b": 1})).await,
        "2",
        "its user is where it was"
    );
    fixture.close().await;
}

/// Parity B10, on the way to another node too.
#[tokio::test]
async fn a_server_hears_the_request_id_from_whichever_node() {
    let fixture = GatewayFixture::of(Setup { nodes: 2, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mut mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    for url in [fixture.at("/mcp"), fixture.at_node(1, "/mcp")] {
        mcp.url = url;
        let params = json!({"name": "uuid_echo", "arguments": {"text": "x"}});
        let answer = mcp
            .post(&json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}))
            .await
            .expect(200);
        let id = answer.header("x-request-id").to_owned();
        let heard = |request: &SeenRequest| {
            request.headers.get("x-request-id").is_some_and(|value| *value == *id)
        };
        assert!(fixture.uuid.seen().iter().any(heard), "{}", mcp.url);
    }
    fixture.close().await;
}
