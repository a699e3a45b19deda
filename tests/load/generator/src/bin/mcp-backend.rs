//! A trivial, fast MCP server of both eras, the one behind what is measured. It keeps no state:
//! session ids are made and not looked at. `echo-server` of `crates/testkit` is the one that knows
//! the legacy era alone; next door are `loadgen` and `hyperproxy`.
//!
//! `mcp-backend [--port 9000]`: Streamable HTTP on 127.0.0.1, any path. Notifications are answered
//! with 202, GET with 405, DELETE with 200.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime};

const TOOLS: usize = 10;
/// Longer than any measurement: a list that is asked for again by the clock would be in the cost of
/// a call.
const TTL_MS: u64 = 3_600_000;
static SESSIONS: AtomicU64 = AtomicU64::new(1);

/// Results of `tools/list`, made beforehand: the server must cost as little as it can.
struct Lists {
    legacy: String,
    modern: String,
}

enum Answer {
    /// And whether it begins a session.
    Message(String, bool),
    Accepted,
}

fn lists() -> Lists {
    let tools: Vec<Value> = (0..TOOLS)
        .map(|number| {
            let name = if number == 0 { "echo".to_owned() } else { format!("tool_{number}") };
            json!({
                "name": name,
                "title": format!("Tool number {number}"),
                "description": "Echoes its message argument back to the caller. Used to measure gateway overhead.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "message": { "type": "string", "description": "Text to echo back" },
                        "count": { "type": "integer", "minimum": 0, "maximum": 100 },
                        "mode": { "type": "string", "enum": ["plain", "upper", "lower"] }
                    },
                    "required": ["message"]
                }
            })
        })
        .collect();
    let mut list = json!({ "tools": tools, "ttlMs": TTL_MS, "cacheScope": "public" });
    let legacy = list.to_string();
    list["resultType"] = json!("complete");
    Lists { legacy, modern: list.to_string() }
}

fn answer(request: &Value, lists: &Lists) -> Answer {
    let (Some(id), Some(method)) = (
        request.get("id").filter(|id| !id.is_null()),
        request.get("method").and_then(Value::as_str),
    ) else {
        return Answer::Accepted;
    };
    let is_modern =
        request.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion").is_some();
    let info = json!({ "name": "mcp-backend", "version": "0.1.0" });
    let mut result = match method {
        "initialize" => {
            let version = match request.pointer("/params/protocolVersion").and_then(Value::as_str) {
                Some(known @ ("2024-11-05" | "2025-03-26" | "2025-06-18" | "2025-11-25")) => known,
                _ => "2025-11-25",
            };
            json!({ "protocolVersion": version, "capabilities": { "tools": { "listChanged": false } }, "serverInfo": info })
        }
        "server/discover" => json!({
            "supportedVersions": ["2025-06-18", "2025-11-25", "2026-07-28"],
            "capabilities": { "tools": {} }, "serverInfo": info, "ttlMs": TTL_MS, "cacheScope": "public"
        }),
        "ping" => json!({}),
        "tools/list" => {
            let list = if is_modern { &lists.modern } else { &lists.legacy };
            return Answer::Message(
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{list}}}"#),
                false,
            );
        }
        "tools/call" => {
            let message = request
                .pointer("/params/arguments/message")
                .and_then(Value::as_str)
                .unwrap_or_default();
            json!({ "content": [{ "type": "text", "text": format!("Echo: {message}") }], "isError": false })
        }
        "resources/list" => json!({ "resources": [] }),
        "resources/templates/list" => json!({ "resourceTemplates": [] }),
        "prompts/list" => json!({ "prompts": [] }),
        _ => {
            let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "Method not found" } });
            return Answer::Message(error.to_string(), false);
        }
    };
    if is_modern {
        result["resultType"] = json!("complete");
    }
    Answer::Message(
        json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
        method == "initialize",
    )
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

async fn serve(
    request: Request<Incoming>,
    lists: &'static Lists,
) -> Result<Response<Full<Bytes>>, Infallible> {
    match *request.method() {
        Method::POST => {}
        Method::DELETE => return Ok(empty(StatusCode::OK)),
        _ => return Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
    let Ok(body) = request.into_body().collect().await else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let Ok(message) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let Answer::Message(text, begins_session) = answer(&message, lists) else {
        return Ok(empty(StatusCode::ACCEPTED));
    };
    let mut response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    if begins_session {
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        response =
            response.header("mcp-session-id", format!("5e551011-0000-4000-8000-{number:012x}"));
    }
    Ok(response.body(Full::new(Bytes::from(text))).expect("headers are valid"))
}

async fn listen(port: u16, lists: &'static Lists) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    // bounded: the reading that started it ends it
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(request, lists));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// One thread: it shares the machine with what is measured.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let port = match arguments.get(1..).unwrap_or_default() {
        [] => 9000,
        [name, port] if name == "--port" => port.parse().expect("--port is a number"),
        _ => panic!("mcp-backend [--port 9000]"),
    };
    let lists: &'static Lists = Box::leak(Box::new(lists()));
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(listen(port, lists));
}
