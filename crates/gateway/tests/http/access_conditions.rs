//! Access rules that go by a call's arguments or by the time since a sign-in, and rules in shadow:
//! in both eras, on every route, at every node. Rules without conditions are next door, in
//! [`super::access`]; what conditions come to is tested in `portunus_core::access`.

use std::{sync::Arc, time::Duration};

use portunus::{
    cli::access::{Query, losses},
    config::ProxyRoute,
};
use portunus_core::{
    access::{
        AccessRule, ArgumentCondition, ArgumentValue, Effect, Mode, Place, Policy, What, When, Who,
    },
    audit::{AuditFilter, Call, CallOutcome, Event},
    oauth::scopes::Pattern,
};
use portunus_testkit::{
    agent::{Agent, McpClient, Request},
    mcp_servers::FixtureServer,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

const MODERN: &str = "2026-07-28";
const HOUR: Duration = Duration::from_secs(3600);

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

fn group(name: &str) -> Who {
    Who { groups: vec![name.to_owned()], ..Who::default() }
}

fn rule(line: u32, what: What, when: When) -> AccessRule {
    AccessRule {
        name: format!("rule {line}"),
        place: Place { file: "config.yaml".to_owned(), line },
        effect: Effect::Allow,
        mode: Mode::Enforce,
        who: group("engineering"),
        what,
        when,
    }
}

fn with(path: &str, value: ArgumentValue) -> When {
    When { arguments: vec![ArgumentCondition::new(path, vec![value]).unwrap()], signed_in: None }
}

fn text(pattern: &str) -> ArgumentValue {
    ArgumentValue::Text(Pattern::parse(pattern).unwrap())
}

fn tools(names: &[&str]) -> What {
    What { servers: patterns(&["uuid"]), tools: patterns(names), ..What::default() }
}

fn policy(rules: Vec<AccessRule>) -> Arc<Policy> {
    Arc::new(Policy::new(rules, Vec::new()).unwrap())
}

async fn calls(fixture: &GatewayFixture, count: usize) -> Vec<Call> {
    let read = async || -> Vec<Call> {
        let records = fixture.stores().audit.find_records(&AuditFilter::default(), 10_000).await;
        let calls = records.unwrap().into_iter().filter_map(|record| match record.read()?.event {
            Event::Call(call) => Some(call),
            _ => None,
        });
        calls.collect()
    };
    eventually("the calls are recorded", async || read().await.len() >= count).await;
    read().await
}

/// The code of the answer's error; 0 of a result.
async fn modern(browser: &Agent, url: &str, token: &str, name: &str, arguments: Value) -> i64 {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {}});
    let params = json!({"name": name, "arguments": arguments, "_meta": meta});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let request = Request::json(url, &call)
        .without_cookies()
        .bearer(token)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", name);
    browser.send(request).await.json()["error"]["code"].as_i64().unwrap_or_default()
}

/// A tool with conditions on its arguments is listed, and called with those that fit.
#[tokio::test]
async fn t32_a_call_is_judged_by_its_arguments_on_every_route() {
    let access = policy(vec![
        rule(1, tools(&["echo"]), with("text", text("acme/*"))),
        rule(2, tools(&["add"]), with("a", ArgumentValue::number("1").unwrap())),
        // Whatever it is called with is refused: it is not listed.
        rule(3, tools(&["fail"]), with("x", text("a"))),
        AccessRule { effect: Effect::Deny, ..rule(4, tools(&["fail"]), with("x", text("*"))) },
    ]);
    let setup = Setup { nodes: 2, access, ..Setup::default() };
    let fixture = GatewayFixture::of(setup).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let (_, own, own_tokens) = fixture.connect("/mcp/uuid").await;
    let routes = [
        (fixture.at("/mcp"), &browser, &tokens.access, "uuid_"),
        (fixture.at_node(1, "/mcp"), &browser, &tokens.access, "uuid_"),
        (fixture.at("/mcp?server_name=uuid"), &browser, &tokens.access, ""),
        (fixture.at("/mcp/uuid"), &own, &own_tokens.access, ""),
    ];
    let mut refused = 0;
    for (url, browser, token, prefix) in routes {
        let mcp = McpClient::connect(browser, &url, token).await;
        assert_eq!(mcp.tools().await, [format!("{prefix}add"), format!("{prefix}echo")], "{url}");
        let (echo, add) = (format!("{prefix}echo"), format!("{prefix}add"));
        assert_eq!(mcp.call_text(&echo, json!({"text": "acme/x"})).await, "acme/x");
        assert_eq!(mcp.call_text(&add, json!({"a": 1, "b": 2})).await, "3");
        assert_eq!(modern(browser, &url, token, &echo, json!({"text": "acme/x"})).await, 0);
        let before = fixture.uuid.seen().len();
        for (name, arguments) in [
            (&echo, json!({"text": "other/x"})),
            (&echo, json!({"text": "acme/../x"})),
            (&echo, json!({"text": ["acme/x"]})),
            (&echo, json!({})),
            (&add, json!({"a": "1", "b": 2})),
            (&add, json!({"a": 2, "b": 2})),
        ] {
            let answer = mcp.call(name, arguments.clone()).await;
            assert_eq!(answer["error"]["code"], -32012, "{url} {name} {arguments}: {answer}");
            let code = modern(browser, &url, token, name, arguments.clone()).await;
            assert_eq!(code, -32012, "{url} {name} {arguments}");
            refused += 2;
        }
        let absent = mcp.call(&format!("{prefix}fail"), json!({"x": "a"})).await;
        assert_eq!(absent["error"]["code"], -32602, "{absent}");
        refused += 1;
        assert_eq!(fixture.uuid.seen().len(), before, "{url}: nothing reached the server");
    }
    let recorded = calls(&fixture, refused + 12).await;
    let by_rules = recorded.iter().filter(|call| call.outcome == CallOutcome::PolicyRefused);
    assert_eq!(by_rules.count(), refused, "{recorded:#?}");
    fixture.close().await;
}

/// Hours after a sign-in there is less; a new sign-in brings it back, with the token of before.
#[tokio::test]
async fn t32_what_needs_a_sign_in_goes_with_time_and_comes_back_with_another() {
    let soon = When { arguments: Vec::new(), signed_in: Some(HOUR / 2) };
    let whole = What { servers: patterns(&["dice"]), ..What::default() };
    let access = policy(vec![
        rule(1, tools(&["add"]), When::default()),
        rule(2, tools(&["echo"]), soon.clone()),
        rule(3, whole, soon),
    ]);
    let fixture = GatewayFixture::of(Setup { access, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let say = async || mcp.call("uuid_echo", json!({"text": "x"})).await;
    let roll = async || mcp.call("dice_roll", json!({})).await;
    assert!(mcp.tools().await.contains(&"uuid_echo".to_owned()));
    assert!(say().await["result"].is_object() && roll().await["result"].is_object());
    fixture.clock.advance(HOUR / 2);
    assert!(say().await["result"].is_object(), "half an hour is within half an hour");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(mcp.tools().await, ["uuid_add"], "not what every call would be refused");
    for answer in [say().await, roll().await] {
        assert_eq!(answer["error"]["code"], -32012, "{answer}");
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(told.contains("sign in again"), "{told}");
    }
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await, "3");
    // The same person, in another browser: the token that was there is as good as before.
    fixture.sign_in(&fixture.browser()).await;
    eventually("the new sign-in counts", async || say().await["result"].is_object()).await;
    assert!(roll().await["result"].is_object());
    assert!(mcp.tools().await.contains(&"uuid_echo".to_owned()));
    fixture.close().await;
}

/// Nothing is refused or hidden, and each call says what it would have met.
#[tokio::test]
async fn rules_in_shadow_are_recorded_and_reported() {
    let legacy = FixtureServer::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", legacy.url().join("/").unwrap())];
    let shadow = |rule: AccessRule| AccessRule { mode: Mode::Shadow, ..rule };
    let access = policy(vec![
        shadow(rule(1, tools(&["add", "echo"]), When::default())),
        shadow(AccessRule {
            effect: Effect::Deny,
            ..rule(2, tools(&["echo"]), with("text", text("secret*")))
        }),
    ]);
    let fixture = GatewayFixture::of(Setup { proxies, access, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let listed = mcp.tools().await;
    assert!(listed.contains(&"dice_roll".to_owned()), "{listed:?}");
    for _ in 0..2 {
        assert!(mcp.call("dice_roll", json!({})).await["result"].is_object());
    }
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await, "3");
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "hello"})).await, "hello");
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "secrets"})).await, "secrets");
    assert!(mcp.request("prompts/get", json!({"name": "uuid_plain"})).await["result"].is_object());
    let uri = json!({"uri": "fixture://uuid/greeting"});
    assert!(mcp.request("resources/read", uri).await["result"].is_object());
    let (_, other, own) = fixture.connect("/mcp/legacy/mcp").await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let ping = Request::json(&fixture.at("/mcp/legacy/mcp"), &ping).without_cookies();
    other.send(ping.bearer(&own.access)).await;

    let recorded = calls(&fixture, 8).await;
    let would: Vec<_> = recorded
        .iter()
        .map(|call| (call.name.as_str(), call.would_refuse.as_deref().unwrap_or_default()))
        .collect();
    let none = "no rule allows it";
    assert_eq!(
        would,
        [
            ("roll", none),
            ("roll", none),
            ("add", ""),
            ("echo", ""),
            ("echo", "`rule 2` (config.yaml:2)"),
            ("plain", none),
            ("fixture://uuid/greeting", none),
            ("POST", none),
        ]
    );
    let found = losses(fixture.stores(), &Query::default(), |_| {}).await.unwrap();
    let report: Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!(
        (&report["calls"], &report["would_refuse"], &report["people"]),
        (&json!(8), &json!(6), &json!(1)),
        "{report}"
    );
    let first = &report["losses"][0];
    assert_eq!((&first["name"], &first["calls"]), (&json!("roll"), &json!(2)), "{report}");
    assert_eq!(report["losses"].as_array().unwrap().len(), 5, "{report}");
    // Of one server, and from later on.
    let filter = AuditFilter { server: Some("uuid".to_owned()), ..AuditFilter::default() };
    let found = losses(fixture.stores(), &Query { filter, by: None }, |_| {}).await.unwrap();
    let report: Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!((&report["calls"], &report["would_refuse"]), (&json!(5), &json!(3)), "{report}");
    let since = Some(portunus_core::Clock::now(&*fixture.clock) + Duration::from_secs(1));
    let filter = AuditFilter { since, ..AuditFilter::default() };
    let found = losses(fixture.stores(), &Query { filter, by: None }, |_| {}).await.unwrap();
    assert!(found.told(true).starts_with("0 of 0 calls"), "{}", found.told(true));
    fixture.close().await;
}
