//! A client of the modern era: every request stands alone and says what it must, in its headers
//! too.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use portunus_mcp::{
    answer::Answer,
    hub::{Caller, Hub, View},
};
use serde_json::{Value, json};

use super::client::{Events, caller, headers, text};

/// A name as a header can carry it.
fn header(name: &str) -> HeaderValue {
    let encoded = || format!("=?base64?{}?=", STANDARD.encode(name));
    let is_plain = name.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    if is_plain { name.to_owned() } else { encoded() }.parse().unwrap()
}

pub(crate) struct Modern {
    hub: Arc<Hub>,
    pub(crate) caller: Caller,
    pub(crate) capabilities: Value,
    next: AtomicU64,
}

impl Modern {
    /// A user on `/mcp` whose client follows tasks.
    pub(crate) fn all(hub: &Arc<Hub>, user: &str) -> Self {
        let capabilities = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        Self { hub: Arc::clone(hub), caller: caller(user, View::All), capabilities, next: 1.into() }
    }

    pub(crate) async fn post(&self, method: &str, mut params: Value) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut map: HeaderMap = headers(&[
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ]);
        let named = ["name", "uri", "taskId"].iter().find_map(|member| params[*member].as_str());
        if let Some(name) = named {
            map.insert("mcp-name", header(name));
        }
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.hub.post(self.caller.clone(), &map, Bytes::from(body.to_string())).await
    }

    /// The raw message.
    pub(crate) async fn raw(&self, method: &str, params: Value) -> String {
        text(self.post(method, params).await)
    }

    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let mut answer: Value = serde_json::from_str(&self.raw(method, params).await).unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    pub(crate) async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer: Value = serde_json::from_str(&self.raw(method, params).await).unwrap();
        let error = &answer["error"];
        (
            error["code"].as_i64().unwrap_or_else(|| panic!("{answer}")),
            error["message"].as_str().unwrap().to_owned(),
        )
    }

    /// A stream of changes, and what was agreed to.
    pub(crate) async fn listen(&self, notifications: Value) -> (Events, Value) {
        let mut events = Events::of(
            self.post("subscriptions/listen", json!({ "notifications": notifications })).await,
        );
        let mut acknowledged: Value = serde_json::from_str(&events.next().await.unwrap()).unwrap();
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        (events, acknowledged["params"]["notifications"].take())
    }
}
