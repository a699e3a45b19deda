//! What servers tell of tasks, and who hears it.

use portunus_mcp::hub::HubSettings;
use portunus_testkit::wait::eventually;
use serde_json::{Value, json};

use super::{
    client::{Client, hub},
    fake::{Fakes, Script},
    modern::Modern,
    tasks::{job, modern_servers},
};

fn state(id: &str) -> String {
    format!(r#"{{"taskId":"{id}", "status":"completed","n":1.0}}"#)
}

#[tokio::test]
async fn a_task_is_heard_of_by_whoever_listens_to_it() {
    let fakes = modern_servers();
    let hub = hub(&fakes, HubSettings::default());
    let (client, neighbour) = (Modern::all(&hub, "alice"), Modern::all(&hub, "alice"));
    job(&client, "one", "a").await;
    job(&client, "two", "b").await;
    let (mut events, agreed) = client.listen(json!({"taskIds": ["a", "nobody's"]})).await;
    assert_eq!(agreed, json!({"taskIds": ["a"]}), "what cannot be found is left out");
    let (mut quiet, _) =
        neighbour.listen(json!({"taskIds": ["b"], "toolsListChanged": true})).await;
    assert_eq!(fakes.script("one").heard("follow"), ["a"]);
    fakes.says("one", "notifications/tasks", Some(&state("b")));
    fakes.says("one", "notifications/tasks", Some(&state("a")));
    let heard = events.next().await.unwrap();
    assert!(
        heard.contains(r#""params":{"taskId":"a", "status":"completed","n":1.0,"_meta":"#),
        "{heard}"
    );
    assert!(quiet.is_silent().await, "not even of an id of its own that another server uses");
    drop(events);
    eventually("the task is left", async || fakes.script("one").heard("leave") == ["a"]).await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_asked_to_tell_again() {
    let fakes = modern_servers();
    let client = Modern::all(&hub(&fakes, HubSettings::default()), "alice");
    job(&client, "one", "a").await;
    let (_events, _) = client.listen(json!({"taskIds": ["a"]})).await;
    fakes.breaks("one");
    let _ = client.error("tasks/get", json!({"taskId": "a"})).await;
    eventually("the task is followed again", async || {
        fakes.script("one").heard("follow").len() == 2
    })
    .await;
}

#[tokio::test]
async fn listening_to_tasks_is_for_clients_that_follow_them() {
    let fakes = modern_servers();
    let mut client = Modern::all(&hub(&fakes, HubSettings::default()), "alice");
    client.capabilities = json!({});
    let (code, _) =
        client.error("subscriptions/listen", json!({"notifications": {"taskIds": ["a"]}})).await;
    assert_eq!(code, -32021);
    let (code, _) =
        client.error("subscriptions/listen", json!({"notifications": {"taskIds": "a"}})).await;
    assert_eq!(code, -32602);
}

#[tokio::test]
async fn the_session_that_made_a_task_hears_its_status() {
    let core = r#"{"tools":{},"tasks":{}}"#;
    let fakes = Fakes::new(vec![
        Script::new("one").tools(&["job"]).declaring(core),
        Script::new("two").tools(&["job"]).declaring(core),
    ]);
    let hub = hub(&fakes, HubSettings::default());
    let (client, neighbour) = (Client::all(&hub, "alice").await, Client::all(&hub, "alice").await);
    let mut streams = (client.listen().await, neighbour.listen().await);
    client
        .result("tools/call", json!({"name": "one_job", "arguments": {"id": "a"}, "task": {}}))
        .await;
    neighbour.tools().await;
    fakes.says("two", "notifications/tasks/status", Some(&state("a")));
    fakes.says("one", "notifications/tasks/status", Some(&state("other")));
    fakes.says("one", "notifications/tasks/status", Some(&state("a")));
    let heard: Value = serde_json::from_str(&streams.0.next().await.unwrap()).unwrap();
    assert_eq!(
        (&heard["method"], &heard["params"]["taskId"]),
        (&json!("notifications/tasks/status"), &json!("a"))
    );
    assert!(streams.0.is_silent().await && streams.1.is_silent().await);
    // A session that asks about the task takes it over.
    neighbour.result("tasks/get", json!({"taskId": "a"})).await;
    fakes.says("one", "notifications/tasks/status", Some(&state("a")));
    assert!(streams.1.next().await.unwrap().contains("tasks/status"));
    assert!(streams.0.is_silent().await);
}
