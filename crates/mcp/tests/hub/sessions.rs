//! Whose a session is, how many there may be, how they end.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use insta::assert_snapshot;
use portunus_core::{ids::ClientId, resource::Resource, secret::TokenHash};
use portunus_mcp::{
    hub::{Caller, HubSettings, View},
    spec::Isolation,
};
use portunus_testkit::wait::eventually;

use super::{
    client::{Client, caller, hub, initialize, text},
    fake::{Fakes, Script, name},
};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn dice() -> Arc<Fakes> {
    Fakes::new(vec![Script::new("dice").tools(&["roll", "wait"])])
}

async fn status(client: &Client, caller: Caller) -> (StatusCode, String) {
    let answer = client.hub.post(caller, &client.headers(), PING.into()).await;
    (answer.status, text(answer))
}

#[tokio::test]
async fn t36_a_session_is_its_owners_alone() {
    let client = Client::one(&hub(&dice(), HubSettings::default()), "alice", "dice").await;
    let own = client.caller.clone();
    let change = |edit: &dyn Fn(&mut portunus_core::principal::Principal)| {
        let mut principal = (*own.principal).clone();
        edit(&mut principal);
        Caller { principal: Arc::new(principal), ..own.clone() }
    };
    let strangers = [
        caller("mallory", View::One(name("dice"))),
        change(&|principal| principal.client = ClientId::from_text("ptn_client_other")),
        change(&|principal| principal.resource = Resource::from_stored("https://gateway.test/mcp")),
        Caller { view: View::All, ..own.clone() },
    ];
    let mut never_was = Client::one(&client.hub, "alice", "dice").await;
    never_was.session = "A".repeat(43);
    let unknown = status(&never_was, own.clone()).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
    for stranger in strangers {
        assert_eq!(status(&client, stranger.clone()).await, unknown, "{stranger:?}");
        assert_eq!(
            client.hub.get(stranger.clone(), &client.headers()).await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            client.hub.delete(stranger, &client.headers()).await.status,
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(status(&client, own).await.0, StatusCode::OK, "the attempts changed nothing");
}

/// An application that registers itself at each authorization is the same one; the id of its
/// registration is another.
#[tokio::test]
async fn fb77_an_application_that_registered_anew_keeps_its_session_and_no_other_gets_it() {
    let hub = hub(&dice(), HubSettings::default());
    let as_registered = |user: &str, id: &str, application: Option<&str>| {
        let own = caller(user, View::One(name("dice")));
        let mut principal = (*own.principal).clone();
        principal.client = ClientId::from_text(id);
        principal.application = application.map(TokenHash::of);
        Caller { principal: Arc::new(principal), ..own }
    };
    let client = Client::open(&hub, as_registered("alice", "one", Some("editor"))).await;
    assert_eq!(
        status(&client, as_registered("alice", "two", Some("editor"))).await.0,
        StatusCode::OK
    );
    assert_eq!(
        status(&client, as_registered("alice", "one", None)).await.0,
        StatusCode::OK,
        "the id alone is enough"
    );
    for (user, id, application) in [
        ("alice", "two", Some("another")),
        ("alice", "two", None),
        ("mallory", "two", Some("editor")),
        ("mallory", "one", Some("editor")),
    ] {
        let other = as_registered(user, id, application);
        assert_eq!(
            status(&client, other.clone()).await.0,
            StatusCode::NOT_FOUND,
            "{user} {id} {application:?}"
        );
        assert_eq!(client.hub.delete(other, &client.headers()).await.status, StatusCode::NOT_FOUND);
    }
    let nameless = Client::open(&hub, as_registered("alice", "one", None)).await;
    assert_eq!(
        status(&nameless, as_registered("alice", "two", None)).await.0,
        StatusCode::NOT_FOUND,
        "no name is no name in common"
    );
}

#[tokio::test]
async fn a_request_without_a_session_is_400() {
    let client = Client::all(&hub(&dice(), HubSettings::default()), "alice").await;
    let mut headers = client.headers();
    headers.remove("mcp-session-id");
    let answer = client.hub.post(client.caller.clone(), &headers, PING.into()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        client.hub.get(client.caller.clone(), &headers).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        client.hub.delete(client.caller.clone(), &headers).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn delete_ends_the_session_its_streams_and_its_children() {
    let fakes = Fakes::new(vec![Script::new("own").tools(&["wait"]).isolated(Isolation::Session)]);
    let client = Arc::new(Client::one(&hub(&fakes, HubSettings::default()), "alice", "own").await);
    let mut stream = client.listen().await;
    let waiting = tokio::spawn({
        let client = Arc::clone(&client);
        async move {
            client
                .post(r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"wait"}}"#)
                .await
                .status
        }
    });
    eventually("the call arrives", async || !fakes.script("own").heard("tools/call").is_empty())
        .await;
    let answer = client.hub.delete(client.caller.clone(), &client.headers()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(stream.next().await, None, "the stream ends");
    waiting.await.unwrap();
    let closed = fakes.closed_sessions.lock().unwrap().clone();
    assert_eq!(
        closed.iter().map(|connection_user| connection_user.session.as_deref()).collect::<Vec<_>>(),
        [Some(client.session.as_str())]
    );
    assert_eq!(status(&client, client.caller.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        client.hub.delete(client.caller.clone(), &client.headers()).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn idle_sessions_end() {
    let settings =
        HubSettings { session_idle: Duration::from_millis(300), ..HubSettings::default() };
    let hub = hub(&dice(), settings);
    let idle = Client::all(&hub, "alice").await;
    let listening = Client::all(&hub, "alice").await;
    let _stream = listening.listen().await;
    eventually("the idle session is gone", async || {
        // Looking at a session keeps it alive: leave it alone for long enough.
        tokio::time::sleep(Duration::from_millis(900)).await;
        status(&idle, idle.caller.clone()).await.0 == StatusCode::NOT_FOUND
    })
    .await;
    assert_eq!(
        status(&listening, listening.caller.clone()).await.0,
        StatusCode::OK,
        "an open stream is use"
    );
}

#[tokio::test]
async fn t47_sessions_per_user_are_bounded() {
    let settings = HubSettings { max_sessions_per_user: 2, ..HubSettings::default() };
    let hub = hub(&dice(), settings);
    let first = Client::all(&hub, "alice").await;
    let second = Client::all(&hub, "alice").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    status(&first, first.caller.clone()).await;
    let other = Client::all(&hub, "bob").await;
    let third = Client::all(&hub, "alice").await;
    assert_eq!(
        status(&second, second.caller.clone()).await.0,
        StatusCode::NOT_FOUND,
        "the longest unused one made room"
    );
    let _streams = (first.listen().await, third.listen().await);
    assert_eq!(
        initialize(&hub, &first.caller, "2025-06-18").await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "all in use"
    );
    assert_eq!(
        status(&other, other.caller.clone()).await.0,
        StatusCode::OK,
        "nobody else is concerned"
    );
}

/// One that has no room would otherwise start a child for every attempt.
#[tokio::test]
async fn t47_a_session_that_is_not_admitted_starts_no_server() {
    let fakes = Fakes::new(vec![Script::new("dice").isolated(Isolation::Session)]);
    let hub = hub(&fakes, HubSettings { max_sessions_per_user: 1, ..HubSettings::default() });
    let first = Client::one(&hub, "alice", "dice").await;
    let connects = || fakes.script("dice").connects.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(connects(), 1);
    let stream = first.listen().await;
    for _ in 0..3 {
        assert_eq!(
            initialize(&hub, &first.caller, "2025-06-18").await.status,
            StatusCode::TOO_MANY_REQUESTS
        );
    }
    assert_eq!(connects(), 1, "none of them came as far as the server");
    drop(stream);
    assert_eq!(
        initialize(&hub, &first.caller, "2025-06-18").await.status,
        StatusCode::OK,
        "an idle session ends for it"
    );
    assert_eq!(connects(), 2);
}

#[tokio::test]
async fn t47_streams_and_calls_per_user_are_bounded() {
    let fakes = dice();
    let settings = HubSettings {
        max_streams_per_user: 1,
        max_in_flight_per_user: 1,
        ..HubSettings::default()
    };
    let hub = hub(&fakes, settings);
    let client = Arc::new(Client::one(&hub, "alice", "dice").await);
    let other = Client::one(&hub, "alice", "dice").await;
    let bob = Client::one(&hub, "bob", "dice").await;
    let stream = client.listen().await;
    assert_eq!(
        hub.get(other.caller.clone(), &other.headers()).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    drop(stream);
    drop(other.listen().await);

    let waiting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.call("wait").await }
    });
    eventually("the call arrives", async || !fakes.script("dice").heard("tools/call").is_empty())
        .await;
    let refused = other
        .post(r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"roll"}}"#)
        .await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &http::HeaderValue::from_static("1"))
    );
    assert_snapshot!(text(refused), @r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32000,"message":"too many requests at once: wait for some to end, and come back in a second or more"}}"#);
    bob.call("roll").await;
    fakes.script("dice").go_on.notify_one();
    waiting.await.unwrap();
    other.call("roll").await;
}

#[tokio::test]
async fn fb78_that_the_roots_changed_is_told_to_every_server_of_the_session() {
    let fakes =
        Fakes::new(["dice", "uuid", "news"].map(|server| Script::new(server).tools(&["x"])).into());
    let hub = hub(&fakes, HubSettings::default());
    let client = Client::all(&hub, "alice").await;
    for server in ["dice", "uuid"] {
        client.call(&format!("{server}_x")).await;
    }
    let listed = fakes.script("news").connects.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        client.notify("notifications/roots/list_changed", "{}").await.status,
        StatusCode::ACCEPTED
    );
    for server in ["dice", "uuid"] {
        assert_eq!(
            fakes.script(server).heard("notifications/roots/list_changed"),
            ["{}"],
            "{server}"
        );
    }
    // The third server is not connected to for it.
    assert_eq!(fakes.script("news").connects.load(std::sync::atomic::Ordering::SeqCst), listed);
}
