//! An MCP client of the legacy era over Streamable HTTP, as small as can be.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{
    browser::{Agent, Page},
    request::Request,
};

const REVISION: &str = "2025-11-25";

/// One session at one endpoint.
pub struct McpClient {
    agent: Agent,
    pub url: String,
    pub token: String,
    pub session: String,
    /// What `initialize` answered.
    pub server: Value,
    next_id: AtomicU64,
}

impl McpClient {
    /// Connects: `initialize`, then `notifications/initialized`.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn connect(agent: &Agent, url: &str, token: &str) -> Self {
        let mut client = Self {
            agent: agent.clone(),
            url: url.to_owned(),
            token: token.to_owned(),
            session: String::new(),
            server: Value::Null,
            next_id: AtomicU64::new(2),
        };
        let params = json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "testkit", "version": "1"}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let answer = client.post(&message).await.expect(200);
        answer.header("mcp-session-id").clone_into(&mut client.session);
        client.server = response(&answer)["result"].clone();
        assert!(client.server.is_object(), "{answer:?}");
        client
            .post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await
            .expect(202);
        client
    }

    /// A POST to the endpoint with the headers of this client, not sent yet.
    pub fn message(&self, message: &Value) -> Request {
        let request = Request::json(&self.url, message)
            .without_cookies()
            .header("accept", "application/json, text/event-stream")
            .bearer(&self.token);
        if self.session.is_empty() {
            return request;
        }
        request.header("mcp-session-id", &self.session).header("mcp-protocol-version", REVISION)
    }

    /// Sends one message.
    pub async fn post(&self, message: &Value) -> Page {
        self.agent.send(self.message(message)).await
    }

    /// A request; the whole response message is the answer, be it result or error.
    ///
    /// # Panics
    /// If there is none.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let answer = self
            .post(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await
            .expect(200);
        let message = response(&answer);
        assert_eq!(message["id"], id, "{answer:?}");
        message
    }

    /// The names of all tools, sorted.
    ///
    /// # Panics
    /// If they cannot be listed.
    pub async fn tools(&self) -> Vec<String> {
        let message = self.request("tools/list", json!({})).await;
        let tools =
            message["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools: {message}"));
        let mut names: Vec<_> =
            tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// Calls a tool; the whole response message is the answer.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Calls a tool that answers with text.
    ///
    /// # Panics
    /// If it does not.
    pub async fn call_text(&self, tool: &str, arguments: Value) -> String {
        let message = self.call(tool, arguments).await;
        let text = message["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {message}")).to_owned()
    }
}

/// The response within a JSON answer, or the last message of an event stream.
fn response(answer: &Page) -> Value {
    if !answer.header("content-type").starts_with("text/event-stream") {
        return answer.json();
    }
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
    data.and_then(|data| serde_json::from_str(data).ok())
        .unwrap_or_else(|| panic!("no response: {answer:?}"))
}
