//! A server that knows the legacy era alone and does as little as one can, for the speed readings
//! in `tests/load`: what the gateway costs must not drown in what its server costs. It is a program
//! of its own since, as the gateway's child, its CPU and its memory are in the figures.
//! `echo-server --port N`, on loopback, or `echo-server --stdio`. Servers that can do something are
//! `fixture-server` and `conformance-server`, next door.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
    serve::ListenerExt as _,
};
use portunus_testkit::mcp_servers::json_rpc;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const TOOLS: usize = 10;

/// One thread: it shares the machine with the gateway that is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let served = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--stdio"] => stdio().await,
        ["--port", port] => match port.parse() {
            Ok(port) => http(port).await,
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: echo-server --port N | --stdio");
    ExitCode::from(2)
}

async fn stdio() -> std::io::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let Some((_, answer)) =
            serde_json::from_str(&line).ok().and_then(|message| answer(&message))
        else {
            continue;
        };
        out.write_all(format!("{answer}\n").as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

async fn http(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening http://{}/mcp", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let endpoint = routing::post(post).delete(|| async { StatusCode::OK });
    axum::serve(listener, Router::new().route("/mcp", endpoint).with_state(Arc::default())).await
}

async fn post(State(sessions): State<Arc<AtomicU64>>, body: Bytes) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some((begins, answer)) = answer(&message) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let mut response =
        ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response();
    if begins {
        let number = sessions.fetch_add(1, Ordering::Relaxed);
        response.headers_mut().insert(SESSION, HeaderValue::from(number));
    }
    response
}

/// What a request is answered, and whether a session begins with it; `None` for what is no request.
fn answer(message: &Value) -> Option<(bool, Value)> {
    let id = message.get("id")?;
    let method = message["method"].as_str().unwrap_or_default();
    let answer = json_rpc::answer(id, result(method, &message["params"]));
    Some((method == "initialize", answer))
}

fn result(method: &str, params: &Value) -> Option<Value> {
    Some(match method {
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo-server", "version": env!("CARGO_PKG_VERSION")},
        }),
        "ping" => json!({}),
        "tools/list" => json!({"tools": (0..TOOLS).map(tool).collect::<Vec<_>>()}),
        "tools/call" => {
            let text = params["arguments"]["message"].as_str().unwrap_or_default();
            json!({"content": [{"type": "text", "text": format!("Echo: {text}")}], "isError": false})
        }
        _ => return None,
    })
}

fn tool(number: usize) -> Value {
    let name = if number == 0 { "echo".to_owned() } else { format!("tool_{number}") };
    json!({
        "name": name,
        "description": "Says its message again.",
        "inputSchema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    })
}
