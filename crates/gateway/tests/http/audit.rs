//! What is recorded of what people and clients do: each thing once, with who, from where and how it
//! ended, and nothing of what was said. What administrators do with it is next door, in
//! `tests/ops/audit.rs`.

use std::sync::Arc;

use portunus::config::ProxyRoute;
use portunus_core::{
    Clock as _,
    access::{AccessRule, Effect, Mode, Place, Policy, What, When, Who},
    audit::{AuditFilter, AuditRecord, CallKind, CallOutcome, ChainedRecord, Event, RefusalReason},
    ids::ServerName,
    oauth::scopes::{Pattern, ScopeRule},
    scope::Scope,
};
use portunus_testkit::{
    agent::{McpClient, Request},
    wait::eventually,
};
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

use crate::fixture::{GatewayFixture, Setup};

/// Not a word of this may be recorded.
const ARGUMENT: &str = "an-argument-that-is-nobodys-business";

async fn stored(fixture: &GatewayFixture) -> Vec<ChainedRecord> {
    fixture.stores().audit.find_records(&AuditFilter::default(), 10_000).await.unwrap()
}

/// The records so far, once there is one that `is_there` knows.
async fn records(
    fixture: &GatewayFixture,
    what: &str,
    is_there: impl Fn(&AuditRecord) -> bool,
) -> Vec<AuditRecord> {
    let read = async || -> Vec<AuditRecord> {
        stored(fixture).await.iter().map(|record| record.read().unwrap()).collect()
    };
    eventually(what, async || read().await.iter().any(&is_there)).await;
    read().await
}

fn refusal(record: &AuditRecord) -> Option<RefusalReason> {
    match record.event {
        Event::Refused { reason, .. } => Some(reason),
        _ => None,
    }
}

fn only<'a>(records: &'a [AuditRecord], word: &str) -> &'a AuditRecord {
    let found: Vec<_> = records.iter().filter(|record| record.event.word() == word).collect();
    assert_eq!(found.len(), 1, "{word}: {found:?}");
    found[0]
}

type CallSeen = (CallKind, Option<String>, String, CallOutcome);

fn calls(records: &[AuditRecord]) -> Vec<CallSeen> {
    let call = |record: &AuditRecord| match &record.event {
        Event::Call(call) => {
            Some((call.kind, call.server.clone(), call.name.clone(), call.outcome))
        }
        _ => None,
    };
    records.iter().filter_map(call).collect()
}

fn seen(kind: CallKind, server: Option<&str>, name: &str, outcome: CallOutcome) -> CallSeen {
    (kind, server.map(str::to_owned), name.to_owned(), outcome)
}

#[tokio::test]
async fn a_sign_in_its_calls_and_its_refusals_are_recorded_and_nothing_that_was_said() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    mcp.tools().await;
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": ARGUMENT})).await, ARGUMENT);
    mcp.call("uuid_fail", json!({})).await;
    mcp.call("dice_nothing", json!({"text": ARGUMENT})).await;
    mcp.request("prompts/get", json!({"name": "uuid_plain"})).await;
    let uri = format!("fixture://uuid/greeting?{ARGUMENT}");
    mcp.request("resources/read", json!({ "uri": "fixture://uuid/greeting" })).await;
    mcp.request("resources/read", json!({ "uri": uri })).await;
    // Another resource's token, none of ours, and a second header.
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let ask = |path: &str| Request::json(&fixture.at(path), &ping).without_cookies();
    assert_eq!(browser.send(ask("/mcp/uuid").bearer(&tokens.access)).await.status, 401);
    assert_eq!(browser.send(ask("/mcp").bearer("ptn_at_made_up")).await.status, 401);
    assert_eq!(browser.send(ask("/mcp")).await.status, 401);
    let refreshed = client.tokens(client.refresh(tokens.refresh()).await);

    let records = records(&fixture, "the refresh is recorded", |record| {
        record.event.word() == "token_refreshed"
    })
    .await;
    let alice = fixture.user("alice");
    let registered = only(&records, "client_registered");
    let client_id = registered.person.client.clone();
    assert!(client_id.is_some());
    for word in ["signed_in", "consent_given", "code_redeemed", "token_refreshed"] {
        let record = only(&records, word);
        assert_eq!(record.person.user.as_deref(), Some(alice.as_str()), "{word}");
        assert_eq!(record.person.client, client_id, "{word}");
        assert!(record.origin.address.is_some_and(|address| address.is_loopback()), "{word}");
        assert_eq!(record.origin.request_id.as_ref().map(String::len), Some(16), "{word}");
        assert_eq!(record.at, fixture.clock.now(), "{word}");
    }
    assert_eq!(
        calls(&records),
        [
            seen(CallKind::Tool, Some("uuid"), "echo", CallOutcome::Ok),
            seen(CallKind::Tool, Some("uuid"), "fail", CallOutcome::ToolError),
            seen(CallKind::Tool, None, "dice_nothing", CallOutcome::Refused),
            seen(CallKind::Prompt, Some("uuid"), "plain", CallOutcome::Ok),
            seen(CallKind::Resource, Some("uuid"), "fixture://uuid/greeting", CallOutcome::Ok),
            seen(
                CallKind::Resource,
                Some("uuid"),
                "fixture://uuid/greeting",
                CallOutcome::ServerError
            ),
        ]
    );
    let call = records.iter().find(|record| record.event.word() == "call").unwrap();
    assert_eq!(call.person.user.as_deref(), Some(alice.as_str()));
    assert!(call.person.subject.is_some() && call.person.email.is_some(), "{call:?}");
    assert_eq!(call.person.client, client_id);
    assert!(call.origin.address.is_some() && call.origin.request_id.is_some(), "{call:?}");
    let Event::Call(echo) = &call.event else { unreachable!() };
    assert!(echo.request_bytes > 40 && echo.answer_bytes > 40, "{echo:?}");
    let refused: Vec<_> =
        records.iter().filter_map(|record| Some((refusal(record)?, record))).collect();
    let reasons: Vec<_> = refused.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [RefusalReason::WrongResource, RefusalReason::UnknownToken]);
    assert_eq!(refused[0].1.person.user.as_deref(), Some(alice.as_str()));
    assert_eq!(refused[1].1.person.user, None);
    let secrets = [
        tokens.access.as_str(),
        tokens.refresh(),
        refreshed.access.as_str(),
        refreshed.refresh(),
        ARGUMENT,
    ];
    for record in stored(&fixture).await {
        for secret in secrets {
            assert!(!record.text.contains(secret), "{}", record.text);
        }
    }
    // The line of the request log names them too.
    let line = fixture.log.text();
    let line = line.lines().find(|line| line.contains("\"tool\":\"echo\"")).unwrap();
    for part in [alice.as_str(), client_id.as_deref().unwrap(), "\"server\":\"uuid\"", "\"path\""] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn calls_of_the_modern_era_and_calls_beyond_a_scope_are_recorded() {
    let rule = ScopeRule {
        name: Scope::parse("uuid:say").unwrap(),
        description: "Say something".to_owned(),
        server: Some(ServerName::parse("uuid").unwrap()),
        tools: vec![Pattern::parse("echo").unwrap()],
        prompts: Vec::new(),
        resources: Vec::new(),
        includes: Vec::new(),
        ask_first: false,
    };
    let fixture = GatewayFixture::of(Setup { scopes: vec![rule], ..Setup::default() }).await;
    let (client, browser) = (fixture.client("/mcp/uuid").await, fixture.browser());
    let authorization = client.authorization().with("scope", "uuid:say");
    let page = client.begin(&browser, &authorization).await.page().expect(200);
    let code = page.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    let call = |name: &str, text: &str| {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name,
            "arguments": {"text": text, "a": 1, "b": 2}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}}});
        Request::json(&fixture.at("/mcp/uuid"), &call)
            .without_cookies()
            .bearer(&tokens.access)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name)
    };
    let answer = browser.send(call("echo", ARGUMENT)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(browser.send(call("add", ARGUMENT)).await.status, 403);
    let records = records(
        &fixture,
        "both calls are recorded",
        |record| matches!(&record.event, Event::Call(call) if call.name == "add"),
    )
    .await;
    assert_eq!(
        calls(&records),
        [
            seen(CallKind::Tool, Some("uuid"), "echo", CallOutcome::Ok),
            seen(CallKind::Tool, Some("uuid"), "add", CallOutcome::InsufficientScope),
        ]
    );
    // The call says it; it is not told twice.
    assert!(records.iter().all(|record| refusal(record).is_none()), "{records:?}");
    fixture.close().await;
}

#[tokio::test]
async fn no_and_the_end_of_what_was_allowed_are_recorded() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let stranger = fixture.client("/mcp").await;
    let page = stranger.begin(&browser, &stranger.authorization()).await.page().expect(200);
    page.form("/auth/consent").submit([("decision", "deny")]).await.returned();
    // A refresh token that was used long ago, and one that is none.
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.clock.advance(std::time::Duration::from_secs(24 * 3600));
    assert_eq!(client.refresh(tokens.refresh()).await.status, 400);
    let records = records(&fixture, "the refusal is recorded", |record| {
        refusal(record) == Some(RefusalReason::TokenRequestRefused)
    })
    .await;
    let denied = records
        .iter()
        .find(|record| refusal(record) == Some(RefusalReason::ConsentDenied))
        .unwrap();
    assert_eq!(denied.person.user.as_deref(), Some(fixture.user("alice").as_str()));
    only(&records, "refresh_reused");
    fixture.close().await;
}

/// A call that a rule does not allow is answered like one of something that is not there. The
/// record says which it was.
#[tokio::test]
async fn t32_what_access_rules_refuse_is_recorded_as_that() {
    let patterns = |text: &str| vec![Pattern::parse(text).unwrap()];
    let rule = AccessRule {
        name: "echo".to_owned(),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect: Effect::Allow,
        mode: Mode::Enforce,
        when: When::default(),
        who: Who { groups: vec!["engineering".to_owned()], ..Who::default() },
        what: What { servers: patterns("uuid"), tools: patterns("echo"), ..What::default() },
    };
    let access = Arc::new(Policy::new(vec![rule], Vec::new()).unwrap());
    let fixture = GatewayFixture::of(Setup { access, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "a"})).await, "a");
    for name in ["uuid_fail", "dice_roll", "nothing_at_all"] {
        mcp.call(name, json!({})).await;
    }
    mcp.request("prompts/get", json!({"name": "uuid_plain"})).await;
    let of_uuid = fixture.at("/mcp?server_name=uuid");
    let of_uuid = McpClient::connect(&browser, &of_uuid, &tokens.access).await;
    of_uuid.call("fail", json!({})).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let ask = |path: &str, token: &str| {
        browser.send(Request::json(&fixture.at(path), &ping).without_cookies().bearer(token))
    };
    assert_eq!(ask("/mcp?server_name=dice", &tokens.access).await.status, 404);
    let (_, _, of_dice) = fixture.connect("/mcp/dice").await;
    assert_eq!(ask("/mcp/dice", &of_dice.access).await.status, 404);

    let records = records(&fixture, "the refusals are recorded", |record| {
        matches!(&record.event, Event::Refused { about: Some(about), .. } if about.ends_with("/mcp/dice"))
    })
    .await;
    assert_eq!(
        calls(&records),
        [
            seen(CallKind::Tool, Some("uuid"), "echo", CallOutcome::Ok),
            seen(CallKind::Tool, Some("uuid"), "fail", CallOutcome::PolicyRefused),
            seen(CallKind::Tool, Some("dice"), "roll", CallOutcome::PolicyRefused),
            seen(CallKind::Tool, None, "nothing_at_all", CallOutcome::Refused),
            seen(CallKind::Prompt, Some("uuid"), "plain", CallOutcome::PolicyRefused),
            seen(CallKind::Tool, Some("uuid"), "fail", CallOutcome::PolicyRefused),
        ]
    );
    let refusals: Vec<_> = records.iter().filter_map(refusal).collect();
    assert_eq!(refusals, [RefusalReason::PolicyRefused; 2]);
    fixture.close().await;
}

#[tokio::test]
async fn a_proxied_request_whose_client_hangs_up_is_recorded() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Url::parse(&format!("http://{}/", silent.local_addr().unwrap())).unwrap();
    let fixture = GatewayFixture::of(Setup {
        proxies: vec![ProxyRoute::new("/mcp/legacy/", target)],
        ..Setup::default()
    })
    .await;
    let (_client, browser, tokens) = fixture.connect("/mcp/legacy/mcp").await;
    let request = Request::get(&fixture.at("/mcp/legacy/wait")).without_cookies();
    let _open = tokio::select! {
        accepted = silent.accept() => accepted.unwrap(),
        _ = browser.send(request.bearer(&tokens.access)) => panic!("nobody has answered"),
    };
    let records = records(&fixture, "it is recorded", |record| record.event.word() == "call").await;
    let expected = seen(CallKind::Proxy, Some("/mcp/legacy/"), "GET", CallOutcome::Cancelled);
    assert_eq!(calls(&records), [expected]);
    fixture.close().await;
}
