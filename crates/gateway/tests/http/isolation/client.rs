//! Applications of both eras that answer whatever they are asked with their own name, and remember
//! everything that they were sent.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

const REVISION: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// One application of one person, in one session if it is of the legacy era.
#[derive(Clone)]
pub(super) struct App {
    pub(super) name: String,
    http: reqwest::Client,
    url: String,
    pub(super) token: String,
    session: Option<String>,
    capabilities: Value,
    /// Everything that arrived and is no answer to a request of its own.
    seen: Arc<Mutex<Vec<Value>>>,
    next: Arc<AtomicU64>,
}

impl App {
    #[expect(clippy::disallowed_methods, reason = "tests make their own client")]
    pub(super) fn modern(name: &str, url: &str, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            http: reqwest::Client::new(),
            url: url.to_owned(),
            token: token.to_owned(),
            session: None,
            capabilities: json!({"elicitation": {"form": {}}}),
            seen: Arc::default(),
            next: Arc::new(1.into()),
        }
    }

    /// With its GET stream open, if it is to have one.
    pub(super) async fn legacy(name: &str, url: &str, token: &str, capabilities: Value) -> Self {
        let mut app = Self { capabilities, ..Self::modern(name, url, token) };
        let params = json!({"protocolVersion": REVISION, "capabilities": app.capabilities, "clientInfo": {"name": name, "version": "1"}});
        let answer = app
            .send(
                &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}),
                &[],
            )
            .await;
        assert_eq!(answer.status(), 200);
        app.session = Some(answer.headers()["mcp-session-id"].to_str().unwrap().to_owned());
        let done =
            app.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), &[]).await;
        assert_eq!(done.status(), 202);
        app
    }

    /// The same session, with another token.
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), seen: Arc::default(), ..self.clone() }
    }

    /// The same session, at another node.
    pub(super) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Opens the stream for what servers say by themselves; returns when it is open.
    pub(super) async fn listen(&self) -> JoinHandle<()> {
        let request = self.headed(self.http.get(&self.url)).header("accept", "text/event-stream");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let app = self.clone();
        tokio::spawn(async move { drop(app.read(answer, &Value::Null).await) })
    }

    /// Begins a call of a tool that asks, as the session's first request, and loses the connection
    /// when the question has come. Gives the id of that event, and the question.
    pub(super) async fn begin_and_break_off(&self, tool: &str, who: &str) -> (String, Value) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let params = json!({"name": tool, "arguments": {"who": who}});
        let mut answer = self
            .send(
                &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}),
                &[],
            )
            .await;
        let mut text = String::new();
        while let Some(chunk) = answer.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            if text.ends_with("\n\n") && text.contains("elicitation/create") {
                break;
            }
        }
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let field = |name: &str| {
            last.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_else(|| panic!("{name} in {text}"))
        };
        (field("id: ").to_owned(), serde_json::from_str(field("data: ")).unwrap())
    }

    /// The stream of this event, from there on.
    pub(super) async fn come_back(&self, event: &str) -> reqwest::Response {
        let request = self.headed(self.http.get(&self.url)).header("accept", "text/event-stream");
        request.header("last-event-id", event).send().await.unwrap()
    }

    fn headed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = request.header("authorization", format!("Bearer {}", self.token));
        match &self.session {
            Some(session) => {
                request.header("mcp-session-id", session).header("mcp-protocol-version", REVISION)
            }
            None => request,
        }
    }

    pub(super) async fn send(&self, message: &Value, more: &[(&str, &str)]) -> reqwest::Response {
        let mut request =
            self.headed(self.http.post(&self.url)).header("content-type", "application/json");
        request = request.header("accept", "application/json, text/event-stream");
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.body(message.to_string()).send().await.unwrap()
    }

    /// Reads messages to the answer of this request, answering what is asked meanwhile. `None`: it
    /// ended without one.
    pub(super) async fn read(&self, mut answer: reqwest::Response, id: &Value) -> Option<Value> {
        let is_json = answer
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.to_str().unwrap().contains("json"));
        let mut text = String::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((event, rest)) =
                text.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned()))
            {
                text = rest;
                let data: Vec<_> =
                    event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                let Ok(message) = serde_json::from_str::<Value>(&data.concat()) else { continue };
                if message["id"] == *id && message["method"].is_null() && !id.is_null() {
                    return Some(message);
                }
                self.hear(message).await;
            }
        }
        if is_json { serde_json::from_str(&text).ok() } else { None }
    }

    pub(super) async fn hear(&self, message: Value) {
        self.seen.lock().unwrap().push(message.clone());
        if message["method"].is_string() && !message["id"].is_null() {
            let result = json!({"action": "accept", "content": {"name": self.name}});
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            assert_eq!(self.send(&answer, &[]).await.status(), 202);
        }
    }

    /// Everything that it was sent beside answers, as text.
    pub(super) fn seen(&self) -> String {
        Value::from(self.seen.lock().unwrap().clone()).to_string()
    }

    /// The answer's message, to whatever end it comes.
    pub(super) async fn request(&self, method: &str, params: Value) -> Value {
        let id = json!(self.next.fetch_add(1, Ordering::Relaxed));
        if self.session.is_some() {
            let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            let answer = self.send(&message, &[]).await;
            return self.read(answer, &id).await.unwrap_or_default();
        }
        let mut params = params;
        for _ in 0..100 {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
                "io.modelcontextprotocol/clientInfo": {"name": self.name, "version": "1"},
                "io.modelcontextprotocol/logLevel": "debug",
            });
            let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            let name = ["name", "uri", "taskId"]
                .iter()
                .find_map(|member| params[*member].as_str())
                .unwrap_or_default()
                .to_owned();
            let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
            if !name.is_empty() {
                headers.push(("mcp-name", &name));
            }
            let answer = self.send(&message, &headers).await;
            let answer = self.read(answer, &id).await.unwrap_or_default();
            if answer["result"]["resultType"] != "input_required" {
                return answer;
            }
            let asked = answer["result"]["inputRequests"].as_object().unwrap();
            self.seen.lock().unwrap().extend(asked.values().cloned());
            let own = json!({"action": "accept", "content": {"name": self.name}});
            params["inputResponses"] = asked
                .keys()
                .map(|key| (key.clone(), own.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            params["requestState"] = answer["result"]["requestState"].clone();
        }
        panic!("{method} asks again and again")
    }

    /// Calls a tool about `who`; the text of its answer, or the error's.
    pub(super) async fn call(&self, tool: &str, who: &str) -> String {
        let answer =
            self.request("tools/call", json!({"name": tool, "arguments": {"who": who}})).await;
        let text =
            answer["result"]["content"][0]["text"].as_str().or(answer["error"]["message"].as_str());
        text.map_or_else(|| answer.to_string(), str::to_owned)
    }

    /// Begins a call and gives it up, as clients of its era do.
    pub(super) async fn give_up(&self, tool: &str, who: &str, under_way: impl AsyncFn()) {
        let (app, tool, who) = (self.clone(), tool.to_owned(), who.to_owned());
        let id = self.next.load(Ordering::Relaxed);
        let call = tokio::spawn(async move { app.call(&tool, &who).await });
        under_way().await;
        if self.session.is_some() {
            let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            assert_eq!(self.send(&cancelled, &[]).await.status(), 202);
        } else {
            call.abort();
        }
        let _ = call.await;
    }
}
