//! HTTP servers that do what the SDK's never do: redirect, break off, resume, forget with 400; and the transport of 2024-11-05.
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
    spec::Transport,
    upstream::{Call, UpstreamError, Upstreams},
    wire::{self, Message, Outcome, RequestId},
};
use serde_json::json;
use support::{connect, eventually, holder, http, name, pool, spec};
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
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"protocolVersion":"2025-06-18","capabilities":{{}}}}}}"#, id.raw())
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
    let url =
        serve(Router::new().route("/mcp", any(|| async { Redirect::temporary("/elsewhere") })).route("/elsewhere", elsewhere))
            .await;
    let error = connect(&pool(http(&url))).await.err().unwrap();
    assert!(matches!(&error, UpstreamError::Protocol { detail } if detail.contains("redirects")), "{error:?}");
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_resumed() {
    let waiting: Arc<Mutex<Option<RequestId>>> = Arc::default();
    let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
        let waiting = Arc::clone(&waiting);
        async move {
            if method == Method::GET {
                let Some(place) = headers.get("last-event-id") else { return StatusCode::METHOD_NOT_ALLOWED.into_response() };
                assert_eq!(place, "event-1");
                assert_eq!(headers["mcp-session-id"], "s-1");
                let id = waiting.lock().unwrap().take().unwrap();
                return events(format!("id: event-2\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\n\n", id.raw()));
            }
            match asked(&body) {
                None => StatusCode::ACCEPTED.into_response(),
                Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
                Some((_, method)) if method == "server/discover" => StatusCode::BAD_REQUEST.into_response(),
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
    assert!(matches!(&answer, Ok(Outcome::Result(result)) if result.as_str() == "{}"), "{answer:?}");
}

/// What a server asks outside a call's own stream is lost while nobody listens.
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
                return ([("content-type", "text/event-stream")], Body::from_stream(silence)).into_response();
            }
            match asked(&body) {
                None => StatusCode::ACCEPTED.into_response(),
                Some((id, method)) if method == "initialize" => json_answer(initialize_result(&id)),
                Some((_, method)) if method == "server/discover" => StatusCode::BAD_REQUEST.into_response(),
                Some((id, _)) => {
                    let open = is_open.load(Ordering::SeqCst);
                    json_answer(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"open":{open}}}}}"#, id.raw()))
                }
            }
        }
    };
    let url = serve(Router::new().route("/mcp", any(handler))).await;
    let pool = pool(http(&url));
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(matches!(&answer, Ok(Outcome::Result(result)) if result.as_str() == r#"{"open":1}"#), "{answer:?}");
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
        (StatusCode::BAD_REQUEST, "{}", UpstreamError::Status { status: 400 }),
        (StatusCode::UNAUTHORIZED, "{}", UpstreamError::Status { status: 401 }),
        (StatusCode::INTERNAL_SERVER_ERROR, "oops", UpstreamError::Status { status: 500 }),
    ] {
        let (_, pool) = failing(status, body).await;
        let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
        assert_eq!(answer, Err(expected), "{status} {body}");
    }
    let (_, pool) = failing(StatusCode::BAD_REQUEST, r#"{"jsonrpc":"2.0","id":$id,"error":{"code":-32602,"message":"m"}}"#).await;
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(matches!(&answer, Ok(Outcome::Error(error)) if error.as_str().contains("-32602")), "{answer:?}");
    let (_, pool) = failing(StatusCode::OK, r#"{"jsonrpc":"2.0","id":999,"result":{}}"#).await;
    let answer = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(matches!(answer, Err(UpstreamError::Protocol { .. })), "{answer:?}");
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
                _ => format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"method":"{method}"}}}}"#, id.raw()),
            };
            stream.as_ref().unwrap().send(format!("data: {answer}\n\n")).unwrap();
        }
        StatusCode::ACCEPTED
    });
    Router::new().route("/mcp", sse).route("/messages", messages)
}

#[tokio::test]
async fn the_transport_of_2024_11_05() {
    let Transport::Http { url, headers } = http(&serve(old_server("/messages?s=1")).await).transport else { panic!() };
    let pool = pool(spec("fixture", Transport::Sse { url, headers }));
    let connection = connect(&pool).await.unwrap();
    let Ok(Outcome::Result(result)) = connection.request("tools/list", None, Call::default()).await else { panic!() };
    assert_eq!(result.as_str(), json!({"method": "tools/list"}).to_string());
    let ended = connection.request("end", None, Call::default()).await;
    assert!(matches!(ended, Err(UpstreamError::Closed { .. })), "{ended:?}");
    eventually("it is reached again", || async { pool.connection(&name("fixture"), &holder("ada", "1")).await.is_ok() }).await;
}

#[tokio::test]
async fn t31_an_endpoint_elsewhere_is_refused() {
    let Transport::Http { url, headers } = http(&serve(old_server("http://127.0.0.1:1/messages")).await).transport else {
        panic!()
    };
    let pool = pool(spec("fixture", Transport::Sse { url, headers }));
    let error = connect(&pool).await.err().unwrap();
    assert!(matches!(&error, UpstreamError::Protocol { detail } if detail.contains("origin")), "{error:?}");
}
