//! Servers that are loose with JSON-RPC, with their output and with HTTP, where a direct client
//! would not mind: FB32, FB33, FB34.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use futures::{StreamExt as _, executor::block_on, stream};
use portunus_mcp::{
    spec::ServerSpec,
    upstream::{Call, CallEvent, Options, UpstreamError},
    wire::{Message, Outcome, RequestId, parse},
};
use support::{
    connect, http, pool, pool_with, program, quick,
    scripted::{HttpServer, answer},
    spec,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::{Notify, mpsc},
};
use url::Url;

const GREETING: &str = r#""result":{"protocolVersion":"2025-06-18","capabilities":{}}"#;

fn typed(media: Option<&str>, body: String) -> Response {
    let mut response = body.into_response();
    response.headers_mut().remove("content-type");
    if let Some(media) = media {
        response.headers_mut().insert("content-type", media.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn fb33_answers_that_are_written_otherwise_are_matched_and_read() {
    const JSON: Option<&str> = Some("application/json");
    // `$` is the number of the request.
    for (media, body) in [
        (JSON, r#"{"jsonrpc":"2.0","id":"$","result":{"x":1}}"#),
        (JSON, r#"{"jsonrpc":"2.0","id":$.0,"result":{"x":1}}"#),
        (JSON, r#"{"jsonrpc":"2.0","id":$e0,"result":{"x":1}}"#),
        (JSON, r#"{"jsonrpc":"2.0","id":$,"result":{"x":1},"error":null}"#),
        (
            JSON,
            r#"{"jsonrpc":"2.0","id":$,"method":null,"params":null,"result":{"x":1},"error":null}"#,
        ),
        (JSON, r#"[{"jsonrpc":"2.0","id":$,"result":{"x":1}}]"#),
        (
            JSON,
            r#" [ {"jsonrpc":"2.0","method":"notifications/x"}, {"jsonrpc":"2.0","id":$,"result":{"x":1}} ] "#,
        ),
        (JSON, "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":$,\"result\":{\"x\":1}}"),
        (Some("Application/JSON; Charset=UTF-8"), r#"{"jsonrpc":"2.0","id":$,"result":{"x":1}}"#),
        (Some("text/json"), r#"{"jsonrpc":"2.0","id":$,"result":{"x":1}}"#),
        (Some("application/vnd.mcp+json"), r#"{"jsonrpc":"2.0","id":$,"result":{"x":1}}"#),
        (None, r#"{"jsonrpc":"2.0","id":$,"result":{"x":1}}"#),
        (None, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":$,\"result\":{\"x\":1}}\n\n"),
        (
            Some("Text/Event-Stream;charset=utf-8"),
            "data: {\"jsonrpc\":\"2.0\",\"id\":$,\"result\":{\"x\":1}}\n\n",
        ),
        (
            Some("text/event-stream"),
            "data: [{\"jsonrpc\":\"2.0\",\"id\":\"$\",\"result\":{\"x\":1}}]\n\n",
        ),
    ] {
        let server = HttpServer::start(Arc::new(move |method, _, id| {
            Some(if method == "initialize" {
                answer(id, GREETING)
            } else {
                typed(media, body.replace('$', id.raw()))
            })
        }))
        .await;
        let outcome =
            connect(&server.pool).await.unwrap().request("x", None, Call::default()).await;
        assert!(
            matches!(&outcome, Ok(Outcome::Result(result)) if result.as_str() == r#"{"x":1}"#),
            "{media:?} {body}: {outcome:?}"
        );
    }
    // What is an error stays one, and an answer to no request stays unmatched.
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":"$","result":null,"error":{"code":-1,"message":"no"}}"#, "error"),
        (r#"{"jsonrpc":"2.0","id":"x$","result":{}}"#, "none"),
        (r#"{"jsonrpc":"2.0","id":$.5,"result":{}}"#, "none"),
        (r#"{"jsonrpc":"2.0","id":$,"result":{},"error":{"code":-1,"message":"no"}}"#, "none"),
    ] {
        let server = HttpServer::start(Arc::new(move |method, _, id| {
            Some(if method == "initialize" {
                answer(id, GREETING)
            } else {
                typed(JSON, body.replace('$', id.raw()))
            })
        }))
        .await;
        let found =
            match connect(&server.pool).await.unwrap().request("x", None, Call::default()).await {
                Ok(Outcome::Error(_)) => "error",
                Err(UpstreamError::Protocol { .. }) => "none",
                other => panic!("{body}: {other:?}"),
            };
        assert_eq!(found, expected, "{body}");
    }
}

/// A child that greets, then writes `noise`, in which `$` is the call's number, before it answers.
fn noisy(noise: &str, answer: &str) -> ServerSpec {
    let script = format!(
        r#"export LC_ALL=C; read line
        printf '{{"jsonrpc":"2.0","id":1,"result":{{"protocolVersion":"2025-06-18","capabilities":{{}}}}}}\n'; read line
        read line; id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
        printf '{noise}{answer}' | sed "s/@/$id/g"; cat > /dev/null"#
    );
    let mut spec = spec("fixture", program("sh", &["-c", &script]));
    spec.isolation = portunus_mcp::spec::Isolation::User;
    spec
}

#[tokio::test]
async fn fb32_only_json_rpc_on_a_childs_output_counts() {
    let usual = r#"{"jsonrpc":"2.0","id":@,"result":{"x":"1"}}\n"#;
    for (noise, answer) in [
        // Lines of a log that are JSON, and have the number of the call that is under way.
        (r#"{"level":"info","id":@,"msg":"begun"}\n"#, usual),
        (r#"{"id":@,"error":"none","result":"fine"}\n"#, usual),
        (r#"[{"id":@,"level":30}]\n"#, usual),
        (r"[INFO] server is ready\n", usual),
        (r"{ not json\n", usual),
        (r"*** Welcome ***\n\n", usual),
        (r#"\377\376 no text {"id":@}\n"#, usual),
        (r#"{"level":"\377","id":@}\n"#, usual),
        (r"", r#"\357\273\277{"jsonrpc":"2.0","id":@,"result":{"x":"1"}}\r\n"#),
        (r#"\357\273\277{"level":"info"}\r\n"#, usual),
    ] {
        let pool = pool(noisy(noise, answer));
        let outcome = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
        assert!(
            matches!(&outcome, Ok(Outcome::Result(result)) if result.as_str() == r#"{"x":"1"}"#),
            "{noise}{answer}: {outcome:?}"
        );
    }
    // A letter of another encoding in an answer costs that letter.
    let pool = pool(noisy("", r#"{"jsonrpc":"2.0","id":@,"result":{"x":"caf\351"}}\n"#));
    let outcome = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(
        matches!(&outcome, Ok(Outcome::Result(result)) if result.as_str() == "{\"x\":\"caf\u{fffd}\"}"),
        "{outcome:?}"
    );
}

/// A server whose answers to `x` come with this coding, as these pieces; the second is sent when it
/// is let go.
struct Coded {
    url: Url,
    asked_for: Arc<Mutex<Vec<HeaderMap>>>,
    go: Arc<Notify>,
}

type Pieces = Arc<dyn Fn(&RequestId) -> Vec<Bytes> + Send + Sync>;

impl Coded {
    async fn start(coding: &'static str, media: &'static str, pieces: Pieces) -> Self {
        let (asked_for, go): (Arc<Mutex<Vec<HeaderMap>>>, Arc<Notify>) =
            (Arc::default(), Arc::default());
        let (seen, gone) = (Arc::clone(&asked_for), Arc::clone(&go));
        let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
            let (seen, go, pieces) = (Arc::clone(&seen), Arc::clone(&gone), Arc::clone(&pieces));
            async move {
                seen.lock().unwrap().push(headers);
                if method != Method::POST {
                    return StatusCode::METHOD_NOT_ALLOWED.into_response();
                }
                let Message::Request(request) = parse(&body).unwrap() else {
                    return StatusCode::ACCEPTED.into_response();
                };
                if request.method == "initialize" {
                    return answer(&request.id, GREETING);
                }
                let pieces = stream::iter(pieces(&request.id).into_iter().enumerate()).then(
                    move |(n, piece)| {
                        let go = Arc::clone(&go);
                        async move {
                            if n > 0 {
                                go.notified().await;
                            }
                            Ok::<_, Infallible>(piece)
                        }
                    },
                );
                ([("content-type", media), ("content-encoding", coding)], Body::from_stream(pieces))
                    .into_response()
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/mcp", any(handler))).await
        });
        Self { url, asked_for, go }
    }
}

/// The pieces of a body, each flushed, through one encoder.
fn encoded<E: AsyncWrite + Unpin>(
    texts: &[String],
    mut encoder: E,
    so_far: impl Fn(&E) -> Vec<u8>,
) -> Vec<Bytes> {
    block_on(async move {
        let (mut pieces, mut sent) = (Vec::new(), 0);
        for (n, text) in texts.iter().enumerate() {
            encoder.write_all(text.as_bytes()).await.unwrap();
            if n + 1 == texts.len() {
                encoder.shutdown().await.unwrap();
            } else {
                encoder.flush().await.unwrap();
            }
            let all = so_far(&encoder);
            pieces.push(Bytes::copy_from_slice(&all[sent..]));
            sent = all.len();
        }
        pieces
    })
}

fn compressed(coding: &str, texts: &[String]) -> Vec<Bytes> {
    match coding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => {
            encoded(texts, GzipEncoder::new(Vec::new()), |encoder| encoder.get_ref().clone())
        }
        "deflate" => {
            encoded(texts, ZlibEncoder::new(Vec::new()), |encoder| encoder.get_ref().clone())
        }
        "br" => encoded(texts, BrotliEncoder::new(Vec::new()), |encoder| encoder.get_ref().clone()),
        _ => texts.iter().map(|text| Bytes::from(text.clone())).collect(),
    }
}

fn with_result(id: &RequestId, x: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"x":"{x}"}}}}"#, id.raw())
}

#[tokio::test]
async fn fb34_compressed_answers_are_read_and_none_is_asked_for() {
    for coding in ["gzip", "GZIP", "x-gzip", "deflate", "br", "identity"] {
        let server = Coded::start(
            coding,
            "application/json",
            Arc::new(move |id| compressed(coding, &[with_result(id, "1")])),
        )
        .await;
        let pool = pool(http(&server.url));
        let outcome = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
        assert!(
            matches!(&outcome, Ok(Outcome::Result(result)) if result.as_str() == r#"{"x":"1"}"#),
            "{coding}: {outcome:?}"
        );
        for headers in &*server.asked_for.lock().unwrap() {
            assert_eq!(headers["accept-encoding"], "identity");
        }
    }
    let server = Coded::start(
        "zstd",
        "application/json",
        Arc::new(|_| vec![Bytes::from_static(b"(\xb5/\xfd")]),
    )
    .await;
    let error = connect(&pool(http(&server.url)))
        .await
        .unwrap()
        .request("x", None, Call::default())
        .await
        .unwrap_err();
    assert!(error.detail().unwrap().contains("zstd"), "{error:?}");
}

#[tokio::test]
async fn fb34_events_of_a_compressed_stream_are_there_when_they_are_sent() {
    for coding in ["gzip", "deflate", "br"] {
        let pieces = move |id: &RequestId| {
            let progress = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"progress":1}}}}"#,
                id.raw()
            );
            compressed(
                coding,
                &[format!("data: {progress}\n\n"), format!("data: {}\n\n", with_result(id, "1"))],
            )
        };
        let server = Coded::start(coding, "text/event-stream", Arc::new(pieces)).await;
        let pool = pool(http(&server.url));
        let connection = connect(&pool).await.unwrap();
        let (call_events, mut heard) = mpsc::channel(4);
        let params = support::payload(&serde_json::json!({"_meta": {"progressToken": 1}}));
        let call = connection.request(
            "x",
            Some(params),
            Call { call_events: Some(call_events), ..Call::default() },
        );
        let hearing = async {
            assert!(
                matches!(heard.recv().await, Some(CallEvent::Progress(_))),
                "{coding}: before the stream goes on"
            );
            server.go.notify_one();
        };
        let (outcome, ()) = tokio::join!(call, hearing);
        assert!(matches!(outcome, Ok(Outcome::Result(_))), "{coding}: {outcome:?}");
    }
}

#[tokio::test]
async fn fb34_what_comes_out_is_bounded() {
    const MOST: usize = 1024 * 1024;
    for coding in ["gzip", "br"] {
        let bomb = compressed(coding, &["x".repeat(64 * MOST)]);
        assert!(bomb[0].len() < MOST / 4, "{}", bomb[0].len());
        for media in ["application/json", "text/event-stream"] {
            let bomb = bomb.clone();
            let server = Coded::start(coding, media, Arc::new(move |_| bomb.clone())).await;
            let pool = pool_with(http(&server.url), Options { max_message: MOST, ..quick() });
            let outcome = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
            assert_eq!(outcome, Err(UpstreamError::TooLarge), "{coding} {media}");
        }
    }
}
