//! Sessions with HTTP servers that go on in another process: a second pool over the same records.
//! The server counts its handshakes, and in each session the calls, and refuses an id that it has
//! seen in a session before.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use portunus_core::ids::UserId;
use portunus_mcp::{
    client_capabilities::ClientCapabilities,
    records::{RecordsDown, SessionRecords},
    spec::{Isolation, ServerSpec},
    upstream::{Call, Connection, ConnectionUser, Event, Options, Upstreams},
    wire::{self, Message, Outcome, Payload},
};
use serde_json::{Value, json};
use support::{PATIENCE, connection_user, eventually, http, name, quick, request};
use tokio::net::TcpListener;
use url::Url;

#[derive(Debug, Default)]
struct ListCache {
    kept: Mutex<HashMap<String, (UserId, Vec<u8>)>>,
    writes: Mutex<usize>,
    is_down: AtomicBool,
}

impl ListCache {
    fn up<T>(&self, value: T) -> Result<T, RecordsDown> {
        if self.is_down.load(Ordering::SeqCst) { Err(RecordsDown) } else { Ok(value) }
    }

    fn is_empty(&self) -> bool {
        self.kept.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl SessionRecords for ListCache {
    async fn keep(&self, session: &str, user: &UserId, state: &[u8]) -> Result<(), RecordsDown> {
        *self.writes.lock().unwrap() += 1;
        self.up(())?;
        self.kept.lock().unwrap().insert(session.to_owned(), (user.clone(), state.to_vec()));
        Ok(())
    }

    async fn find(&self, session: &str) -> Result<Option<(UserId, Vec<u8>)>, RecordsDown> {
        self.up(self.kept.lock().unwrap().get(session).cloned())
    }

    async fn touch(&self, _: &str) -> Result<(), RecordsDown> {
        self.up(())
    }

    async fn forget(&self, session: &str) -> Result<(), RecordsDown> {
        self.up(())?;
        self.kept.lock().unwrap().remove(session);
        Ok(())
    }
}

#[derive(Default)]
struct Server {
    handshakes: usize,
    deleted: usize,
    sessions: HashMap<String, InSession>,
    /// How often it refuses a stream, as if an earlier one were still open; then there is one.
    conflicts: Option<usize>,
}

#[derive(Default)]
struct InSession {
    calls: usize,
    ids: HashSet<String>,
}

struct Counting {
    url: Url,
    state: Arc<Mutex<Server>>,
}

impl Counting {
    async fn start() -> Self {
        let state: Arc<Mutex<Server>> = Arc::default();
        let shared = Arc::clone(&state);
        let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
            let answer = answer(&mut shared.lock().unwrap(), &method, &headers, &body);
            async { answer }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        let router =
            Router::new().route("/mcp", any(handler.clone())).route("/other", any(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    fn handshakes(&self) -> usize {
        self.state.lock().unwrap().handshakes
    }

    fn deleted(&self) -> usize {
        self.state.lock().unwrap().deleted
    }

    fn forget(&self) {
        self.state.lock().unwrap().sessions.clear();
    }
}

fn answer(server: &mut Server, method: &Method, headers: &HeaderMap, body: &Bytes) -> Response {
    let json =
        |body: Value| ([("content-type", "application/json")], body.to_string()).into_response();
    let session = headers.get("mcp-session-id").map(|value| value.to_str().unwrap().to_owned());
    if *method == Method::POST && session.is_none() {
        let Message::Request(request) = wire::parse(body).unwrap() else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        if request.method != "initialize" {
            return StatusCode::BAD_REQUEST.into_response();
        }
        server.handshakes += 1;
        let name = format!("s-{}", server.handshakes);
        server.sessions.insert(name.clone(), InSession::default());
        let result = json!({
            "protocolVersion": "2025-06-18", "capabilities": {"logging": {}}, "serverInfo": {"name": "counting", "version": "1"},
            "instructions": "Count."
        });
        let id: Value = serde_json::from_str(request.id.raw()).unwrap();
        return (
            [("mcp-session-id", name)],
            json(json!({"jsonrpc": "2.0", "id": id, "result": result})),
        )
            .into_response();
    }
    let Some(known) = session.as_ref().and_then(|name| server.sessions.get_mut(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    assert_eq!(headers["mcp-protocol-version"], "2025-06-18");
    if *method == Method::DELETE {
        server.sessions.remove(&session.unwrap());
        server.deleted += 1;
        return StatusCode::NO_CONTENT.into_response();
    }
    if let (&Method::GET, Some(conflicts)) = (method, &mut server.conflicts) {
        let change = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        let stream = ([("content-type", "text/event-stream")], format!("data: {change}\n\n"))
            .into_response();
        let is_refused = *conflicts > 0;
        *conflicts = conflicts.saturating_sub(1);
        return if is_refused { StatusCode::CONFLICT.into_response() } else { stream };
    }
    if *method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Message::Request(request) = wire::parse(body).unwrap() else {
        return StatusCode::ACCEPTED.into_response();
    };
    let id: Value = serde_json::from_str(request.id.raw()).unwrap();
    let result = if !known.ids.insert(request.id.raw().to_owned()) {
        json!({"calls": "an id came twice"})
    } else if request.method == "ping" {
        json!({})
    } else {
        known.calls += 1;
        json!({ "calls": known.calls })
    };
    json(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn spec(url: &Url, isolation: Isolation) -> ServerSpec {
    ServerSpec { isolation, ..http(url) }
}

/// A process: its own connections to the server.
fn process(spec: ServerSpec, list_cache: &Arc<ListCache>) -> Upstreams {
    Upstreams::new(
        vec![spec],
        support::client(),
        Options { records: Some(Arc::clone(list_cache) as _), ..quick() },
    )
}

async fn connect_as(pool: &Upstreams, connection_user: &ConnectionUser) -> Arc<Connection> {
    pool.connection(&name("fixture"), connection_user).await.unwrap()
}

/// How many calls the session has seen, with this one.
async fn count(pool: &Upstreams, connection_user: &ConnectionUser) -> Value {
    match request(pool, connection_user, "tools/call", None).await.unwrap() {
        Outcome::Result(result) => result.read::<Value>().unwrap()["calls"].clone(),
        Outcome::Error(error) => panic!("{error:?}"),
    }
}

async fn world() -> (Counting, Arc<ListCache>, ConnectionUser) {
    (Counting::start().await, Arc::default(), connection_user("ada", "1"))
}

#[tokio::test]
async fn a_session_goes_on_after_a_process_that_died() {
    let (server, list_cache, ada) = world().await;
    // They are never told to end: that is what the next one sees of a process that was killed.
    let mut processes = Vec::new();
    for n in 1..=3 {
        let pool = process(spec(&server.url, Isolation::User), &list_cache);
        assert_eq!(
            [count(&pool, &ada).await, count(&pool, &ada).await],
            [json!(2 * n - 1), json!(2 * n)]
        );
        let connection = connect_as(&pool, &ada).await;
        let info = connection.info();
        assert_eq!(
            (&*info.protocol_version, info.instructions.as_deref()),
            ("2025-06-18", Some("Count."))
        );
        assert_eq!(info.capabilities.as_str(), r#"{"logging":{}}"#);
        processes.push(pool);
    }
    assert_eq!((server.handshakes(), server.deleted()), (1, 0));
    assert_eq!(
        *list_cache.writes.lock().unwrap(),
        3,
        "one small write for each process, not for each call"
    );
}

#[tokio::test]
async fn a_session_goes_on_after_a_process_that_stopped_and_for_a_user_who_moved() {
    let (server, list_cache, ada) = world().await;
    let first = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&first, &ada).await, 1);
    first.shutdown(PATIENCE).await;
    let second = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&second, &ada).await, 2);
    let connection = connect_as(&second, &ada).await;
    second.close_user(&ada.user).await;
    assert!(connection.is_closed());
    let third = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&third, &ada).await, 3);
    third.close_user(&ada.user).await;
    assert_eq!(count(&second, &ada).await, 4, "and back");
    assert_eq!((server.handshakes(), server.deleted()), (1, 0));
}

#[tokio::test]
async fn what_the_server_forgot_is_begun_anew_unnoticed() {
    let (server, list_cache, ada) = world().await;
    let first = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&first, &ada).await, 1);
    server.forget();
    let second = process(spec(&server.url, Isolation::User), &list_cache);
    let connection = connect_as(&second, &ada).await;
    let answer = connection.request("tools/call", None, Call::default()).await;
    assert!(
        matches!(answer, Ok(Outcome::Result(_))),
        "not even the first request fails: {answer:?}"
    );
    assert_eq!(server.handshakes(), 2);
    // In the middle of it: the session written down is the new one.
    server.forget();
    assert_eq!(count(&second, &ada).await, 1);
    let third = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&third, &ada).await, 2);
    assert_eq!(server.handshakes(), 3);
}

#[tokio::test]
async fn the_stream_is_opened_once_the_earlier_one_is_gone() {
    let (server, list_cache, ada) = world().await;
    let first = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&first, &ada).await, 1);
    server.state.lock().unwrap().conflicts = Some(1);
    let second = process(spec(&server.url, Isolation::User), &list_cache);
    let mut events = connect_as(&second, &ada).await.events();
    let heard =
        tokio::time::timeout(PATIENCE, events.recv()).await.expect("the stream is opened").unwrap();
    assert!(
        matches!(&heard, Event::Notification { method, .. } if method == "notifications/tools/list_changed"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn t36_nobody_goes_on_with_what_is_not_theirs() {
    let (server, list_cache, ada) = world().await;
    let first = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&first, &ada).await, 1);
    let second = process(spec(&server.url, Isolation::User), &list_cache);
    let abilities = Payload::from_json(r#"{"sampling":{}}"#).unwrap();
    let capable = ConnectionUser {
        client_capabilities: ClientCapabilities::of(Some(&abilities)),
        ..ada.clone()
    };
    for (n, other) in [connection_user("bob", "1"), capable].iter().enumerate() {
        assert_eq!(count(&second, other).await, 1, "{other:?}");
        assert_eq!(server.handshakes(), n + 2);
    }
    // Nor does another server get to hear of the session, nor the same one with other credentials.
    let mut elsewhere = server.url.clone();
    elsewhere.set_path("/other");
    let moved = process(spec(&elsewhere, Isolation::User), &list_cache);
    assert_eq!(count(&moved, &ada).await, 1);
    // A connection that all users share is each process's own.
    let shared = [
        process(spec(&server.url, Isolation::Shared), &list_cache),
        process(spec(&server.url, Isolation::Shared), &list_cache),
    ];
    for pool in &shared {
        assert_eq!(count(pool, &ada).await, 1);
    }
    assert_eq!(server.handshakes(), 6);
}

#[tokio::test]
async fn what_ended_does_not_go_on() {
    let (server, list_cache, ada) = world().await;
    let first = process(spec(&server.url, Isolation::Session), &list_cache);
    assert_eq!(count(&first, &ada).await, 1);
    let second = process(spec(&server.url, Isolation::Session), &list_cache);
    assert_eq!(count(&second, &ada).await, 2);
    second.close_session(&ada).await;
    assert!(list_cache.is_empty());
    assert_eq!(server.deleted(), 1);
    let idle = ServerSpec {
        idle_timeout: Duration::from_millis(20),
        ..spec(&server.url, Isolation::User)
    };
    let third = process(idle, &list_cache);
    assert_eq!(count(&third, &ada).await, 1);
    eventually("the idle session is ended", || async {
        list_cache.is_empty() && server.deleted() == 2
    })
    .await;
}

#[tokio::test]
async fn a_process_that_was_left_does_not_end_what_goes_on_elsewhere() {
    let (server, list_cache, ada) = world().await;
    let idle = ServerSpec {
        idle_timeout: Duration::from_millis(300),
        ..spec(&server.url, Isolation::User)
    };
    let first = process(idle, &list_cache);
    let left = connect_as(&first, &ada).await;
    let held = left.hold();
    let second = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&second, &ada).await, 1);
    drop(held);
    tokio::time::timeout(PATIENCE, left.closed()).await.unwrap();
    first.shutdown(PATIENCE).await;
    assert_eq!(server.deleted(), 0);
    assert_eq!(count(&second, &ada).await, 2);
    assert!(!list_cache.is_empty());
}

#[tokio::test]
async fn without_records_a_session_ends_with_its_process() {
    let (server, list_cache, ada) = world().await;
    list_cache.is_down.store(true, Ordering::SeqCst);
    let pool = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!(count(&pool, &ada).await, 1);
    pool.shutdown(PATIENCE).await;
    assert_eq!((server.handshakes(), server.deleted()), (1, 1));
}

#[tokio::test]
async fn a_session_of_what_was_configured_before_ends_at_its_server() {
    let (server, list_cache, ada) = world().await;
    let pool = process(spec(&server.url, Isolation::User), &list_cache);
    assert_eq!([count(&pool, &ada).await, count(&pool, &ada).await], [json!(1), json!(2)]);
    pool.reconfigure(vec![spec(&server.url.join("/other").unwrap(), Isolation::User)]);
    assert_eq!(count(&pool, &ada).await, 1, "another server has another session");
    eventually("the old one is ended", || async { server.deleted() == 1 }).await;
    assert!(!list_cache.is_empty(), "the new one is written down");
    assert_eq!(count(&pool, &ada).await, 2);
}
