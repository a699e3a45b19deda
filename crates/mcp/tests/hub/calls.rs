//! Requests on their way: bytes, progress, cancellation, servers that fail.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::StatusCode;
use insta::assert_snapshot;
use portunus_mcp::hub::{HubSettings, View};
use portunus_testkit::wait::eventually;
use serde_json::json;

use super::{
    client::{Client, Events, caller, hub, initialize, text},
    fake::{Fakes, Script, name},
    modern::Modern,
};

/// Numbers, escapes, unknown members, white space and key order that a re-serialiser would not
/// leave alone.
const ODD: &str =
    r#""z": 1.0e5 ,"a":[-0.0, 1E+2,12345678901234567890123],"t":"\u00e9\/","_meta":{"x":  null}"#;

fn two() -> Arc<Fakes> {
    Fakes::new(vec![
        Script::new("dice").tools(&["roll", "progress", "wait", "log", "fail"]),
        Script::new("uuid").tools(&["make"]),
    ])
}

#[tokio::test]
async fn payloads_pass_unchanged_through_one_server() {
    let client = Client::one(&hub(&two(), HubSettings::default()), "alice", "dice").await;
    for method in ["tools/call", "vendor/unheard-of", "tasks/get", "prompts/get"] {
        let params = format!(r#"{{ "name":"roll",{ODD} }}"#);
        let answer = client.raw(method, &params).await;
        let expected =
            format!(r#""result":{{"by":"dice", "method":"{method}","params":{params}}}}}"#);
        assert!(answer.ends_with(&expected), "{answer}");
    }
    let params = format!(r#"{{"name":5,{ODD}}}"#);
    assert!(
        client.raw("vendor/with-another-name", &params).await.contains(&params),
        "members of unknown methods are not ours"
    );
}

#[tokio::test]
async fn on_the_merged_endpoint_only_the_name_changes() {
    let client = Client::all(&hub(&two(), HubSettings::default()), "alice").await;
    let answer = client.raw("tools/call", &format!(r#"{{ "name" : "dice_roll",{ODD} }}"#)).await;
    let expected = format!(
        r#""result":{{"by":"dice", "method":"tools/call","params":{{ "name" : "roll",{ODD} }}}}}}"#
    );
    assert!(answer.ends_with(&expected), "{answer}");
    assert_snapshot!(client.raw("tools/call", r#"{"name":"dice_fail"}"#).await, @r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32050,"message":"no","data":{"n":1.0}}}"#);
}

#[tokio::test]
async fn handshakes_tell_of_the_server_itself_or_of_all() {
    let mut dice = Script::new("dice").tools(&["roll"]);
    dice.instructions = Some("Roll fairly.".to_owned());
    dice.capabilities = r#"{"tools":{"x":1.0}}"#.to_owned();
    let fakes = Fakes::new(vec![dice, Script::new("uuid")]);
    let hub = hub(&fakes, HubSettings::default());

    let version = env!("CARGO_PKG_VERSION");
    let all = async || {
        let hello = Client::all(&hub, "alice").await.hello["result"].to_string();
        hello.replace(version, "{version}")
    };
    assert_snapshot!(all().await, @r###"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}},"serverInfo":{"name":"portunus","title":"Portunus","version":"{version}"},"instructions":"## dice\nRoll fairly."}"###);

    let raw = text(initialize(&hub, &caller("alice", View::One(name("dice"))), "2025-11-25").await);
    assert_snapshot!(raw, @r#"{"jsonrpc":"2.0","id":0,"result":{"x-extra":[1.50, "\u00e9"],"protocolVersion":"2025-11-25","capabilities":{"tools":{"x":1.0}},"serverInfo":{"name":"dice-itself","version":"9"},"instructions":"Roll fairly."}}"#);
    assert_snapshot!(all().await, @r###"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}},"serverInfo":{"name":"portunus","title":"Portunus","version":"{version}"},"instructions":"## dice\nRoll fairly."}"###);
}

#[tokio::test]
async fn the_first_client_after_a_start_is_told_the_same_as_the_second() {
    let script = |name: &str| {
        let mut script = Script::new(name).tools(&["x"]).declaring(r#"{"tools":{},"logging":{}}"#);
        script.instructions = Some(format!("About {name}."));
        script
    };
    let fakes = Fakes::new(vec![script("dice"), script("dead"), script("uuid")]);
    fakes.script("dead").down.store(true, Ordering::SeqCst);
    let legacy = hub(&fakes, HubSettings::default());
    let told =
        [Client::all(&legacy, "alice").await.hello, Client::all(&legacy, "alice").await.hello];
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0]["result"]["instructions"], "## dice\nAbout dice.\n\n## uuid\nAbout uuid.");
    let modern = Modern::all(&hub(&fakes, HubSettings::default()), "alice");
    let discover = async || modern.result("server/discover", json!({})).await;
    let first = discover().await;
    assert_eq!(first, discover().await);
    assert_snapshot!(first.to_string().replace(env!("CARGO_PKG_VERSION"), "{version}"), @r###"{"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{}}},"instructions":"## dice\nAbout dice.\n\n## uuid\nAbout uuid.","resultType":"complete","ttlMs":60000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"portunus","title":"Portunus","version":"{version}"}}}"###);
}

#[tokio::test]
async fn a_server_that_takes_long_holds_up_one_greeting_for_so_long_and_no_other() {
    let fakes =
        Fakes::new(vec![Script::new("slow").tools(&["x"]), Script::new("dice").tools(&["roll"])]);
    fakes.script("slow").hangs.store(true, Ordering::SeqCst);
    let settings =
        HubSettings { greeting_deadline: Duration::from_millis(200), ..HubSettings::default() };
    let hub = hub(&fakes, settings);
    let connects = || fakes.script("slow").connects.load(Ordering::SeqCst);
    let client = Client::all(&hub, "alice").await;
    assert_eq!(
        (client.hello["result"]["serverInfo"]["name"].as_str(), connects()),
        (Some("portunus"), 1)
    );
    for user in ["alice", "bob"] {
        Client::all(&hub, user).await;
    }
    assert_eq!(connects(), 1, "nobody waits for it again");
}

#[tokio::test]
async fn progress_comes_under_the_clients_own_token() {
    let hub = hub(&two(), HubSettings::default());
    for (client, tool) in [
        (Client::one(&hub, "alice", "dice").await, "progress"),
        (Client::all(&hub, "alice").await, "dice_progress"),
    ] {
        for token in [r#""mine-\u0061""#, "1234567890123"] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":"p","method":"tools/call","params":{{"name":"{tool}","_meta":{{"progressToken":{token}}}}}}}"#
            );
            let mut events = Events::of(client.post(&body).await);
            for n in 1..=2 {
                let expected = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":{n}.0, "progressToken":{token},"message":"\u00e9"}}}}"#
                );
                assert_eq!(events.next().await.unwrap(), expected);
            }
            assert!(
                events.next().await.unwrap().starts_with(r#"{"jsonrpc":"2.0","id":"p","result":"#)
            );
            assert_eq!(events.next().await, None);
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_server_and_has_no_response() {
    let fakes = two();
    let hub = hub(&fakes, HubSettings::default());
    let client = Arc::new(Client::all(&hub, "alice").await);
    let other = Client::all(&hub, "alice").await;
    let waiting = tokio::spawn({
        let client = Arc::clone(&client);
        async move {
            client.post(r#"{"jsonrpc":"2.0","id":"w","method":"tools/call","params":{"name":"dice_wait"}}"#).await
        }
    });
    eventually("the call arrives", async || !fakes.script("dice").heard("tools/call").is_empty())
        .await;
    let again = client
        .post(r#"{"jsonrpc":"2.0","id":"w","method":"tools/call","params":{"name":"dice_roll"}}"#)
        .await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "the id is taken");
    other.notify("notifications/cancelled", r#"{"requestId":"w"}"#).await;
    client.notify("notifications/cancelled", r#"{"requestId":"other"}"#).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        fakes.script("dice").cancelled.load(Ordering::SeqCst),
        0,
        "not by another session, not by another id"
    );
    client.notify("notifications/cancelled", r#"{"requestId":"w","reason":"enough"}"#).await;
    let mut events = Events::of(waiting.await.unwrap());
    assert_eq!(events.next().await, None);
    assert_eq!(fakes.script("dice").cancelled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_broken_connection_cancels_nothing() {
    let fakes = two();
    let client = Arc::new(Client::one(&hub(&fakes, HubSettings::default()), "alice", "dice").await);
    let waiting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.call("wait").await }
    });
    eventually("the call arrives", async || !fakes.script("dice").heard("tools/call").is_empty())
        .await;
    waiting.abort();
    let _ = waiting.await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fakes.script("dice").cancelled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_long_call_turns_into_a_stream_that_is_kept_alive() {
    let fakes = two();
    let settings = HubSettings { keep_alive: Duration::from_millis(20), ..HubSettings::default() };
    let client = Client::one(&hub(&fakes, settings), "alice", "dice").await;
    let answer = client
        .post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}"#)
        .await;
    let mut events = Events::of(answer);
    assert_eq!(futures::StreamExt::next(&mut events.stream).await.unwrap(), ": keep-alive\n\n");
    fakes.script("dice").go_on.notify_one();
    assert!(events.next().await.unwrap().contains(r#""id":1,"result""#));
}

#[tokio::test]
async fn a_server_that_is_down_is_named_and_nothing_more_is_told() {
    let fakes = two();
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::all(&hub, "alice").await;
    let one = Client::one(&hub, "alice", "dice").await;
    client.call("dice_roll").await;
    fakes.script("dice").down.store(true, Ordering::SeqCst);
    fakes.breaks("dice");
    for (client, tool) in [(&client, "dice_roll"), (&one, "roll")] {
        let (code, message) = client.error("tools/call", json!({ "name": tool })).await;
        assert_eq!(
            (code, message.as_str()),
            (-32603, r#"server "dice": the server's program could not be started"#)
        );
    }
    client.call("uuid_make").await;

    let answer = initialize(&hub, &caller("bob", View::One(name("dice"))), "2025-06-18").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key("mcp-session-id"), "no session came of it");
    assert_snapshot!(text(answer), @r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"server \"dice\": the server's program could not be started","data":{"server":"dice"}}}"#);

    fakes.script("dice").down.store(false, Ordering::SeqCst);
    client.call("dice_roll").await;
    one.call("roll").await;
}

#[tokio::test]
async fn unknown_methods_are_refused_on_the_merged_endpoint() {
    let client = Client::all(&hub(&two(), HubSettings::default()), "alice").await;
    let (code, message) = client.error("vendor/unheard-of", json!({})).await;
    assert_eq!((code, message.as_str()), (-32601, "Method not found: vendor/unheard-of"));
    assert_eq!(client.error("tools/call", json!({})).await.0, -32602);
}

/// In that era these members mean nothing.
#[tokio::test]
async fn fb86_what_a_legacy_result_has_beside_its_own_is_passed_on() {
    let hub =
        hub(&Fakes::new(vec![Script::new("dice").tools(&["odd_result"])]), HubSettings::default());
    let legacy = Client::all(&hub, "alice").await;
    assert_snapshot!(legacy.call("dice_odd_result").await, @r#"{"content":[],"inputRequests":{"a":{"method":"roots/list"}},"resultType":"input_required","requestState":"x"}"#);
    let modern = Modern::all(&hub, "alice");
    // It has nothing to come back with.
    assert_snapshot!(modern.raw("tools/call", json!({"name": "dice_odd_result"})).await, @r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"inputRequests":{"a":{"method":"roots/list"}},"resultType":"complete","requestState":"x","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"dice-itself","version":"9"}}}}"#);
}
