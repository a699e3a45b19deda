//! What servers say on their own account, and on which stream it comes.

use std::time::Duration;

use portunus_mcp::{hub::HubSettings, spec::Isolation};
use portunus_testkit::wait::eventually;
use serde_json::json;

use super::{
    client::{Client, Events, hub},
    fake::{Fakes, Script},
};

const NEWS: &str = r#"{"level":"warning","data":{"n":1.0e5},"logger":"x"}"#;

fn message(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{params}}}"#)
}

#[tokio::test]
async fn each_message_goes_to_one_stream() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let client = Client::one(&hub(&fakes, HubSettings::default()), "alice", "dice").await;
    let (mut one, mut other) = (client.listen().await, client.listen().await);
    fakes.says("dice", "notifications/message", Some(NEWS));
    let got = tokio::select! {
        got = one.next() => got,
        got = other.next() => got,
    };
    assert_eq!(got.unwrap(), message(NEWS));
    assert!(one.is_silent().await && other.is_silent().await);
}

#[tokio::test]
async fn without_a_stream_the_answer_to_the_call_becomes_one() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["log"])]);
    let client = Client::all(&hub(&fakes, HubSettings::default()), "alice").await;
    let answer = client
        .post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"dice_log"}}"#)
        .await;
    let mut events = Events::of(answer);
    assert_eq!(events.next().await.unwrap(), message(r#"{"level":"info","data":1.0e5}"#));
    fakes.script("dice").go_on.notify_one();
    assert!(events.next().await.unwrap().contains(r#""id":1,"result""#));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn messages_wait_for_a_stream_within_bounds() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let client = Client::one(&hub(&fakes, HubSettings::default()), "alice", "dice").await;
    for n in 0..400 {
        fakes.says(
            "dice",
            "notifications/message",
            Some(&format!(r#"{{"level":"info","data":{n}}}"#)),
        );
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // The last ones must be in before the reading begins, which makes room.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut stream = client.listen().await;
    let mut last = String::new();
    let mut count = 0;
    while let Ok(Some(event)) =
        tokio::time::timeout(Duration::from_millis(300), stream.next()).await
    {
        last = event;
        count += 1;
    }
    assert!((1..=128).contains(&count), "{count}");
    assert!(last.contains("399"), "the newest stay: {last}");
}

#[tokio::test]
async fn each_session_has_a_level_and_the_server_hears_the_lowest() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let hub = hub(&fakes, HubSettings::default());
    let (loud, quiet) =
        (Client::one(&hub, "alice", "dice").await, Client::all(&hub, "alice").await);
    let mut streams = (loud.listen().await, quiet.listen().await);
    loud.result("logging/setLevel", json!({ "level": "debug" })).await;
    quiet.result("logging/setLevel", json!({ "level": "error" })).await;
    assert_eq!(
        fakes.script("dice").heard("logging/setLevel"),
        [r#"{"level":"debug"}"#, r#"{"level":"debug"}"#]
    );
    fakes.says("dice", "notifications/message", Some(NEWS));
    assert_eq!(streams.0.next().await.unwrap(), message(NEWS));
    assert!(streams.1.is_silent().await);
    assert_eq!(quiet.error("logging/setLevel", json!({ "level": "chatty" })).await.0, -32602);
    fakes.breaks("dice");
    loud.call("roll").await;
    eventually("the level is set again", async || {
        fakes.script("dice").heard("logging/setLevel").len() == 3
    })
    .await;
}

#[tokio::test]
async fn t37_what_a_shared_server_says_reaches_nobody_in_particular() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"]).isolated(Isolation::Shared)]);
    let hub = hub(&fakes, HubSettings::default());
    let (alice, bob) =
        (Client::one(&hub, "alice", "dice").await, Client::one(&hub, "bob", "dice").await);
    let mut streams = (alice.listen().await, bob.listen().await);
    alice.result("logging/setLevel", json!({ "level": "debug" })).await;
    fakes.says("dice", "notifications/message", Some(NEWS));
    fakes.says("dice", "notifications/vendor/private", Some(r#"{"for":"alice"}"#));
    fakes.says("dice", "notifications/tools/list_changed", None);
    for stream in [&mut streams.0, &mut streams.1] {
        assert!(
            stream.next().await.unwrap().contains("tools/list_changed"),
            "a change concerns everybody"
        );
        assert!(stream.is_silent().await);
    }
}

#[tokio::test]
async fn unknown_notifications_pass_on_one_server_both_ways() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let hub = hub(&fakes, HubSettings::default());
    let (one, all) = (Client::one(&hub, "alice", "dice").await, Client::all(&hub, "alice").await);
    let mut streams = (one.listen().await, all.listen().await);
    fakes.says("dice", "notifications/vendor/news", Some(r#"{"n":1.0}"#));
    let expected = r#"{"jsonrpc":"2.0","method":"notifications/vendor/news","params":{"n":1.0}}"#;
    assert_eq!(streams.0.next().await.unwrap(), expected);
    assert!(streams.1.is_silent().await);
    one.notify("notifications/vendor/hello", r#"{"n":1.0}"#).await;
    assert_eq!(fakes.script("dice").heard("notifications/vendor/hello"), [r#"{"n":1.0}"#]);
}

#[tokio::test]
async fn shutting_down_ends_streams() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["roll"])]);
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::one(&hub, "alice", "dice").await;
    let mut stream = client.listen().await;
    hub.shutdown().await;
    assert_eq!(stream.next().await, None);
    client.call("roll").await;
}

#[tokio::test]
async fn silent_streams_are_kept_alive() {
    let settings = HubSettings { keep_alive: Duration::from_millis(20), ..HubSettings::default() };
    let client = Client::all(&hub(&Fakes::new(vec![Script::new("dice")]), settings), "alice").await;
    let mut stream = client.listen().await;
    assert_eq!(futures::StreamExt::next(&mut stream.stream).await.unwrap(), ": keep-alive\n\n");
}
