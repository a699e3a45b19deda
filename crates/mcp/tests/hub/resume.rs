//! Streams that break, and are taken up again with `Last-Event-ID`.

use std::sync::{Arc, atomic::Ordering};

use futures::StreamExt as _;
use http::StatusCode;
use portunus_mcp::hub::{Hub, HubSettings};
use portunus_testkit::wait::in_time;

use super::{
    client::{Client, Events, caller, hub, initialize, text, until},
    fake::{Fakes, Script},
};

fn dice() -> (Arc<Fakes>, Arc<Hub>) {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["step", "wait"])]);
    let hub = hub(&fakes, HubSettings::default());
    (fakes, hub)
}

const STEP: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"step","_meta":{"progressToken":"mine"}}}"#;

fn progress(n: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":{n},"progressToken":"mine"}}}}"#
    )
}

#[tokio::test]
async fn a_call_whose_connection_breaks_is_taken_up() {
    let (fakes, hub) = dice();
    let client = Client::one(&hub, "alice", "dice").await;
    let mut events = Events::of(client.post(STEP).await);
    assert_eq!(events.next().await.unwrap(), progress(1));
    let last = events.last.clone().unwrap();
    drop(events);
    // The rest comes while no client reads.
    fakes.script("dice").go_on.notify_one();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    for _ in 0..2 {
        // The answer may be lost on the way a second time.
        let mut events = Events::of(client.take_up(&last).await);
        assert_eq!(events.next().await.unwrap(), progress(2));
        assert!(events.next().await.unwrap().contains(r#""id":1,"result""#));
        assert_eq!(events.next().await, None);
    }
    assert_eq!(fakes.script("dice").heard("tools/call").len(), 1, "it is called once");
    assert_eq!(fakes.script("dice").cancelled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_call_that_nobody_reads_is_not_held_up() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["chatter"])]);
    let client = Client::one(&hub(&fakes, HubSettings::default()), "alice", "dice").await;
    let mut events = Events::of(client.post(&STEP.replace("step", "chatter")).await);
    assert_eq!(events.next().await.unwrap(), progress(0));
    let last = events.last.clone().unwrap();
    drop(events);
    until("the call goes on", || fakes.script("dice").finished.load(Ordering::SeqCst) > 0).await;
    let mut events = Events::of(client.take_up(&last).await);
    for n in 1..100 {
        assert_eq!(events.next().await.unwrap(), progress(n));
    }
    assert!(events.next().await.unwrap().contains(r#""id":1,"result""#));
}

#[tokio::test]
async fn a_call_is_taken_up_while_it_runs_and_its_first_connection_hangs() {
    let (fakes, hub) = dice();
    let client = Client::one(&hub, "alice", "dice").await;
    let mut hanging = Events::of(client.post(STEP).await);
    assert_eq!(hanging.next().await.unwrap(), progress(1));
    let mut events = Events::of(client.take_up(hanging.last.as_ref().unwrap()).await);
    fakes.script("dice").go_on.notify_one();
    assert_eq!(events.next().await.unwrap(), progress(2));
    assert_eq!(hanging.next().await, None, "each message goes to one connection");
    assert!(events.next().await.unwrap().contains(r#""id":1,"result""#));
}

#[tokio::test]
async fn a_listening_stream_is_taken_up_with_its_own_messages_alone() {
    let (fakes, hub) = dice();
    let client = Client::one(&hub, "alice", "dice").await;
    let says = |n: u32| {
        fakes.says(
            "dice",
            "notifications/message",
            Some(&format!(r#"{{"level":"info","data":"m{n}"}}"#)),
        );
    };
    let mut one = client.listen().await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        says(n);
        assert!(one.next().await.unwrap().contains(&format!("m{n}")));
        ids.push(one.last.clone().unwrap());
    }
    drop(one);
    let mut other = client.listen().await;
    says(4);
    assert!(other.next().await.unwrap().contains("m4"));
    let mut again = Events::of(client.take_up(&ids[0]).await);
    for n in 2..=3 {
        assert!(again.next().await.unwrap().contains(&format!("m{n}")));
    }
    assert!(again.is_silent().await, "what went to another stream is not given again");
    drop(other);
    says(5);
    assert!(again.next().await.unwrap().contains("m5"), "and it listens on");
}

#[tokio::test]
async fn the_newest_clients_are_told_at_once_how_to_come_back() {
    let (_fakes, hub) = dice();
    for (revision, primed) in [("2025-11-25", true), ("2025-06-18", false), ("2025-03-26", false)] {
        let answer =
            initialize(&hub, &caller("alice", portunus_mcp::hub::View::All), revision).await;
        let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let mut client = Client::all(&hub, "alice").await;
        client.session = session;
        let call = STEP.replace("step", "dice_step");
        for (answer, id) in [
            (client.post(&call).await, "c1-0-MQ"),
            (client.hub.get(client.caller.clone(), &client.headers()).await, "g2-0"),
        ] {
            let first = Events::of(answer).stream.next().await.unwrap();
            let expected = format!("id: {id}\nretry: 1000\ndata:\n\n");
            assert_eq!(first.ends_with(expected.as_bytes()), primed, "{revision} {first:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_taken_up_is_refused() {
    let (fakes, hub) = dice();
    let client = Client::one(&hub, "alice", "dice").await;
    let mut events = Events::of(client.post(STEP).await);
    events.next().await.unwrap();
    let last = events.last.clone().unwrap();
    for bad in ["", "1", "c1", "c0-x", "../c1-1"] {
        let answer = client.take_up(bad).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad:?}");
        assert!(text(answer).contains("Last-Event-ID"));
    }
    let answer = client.take_up("c99-0").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "404 would end the session");
    assert!(text(answer).contains("may or may not have run"));
    fakes.script("dice").go_on.notify_one();
    in_time("the stream ends", async { while events.next().await.is_some() {} }).await;
    let answer = client.take_up(events.last.as_ref().unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "nothing comes after the response");
    let mut unknown = Events::of(client.take_up("g99-5").await);
    assert!(unknown.is_silent().await, "one that listened listens anew");
    // An event of one session is nothing in another, were it the same person's.
    let other = Client::one(&hub, "alice", "dice").await;
    assert_eq!(other.take_up(&last).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn t36_a_stream_is_taken_up_by_its_own_user_alone() {
    let (_fakes, hub) = dice();
    let client = Client::one(&hub, "alice", "dice").await;
    let mut events = Events::of(client.post(STEP).await);
    events.next().await.unwrap();
    let mut thief = Client::one(&hub, "mallory", "dice").await;
    thief.session = client.session.clone();
    assert_eq!(thief.take_up(events.last.as_ref().unwrap()).await.status, StatusCode::NOT_FOUND);
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(100), events.next()).await.is_err(),
        "hers goes on"
    );
}

#[tokio::test]
async fn streams_taken_up_count_as_streams() {
    let fakes = Fakes::new(vec![Script::new("dice").tools(&["step"])]);
    let hub = hub(&fakes, HubSettings { max_streams_per_user: 1, ..HubSettings::default() });
    let client = Client::one(&hub, "alice", "dice").await;
    let mut events = Events::of(client.post(STEP).await);
    events.next().await.unwrap();
    let stream = client.listen().await;
    let last = events.last.clone().unwrap();
    assert_eq!(client.take_up(&last).await.status, StatusCode::TOO_MANY_REQUESTS);
    drop(stream);
    assert_eq!(client.take_up(&last).await.status, StatusCode::OK);
}
