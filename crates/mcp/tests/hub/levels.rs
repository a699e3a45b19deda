//! What is heard of a server's log lines (FB84) and of its lists (FB42) is what a client without a
//! gateway hears, and nothing outlives its session.

use http::StatusCode;
use portunus_mcp::{
    hub::{HubSettings, View},
    spec::Isolation,
};
use serde_json::{Value, json};

use super::{
    client::{Client, caller, hub, until},
    fake::{Fakes, Script, name},
    modern::Modern,
};

async fn leave(client: &Client) {
    let answer = client.hub.delete(client.caller.clone(), &client.headers()).await;
    assert!(answer.status.is_success(), "{}", answer.status);
}

fn level(of: &str) -> Value {
    json!({ "level": of })
}

#[tokio::test]
async fn fb84_a_level_goes_with_the_session_that_set_it() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let hub = hub(&fakes, HubSettings::default());
    let server = fakes.script("dice");
    let client = Client::one(&hub, "alice", "dice").await;
    client.call("roll").await;
    leave(&client).await;
    assert!(server.heard("ended").is_empty(), "nothing was set");
    let client = Client::one(&hub, "alice", "dice").await;
    client.result("logging/setLevel", level("error")).await;
    leave(&client).await;
    until("who comes next begins anew", || server.heard("ended").len() == 1).await;
}

/// A server that no session can have told of a level is not begun anew, and neither is a child that
/// works on a task.
#[tokio::test]
async fn fb84_a_server_that_everybody_shares_stays_and_so_does_one_that_works_on_a_task() {
    let tasks = r#"{"tools":{},"logging":{},"tasks":{"requests":{"tools":{"call":{}}}}}"#;
    for (script, tool) in [
        (Script::new("dice").tools(&["roll"]).isolated(Isolation::Shared), "roll"),
        (Script::new("dice").tools(&["job"]).declaring(tasks), "job"),
    ] {
        let fakes = Fakes::new(vec![script]);
        let hub = hub(&fakes, HubSettings::default());
        let (client, other) =
            (Client::one(&hub, "alice", "dice").await, Client::one(&hub, "bob", "dice").await);
        client.result("logging/setLevel", level("error")).await;
        let call = json!({ "name": tool, "arguments": { "id": "a" }, "task": {} });
        client.result("tools/call", call.clone()).await;
        leave(&client).await;
        other.result("tools/call", call).await;
        // Whatever comes of the end of a session has come: the next one is greeted after it.
        Client::one(&hub, "carol", "dice").await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(fakes.script("dice").heard("ended").is_empty(), "{tool}");
    }
}

#[tokio::test]
async fn fb84_who_sets_no_level_beside_one_that_does_hears_everything() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let hub = hub(&fakes, HubSettings::default());
    let server = fakes.script("dice");
    let quiet = Client::one(&hub, "alice", "dice").await;
    quiet.result("logging/setLevel", level("error")).await;
    assert_eq!(server.heard("logging/setLevel"), [r#"{"level":"error"}"#]);
    let plain = Client::one(&hub, "alice", "dice").await;
    plain.call("roll").await;
    assert_eq!(
        server.heard("logging/setLevel")[1..],
        [r#"{"level":"debug"}"#],
        "as soon as it uses the same connection"
    );
    let mut streams = (quiet.listen().await, plain.listen().await);
    fakes.says("dice", "notifications/message", Some(r#"{"level":"info","data":1}"#));
    assert!(streams.1.next().await.unwrap().contains(r#""data":1"#));
    assert!(streams.0.is_silent().await, "its own level holds");
    drop(streams);
    let loud = Client::one(&hub, "alice", "dice").await;
    loud.result("logging/setLevel", level("warning")).await;
    assert_eq!(
        server.heard("logging/setLevel").last().unwrap(),
        r#"{"level":"debug"}"#,
        "one of them still has none"
    );
    leave(&plain).await;
    leave(&quiet).await;
    until("those who are left decide", || {
        server.heard("logging/setLevel").last().unwrap() == r#"{"level":"warning"}"#
    })
    .await;
    assert!(server.heard("ended").is_empty());
    leave(&loud).await;
    until("nobody is left", || server.heard("ended").len() == 1).await;
}

#[tokio::test]
async fn fb84_a_legacy_client_that_sets_no_level_hears_what_a_modern_server_says_by_default() {
    for (declared, told) in
        [(r#"{"tools":{},"logging":{}}"#, Some("info")), (r#"{"tools":{}}"#, None)]
    {
        let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"]).modern(declared)]);
        let hub = hub(&fakes, HubSettings::default());
        let client = Client::one(&hub, "alice", "dice").await;
        client.call("roll").await;
        let wanted = |heard: &str| -> Value {
            serde_json::from_str::<Value>(heard).unwrap()["_meta"]["io.modelcontextprotocol/logLevel"].clone()
        };
        assert_eq!(wanted(&fakes.script("dice").heard("tools/call")[0]), json!(told), "{declared}");
        if told.is_some() {
            client.result("logging/setLevel", level("error")).await;
            client.call("roll").await;
            assert_eq!(wanted(&fakes.script("dice").heard("tools/call")[1]), "error");
        }
    }
}

/// Servers announce changes of lists that they have not declared: a client without a gateway hears
/// of them.
#[tokio::test]
async fn fb42_a_modern_client_hears_of_changes_that_were_not_declared() {
    let declared =
        r#"{"tools":{},"prompts":{"listChanged":true},"resources":{"listChanged":false}}"#;
    for script in [Script::new("dice").declaring(declared), Script::new("dice").modern(declared)] {
        let fakes = Fakes::new(vec![script.tools(&["roll"])]);
        let hub = hub(&fakes, HubSettings::default());
        let mut client = Modern::all(&hub, "alice");
        client.caller = caller("alice", View::One(name("dice")));
        let wanted = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
        let (mut events, agreed) = client.listen(wanted).await;
        assert_eq!(
            agreed,
            json!({ "promptsListChanged": true }),
            "only what was declared is promised"
        );
        assert_eq!(
            fakes.script("dice").heard("follow lists"),
            ["toolsListChanged resourcesListChanged"]
        );
        for list in ["tools", "prompts", "resources"] {
            let method = format!("notifications/{list}/list_changed");
            fakes.says("dice", &method, None);
            assert!(events.next().await.unwrap().contains(&method));
        }
        let (mut events, _) = client.listen(json!({ "promptsListChanged": true })).await;
        fakes.says("dice", "notifications/tools/list_changed", None);
        assert!(events.is_silent().await, "it wants to hear of prompts");
        assert_eq!(
            client.post("ping", json!({})).await.status,
            StatusCode::NOT_FOUND,
            "and is of the modern era"
        );
    }
}
