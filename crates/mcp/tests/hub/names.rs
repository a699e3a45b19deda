//! Names on the merged endpoint, and the servers they lead to.

use std::sync::{Arc, atomic::Ordering};

use portunus_core::{access::ToolHints, ids::ServerName};
use portunus_mcp::{
    allow::{Allow, CalledWith, Verdict},
    hub::{HubSettings, Names, View},
};
use portunus_testkit::log::Log;
use serde_json::json;

use super::{
    client::{Client, hub},
    fake::{Fakes, Script},
};

#[tokio::test]
async fn the_longest_server_name_that_has_the_tool_wins() {
    let fakes = Fakes::new(vec![
        Script::new("a").tools(&["b_c", "b_x", "y"]),
        Script::new("a_b").tools(&["c", "d"]),
    ]);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    assert_eq!(
        client.tools().await,
        ["a_b_x", "a_y", "a_b_c", "a_b_d"],
        "each name once, each name callable"
    );
    for (full, server, own) in
        [("a_b_c", "a_b", "c"), ("a_b_d", "a_b", "d"), ("a_b_x", "a", "b_x"), ("a_y", "a", "y")]
    {
        let answer = client.call(full).await;
        assert_eq!(
            (&answer["by"], &answer["params"]["name"]),
            (&json!(server), &json!(own)),
            "{full}"
        );
    }
}

#[tokio::test]
async fn t45_no_server_steps_into_the_place_of_one_that_is_down() {
    let fakes =
        Fakes::new(vec![Script::new("a").tools(&["b_c", "y"]), Script::new("a_b").tools(&["c"])]);
    fakes.script("a_b").down.store(true, Ordering::SeqCst);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    assert_eq!(client.tools().await, ["a_y"]);
    let (_, message) = client.error("tools/call", json!({ "name": "a_b_c" })).await;
    assert!(message.starts_with(r#"server "a_b""#), "{message}");
    assert!(fakes.script("a").heard("tools/call").is_empty());
}

#[tokio::test]
async fn unknown_names_are_refused_before_any_server_is_asked() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    for bad in ["roll", "dice_", "dice", "dice_rol", "uuid_make", ""] {
        let (code, message) = client.error("tools/call", json!({ "name": bad })).await;
        assert_eq!((code, message), (-32602, format!("Unknown tool: {bad}")));
    }
    assert!(fakes.script("dice").heard("tools/call").is_empty());
}

#[tokio::test]
async fn prompts_and_their_completion_are_routed_by_name() {
    let prompts = |text: &str| Script::new(text).with("prompts/list", &[r#"{"name":"greet"}"#]);
    let fakes = Fakes::new(vec![prompts("one"), prompts("two")]);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    assert_eq!(client.names("prompts/list", "prompts", "name").await, ["one_greet", "two_greet"]);
    let answer = client.result("prompts/get", json!({ "name": "two_greet" })).await;
    assert_eq!((&answer["by"], &answer["params"]["name"]), (&json!("two"), &json!("greet")));
    let raw = client
        .raw(
            "completion/complete",
            r#"{"ref": {"name":"two_greet","type":"ref/prompt"}, "argument":{"n":1.0}}"#,
        )
        .await;
    assert!(
        raw.contains(r#""by":"two""#)
            && raw
                .contains(r#"{"ref": {"name":"greet","type":"ref/prompt"}, "argument":{"n":1.0}}"#)
    );
    assert_eq!(
        client
            .error("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "x"}}))
            .await
            .0,
        -32602
    );
    assert_eq!(
        client.error("completion/complete", json!({"ref": {"type": "other"}})).await.0,
        -32602
    );
}

fn plain() -> (Arc<Fakes>, HubSettings) {
    let fakes = Fakes::new(vec![
        Script::new("one").tools(&["same", "first"]),
        Script::new("two").tools(&["second", "same"]),
    ]);
    (fakes, HubSettings { names: Names::Plain, ..HubSettings::default() })
}

#[tokio::test]
async fn t45_plain_names_reach_their_server_and_a_clash_has_no_winner() {
    let (fakes, settings) = plain();
    let client = Client::all(&hub(&fakes, settings), "alice").await;
    let list = client.result("tools/list", json!({})).await;
    let tools = list["tools"].as_array().unwrap();
    assert_eq!(
        tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["same", "first", "second"]
    );
    let told = tools[0]["description"].as_str().unwrap();
    assert!(told.contains("one, two") && tools[0]["inputSchema"]["type"] == "object", "{told}");
    assert_eq!(client.call("second").await["by"], "two");
    let (code, message) = client.error("tools/call", json!({ "name": "same" })).await;
    assert_eq!((code, message.contains("one, two")), (-32602, true));
    assert!(fakes.script("one").heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_plain_name_that_a_server_that_is_down_may_have() {
    let (fakes, settings) = plain();
    fakes.script("two").down.store(true, Ordering::SeqCst);
    let client = Client::all(&hub(&fakes, settings), "alice").await;
    let (code, message) = client.error("tools/call", json!({ "name": "second" })).await;
    assert_eq!((code, message.as_str()), (-32602, "Unknown tool: second (not available now: two)"));
}

#[tokio::test]
async fn a_plain_name_that_policy_leaves_to_one_server_is_no_clash() {
    struct NotTwo;
    impl Allow for NotTwo {
        fn server(&self, _: &ServerName) -> Verdict {
            Verdict::Allowed
        }
        fn tool(
            &self,
            server: &ServerName,
            name: &str,
            _: ToolHints,
            _: CalledWith<'_>,
        ) -> Verdict {
            (server.as_str() == "one" || name != "same").into()
        }
        fn prompt(&self, _: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
            Verdict::Allowed
        }
        fn resource(&self, _: &ServerName, _: &str) -> Verdict {
            Verdict::Allowed
        }
        fn method(&self, _: &ServerName, _: &str) -> Verdict {
            Verdict::Allowed
        }
    }
    let (fakes, settings) = plain();
    let client = Client::allowed(&hub(&fakes, settings), View::All, NotTwo).await;
    assert_eq!(client.tools().await, ["same", "first", "second"]);
    assert_eq!(client.call("same").await["by"], "one");
}

#[tokio::test]
async fn fb40_names_that_clients_refuse_are_told_of_once() {
    let log = Log::capture();
    let lengthy = "x".repeat(60);
    let fakes = Fakes::new(vec![
        Script::new("dice").tools(&["roll", &lengthy, "a.b"]),
        Script::new("fine").tools(&["ok"]),
    ]);
    let hub = hub(&fakes, HubSettings::default());
    let lines = || {
        log.text()
            .lines()
            .filter(|line| line.contains("clients may refuse names"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(lines().is_empty());
    for user in ["alice", "bob"] {
        assert_eq!(
            Client::all(&hub, user).await.tools().await.len(),
            4,
            "they are listed all the same"
        );
    }
    let lines = lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in
        [&format!("dice_{lengthy} dice_a.b")[..], "65 characters", "\"count\":2", "names: plain"]
    {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
}
