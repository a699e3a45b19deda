//! What servers tell of tasks, and who hears it.

use portunus_mcp::hub::HubSettings;
use serde_json::{Value, json};

use super::{
    client::{Client, hub},
    fake::{Fakes, Script},
};

fn state(id: &str) -> String {
    format!(r#"{{"taskId":"{id}", "status":"completed","n":1.0}}"#)
}

#[tokio::test]
async fn the_session_that_made_a_task_hears_its_status() {
    let core = r#"{"tools":{},"tasks":{}}"#;
    let fakes =
        Fakes::new(vec![Script::new("one").tools(&["job"]).declaring(core), Script::new("two").tools(&["job"]).declaring(core)]);
    let hub = hub(&fakes, HubSettings::default());
    let (client, neighbour) = (Client::all(&hub, "alice").await, Client::all(&hub, "alice").await);
    let mut streams = (client.listen().await, neighbour.listen().await);
    client.result("tools/call", json!({"name": "one_job", "arguments": {"id": "a"}, "task": {}})).await;
    neighbour.tools().await;
    fakes.says("two", "notifications/tasks/status", Some(&state("a")));
    fakes.says("one", "notifications/tasks/status", Some(&state("other")));
    fakes.says("one", "notifications/tasks/status", Some(&state("a")));
    let heard: Value = serde_json::from_str(&streams.0.next().await.unwrap()).unwrap();
    assert_eq!((&heard["method"], &heard["params"]["taskId"]), (&json!("notifications/tasks/status"), &json!("a")));
    assert!(streams.0.is_silent().await && streams.1.is_silent().await);
    // Whoever asks about the task takes it over.
    neighbour.result("tasks/get", json!({"taskId": "a"})).await;
    fakes.says("one", "notifications/tasks/status", Some(&state("a")));
    assert!(streams.1.next().await.unwrap().contains("tasks/status"));
    assert!(streams.0.is_silent().await);
}
