//! A client of the hub that adds nothing to what it sends and hides nothing of what it gets.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use http::{HeaderMap, HeaderName, StatusCode};
use portunus_core::{
    entropy::SeededEntropy,
    ids::{ClientId, GrantId, UserId},
    principal::Principal,
    resource::Resource,
    scope::ScopeSet,
};
use portunus_mcp::{
    allow::{Allow, AllowAll},
    answer::{Answer, Body},
    hub::{Caller, Hub, HubSettings, Seal, Servers, View},
};
use portunus_testkit::wait::{PATIENCE, eventually};
use serde_json::{Value, json};

use super::fake::{Fakes, name};

pub(crate) fn hub(fakes: &Arc<Fakes>, settings: HubSettings) -> Arc<Hub> {
    Hub::new(
        settings,
        fakes.specs(),
        Arc::clone(fakes) as Arc<dyn Servers>,
        Arc::new(SeededEntropy::new(7)),
        Arc::new(Wax),
    )
}

/// A seal that hides nothing, but opens for the same thing alone, and only what is whole.
pub(crate) struct Wax;

impl Wax {
    fn check(bound_to: &[u8], plain: &[u8]) -> [u8; 8] {
        let mut hasher = DefaultHasher::new();
        (bound_to, plain).hash(&mut hasher);
        hasher.finish().to_be_bytes()
    }
}

impl Seal for Wax {
    fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        Some([plain, &Self::check(bound_to, plain)].concat())
    }

    fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (plain, check) = sealed.split_last_chunk()?;
        (*check == Self::check(bound_to, plain)).then(|| plain.to_vec())
    }
}

pub(crate) fn caller(user: &str, view: View) -> Caller {
    let resource = match &view {
        View::All => "https://gateway.test/mcp".to_owned(),
        View::One(server) => format!("https://gateway.test/mcp/{server}"),
    };
    let principal = Principal {
        user: UserId::from_text(user),
        subject: "subject".to_owned(),
        provider: None,
        client: ClientId::from_text("ptn_client_test"),
        application: None,
        grant: GrantId::from_text("ptn_grant_test"),
        resource: Resource::from_stored(resource),
        scopes: ScopeSet::default(),
        groups: Vec::new(),
        email: None,
        name: None,
        signed_in_at: None,
    };
    Caller {
        principal: Arc::new(principal),
        view,
        allow: Arc::new(AllowAll),
        request_id: None,
        observer: None,
        limits: None,
    }
}

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

pub(crate) struct Client {
    pub(crate) hub: Arc<Hub>,
    pub(crate) caller: Caller,
    pub(crate) session: String,
    /// What `initialize` was answered with.
    pub(crate) hello: Value,
    next: std::sync::atomic::AtomicU64,
}

impl Client {
    pub(crate) async fn all(hub: &Arc<Hub>, user: &str) -> Self {
        Self::open(hub, caller(user, View::All)).await
    }

    pub(crate) async fn one(hub: &Arc<Hub>, user: &str, server: &str) -> Self {
        Self::open(hub, caller(user, View::One(name(server)))).await
    }

    pub(crate) async fn allowed(hub: &Arc<Hub>, view: View, allow: impl Allow + 'static) -> Self {
        let mut caller = caller("alice", view);
        caller.allow = Arc::new(allow);
        Self::open(hub, caller).await
    }

    pub(crate) async fn open(hub: &Arc<Hub>, caller: Caller) -> Self {
        let answer = initialize(hub, &caller, "2025-06-18").await;
        let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let hello = serde_json::from_str(&text(answer)).unwrap();
        Self { hub: Arc::clone(hub), caller, session, hello, next: 1.into() }
    }

    /// The same client, at another process.
    pub(crate) fn moved_to(&self, hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::clone(hub),
            caller: self.caller.clone(),
            session: self.session.clone(),
            hello: self.hello.clone(),
            next: 1000.into(),
        }
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        headers(&[
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-06-18"),
            ("mcp-session-id", &self.session),
        ])
    }

    pub(crate) async fn post(&self, body: &str) -> Answer {
        self.hub
            .post(self.caller.clone(), &self.headers(), Bytes::copy_from_slice(body.as_bytes()))
            .await
    }

    /// A request with raw parameters, answered with JSON: the raw message.
    pub(crate) async fn raw(&self, method: &str, params: &str) -> String {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let answer = self
            .post(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
            ))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        text(answer)
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        serde_json::from_str(&self.raw(method, &params.to_string()).await).unwrap()
    }

    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let mut answer = self.ask(method, params).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    pub(crate) async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.ask(method, params).await;
        (
            answer["error"]["code"].as_i64().expect("an error"),
            answer["error"]["message"].as_str().unwrap().to_owned(),
        )
    }

    pub(crate) async fn call(&self, tool: &str) -> Value {
        self.result("tools/call", json!({ "name": tool, "arguments": {} })).await
    }

    /// What a list has, by `member` of its items.
    pub(crate) async fn names(&self, method: &str, list: &str, member: &str) -> Vec<String> {
        let result = self.result(method, json!({})).await;
        result[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item[member].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        self.names("tools/list", "tools", "name").await
    }

    pub(crate) async fn notify(&self, method: &str, params: &str) -> Answer {
        self.post(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)).await
    }

    /// A GET that takes up the stream after this event.
    pub(crate) async fn take_up(&self, event: &str) -> Answer {
        let mut headers = self.headers();
        headers.insert("last-event-id", event.parse().unwrap());
        self.hub.get(self.caller.clone(), &headers).await
    }

    pub(crate) async fn listen(&self) -> Events {
        let answer = self.hub.get(self.caller.clone(), &self.headers()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let mut events = Events::of(answer);
        assert_eq!(events.stream.next().await.unwrap(), ": open\n\n");
        events
    }
}

pub(crate) async fn initialize(hub: &Arc<Hub>, caller: &Caller, version: &str) -> Answer {
    let headers = headers(&[
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ]);
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } }});
    hub.post(caller.clone(), &headers, Bytes::from(body.to_string())).await
}

/// A JSON body.
pub(crate) fn text(answer: Answer) -> String {
    match answer.body {
        Body::Json(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("JSON was expected, not {other:?}"),
    }
}

/// Waits for something that happens by itself, in the time of a busy machine.
pub(crate) async fn until(what: &str, happened: impl Fn() -> bool) {
    eventually(what, async || happened()).await;
}

pub(crate) struct Events {
    pub(crate) stream: BoxStream<'static, Bytes>,
    /// The id of the latest message.
    pub(crate) last: Option<String>,
}

impl Events {
    pub(crate) fn of(answer: Answer) -> Self {
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        match answer.body {
            Body::Events(stream) => Self { stream, last: None },
            other => panic!("a stream was expected, not {other:?}"),
        }
    }

    /// The next message, comments aside; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        // bounded: each event comes in time, or the test stops there.
        loop {
            let event = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .expect("an event, or the end of the stream")?;
            let event = String::from_utf8(event.to_vec()).unwrap();
            if !event.starts_with(':') {
                let rest = event.strip_prefix("event: message\n").unwrap();
                let (id, data) =
                    match rest.strip_prefix("id: ").and_then(|rest| rest.split_once('\n')) {
                        Some((id, data)) => (Some(id.to_owned()), data),
                        None => (None, rest),
                    };
                self.last = id;
                let data = data.strip_prefix("data: ").unwrap();
                return Some(data.strip_suffix("\n\n").unwrap().to_owned());
            }
        }
    }

    /// Is nothing there to be read now? Time stands still in these tests, so anything that will
    /// come has come.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(200), self.next()).await.is_err()
    }
}
