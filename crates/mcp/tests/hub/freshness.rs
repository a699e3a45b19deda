//! How long lists are kept, and for whom, when their servers say so (MCP 2026-07-28, caching).

use std::sync::{Arc, atomic::Ordering};

use portunus_mcp::{
    hub::{Hub, HubSettings, View},
    spec::Isolation,
};
use portunus_testkit::wait::eventually;
use serde_json::{Value, json};

use super::{
    client::{Client, caller, hub},
    fake::{Fakes, Script},
    modern::Modern,
};

const TOOLS: &str = r#"{"tools":{}}"#;

fn one(hints: &str) -> (Arc<Fakes>, Arc<Hub>) {
    let script = Script::new("dice").tools(&["roll"]).modern(TOOLS);
    script.hint(hints);
    let fakes = Fakes::new(vec![script]);
    let hub = hub(&fakes, HubSettings::default());
    (fakes, hub)
}

fn fetched(fakes: &Fakes, server: &str) -> usize {
    fakes.script(server).heard("tools/list").len()
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

async fn list(client: &Modern) -> Value {
    client.result("tools/list", json!({})).await
}

#[tokio::test]
async fn a_list_that_is_good_for_no_time_is_fetched_for_each_answer_and_for_no_call() {
    let (fakes, hub) = one(r#","ttlMs":0,"cacheScope":"private""#);
    let client = Modern::all(&hub, "alice");
    assert_eq!(names(&list(&client).await), ["dice_roll"]);
    fakes
        .script("dice")
        .set("tools/list", &[r#"{"name":"throw","inputSchema":{"type":"object"}}"#]);
    let now = list(&client).await;
    assert_eq!(
        (names(&now), &now["ttlMs"], &now["cacheScope"]),
        (vec!["dice_throw"], &json!(0), &json!("private"))
    );
    let before = fetched(&fakes, "dice");
    for _ in 0..3 {
        client.result("tools/call", json!({"name": "dice_throw"})).await;
    }
    assert_eq!(fetched(&fakes, "dice"), before);
    let tools = hub.tools(caller("alice", View::All)).await;
    assert_eq!(
        (tools.len(), fetched(&fakes, "dice")),
        (1, before + 1),
        "`GET /tools` shows lists too"
    );
    fakes.script("dice").down.store(true, Ordering::SeqCst);
    fakes.breaks("dice");
    assert_eq!(names(&list(&client).await), ["dice_throw"], "an old list is better than none");
}

#[tokio::test]
async fn a_list_is_kept_as_long_as_its_server_says_but_for_changes() {
    let (fakes, hub) = one(r#","ttlMs":3600000,"cacheScope":"public""#);
    let client = Modern::all(&hub, "alice");
    list(&client).await;
    fakes
        .script("dice")
        .set("tools/list", &[r#"{"name":"throw","inputSchema":{"type":"object"}}"#]);
    assert_eq!(names(&list(&client).await), ["dice_roll"]);
    fakes.says("dice", "notifications/tools/list_changed", None);
    eventually("the new list", async || names(&list(&client).await) == ["dice_throw"]).await;
    assert_eq!(fetched(&fakes, "dice"), 2);
}

#[tokio::test]
async fn the_merged_list_is_as_fresh_as_its_least_fresh_part() {
    let script = |name, hints: &str| {
        let script = Script::new(name).tools(&["x"]).modern(TOOLS);
        script.hint(hints);
        script
    };
    let fakes = Fakes::new(vec![
        script("long", r#","ttlMs":3600000,"cacheScope":"public""#),
        script("short", r#","ttlMs":30000,"cacheScope":"public""#),
        Script::new("legacy").tools(&["x"]),
    ]);
    let client = Modern::all(&hub(&fakes, HubSettings::default()), "alice");
    let ttl = async || list(&client).await["ttlMs"].as_u64().unwrap();
    let first = ttl().await;
    assert!((1..=30_000).contains(&first), "{first}");
    fakes.script("short").hint(r#","ttlMs":3600000"#);
    fakes.says("short", "notifications/tools/list_changed", None);
    eventually("the new list", async || ttl().await > 30_000).await;
    assert_eq!(ttl().await, 60_000, "no longer than what the gateway itself adds");
    let shown = list(&client).await;
    assert_eq!(shown["cacheScope"], "private", "who may see what is decided for each person");
    let legacy = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    let shown = legacy.result("tools/list", json!({})).await;
    assert!(shown.get("ttlMs").is_none() && shown.get("cacheScope").is_none(), "{shown}");
}

#[tokio::test]
async fn a_list_without_one_of_its_parts_is_not_fresh() {
    let fakes =
        Fakes::new(vec![Script::new("dead").tools(&["x"]), Script::new("dice").tools(&["roll"])]);
    fakes.script("dead").down.store(true, Ordering::SeqCst);
    let client = Modern::all(&hub(&fakes, HubSettings::default()), "alice");
    let shown = list(&client).await;
    assert_eq!((names(&shown), &shown["ttlMs"]), (vec!["dice_roll"], &json!(0)));
}

#[tokio::test]
async fn t37_a_private_list_of_a_shared_server_is_shown_to_nobody_else() {
    let shared = |hints: &str| {
        let script =
            Script::new("dice").tools(&["of_alice"]).modern(TOOLS).isolated(Isolation::Shared);
        script.hint(hints);
        let fakes = Fakes::new(vec![script]);
        let hub = hub(&fakes, HubSettings::default());
        (fakes, hub)
    };
    let (fakes, gateway) = shared(r#","ttlMs":3600000,"cacheScope":"private""#);
    let (alice, bob) = (Modern::all(&gateway, "alice"), Modern::all(&gateway, "bob"));
    assert_eq!(names(&list(&alice).await), ["dice_of_alice"]);
    fakes
        .script("dice")
        .set("tools/list", &[r#"{"name":"of_bob","inputSchema":{"type":"object"}}"#]);
    assert_eq!(names(&list(&bob).await), ["dice_of_bob"]);
    assert_eq!(names(&list(&alice).await), ["dice_of_alice"]);
    assert_eq!(fetched(&fakes, "dice"), 2, "each has one that is kept");
    fakes.says("dice", "notifications/tools/list_changed", None);
    fakes.script("dice").set("tools/list", &[r#"{"name":"new","inputSchema":{"type":"object"}}"#]);
    for client in [&alice, &bob] {
        eventually("the new list", async || names(&list(client).await) == ["dice_new"]).await;
    }
    fakes.script("dice").hint(r#","ttlMs":3600000,"cacheScope":"public""#);
    fakes.says("dice", "notifications/tools/list_changed", None);
    eventually("the list is fetched anew", async || {
        list(&alice).await;
        fetched(&fakes, "dice") >= 5
    })
    .await;
    list(&bob).await;
    assert_eq!(fetched(&fakes, "dice"), 5, "it is everybody's again");

    let (fakes, gateway) = shared(r#","ttlMs":3600000,"cacheScope":"private""#);
    let (alice, bob) = (Modern::all(&gateway, "alice"), Modern::all(&gateway, "bob"));
    tokio::join!(list(&alice), list(&bob));
    assert_eq!(fetched(&fakes, "dice"), 2, "who waited for somebody else's list gets an own one");
}
