//! Resources keep their URIs; who listed one, serves it. Subscriptions.

use std::sync::{Arc, atomic::Ordering};

use portunus_mcp::{hub::HubSettings, spec::Isolation};
use portunus_testkit::wait::eventually;
use serde_json::json;

use super::{
    client::{Client, hub},
    fake::{Fakes, Script},
};

fn files() -> Arc<Fakes> {
    Fakes::new(vec![
        Script::new("one")
            .with(
                "resources/list",
                &[r#"{"uri":"file:///a"}"#, r#"{"uri":"file:///both","from":"one"}"#],
            )
            .with("resources/templates/list", &[r#"{"uriTemplate":"note://{id}"}"#]),
        Script::new("two")
            .with(
                "resources/list",
                &[r#"{"uri":"file:///both","from":"two"}"#, r#"{"uri":"file:///b"}"#],
            )
            .with(
                "resources/templates/list",
                &[r#"{"uriTemplate":"note://{id}/{part}"}"#, r#"{"uriTemplate":"x:{+all}"}"#],
            ),
    ])
}

#[tokio::test]
async fn who_listed_a_resource_serves_it() {
    let client = Client::all(&hub(&files(), HubSettings::default()), "alice").await;
    assert_eq!(
        client.names("resources/list", "resources", "uri").await,
        ["file:///a", "file:///both", "file:///b"]
    );
    let templates =
        client.names("resources/templates/list", "resourceTemplates", "uriTemplate").await;
    assert_eq!(templates, ["note://{id}", "note://{id}/{part}", "x:{+all}"]);
    for (uri, server) in [
        ("file:///a", "one"),
        ("file:///b", "two"),
        ("file:///both", "one"),
        ("note://7", "one"),
        ("note://7/8", "two"),
        ("x:a/b", "two"),
    ] {
        let raw = client.raw("resources/read", &format!(r#"{{"uri":"{uri}", "n":1.0}}"#)).await;
        assert!(
            raw.contains(&format!(r#""by":"{server}""#))
                && raw.contains(&format!(r#"{{"uri":"{uri}", "n":1.0}}"#)),
            "{raw}"
        );
    }
    let (code, message) = client.error("resources/read", json!({ "uri": "file:///nowhere" })).await;
    assert_eq!((code, message.as_str()), (-32002, "Resource not found"));
    let completed = client
        .result("completion/complete", json!({"ref": {"type": "ref/resource", "uri": "x:{+all}"}}))
        .await;
    assert_eq!(completed["by"], "two");
}

#[tokio::test]
async fn an_unlisted_resource_goes_to_the_only_server_with_resources() {
    let mut tools = Script::new("tools").tools(&["x"]);
    tools.capabilities = r#"{"tools":{}}"#.to_owned();
    let client = Client::all(
        &hub(&Fakes::new(vec![tools, Script::new("files")]), HubSettings::default()),
        "alice",
    )
    .await;
    assert_eq!(client.result("resources/read", json!({ "uri": "made:up" })).await["by"], "files");
}

#[tokio::test]
async fn a_resource_that_a_server_that_is_down_may_have() {
    let fakes = files();
    fakes.script("two").down.store(true, Ordering::SeqCst);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    let (code, message) = client.error("resources/read", json!({ "uri": "file:///nowhere" })).await;
    assert_eq!((code, message.as_str()), (-32002, "Resource not found (not available now: two)"));
}

#[tokio::test]
async fn updates_reach_those_who_subscribed() {
    let fakes = files();
    let hub = hub(&fakes, HubSettings::default());
    let (first, second) = (Client::all(&hub, "alice").await, Client::all(&hub, "alice").await);
    let mut streams = (first.listen().await, second.listen().await);
    first.result("resources/subscribe", json!({ "uri": "file:///a" })).await;
    let call_events = |uri: &str| format!(r#"{{"uri":"{uri}", "n":1.0}}"#);
    fakes.says("one", "notifications/resources/updated", Some(&call_events("file:///other")));
    fakes.says("one", "notifications/resources/updated", Some(&call_events("file:///a")));
    let told = streams.0.next().await.unwrap();
    assert_eq!(
        told,
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{}}}"#,
            call_events("file:///a")
        )
    );
    assert!(streams.1.is_silent().await);

    // The second subscription of the same connection; the server hears of the end only when no
    // session is left.
    second.result("resources/subscribe", json!({ "uri": "file:///a" })).await;
    first.result("resources/unsubscribe", json!({ "uri": "file:///a" })).await;
    assert!(fakes.script("one").heard("resources/unsubscribe").is_empty());
    fakes.says("one", "notifications/resources/updated", Some(&call_events("file:///a")));
    assert!(streams.1.next().await.is_some());
    assert!(streams.0.is_silent().await);
    second.hub.delete(second.caller.clone(), &second.headers()).await;
    eventually("the server hears of the end", async || {
        !fakes.script("one").heard("resources/unsubscribe").is_empty()
    })
    .await;
    assert_eq!(fakes.script("one").heard("resources/unsubscribe").len(), 1);
}

#[tokio::test]
async fn a_new_connection_is_told_of_the_subscriptions() {
    let fakes = files();
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    client.result("resources/subscribe", json!({ "uri": "file:///a" })).await;
    fakes.breaks("one");
    client.result("resources/read", json!({ "uri": "file:///a" })).await;
    eventually("it subscribes again", async || {
        fakes.script("one").heard("resources/subscribe").len() == 2
    })
    .await;
}

#[tokio::test]
async fn subscriptions_are_bounded() {
    let fakes = Fakes::new(vec![Script::new("files").isolated(Isolation::Session)]);
    let settings = HubSettings { max_subscriptions: 1, ..HubSettings::default() };
    let client = Client::one(&hub(&fakes, settings), "alice", "files").await;
    client.result("resources/subscribe", json!({ "uri": "a:1" })).await;
    client.result("resources/subscribe", json!({ "uri": "a:1" })).await;
    assert_eq!(client.error("resources/subscribe", json!({ "uri": "a:2" })).await.0, -32000);
}
