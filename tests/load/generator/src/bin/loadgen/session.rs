//! One MCP session, and the calls in it: the messages, the heads around them, and what counts as an
//! answer. How they travel is in connection.rs.

use std::{sync::Arc, time::Duration};

use memchr::memmem;

use crate::connection::{Answer, Connection};

const LEGACY: &str = "2025-06-18";
const MODERN: &str = "2026-07-28";
/// How much of an answer stands in an error.
const SHOWN: usize = 300;

/// What is called, and how.
pub struct Target {
    host: String,
    path: String,
    token: Option<String>,
    tool: String,
    is_modern: bool,
    patience: Duration,
}

pub struct Session {
    target: Arc<Target>,
    connection: Connection,
    id: Option<String>,
}

impl Target {
    pub fn new(
        url: &str,
        token: Option<String>,
        tool: String,
        is_modern: bool,
        patience: Duration,
    ) -> Self {
        let rest = url.strip_prefix("http://").expect("--url begins with http://");
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        assert!(host.starts_with("127.0.0.1:"), "only 127.0.0.1 is measured, with a port");
        Self { host: host.to_owned(), path: format!("/{path}"), token, tool, is_modern, patience }
    }

    fn revision(&self) -> &'static str {
        if self.is_modern { MODERN } else { LEGACY }
    }

    /// `call` is true for `tools/call`, whose name modern clients also put into headers.
    fn request(&self, session: Option<&str>, body: &str, is_first: bool, is_call: bool) -> Vec<u8> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            self.path,
            self.host,
            body.len()
        );
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if !is_first {
            head += &format!("MCP-Protocol-Version: {}\r\n", self.revision());
        }
        if let Some(session) = session {
            head += &format!("Mcp-Session-Id: {session}\r\n");
        }
        if self.is_modern && is_call {
            head += &format!("Mcp-Method: tools/call\r\nMcp-Name: {}\r\n", self.tool);
        }
        head += "\r\n";
        head += body;
        head.into_bytes()
    }

    fn call(&self, id: u64, text: &str) -> String {
        let meta = if self.is_modern {
            format!(
                r#","_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"loadgen","version":"0.1.0"}}}}"#
            )
        } else {
            String::new()
        };
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{}","arguments":{{"message":"{text}"}}{meta}}}}}"#,
            self.tool
        )
    }
}

impl Session {
    /// Says hello, where the era has a hello.
    pub async fn open(target: Arc<Target>) -> Result<Self, String> {
        let connection = Connection::new(&target.host);
        let mut session = Self { target, connection, id: None };
        if session.target.is_modern {
            return Ok(session);
        }
        let hello = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"loadgen","version":"0.1.0"}}}}}}"#
        );
        let answer = session.send(&hello, true, false).await?;
        if answer.status != 200 || memmem::find(&answer.body, b"\"serverInfo\"").is_none() {
            return Err(describe("initialize", &answer));
        }
        session.id = answer.session;
        let answer = session
            .send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, false, false)
            .await?;
        if matches!(answer.status, 200 | 202 | 204) {
            Ok(session)
        } else {
            Err(describe("initialized", &answer))
        }
    }

    /// One call, with a text that no other call has.
    pub async fn call(&mut self, worker: usize, id: u64) -> Result<(), String> {
        let text = format!("k{worker}.{id}.");
        let answer = self.send(&self.target.call(id, &text), false, true).await?;
        let has = |part: &[u8]| memmem::find(&answer.body, part).is_some();
        if answer.status == 200 && has(b"\"result\"") && has(text.as_bytes()) {
            Ok(())
        } else {
            Err(describe("bad answer", &answer))
        }
    }

    pub fn reconnects(&self) -> u64 {
        self.connection.reconnects()
    }

    async fn send(&mut self, body: &str, is_first: bool, is_call: bool) -> Result<Answer, String> {
        let request = self.target.request(self.id.as_deref(), body, is_first, is_call);
        self.connection.send(&request, self.target.patience).await
    }
}

fn describe(what: &str, answer: &Answer) -> String {
    let shown = &answer.body[..answer.body.len().min(SHOWN)];
    format!("{what}: {} {}", answer.status, String::from_utf8_lossy(shown))
}
