//! A server that the test is: it keeps what it hears as the bytes they were and answers with bytes
//! that the test gives it. It speaks through a child's streams or over HTTP, in JSON or in events,
//! and is of one era.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures::stream::StreamExt as _;
use portunus_mcp::era::Era;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::text::open_request;

/// What happens at the next request of a method.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) method: String,
    /// Messages that go first. `@id@` stands for the request's id, which is the progress token too.
    pub(crate) first: Vec<String>,
    /// The answer comes after the client has answered what it was asked.
    pub(crate) waits: bool,
    /// `"result":…` or `"error":…`.
    pub(crate) answer: String,
}

pub(crate) struct Peer {
    pub(crate) era: Era,
    pub(crate) is_child: bool,
    /// Over HTTP: answers on an event stream. A child's streams have no choice.
    pub(crate) in_events: AtomicBool,
    script: Mutex<Option<Script>>,
    heard: mpsc::UnboundedSender<String>,
    answered: Notify,
    pub(crate) port: u16,
}

/// Everything but what belongs to the beginning of a connection, in order.
pub(crate) type Heard = mpsc::UnboundedReceiver<String>;

impl Peer {
    pub(crate) async fn start(era: Era, is_child: bool) -> (Arc<Self>, Heard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (heard, hearing) = mpsc::unbounded_channel();
        let peer = Arc::new(Self {
            era,
            is_child,
            in_events: AtomicBool::new(false),
            script: Mutex::default(),
            heard,
            answered: Notify::new(),
            port: listener.local_addr().unwrap().port(),
        });
        if is_child {
            let peer = Arc::clone(&peer);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(speak_in_lines(Arc::clone(&peer), stream));
                }
            });
        } else {
            let shared = Arc::clone(&peer);
            let router = Router::new().route(
                "/mcp",
                post(move |headers: HeaderMap, body: Bytes| {
                    let peer = Arc::clone(&shared);
                    async move { speak_http(&peer, &headers, body).await }
                }),
            );
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        (peer, hearing)
    }

    pub(crate) fn play(&self, script: Script) {
        *self.script.lock().unwrap() = Some(script);
    }

    /// What such a server can put on its transport: a line has no line break inside, and an event
    /// none but line feeds.
    pub(crate) fn sendable(&self, text: &str) -> String {
        if self.is_child {
            text.replace(['\n', '\r'], " ")
        } else if self.in_events.load(Ordering::SeqCst) {
            text.replace("\r\n", "\n").replace('\r', "\n")
        } else {
            text.to_owned()
        }
    }

    async fn hear(&self, message: String, out: mpsc::UnboundedSender<String>) {
        let Some((id, method, _)) = open_request(&message) else {
            let is_greeting = message.contains(r#""method":"notifications/initialized""#);
            let is_response = !message.contains(r#""method":"#);
            if !is_greeting {
                self.heard.send(message).unwrap();
            }
            if is_response {
                self.answered.notify_one();
            }
            return;
        };
        let (id, method) = (id.to_owned(), method.to_owned());
        let script = self.script.lock().unwrap().take_if(|script| script.method == method);
        let Some(script) = script else {
            out.send(envelope(&id, &self.beginning(&method))).unwrap();
            return;
        };
        self.heard.send(message).unwrap();
        for message in &script.first {
            out.send(message.replace("@id@", &id)).unwrap();
        }
        if script.waits {
            self.answered.notified().await;
        }
        // If this fails, no reader is left.
        let _ = out.send(envelope(&id, &script.answer));
    }

    /// The answers that are the same in every test: who the server is, and what it has.
    fn beginning(&self, method: &str) -> String {
        let capabilities =
            r#"{"tools":{},"prompts":{},"resources":{},"completions":{},"logging":{}}"#;
        let modern = r#""resultType":"complete","ttlMs":60000,"cacheScope":"private""#;
        let result = match (method, self.era) {
            ("server/discover", Era::Modern) => format!(
                r#"{{{modern},"supportedVersions":["2026-07-28"],"capabilities":{capabilities},"_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER_INFO}}}}}"#
            ),
            ("initialize", Era::Legacy) => {
                format!(
                    r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"serverInfo":{SERVER_INFO}}}"#
                )
            }
            ("tools/list", _) => {
                let tool = |name: &&str| {
                    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)
                };
                format!(r#"{{"tools":[{}]}}"#, NAMES.iter().map(tool).collect::<Vec<_>>().join(","))
            }
            ("prompts/list", _) => {
                let prompt = |name: &&str| format!(r#"{{"name":"{name}"}}"#);
                format!(
                    r#"{{"prompts":[{}]}}"#,
                    NAMES.iter().map(prompt).collect::<Vec<_>>().join(",")
                )
            }
            ("resources/list", _) => {
                format!(r#"{{"resources":[{{"uri":"{}:t","name":"t"}}]}}"#, self.port)
            }
            ("resources/templates/list", _) => r#"{"resourceTemplates":[]}"#.to_owned(),
            _ => return r#""error":{"code":-32601,"message":"Method not found"}"#.to_owned(),
        };
        format!(r#""result":{result}"#)
    }
}

/// What its tools and prompts are called: `t`, and those that recorded requests name.
const NAMES: [&str; 18] = [
    "t",
    "echo",
    "get-resource-links",
    "get-structured-content",
    "get-sum",
    "get-tiny-image",
    "no-such",
    "trigger-elicitation-request",
    "trigger-long-running-operation",
    "trigger-url-elicitation",
    "args-prompt",
    "completable-prompt",
    "nope",
    "simple-prompt",
    "test_simple_text",
    "test_tool_with_progress",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
];

/// Who every server of these tests is.
pub(crate) const SERVER_INFO: &str = r#"{"name":"peer","version":"1.0"}"#;

/// Members in an order of its own, one of which no reader knows.
fn envelope(id: &str, answer: &str) -> String {
    format!(r#"{{ "x-else":[1.50, 1E400],{answer} ,"id": {id},"jsonrpc":"2.0"}}"#)
}

async fn speak_in_lines(peer: Arc<Peer>, stream: TcpStream) {
    let (input, mut output) = stream.into_split();
    let (out, mut ready) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(message) = ready.recv().await {
            assert!(!message.contains(['\n', '\r']), "the test writes lines");
            output.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        }
    });
    let mut lines = BufReader::new(input).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (peer, out) = (Arc::clone(&peer), out.clone());
        tokio::spawn(async move { peer.hear(line, out).await });
    }
}

async fn speak_http(peer: &Arc<Peer>, headers: &HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    let message = String::from_utf8(body.to_vec()).unwrap();
    let wants_answer = open_request(&message).is_some();
    let (out, ready) = mpsc::unbounded_channel();
    let hearing = tokio::spawn({
        let peer = Arc::clone(peer);
        async move { peer.hear(message, out).await }
    });
    if !wants_answer {
        hearing.await.unwrap();
        return StatusCode::ACCEPTED.into_response();
    }
    let mut ready = UnboundedReceiverStream::new(ready);
    if peer.in_events.load(Ordering::SeqCst) {
        let events = ready.map(|message| {
            assert!(!message.contains('\r'), "the test writes events");
            Ok::<_, std::convert::Infallible>(format!(
                "data: {}\n\n",
                message.replace('\n', "\ndata: ")
            ))
        });
        return (
            [(header::CONTENT_TYPE, "text/event-stream")],
            axum::body::Body::from_stream(events),
        )
            .into_response();
    }
    ([(header::CONTENT_TYPE, "application/json")], ready.next().await.unwrap()).into_response()
}
