//! Limits of calls (`limits.calls`): what is counted on each route, in both eras and at each node,
//! what a client is told, and what is recorded. What is counted how is gone through beside the
//! code, in `edge/call_limits/tests.rs`, and each way for a call to end at the hub, in
//! `crates/mcp/tests/hub/limits.rs`.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use portunus::config::ProxyRoute;
use portunus_core::{
    access::Who,
    audit::{AuditFilter, CallKind, CallOutcome, Event},
    call_limits::{CallLimit, Part, Quota},
    oauth::scopes::Pattern,
};
use portunus_testkit::{
    agent::{Agent, McpClient, Page, Request},
    mcp_servers::FixtureServer,
    redis::Server,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

/// So long that nothing comes back during a test.
const DAY: Duration = Duration::from_secs(86_400);

fn limit(each: &[Part]) -> CallLimit {
    CallLimit {
        name: "few".to_owned(),
        who: Who::default(),
        servers: Vec::new(),
        tools: Vec::new(),
        each: each.to_vec(),
        requests: None,
        concurrent: None,
        bytes: None,
    }
}

fn quota(count: u64) -> Quota {
    Quota { count: NonZeroU64::new(count).unwrap(), per: DAY }
}

fn requests(each: &[Part], count: u64) -> CallLimit {
    CallLimit { requests: Some(quota(count)), ..limit(each) }
}

fn at(server: &str, limit: CallLimit) -> CallLimit {
    CallLimit { servers: vec![Pattern::parse(server).unwrap()], ..limit }
}

fn with(limits: &[CallLimit]) -> Setup {
    Setup { call_limits: limits.to_vec(), ..Setup::default() }
}

/// A client of the modern era, of which each request stands alone.
struct Modern<'a> {
    agent: &'a Agent,
    url: String,
    token: &'a str,
}

impl Modern<'_> {
    async fn post(&self, method: &str, params: Value) -> Page {
        self.agent.send(self.message(method, params)).await
    }

    fn message(&self, method: &str, mut params: Value) -> Request {
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let request = Request::json(&self.url, &message)
            .without_cookies()
            .bearer(self.token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        if name.is_empty() { request } else { request.header("mcp-name", &name) }
    }

    async fn call(&self, tool: &str) -> Page {
        self.post("tools/call", json!({"name": tool, "arguments": {"text": "x"}})).await
    }
}

fn call(id: &str, tool: &str) -> Value {
    let params = json!({"name": tool, "arguments": {"text": "x"}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// 429, with the time in the header and in the JSON-RPC error.
#[track_caller]
fn is_limited(answer: &Page, id: &Value, why: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=4 * DAY.as_secs()).contains(&seconds), "{seconds}");
    let message = answer.json();
    assert_eq!(message["id"], *id, "{message}");
    let error = &message["error"];
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32000), &json!("few")));
    let told = format!("Limit `few` reached: {why}. Try again in {seconds} s");
    assert_eq!(error["message"], told);
    let millis = error["data"]["retryAfterMs"].as_u64().unwrap();
    assert_eq!(millis.div_ceil(1000), seconds);
}

const MANY: &str = "too many requests";
const AT_ONCE: &str = "too many requests at once";
const BYTES: &str = "too many bytes";

#[tokio::test]
async fn t47_every_route_counts_in_both_eras() {
    let mut fixture = GatewayFixture::of(with(&[])).await;
    let (_, browser, whole) = fixture.connect("/mcp").await;
    let (_, _, one) = fixture.connect("/mcp/uuid").await;
    let routes = [
        ("/mcp", &whole.access, "uuid_echo"),
        ("/mcp?server_name=uuid", &whole.access, "echo"),
        ("/mcp/uuid", &one.access, "echo"),
    ];
    for (n, (path, token, tool)) in routes.into_iter().enumerate() {
        // A limit that changed begins anew.
        let per = DAY.saturating_sub(Duration::from_secs(n as u64));
        let few = Quota { per, ..quota(3) };
        fixture.config.call_limits =
            vec![CallLimit { requests: Some(few), ..limit(&[Part::Person]) }];
        fixture.reload().await.unwrap();
        let url = fixture.at(path);
        // Beginning a session is one.
        let mcp = McpClient::connect(&browser, &url, token).await;
        mcp.call_text(tool, json!({"text": "x"})).await;
        mcp.tools().await;
        let reached = fixture.uuid.seen().len();
        is_limited(&mcp.post(&call("again", tool)).await, &json!("again"), MANY);
        let list = json!({"jsonrpc": "2.0", "id": "list", "method": "tools/list"});
        is_limited(&mcp.post(&list).await, &json!("list"), MANY);
        let ping = json!({"jsonrpc": "2.0", "id": "ping", "method": "ping"});
        mcp.post(&ping).await.expect(200);
        let modern = Modern { agent: &browser, url, token };
        for method in ["tools/call", "tools/list", "server/discover", "subscriptions/listen"] {
            is_limited(&modern.post(method, json!({"name": tool})).await, &json!(7), MANY);
        }
        assert_eq!(fixture.uuid.seen().len(), reached, "nothing reached the server");
    }
    // The list of tools is a request as well; it is no message.
    let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(&whole.access);
    let refused = browser.send(tools).await.expect(429);
    assert_eq!(refused.error(), "too_many_requests");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 1);
    // Another person has as much.
    fixture.okta.sign_in_as("bob");
    let (_, browser, bobs) = fixture.connect("/mcp").await;
    let bob = Modern { agent: &browser, url: fixture.at("/mcp"), token: &bobs.access };
    bob.call("uuid_echo").await.expect(200);
    let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(&bobs.access);
    browser.send(tools).await.expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn t47_servers_and_tools_have_limits_whatever_they_are_reached_by() {
    let echo = CallLimit {
        tools: vec![Pattern::parse("ech*").unwrap()],
        ..at("uuid", requests(&[Part::Person], 2))
    };
    let fixture = GatewayFixture::of(with(&[echo])).await;
    let (_, browser, whole) = fixture.connect("/mcp").await;
    let (_, _, one) = fixture.connect("/mcp/uuid").await;
    let merged = Modern { agent: &browser, url: fixture.at("/mcp"), token: &whole.access };
    let alone = Modern { agent: &browser, url: fixture.at("/mcp/uuid"), token: &one.access };
    let legacy = McpClient::connect(&browser, &fixture.at("/mcp"), &whole.access).await;
    merged.call("uuid_echo").await.expect(200);
    alone.call("echo").await.expect(200);
    is_limited(&merged.call("uuid_echo").await, &json!(7), MANY);
    is_limited(&alone.call("echo").await, &json!(7), MANY);
    is_limited(&legacy.post(&call("x", "uuid_echo")).await, &json!("x"), MANY);
    legacy.call("uuid_count", json!({})).await;
    legacy.tools().await;
    assert!(legacy.call("dice_roll", json!({})).await["result"].is_object());
    fixture.close().await;
}

#[tokio::test]
async fn t47_so_many_are_at_work_at_a_server_until_they_have_ended_in_whatever_way() {
    let one = CallLimit { concurrent: NonZeroU32::new(1), ..limit(&[Part::Server]) };
    let fixture = GatewayFixture::of(with(&[at("uuid", one)])).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let alice = Modern { agent: &browser, url: fixture.at("/mcp"), token: &tokens.access };
    alice.call("uuid_echo").await.expect(200);
    fixture.okta.sign_in_as("bob");
    let (_, bobs_browser, bobs) = fixture.connect("/mcp").await;
    let bob = Modern { agent: &bobs_browser, url: fixture.at("/mcp"), token: &bobs.access };
    bob.call("uuid_echo").await.expect(200);
    for round in 0..6 {
        // In a session, where hanging up ends nothing, or alone, where it does.
        let is_in_session = round % 2 == 0;
        let hang = || {
            let hang = if is_in_session {
                mcp.message(&call("hang", "uuid_hang"))
            } else {
                alice.message("tools/call", json!({"name": "uuid_hang"}))
            };
            let agent = browser.clone();
            tokio::spawn(async move { agent.try_send(hang).await })
        };
        let mut hanging = hang();
        // One that comes while Bob asks is refused itself.
        eventually("it is at work", async || {
            if hanging.is_finished() {
                hanging = hang();
                return false;
            }
            bob.call("uuid_echo").await.status == 429
        })
        .await;
        is_limited(&bob.call("uuid_echo").await, &json!(7), AT_ONCE);
        is_limited(&mcp.post(&call("x", "uuid_echo")).await, &json!("x"), AT_ONCE);
        bob.call("dice_roll").await.expect(200);
        hanging.abort();
        if is_in_session {
            is_limited(&bob.call("uuid_echo").await, &json!(7), AT_ONCE);
            let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "hang"}});
            mcp.post(&cancel).await.expect(202);
        }
        eventually("there is room", async || bob.call("uuid_echo").await.status == 200).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn t47_bytes_count_and_are_paid_off_before_the_next() {
    let bytes = CallLimit { bytes: Some(quota(100_000)), ..limit(&[Part::Person, Part::Client]) };
    let fixture = GatewayFixture::of(with(&[bytes])).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let modern = Modern { agent: &browser, url: fixture.at("/mcp"), token: &tokens.access };
    modern.call("uuid_echo").await.expect(200);
    mcp.call("uuid_big", json!({"bytes": 200_000})).await;
    is_limited(&mcp.post(&call("x", "dice_roll")).await, &json!("x"), BYTES);
    is_limited(&modern.call("uuid_echo").await, &json!(7), BYTES);
    // With another client, the same person has a counter of its own.
    let (_, browser, other) = fixture.connect("/mcp").await;
    let other = Modern { agent: &browser, url: fixture.at("/mcp"), token: &other.access };
    let padding = "x".repeat(150_000);
    let echo = json!({"name": "uuid_echo", "arguments": {"text": padding}});
    other.post("tools/call", echo).await.expect(200);
    is_limited(&other.call("uuid_echo").await, &json!(7), BYTES);
    fixture.close().await;
}

#[tokio::test]
async fn t47_proxied_paths_have_limits_of_each_kind() {
    let legacy = FixtureServer::start().await;
    let mut fixture = GatewayFixture::of(Setup {
        proxies: vec![ProxyRoute::new("/mcp/legacy/", legacy.url().join("/").unwrap())],
        ..with(&[at("/mcp/legacy/", requests(&[Part::Person], 3))])
    })
    .await;
    let (_, browser, tokens) = fixture.connect("/mcp/legacy/mcp").await;
    let url = fixture.at("/mcp/legacy/mcp");
    // Two to begin with, and a call.
    let mcp = McpClient::connect(&browser, &url, &tokens.access).await;
    mcp.call_text("echo", json!({"text": "x"})).await;
    let reached = legacy.seen().len();
    let refused = mcp.post(&call("x", "echo")).await.expect(429);
    assert_eq!(refused.error(), "too_many_requests");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 1);
    assert_eq!(legacy.seen().len(), reached, "nothing reached the server");

    let bytes = CallLimit { bytes: Some(quota(100_000)), ..limit(&[Part::Server]) };
    fixture.config.call_limits = vec![at("/mcp/legacy/", bytes)];
    fixture.reload().await.unwrap();
    mcp.call("big", json!({"bytes": 200_000})).await;
    mcp.post(&call("x", "echo")).await.expect(429);

    let one = CallLimit { concurrent: NonZeroU32::new(1), ..limit(&[Part::Person]) };
    fixture.config.call_limits = vec![one];
    fixture.reload().await.unwrap();
    for _ in 0..3 {
        let before = legacy.seen().len();
        let (agent, hang) = (browser.clone(), mcp.message(&call("hang", "hang")));
        let hanging = tokio::spawn(async move { agent.try_send(hang).await });
        eventually("it is at the server", async || legacy.seen().len() > before).await;
        let refused = mcp.post(&call("x", "echo")).await.expect(429);
        assert_eq!(refused.header("retry-after"), "1");
        hanging.abort();
        eventually("there is room", async || mcp.post(&call("x", "echo")).await.status == 200)
            .await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_person_has_as_much_at_two_nodes_as_at_one() {
    let redis = Server::start(&[]);
    let setup = Setup { nodes: 2, ..with(&[requests(&[Part::Person], 4)]) };
    let fixture = GatewayFixture::over(Some(&redis), setup).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let nodes = [0, 1].map(|n| Modern {
        agent: &browser,
        url: if n == 0 { fixture.at("/mcp") } else { fixture.at_node(1, "/mcp") },
        token: &tokens.access,
    });
    for n in 0..4 {
        nodes[n % 2].call("uuid_echo").await.expect(200);
    }
    for node in &nodes {
        is_limited(&node.call("uuid_echo").await, &json!(7), MANY);
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_flood_of_refusals_is_recorded_once_and_a_reload_forgets_nothing() {
    let limit = at("uuid", requests(&[Part::Person], 1));
    let mut fixture = GatewayFixture::of(with(std::slice::from_ref(&limit))).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let modern = Modern { agent: &browser, url: fixture.at("/mcp"), token: &tokens.access };
    modern.call("uuid_add").await.expect(200);
    for _ in 0..20 {
        is_limited(&modern.call("uuid_echo").await, &json!(7), MANY);
    }
    // In another place, beside another.
    let others = Who { groups: vec!["others".to_owned()], ..Who::default() };
    fixture.config.call_limits =
        vec![CallLimit { who: others, ..limit.clone() }, CallLimit { name: "few".into(), ..limit }];
    let changes = fixture.reload().await.unwrap();
    assert_eq!(changes.settings, ["limits.calls"]);
    is_limited(&modern.call("uuid_echo").await, &json!(7), MANY);
    modern.call("dice_roll").await.expect(200);
    let calls = async || -> Vec<_> {
        let stored = fixture.stores().audit.find_records(&AuditFilter::default(), 1000).await;
        let events = stored.unwrap().into_iter().map(|record| record.read().unwrap().event);
        let call = |event| match event {
            Event::Call(call) => Some((call.kind, call.name, call.outcome, call.times)),
            _ => None,
        };
        events.filter_map(call).collect()
    };
    eventually("the last call is recorded", async || calls().await.len() == 3).await;
    let seen = |name: &str, outcome, times| (CallKind::Tool, name.to_owned(), outcome, times);
    assert_eq!(
        calls().await,
        [
            seen("add", CallOutcome::Ok, None),
            seen("echo", CallOutcome::Limited, Some(1)),
            seen("roll", CallOutcome::ToolError, None),
        ]
    );
    fixture.close().await;
}
