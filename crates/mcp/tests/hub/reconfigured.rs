//! New servers for a hub that runs: who notices, and what stays.

use std::time::Duration;

use http::StatusCode;
use portunus_mcp::{
    hub::{HubSettings, Names},
    spec::ServerSpec,
};
use serde_json::json;

use super::{
    client::{Client, Events, hub, until},
    fake::{Fakes, Script},
};

fn three() -> std::sync::Arc<Fakes> {
    Fakes::new(["dice", "uuid", "news"].map(|server| Script::new(server).tools(&["one"])).into())
}

fn only(fakes: &Fakes, names: &[&str]) -> Vec<ServerSpec> {
    let specs = fakes.specs();
    names
        .iter()
        .map(|&wanted| specs.iter().find(|spec| spec.name.as_str() == wanted).unwrap().clone())
        .collect()
}

/// The lists that the stream says have changed.
async fn changes(stream: &mut Events) -> Vec<String> {
    let mut changes = Vec::new();
    while let Ok(Some(event)) =
        tokio::time::timeout(Duration::from_millis(200), stream.next()).await
    {
        let event: serde_json::Value = serde_json::from_str(&event).unwrap();
        changes.push(event["method"].as_str().unwrap().to_owned());
    }
    changes
}

const ALL: [&str; 3] = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
];

#[tokio::test]
async fn servers_come_and_go_and_who_sees_them_is_told() {
    let fakes = three();
    let hub = hub(&fakes, HubSettings::default());
    hub.reconfigure(Names::Prefixed, only(&fakes, &["dice", "uuid"]));
    let (all, dice, uuid) = (
        Client::all(&hub, "alice").await,
        Client::one(&hub, "alice", "dice").await,
        Client::one(&hub, "bob", "uuid").await,
    );
    assert_eq!(all.tools().await, ["dice_one", "uuid_one"]);
    dice.call("one").await;
    let connects =
        |server: &str| fakes.script(server).connects.load(std::sync::atomic::Ordering::SeqCst);
    let listed = fakes.script("dice").heard("tools/list").len();
    let (mut all_stream, mut dice_stream, mut uuid_stream) =
        (all.listen().await, dice.listen().await, uuid.listen().await);

    hub.reconfigure(Names::Prefixed, only(&fakes, &["news", "dice"]));
    assert_eq!(changes(&mut all_stream).await, ALL);
    assert!(
        changes(&mut dice_stream).await.is_empty(),
        "the others' servers are none of its business"
    );
    assert_eq!(uuid_stream.next().await, None, "its server is gone, and with it the session");
    assert_eq!(
        uuid.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(all.tools().await, ["news_one", "dice_one"], "in the order of the configuration");
    assert_eq!(all.error("tools/call", json!({"name": "uuid_one"})).await.0, -32602);
    dice.call("one").await;
    assert_eq!(connects("dice"), 1, "what did not change stays as it is");
    assert_eq!(fakes.script("dice").heard("tools/list").len(), listed, "its list too");
    hub.reconfigure(Names::Prefixed, only(&fakes, &["news", "dice"]));
    assert!(changes(&mut all_stream).await.is_empty(), "nothing changed");
}

#[tokio::test]
async fn a_server_that_is_configured_otherwise_is_listed_and_subscribed_to_anew() {
    let fakes = three();
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::all(&hub, "alice").await;
    let mut stream = client.listen().await;
    assert_eq!(client.tools().await, ["dice_one", "uuid_one", "news_one"]);
    fakes.script("news").set("resources/list", &[r#"{"uri":"news://today","name":"today"}"#]);
    client.result("resources/subscribe", json!({"uri": "news://today"})).await;
    let mut specs = fakes.specs();
    specs[2].request_timeout += Duration::from_secs(1);
    fakes
        .script("news")
        .set("tools/list", &[r#"{"name":"other","inputSchema":{"type":"object"}}"#]);
    // As the pool does: a session that connects from now on gets another connection.
    fakes.breaks("news");
    hub.reconfigure(Names::Prefixed, specs);
    assert_eq!(changes(&mut stream).await, ALL);
    assert_eq!(client.tools().await, ["dice_one", "uuid_one", "news_other"]);
    until("the new connection is told", || {
        fakes.script("news").heard("resources/subscribe").len() == 2
    })
    .await;
}

#[tokio::test]
async fn names_can_become_plain() {
    let fakes = three();
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::all(&hub, "alice").await;
    let mut stream = client.listen().await;
    hub.reconfigure(Names::Plain, only(&fakes, &["dice"]));
    assert_eq!(changes(&mut stream).await, ALL);
    assert_eq!(client.tools().await, ["one"]);
    assert_eq!(client.call("one").await["by"], "dice");
}
