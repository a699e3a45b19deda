//! A legacy server that speaks as carelessly as the protocol lets it: what it asks and what it logs
//! names no call. It is a child's streams, HTTP+SSE, or Streamable HTTP, where such messages go to
//! the GET stream. Its tasks are one table for all connections.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use portunus_core::ids::ServerName;
use portunus_mcp::{
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
};
use portunus_testkit::mcp_servers::fixture_binary;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stdio,
    Sse,
    Http,
}

pub(super) const KINDS: [Kind; 3] = [Kind::Stdio, Kind::Sse, Kind::Http];

#[derive(Default)]
pub(super) struct Server {
    next: AtomicU64,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
    /// Ids of tasks, in the order they were made.
    tasks: Mutex<Vec<String>>,
    /// Every request about a task that arrived.
    pub(super) asked_of_tasks: Mutex<Vec<String>>,
}

/// One connection: its calls that hang, and the questions that wait.
struct Connection {
    out: mpsc::UnboundedSender<Value>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    hanging: Mutex<Vec<String>>,
    stream: Mutex<Option<mpsc::UnboundedReceiver<Value>>>,
}

impl Server {
    /// A server of this kind, and its entry in the configuration.
    pub(super) async fn start(
        kind: Kind,
        name: &str,
        isolation: Isolation,
        request_timeout: Duration,
    ) -> (Arc<Self>, ServerSpec) {
        let server = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = |path: &str| format!("http://127.0.0.1:{port}{path}").parse().unwrap();
        let transport = match kind {
            Kind::Stdio => {
                let command = fixture_binary().to_str().unwrap().to_owned();
                Transport::Stdio {
                    command,
                    args: vec!["bridge".to_owned(), port.to_string()],
                    env: BTreeMap::new(),
                    cwd: None,
                    sandbox: Sandbox::default(),
                }
            }
            Kind::Sse => Transport::Sse { url: url("/sse"), headers: Vec::new() },
            Kind::Http => Transport::Http { url: url("/mcp"), headers: Vec::new() },
        };
        let shared = Arc::clone(&server);
        if kind == Kind::Stdio {
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&shared).speak_in_lines(stream));
                }
            });
        } else {
            let router = Router::new()
                .route("/sse", get(sse))
                .route("/messages", post(messages))
                .route("/mcp", post(http_post).get(http_get))
                .with_state(shared);
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        let patience = Duration::from_secs(60);
        let spec = ServerSpec {
            isolation,
            request_timeout,
            connect_timeout: patience,
            idle_timeout: patience * 10,
            ..ServerSpec::with_defaults(ServerName::parse(name).unwrap(), transport)
        };
        (server, spec)
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    fn connection(&self) -> (String, Arc<Connection>) {
        let (out, stream) = mpsc::unbounded_channel();
        let name = self.next.fetch_add(1, Ordering::SeqCst).to_string();
        let stream = Mutex::new(Some(stream));
        let connection = Arc::new(Connection {
            out,
            waiting: Mutex::default(),
            hanging: Mutex::default(),
            stream,
        });
        self.connections.lock().unwrap().insert(name.clone(), Arc::clone(&connection));
        (name, connection)
    }

    async fn speak_in_lines(self: Arc<Self>, stream: TcpStream) {
        let (_, connection) = self.connection();
        let mut out = connection.stream.lock().unwrap().take().unwrap();
        let (read, mut write) = stream.into_split();
        tokio::spawn(async move {
            while let Some(message) = out.recv().await {
                if write.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.hear(&connection, serde_json::from_str(&line).unwrap());
        }
    }

    /// On a transport where answers go the same way as everything else.
    fn hear(self: &Arc<Self>, connection: &Arc<Connection>, message: Value) {
        let (server, connection) = (Arc::clone(self), Arc::clone(connection));
        tokio::spawn(async move {
            if let Some(answer) = server.answer(&connection, message).await {
                let _ = connection.out.send(answer);
            }
        });
    }

    async fn answer(&self, connection: &Arc<Connection>, message: Value) -> Option<Value> {
        let Some(method) = message["method"].as_str() else {
            let waiting = connection.waiting.lock().unwrap().remove(&message["id"].as_u64()?)?;
            let _ = waiting.send(message);
            return None;
        };
        let id = message.get("id")?.clone();
        let outcome = match method {
            "initialize" => Ok(
                json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "careless", "version": "1"},
                "capabilities": {"tools": {"listChanged": true}, "logging": {}, "tasks": {"list": {}, "cancel": {}}}}),
            ),
            "tools/list" => {
                let tools = ["ask", "hang", "late", "say", "job", "change"]
                    .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
                Ok(json!({"tools": tools}))
            }
            "tools/call" => self.call(connection, &message["params"]).await?,
            method if method.starts_with("tasks/") => self.task(method, &message["params"]),
            "ping" | "logging/setLevel" => Ok(json!({})),
            _ => Err(json!({"code": -32601, "message": "Method not found"})),
        };
        Some(match outcome {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        })
    }

    /// `None`: it never answers.
    async fn call(&self, connection: &Connection, params: &Value) -> Option<Result<Value, Value>> {
        let text = |text: &str| Ok(json!({"content": [{"type": "text", "text": text}]}));
        let who = params["arguments"]["who"].as_str().unwrap_or_default().to_owned();
        Some(match params["name"].as_str().unwrap() {
            "ask" => text(&self.ask(connection, &who).await),
            "hang" => {
                connection.hanging.lock().unwrap().push(who);
                return None;
            }
            // Asks about the calls that hang, also those that were given up.
            "late" => {
                let about = connection.hanging.lock().unwrap().clone();
                let mut answers = Vec::new();
                for who in about {
                    answers.push(self.ask(connection, &who).await);
                }
                text(&answers.join(" | "))
            }
            "say" => {
                let params = json!({"level": "info", "data": who});
                connection.out.send(json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params})).unwrap();
                text("said")
            }
            "change" => {
                connection
                    .out
                    .send(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
                    .unwrap();
                text("changed")
            }
            "job" => {
                self.tasks.lock().unwrap().push(who.clone());
                Ok(
                    json!({"task": {"taskId": who, "status": "working", "ttl": null, "createdAt": "2026-01-01T00:00:00Z"}}),
                )
            }
            other => panic!("no tool {other}"),
        })
    }

    /// Who answered, or why no client did.
    async fn ask(&self, connection: &Connection, who: &str) -> String {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (sender, answer) = oneshot::channel();
        connection.waiting.lock().unwrap().insert(id, sender);
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let params = json!({"message": format!("the secret of {who}"), "requestedSchema": schema});
        connection.out.send(json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params})).unwrap();
        let answer = answer.await.unwrap();
        let name =
            answer["result"]["content"]["name"].as_str().or(answer["error"]["message"].as_str());
        name.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn task(&self, method: &str, params: &Value) -> Result<Value, Value> {
        self.asked_of_tasks.lock().unwrap().push(method.to_owned());
        let tasks = self.tasks.lock().unwrap();
        let state = |id: &str| json!({"taskId": id, "status": "working", "secret": format!("the secret of {id}")});
        if method == "tasks/list" {
            return Ok(json!({"tasks": tasks.iter().map(|id| state(id)).collect::<Vec<_>>()}));
        }
        let id = params["taskId"].as_str().unwrap_or_default();
        let is_there = tasks.iter().any(|task| task == id);
        if is_there {
            Ok(state(id))
        } else {
            Err(json!({"code": -32602, "message": "no such task"}))
        }
    }
}

fn events(first: String, mut messages: mpsc::UnboundedReceiver<Value>) -> Response {
    let (out, body) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    out.send(Ok(first.into())).unwrap();
    tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            if out.send(Ok(format!("event: message\ndata: {message}\n\n").into())).is_err() {
                return;
            }
        }
    });
    let body =
        futures::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
}

async fn sse(State(server): State<Arc<Server>>) -> Response {
    let (name, connection) = server.connection();
    let stream = connection.stream.lock().unwrap().take().unwrap();
    events(format!("event: endpoint\ndata: /messages?s={name}\n\n"), stream)
}

async fn messages(
    State(server): State<Arc<Server>>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> StatusCode {
    let connection = Arc::clone(&server.connections.lock().unwrap()[&query["s"]]);
    server.hear(&connection, serde_json::from_slice(&body).unwrap());
    StatusCode::ACCEPTED
}

async fn http_post(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let session = headers.get("mcp-session-id").map(|name| name.to_str().unwrap().to_owned());
    let (name, connection) = match session {
        Some(name) => {
            let connection = Arc::clone(&server.connections.lock().unwrap()[&name]);
            (name, connection)
        }
        None if message["method"] == "initialize" => server.connection(),
        // A legacy server does not know what else comes without a session.
        None => return StatusCode::BAD_REQUEST.into_response(),
    };
    if message["id"].is_null() || message["method"].is_null() {
        server.hear(&connection, message);
        return StatusCode::ACCEPTED.into_response();
    }
    match server.answer(&connection, message).await {
        Some(answer) => (
            [("content-type", "application/json"), ("mcp-session-id", name.as_str())],
            answer.to_string(),
        )
            .into_response(),
        None => std::future::pending().await,
    }
}

async fn http_get(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let name = headers["mcp-session-id"].to_str().unwrap();
    let connection = Arc::clone(&server.connections.lock().unwrap()[name]);
    let stream = connection.stream.lock().unwrap().take();
    match stream {
        Some(stream) => events(": open\n\n".to_owned(), stream),
        None => StatusCode::CONFLICT.into_response(),
    }
}
