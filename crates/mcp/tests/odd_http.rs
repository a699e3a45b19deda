//! HTTP servers that do what the SDK's never do: redirect, break off, resume, forget with 400; and
//! the transport of 2024-11-05.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use portunus_mcp::{
    era::Era,
    spec::Transport,
    upstream::{Call, ConnectionUser, UpstreamError, Upstreams},
    wire::{self, Message, Outcome, RequestId},
};
use serde_json::json;
use support::{connect, connection_user, eventually, http, name, pool, request, spec};
use tokio::{net::TcpListener, sync::mpsc};
use url::Url;

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The id of a request, or `None` for what wants no answer.
fn asked(body: &Bytes) -> Option<(RequestId, String)> {
    match wire::parse(body).unwrap() {
        Message::Request(request) => Some((request.id, request.method)),
        _ => None,
    }
}

fn initialize_result(id: &RequestId) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"protocolVersion":"2025-06-18","capabilities":{{}}}}}}"#,
        id.raw()
    )
}

fn json_answer(body: String) -> Response {
    ([("content-type", "application/json"), ("mcp-session-id", "s-1")], body).into_response()
}

fn events(body: String) -> Response {
    ([("content-type", "text/event-stream")], body).into_response()
}

#[tokio::test]
async fn t31_redirects_are_not_followed() {
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let elsewhere = any(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "here" }
    });
    let url = serve(
        Router::new()
            .route("/mcp", any(|| async { Redirect::temporary("/elsewhere") }))
            .route("/elsewhere", elsewhere),
    )
    .await;
    let error = connect(&pool(http(&url))).await.err().unwrap();
    assert!(
        matches!(&error, UpstreamError::Protocol { detail } if detail.contains("redirects to \"/elsewhere\"")),
        "{error:?}"
    );
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_resumed() {
    let waiting: Arc<Mutex<Option<RequestId>>> = Arc::default();
    let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
        let waiting = Arc::clone(&waiting);
        async move {
            if method == Method::GET {
                let Some(place) = headers.get("last-event-id") else {
                    return StatusCode::METHOD_NOT_ALLOWED.into_response();
                };
                assert_eq!(place, "event-1");
                assert_eq!(headers["mcp-session-id"], "s-1");
                let id = waiting.lock().unwrap().take().unwrap();
                return events(format!(
                    "id: event-2\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n",
                    id.raw()
                ));
            }
            match asked(&body) {
                None => StatusCode::ACCEPTED.into_response(),
                Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
                Some((_, method)) if method == "server/discover" => {
                    StatusCode::BAD_REQUEST.into_response()
                }
                Some((id, _)) => {
                    *waiting.lock().unwrap() = Some(id);
                    events("id: event-1\nretry: 50\ndata:\n\n".to_owned())
                }
            }
        }
    };
    let url = serve(Router::new().route("/mcp", any(handler))).await;
    let pool = pool(http(&url));
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(
        matches!(&answer, Ok(Outcome::Result(result)) if result.as_str() == "{}"),
        "{answer:?}"
    );
}

/// What a server asks outside a call's own stream is lost while no client listens.
#[tokio::test]
async fn t49_nothing_is_called_before_the_servers_own_stream_is_open() {
    let is_open = Arc::new(AtomicUsize::new(0));
    let opening = Arc::clone(&is_open);
    let handler = move |method: Method, body: Bytes| {
        let is_open = Arc::clone(&opening);
        async move {
            if method == Method::GET {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                is_open.store(1, Ordering::SeqCst);
                let silence = futures::stream::pending::<Result<Bytes, Infallible>>();
                return ([("content-type", "text/event-stream")], Body::from_stream(silence))
                    .into_response();
            }
            match asked(&body) {
                None => StatusCode::ACCEPTED.into_response(),
                Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
                Some((_, method)) if method == "server/discover" => {
                    StatusCode::BAD_REQUEST.into_response()
                }
                Some((id, _)) => {
                    let open = is_open.load(Ordering::SeqCst);
                    json_answer(format!(
                        r#"{{"jsonrpc":"2.0","id":{},"result":{{"open":{open}}}}}"#,
                        id.raw()
                    ))
                }
            }
        }
    };
    let url = serve(Router::new().route("/mcp", any(handler))).await;
    let pool = pool(http(&url));
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(
        matches!(&answer, Ok(Outcome::Result(result)) if result.as_str() == r#"{"open":1}"#),
        "{answer:?}"
    );
}

/// A server whose every request but `initialize` is answered with `status` and `body`.
async fn failing(status: StatusCode, body: &'static str) -> (Url, Arc<Upstreams>) {
    let handler = move |method: Method, body_in: Bytes| async move {
        if method != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        match asked(&body_in) {
            None => StatusCode::ACCEPTED.into_response(),
            Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
            Some((id, _)) => {
                let body = body.replace("$id", id.raw());
                (status, [("content-type", "application/json")], body).into_response()
            }
        }
    };
    let url = serve(Router::new().route("/mcp", any(handler))).await;
    let pool = pool(http(&url));
    (url, pool)
}

#[tokio::test]
async fn http_errors_are_told_apart() {
    for (status, body, expected) in [
        (StatusCode::NOT_FOUND, "", UpstreamError::SessionExpired),
        (
            StatusCode::BAD_REQUEST,
            r#"{"error":{"message":"Bad Request: No valid session ID provided"}}"#,
            UpstreamError::SessionExpired,
        ),
        // A ping is refused in the same way.
        (StatusCode::BAD_REQUEST, "{}", UpstreamError::SessionExpired),
        (StatusCode::UNAUTHORIZED, "{}", UpstreamError::SessionExpired),
        (
            StatusCode::TOO_MANY_REQUESTS,
            "{}",
            UpstreamError::Status { status: 429, words: "{}".to_owned() },
        ),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "oops",
            UpstreamError::Status { status: 500, words: "oops".to_owned() },
        ),
    ] {
        let (_, pool) = failing(status, body).await;
        let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
        assert_eq!(answer, Err(expected), "{status} {body}");
    }
    let (_, pool) = failing(
        StatusCode::BAD_REQUEST,
        r#"{"jsonrpc":"2.0","id":$id,"error":{"code":-32602,"message":"m"}}"#,
    )
    .await;
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(
        matches!(&answer, Ok(Outcome::Error(error)) if error.as_str().contains("-32602")),
        "{answer:?}"
    );
    let (_, pool) = failing(StatusCode::OK, r#"{"jsonrpc":"2.0","id":999,"result":{}}"#).await;
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(matches!(answer, Err(UpstreamError::Protocol { .. })), "{answer:?}");
}

/// A server that numbers its sessions: what it says of a request by the session, the method and how
/// often that was called.
type Says = Arc<dyn Fn(u64, &str, &RequestId) -> Option<Response> + Send + Sync>;

/// An answer to the request of this id.
type Way = Box<dyn Fn(&RequestId) -> Response + Send + Sync>;

struct Sessions {
    pool: Arc<Upstreams>,
    /// Methods as they were called, with their session.
    calls: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Sessions {
    /// `says` gives `None` for an answer that never comes.
    async fn start(says: Says) -> Self {
        let begun = Arc::new(AtomicUsize::new(0));
        let calls: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
        let seen = Arc::clone(&calls);
        let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
            let (says, begun, seen) = (Arc::clone(&says), Arc::clone(&begun), Arc::clone(&seen));
            async move {
                let session = headers
                    .get("mcp-session-id")
                    .map_or(0, |id| id.to_str().unwrap()[2..].parse().unwrap());
                if method == Method::GET {
                    return if headers.contains_key("last-event-id") {
                        StatusCode::NOT_FOUND
                    } else {
                        StatusCode::METHOD_NOT_ALLOWED
                    }
                    .into_response();
                }
                let Some((id, method)) = asked(&body) else {
                    return StatusCode::ACCEPTED.into_response();
                };
                if method == "initialize" {
                    let name = format!("s-{}", begun.fetch_add(1, Ordering::SeqCst) + 1);
                    return (
                        [("content-type", "application/json"), ("mcp-session-id", &*name)],
                        initialize_result(&id),
                    )
                        .into_response();
                }
                if method == "server/discover" {
                    return StatusCode::BAD_REQUEST.into_response();
                }
                seen.lock().unwrap().push((session, method.clone()));
                match says(session, &method, &id) {
                    Some(response) => response,
                    None => std::future::pending().await,
                }
            }
        };
        let url = serve(Router::new().route("/mcp", any(handler))).await;
        Self { pool: pool(http(&url)), calls }
    }

    async fn ask(&self, method: &str) -> Result<Outcome, UpstreamError> {
        request(&self.pool, &connection_user("ada", "1"), method, None).await
    }

    /// The sessions that a method was called in.
    fn calls(&self, of: &str) -> Vec<u64> {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, method)| method == of)
            .map(|(session, _)| *session)
            .collect()
    }
}

fn result(id: &RequestId) -> Response {
    (
        [("content-type", "application/json")],
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, id.raw()),
    )
        .into_response()
}

#[tokio::test]
async fn fb74_a_call_under_way_is_not_made_again_because_another_finds_the_session_gone() {
    let server = Sessions::start(Arc::new(|session, method, id| match (session, method) {
        (1, "runs") => None,
        (1, _) => Some(StatusCode::NOT_FOUND.into_response()),
        _ => Some(result(id)),
    }))
    .await;
    let runs = async { server.ask("runs").await };
    let other = async {
        eventually("the first one runs", || async { server.calls("runs").len() == 1 }).await;
        server.ask("other").await
    };
    let (runs, other) = tokio::join!(runs, other);
    let error = runs.unwrap_err();
    assert!(error.to_string().contains("may or may not have run"), "{error}");
    assert!(matches!(other, Ok(Outcome::Result(_))), "{other:?}: nothing of this one was done");
    assert_eq!((server.calls("runs"), server.calls("other")), (vec![1], vec![1, 2]));
}

#[tokio::test]
async fn fb74_a_call_whose_stream_broke_is_not_made_again_because_it_cannot_be_resumed() {
    let server = Sessions::start(Arc::new(|session, method, id| match (session, method) {
        (1, "runs") => Some(events("id: event-1\nretry: 50\ndata:\n\n".to_owned())),
        _ => Some(result(id)),
    }))
    .await;
    let error = server.ask("runs").await.unwrap_err();
    assert!(error.to_string().contains("may or may not have run"), "{error}");
    assert!(matches!(server.ask("other").await, Ok(Outcome::Result(_))));
    assert_eq!(
        (server.calls("runs"), server.calls("other")),
        (vec![1], vec![2]),
        "a new session for the next one"
    );
}

/// A server whose answer breaks off, and that is gone or failing when its stream is to be taken up
/// again.
async fn breaks_off_for_good(resumed: Option<StatusCode>) -> UpstreamError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
    let (goes, mut gone) = mpsc::channel::<()>(1);
    let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
        let goes = goes.clone();
        async move {
            if method == Method::GET {
                let status = resumed.filter(|_| headers.contains_key("last-event-id"));
                return status.unwrap_or(StatusCode::METHOD_NOT_ALLOWED).into_response();
            }
            let response = match asked(&body) {
                None => StatusCode::ACCEPTED.into_response(),
                Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
                Some((_, method)) if method == "server/discover" => {
                    StatusCode::BAD_REQUEST.into_response()
                }
                Some(_) => {
                    if resumed.is_none() {
                        goes.send(()).await.unwrap();
                    }
                    events("id: event-1\nretry: 50\ndata:\n\n".to_owned())
                }
            };
            // The next request comes on a connection of its own, which is refused once the listener
            // is gone.
            ([("connection", "close")], response).into_response()
        }
    };
    let router = Router::new().route("/mcp", any(handler));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::spawn(async move {
        if gone.recv().await.is_some() {
            serving.abort();
        }
    });
    connect(&pool(http(&url)))
        .await
        .unwrap()
        .request("runs", None, Call::default())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn fb74_a_call_whose_stream_broke_may_have_run_whatever_its_server_says_then() {
    for resumed in [
        None,
        Some(StatusCode::SERVICE_UNAVAILABLE),
        Some(StatusCode::UNAUTHORIZED),
        Some(StatusCode::OK),
    ] {
        let error = breaks_off_for_good(resumed).await;
        assert!(error.to_string().contains("may or may not have run"), "{resumed:?}: {error}");
    }
}

#[tokio::test]
async fn fb74_what_says_that_the_session_is_gone_after_something_was_done_is_the_answer() {
    let server = Sessions::start(Arc::new(|session, method, id| match (session, method) {
        (1, "runs") => {
            let progress = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"begun"}}"#;
            let error = r#"{"jsonrpc":"2.0","id":$id,"error":{"code":-32000,"message":"Session not found"}}"#;
            Some(events(format!("data: {progress}\n\ndata: {}\n\n", error.replace("$id", id.raw()))))
        }
        (1, _) => Some(StatusCode::NOT_FOUND.into_response()),
        _ => Some(result(id)),
    }))
    .await;
    let answer = server.ask("runs").await;
    assert!(
        matches!(&answer, Ok(Outcome::Error(error)) if error.as_str().contains("Session not found")),
        "{answer:?}"
    );
    assert_eq!(server.calls("runs"), [1]);
}

#[tokio::test]
async fn fb31_a_session_that_is_gone_in_other_words_is_begun_anew() {
    let json = |status: u16, body: &str| {
        let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_owned());
        move |id: &RequestId| {
            (status, [("content-type", "application/json")], body.replace("$id", id.raw()))
                .into_response()
        }
    };
    let error = |id: &str, text: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"{text}"}}}}"#)
    };
    let streamed = |text: String| {
        move |id: &RequestId| events(format!("data: {}\n\n", text.replace("$id", id.raw())))
    };
    let ways: Vec<Way> = vec![
        Box::new(json(400, "Bad Request")),
        Box::new(json(400, &error("null", "Bad Request: Server not initialized"))),
        Box::new(json(400, &error("$id", "Invalid session ID"))),
        Box::new(json(401, "{}")),
        Box::new(json(403, "Forbidden")),
        Box::new(json(409, "{}")),
        Box::new(json(410, "")),
        Box::new(json(422, r#"{"detail":"unknown session"}"#)),
        Box::new(json(200, &error("$id", "Session not found"))),
        Box::new(json(200, &error("null", "session expired"))),
        Box::new(streamed(error("$id", "Session terminated"))),
    ];
    for (n, way) in ways.into_iter().enumerate() {
        let server =
            Sessions::start(Arc::new(
                move |session, _, id| if session == 1 { Some(way(id)) } else { Some(result(id)) },
            ))
            .await;
        let answer = server.ask("x").await;
        assert!(matches!(answer, Ok(Outcome::Result(_))), "{n}: {answer:?}");
        assert_eq!(server.calls("x"), [1, 2], "{n}: once more, in a new session");
    }
}

#[tokio::test]
async fn fb31_a_refusal_of_one_request_is_no_end_of_the_session() {
    let refusals: [fn(&RequestId) -> Response; 4] = [
        |_| (StatusCode::BAD_REQUEST, "session not found").into_response(),
        |_| StatusCode::FORBIDDEN.into_response(),
        |_| StatusCode::TOO_MANY_REQUESTS.into_response(),
        |id| {
            json_answer(format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32000,"message":"no such session"}}}}"#,
                id.raw()
            ))
        },
    ];
    for (n, refusal) in refusals.into_iter().enumerate() {
        let says = move |_, method: &str, id: &RequestId| {
            Some(if method == "x" { refusal(id) } else { result(id) })
        };
        let server = Sessions::start(Arc::new(says)).await;
        let answer = server.ask("x").await;
        assert!(
            !matches!(answer, Ok(Outcome::Result(_)) | Err(UpstreamError::SessionExpired)),
            "{n}: {answer:?}"
        );
        assert_eq!(server.calls("x"), [1], "{n}: a tool may have run, and does not run twice");
        assert!(matches!(server.ask("y").await, Ok(Outcome::Result(_))), "{n}");
        assert_eq!(server.calls("y"), [1], "{n}: the session goes on");
    }
    // One that refuses everything in every session is asked twice, and its connection is not kept.
    let server =
        Sessions::start(Arc::new(|_, _, _| Some(StatusCode::UNAUTHORIZED.into_response()))).await;
    for n in 1..3 {
        let answer = server.ask("x").await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(server.calls("x").len(), 2 * n);
    }
}

#[tokio::test]
async fn fb36_a_stream_that_is_ended_at_once_is_asked_for_less_and_less() {
    let asked_at: Arc<Mutex<Vec<std::time::Instant>>> = Arc::default();
    let seen = Arc::clone(&asked_at);
    let handler = move |method: Method, body: Bytes| {
        let seen = Arc::clone(&seen);
        async move {
            if method == Method::GET {
                seen.lock().unwrap().push(std::time::Instant::now());
                return events(String::new());
            }
            match asked(&body) {
                Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
                Some((_, method)) if method == "server/discover" => {
                    StatusCode::BAD_REQUEST.into_response()
                }
                Some((id, _)) => result(&id),
                None => StatusCode::ACCEPTED.into_response(),
            }
        }
    };
    let url = serve(Router::new().route("/mcp", any(handler))).await;
    let pool = pool(http(&url));
    let _connection = connect(&pool).await.unwrap();
    eventually("it is asked for a third time", || async { asked_at.lock().unwrap().len() >= 3 })
        .await;
    let times = asked_at.lock().unwrap().clone();
    let (first, second) = (times[1] - times[0], times[2] - times[1]);
    assert!(
        second > first + first / 2,
        "{first:?}, {second:?}: twice as long, whatever the machine"
    );
}

/// A server of 2024-11-05: answers come on the stream that the POSTs' URL was announced on.
fn old_server(endpoint: &'static str) -> Router {
    let stream: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>> = Arc::default();
    let opened = Arc::clone(&stream);
    let sse = get(move |request: Request| async move {
        assert_eq!(request.headers()["x-key"], "the-key");
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(format!("event: endpoint\ndata: {endpoint}\n\n")).unwrap();
        *opened.lock().unwrap() = Some(sender);
        let body = futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
        });
        ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
    });
    let messages = post(move |headers: HeaderMap, body: Bytes| async move {
        assert_eq!(headers["x-key"], "the-key");
        if let Some((id, method)) = asked(&body) {
            let mut stream = stream.lock().unwrap();
            let answer = match method.as_str() {
                "initialize" => initialize_result(&id),
                "end" => {
                    *stream = None;
                    return StatusCode::ACCEPTED;
                }
                _ => format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":{{"method":"{method}"}}}}"#,
                    id.raw()
                ),
            };
            stream.as_ref().unwrap().send(format!("data: {answer}\n\n")).unwrap();
        }
        StatusCode::ACCEPTED
    });
    Router::new().route("/mcp", sse).route("/messages", messages)
}

#[tokio::test]
async fn the_transport_of_2024_11_05() {
    let Transport::Http { url, headers } =
        http(&serve(old_server("/messages?s=1")).await).transport
    else {
        panic!()
    };
    let pool = pool(spec("fixture", Transport::Sse { url, headers }));
    let connection = connect(&pool).await.unwrap();
    let Ok(Outcome::Result(result)) = connection.request("tools/list", None, Call::default()).await
    else {
        panic!()
    };
    assert_eq!(result.as_str(), json!({"method": "tools/list"}).to_string());
    let ended = connection.request("end", None, Call::default()).await;
    assert!(matches!(ended, Err(UpstreamError::Closed { .. })), "{ended:?}");
    eventually("it is reached again", || async {
        pool.connection(&name("fixture"), &connection_user("ada", "1")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn fb37_a_url_that_takes_no_post_is_tried_with_the_old_transport() {
    for era in [Era::Legacy, Era::Modern] {
        let pool = pool(http(&serve(old_server("/messages?s=1")).await));
        let connection_user = ConnectionUser { era, ..connection_user("ada", "1") };
        let connection = pool.connection(&name("fixture"), &connection_user).await.unwrap();
        let answer = connection.request("tools/list", None, Call::default()).await;
        assert!(matches!(answer, Ok(Outcome::Result(_))), "{answer:?}");
    }
    // Where nothing is, the first refusal is told, and what it said.
    let nothing = Router::new()
        .route("/mcp", any(|| async { (StatusCode::NOT_FOUND, "no such tenant: acme") }));
    let error = connect(&pool(http(&serve(nothing).await))).await.err().unwrap();
    assert!(error.to_string().ends_with("HTTP status 404: no such tenant: acme"), "{error}");
}

/// Whatever the status, what a server says reaches its caller, but for its own credentials.
#[tokio::test]
async fn the_words_of_a_refusal_reach_the_caller() {
    let error = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32050,"message":"quota","data":{{"left":0}}}}}}"#
        )
    };
    for id in ["$id", "null", "\"$id\""] {
        let server = Sessions::start({
            let body = error(id);
            Arc::new(move |_, method, id| {
                let body = body.replace("$id", id.raw());
                let refusal = || {
                    (StatusCode::BAD_REQUEST, [("content-type", "application/json")], body)
                        .into_response()
                };
                Some(if method == "x" { refusal() } else { result(id) })
            })
        })
        .await;
        let answer = server.ask("x").await;
        let Ok(Outcome::Error(told)) = &answer else { panic!("{id}: {answer:?}") };
        assert_eq!(told.as_str(), r#"{"code":-32050,"message":"quota","data":{"left":0}}"#, "{id}");
    }
    for (body, told) in [
        ("tenant is missing", "HTTP status 422: tenant is missing"),
        ("bad key the-key", "HTTP status 422: bad key [redacted]"),
        ("<html>Bad Request</html>", "HTTP status 422"),
        ("", "HTTP status 422"),
    ] {
        let server = Sessions::start(Arc::new(move |_, method, id| {
            Some(if method == "x" {
                (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
            } else {
                result(id)
            })
        }))
        .await;
        let error = server.ask("x").await.unwrap_err().to_string();
        assert!(error.ends_with(told), "{error}");
    }
}

#[tokio::test]
async fn t31_an_endpoint_elsewhere_is_refused() {
    let Transport::Http { url, headers } =
        http(&serve(old_server("http://127.0.0.1:1/messages")).await).transport
    else {
        panic!()
    };
    let pool = pool(spec("fixture", Transport::Sse { url, headers }));
    let error = connect(&pool).await.err().unwrap();
    assert!(
        matches!(&error, UpstreamError::Protocol { detail } if detail.contains("origin")),
        "{error:?}"
    );
}

/// The base64 form is of the specification; a server that does not know it says that the header
/// does not match the body.
#[tokio::test]
async fn fb80_a_name_in_a_header_has_the_form_that_the_server_takes_found_once() {
    for takes_base64 in [true, false] {
        let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let handler = move |headers: HeaderMap, body: Bytes| {
            let noted = Arc::clone(&noted);
            async move {
                let Some((id, method)) = asked(&body) else {
                    return StatusCode::ACCEPTED.into_response();
                };
                let outcome = match method.as_str() {
                    "server/discover" => {
                        r#""result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#
                    }
                    "tools/call" => {
                        let name = headers["mcp-name"].as_bytes().to_vec();
                        let is_read = name.starts_with(b"=?base64?") == takes_base64;
                        noted.lock().unwrap().push(name);
                        if is_read {
                            r#""result":{"content":[]}"#
                        } else {
                            r#""error":{"code":-32020,"message":"Header mismatch"}"#
                        }
                    }
                    _ => r#""error":{"code":-32601,"message":"no"}"#,
                };
                let status = if outcome.contains("-32020") {
                    StatusCode::BAD_REQUEST
                } else {
                    StatusCode::OK
                };
                let body = format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, id.raw());
                (status, [("content-type", "application/json")], body).into_response()
            }
        };
        let url = serve(Router::new().route("/mcp", any(handler))).await;
        let pool = pool(http(&url));
        let call = async |user: &str| {
            let connection_user = ConnectionUser { era: Era::Modern, ..connection_user(user, "1") };
            let params = support::payload(&json!({ "name": "café", "arguments": {} }));
            request(&pool, &connection_user, "tools/call", Some(params)).await
        };
        for user in ["ada", "ada", "bob"] {
            let answer = call(user).await;
            assert!(matches!(&answer, Ok(Outcome::Result(_))), "{answer:?}");
        }
        let (coded, plain) = (b"=?base64?Y2Fmw6k=?=".to_vec(), "café".as_bytes().to_vec());
        let expected = if takes_base64 {
            vec![coded.clone(), coded.clone(), coded]
        } else {
            vec![coded, plain.clone(), plain.clone(), plain]
        };
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

/// A modern server whose tool answers like this; how often it was called, and by which form of its
/// name.
async fn naming(
    answer: impl Fn(usize, &str) -> Response + Clone + Send + Sync + 'static,
) -> (Arc<Upstreams>, Arc<Mutex<Vec<bool>>>) {
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let handler = move |headers: HeaderMap, body: Bytes| {
        let (noted, answer) = (Arc::clone(&noted), answer.clone());
        async move {
            let Some((id, method)) = asked(&body) else {
                return StatusCode::ACCEPTED.into_response();
            };
            match method.as_str() {
                "server/discover" => json_answer(format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}}}}}"#,
                    id.raw()
                )),
                "tools/call" => {
                    let calls = {
                        let mut seen = noted.lock().unwrap();
                        seen.push(headers["mcp-name"].as_bytes().starts_with(b"=?base64?"));
                        seen.len()
                    };
                    answer(calls, id.raw())
                }
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }
    };
    let url = serve(Router::new().route("/mcp", any(handler))).await;
    (pool(http(&url)), seen)
}

async fn call_cafe(pool: &Upstreams) -> Result<Outcome, UpstreamError> {
    let connection_user = ConnectionUser { era: Era::Modern, ..connection_user("ada", "1") };
    let params = support::payload(&json!({ "name": "café", "arguments": {} }));
    request(pool, &connection_user, "tools/call", Some(params)).await
}

/// What a tool says is an answer, whatever words are in it: it has run (FB74).
#[tokio::test]
async fn fb80_what_a_tool_says_of_headers_is_its_answer() {
    let mismatch = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32020,"message":"Header mismatch: Mcp-Name"}}}}"#
        )
    };
    let words = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":"Mcp-Name, header mismatch"}}}}"#
        )
    };
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"begun"}}"#;
    let ways: [fn(String, String, &str) -> Response; 3] = [
        |mismatch, _, _| json_answer(mismatch),
        |_, words, _| {
            (StatusCode::BAD_REQUEST, [("content-type", "application/json")], words).into_response()
        },
        |mismatch, _, progress| events(format!("data: {progress}\n\ndata: {mismatch}\n\n")),
    ];
    for (n, way) in ways.into_iter().enumerate() {
        let (pool, seen) = naming(move |_, id| way(mismatch(id), words(id), progress)).await;
        let answer = call_cafe(&pool).await;
        assert!(matches!(&answer, Ok(Outcome::Error(_))), "{n}: {answer:?}");
        assert_eq!(*seen.lock().unwrap(), [true], "{n}: once");
    }
}

#[tokio::test]
async fn fb80_a_second_form_that_is_refused_too_changes_nothing() {
    let refused = |id: &str| {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32020,"message":"m"}}}}"#);
        (StatusCode::BAD_REQUEST, [("content-type", "application/json")], body).into_response()
    };
    // The second form meets something in front of the server that takes no such bytes.
    let (pool, seen) =
        naming(
            move |calls, id| {
                if calls % 2 == 1 { refused(id) } else { StatusCode::BAD_REQUEST.into_response() }
            },
        )
        .await;
    for _ in 0..2 {
        let answer = call_cafe(&pool).await;
        assert!(
            matches!(&answer, Ok(Outcome::Error(error)) if error.as_str().contains("-32020")),
            "{answer:?}"
        );
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [true, false, true, false],
        "the base64 form first, on a connection that goes on"
    );
}
