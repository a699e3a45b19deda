//! A server of one era whose one tool cannot be taken back: `spend` writes its `key` into a file,
//! takes a while, and answers. The number of lines says how often each call ran (fault F14). Its
//! process id goes into a file beside, `.pids`; `POST /forget` makes it forget its sessions. Next
//! door are servers that can do something else.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
};

use super::json_rpc;

/// How long a call takes: long enough for a thousand of them to be under way together.
const WORK: Duration = Duration::from_millis(700);

/// The server, and where it writes its calls down.
#[derive(Clone)]
pub struct Ledger {
    file: PathBuf,
    is_modern: bool,
    sessions: Arc<Mutex<HashMap<String, Session>>>,
    opened: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Session {
    /// Of HTTP+SSE.
    stream: Option<mpsc::UnboundedSender<String>>,
}

impl Ledger {
    /// Notes this process beside `file`.
    pub fn start(file: &str, is_modern: bool) -> Self {
        append(Path::new(&format!("{file}.pids")), &std::process::id().to_string());
        Self { file: file.into(), is_modern, sessions: Arc::default(), opened: Arc::default() }
    }

    /// Serves on standard input and output until the client closes them.
    pub async fn stdio(self) -> io::Result<()> {
        let (answers, mut answered) = mpsc::unbounded_channel::<Value>();
        tokio::spawn(async move {
            let mut out = tokio::io::stdout();
            while let Some(answer) = answered.recv().await {
                if out.write_all(format!("{answer}\n").as_bytes()).await.is_err()
                    || out.flush().await.is_err()
                {
                    return;
                }
            }
        });
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            let (ledger, answers) = (self.clone(), answers.clone());
            tokio::spawn(async move {
                if let Some(answer) = ledger.answer(&message).await {
                    let _ = answers.send(answer);
                }
            });
        }
        Ok(())
    }

    /// Serves Streamable HTTP.
    pub async fn http(self, port: u16) -> io::Result<()> {
        let router = Router::new().route("/mcp", any(streamable));
        self.listen(port, router).await
    }

    /// Serves HTTP+SSE, the transport of revision 2024-11-05.
    pub async fn sse(self, port: u16) -> io::Result<()> {
        let router =
            Router::new().route("/mcp", get(old_stream)).route("/messages", post(old_message));
        self.listen(port, router).await
    }

    async fn listen(self, port: u16, router: Router<Self>) -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("listening http://{}/mcp", listener.local_addr()?);
        axum::serve(listener, router.route("/forget", post(forget)).with_state(self)).await
    }

    /// What a request is answered; `None` for what is no request.
    async fn answer(&self, message: &Value) -> Option<Value> {
        let id = message.get("id")?;
        let method = message.get("method")?.as_str().unwrap_or_default();
        Some(json_rpc::answer(id, self.result(method, &message["params"]).await))
    }

    async fn result(&self, method: &str, params: &Value) -> Option<Value> {
        Some(match (method, self.is_modern) {
            ("initialize", false) => json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "ledger", "version": "1"},
            }),
            ("server/discover", true) => json!({
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "ttlMs": 0,
                "cacheScope": "private",
            }),
            ("ping", false) => json!({}),
            ("tools/list", _) => json!({
                "resultType": "complete",
                "tools": [{"name": "spend", "inputSchema": {"type": "object"}}],
                "ttlMs": 60000,
                "cacheScope": "private",
            }),
            ("tools/call", _) => {
                append(&self.file, params["arguments"]["key"].as_str().unwrap_or_default());
                tokio::time::sleep(WORK).await;
                json!({"resultType": "complete", "content": [{"type": "text", "text": "spent"}]})
            }
            _ => return None,
        })
    }

    fn open_session(&self, stream: Option<mpsc::UnboundedSender<String>>) -> String {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of an earlier process, and of before it forgot them, are others.
        let id = format!("{}-{}", std::process::id(), self.opened.fetch_add(1, Ordering::Relaxed));
        sessions.insert(id.clone(), Session { stream });
        id
    }

    fn session(&self, id: &str) -> Option<Session> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// One line, in one write: no other process's line gets between.
fn append(file: &Path, line: &str) {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("fixture-server: {}: {error}", file.display());
        std::process::exit(1);
    }
}

async fn forget(State(ledger): State<Ledger>) {
    ledger.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

async fn streamable(
    State(ledger): State<Ledger>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let known = headers
        .get("mcp-session-id")
        .map(|id| ledger.session(id.to_str().unwrap_or_default()).is_some());
    if known == Some(false) && !ledger.is_modern {
        return StatusCode::NOT_FOUND.into_response();
    }
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if message["method"] == "initialize" && !ledger.is_modern {
        let id = ledger.open_session(None);
        let answer = ledger.answer(&message).await.unwrap_or_default();
        return (
            [("content-type", "application/json"), ("mcp-session-id", &*id)],
            answer.to_string(),
        )
            .into_response();
    }
    // Every other call is answered on a stream that could be taken up again.
    let is_streamed = message["params"]["arguments"]["key"]
        .as_str()
        .is_some_and(|key| key.ends_with(['1', '3', '5', '7', '9']));
    if is_streamed {
        let primed = stream::once(async { "id: e-1\nretry: 50\ndata:\n\n".to_owned() });
        let answered = stream::once(async move {
            format!("data: {}\n\n", ledger.answer(&message).await.unwrap_or_default())
        });
        let events = primed.chain(answered).map(Ok::<_, Infallible>);
        return ([("content-type", "text/event-stream")], Body::from_stream(events))
            .into_response();
    }
    match ledger.answer(&message).await {
        Some(answer) => {
            ([("content-type", "application/json")], answer.to_string()).into_response()
        }
        None => StatusCode::ACCEPTED.into_response(),
    }
}

/// The stream of revision 2024-11-05.
async fn old_stream(State(ledger): State<Ledger>) -> Response {
    let (sender, receiver) = mpsc::unbounded_channel();
    let id = ledger.open_session(Some(sender.clone()));
    let _ = sender.send(format!("event: endpoint\ndata: /messages?session={id}\n\n"));
    drop(sender);
    let events = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (event, receiver))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events.map(Ok::<_, Infallible>)))
        .into_response()
}

async fn old_message(
    State(ledger): State<Ledger>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> StatusCode {
    let Some(stream) = query.get("session").and_then(|id| ledger.session(id)?.stream) else {
        return StatusCode::NOT_FOUND;
    };
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    tokio::spawn(async move {
        if let Some(answer) = ledger.answer(&message).await {
            let _ = stream.send(format!("data: {answer}\n\n"));
        }
    });
    StatusCode::ACCEPTED
}
