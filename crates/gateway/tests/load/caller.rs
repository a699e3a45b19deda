//! A client on one connection of its own, as thin as can be: thousands of them must fit in one
//! test.

use std::{fmt, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};

use super::gateway::Gateway;

pub(crate) struct Caller {
    stream: BufReader<TcpStream>,
    port: u16,
    token: String,
    session: String,
}

/// How long pings took.
pub(crate) struct Pings {
    median: Duration,
    pub(crate) p99: Duration,
}

impl fmt::Display for Pings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2?} (median), {:.2?} (p99)", self.median, self.p99)
    }
}

impl Pings {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self { median: took[took.len() / 2], p99: took[took.len() * 99 / 100] }
    }
}

impl Caller {
    /// With a session.
    pub(crate) async fn greeted(gateway: &Gateway, person: usize) -> Self {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let stream = BufReader::with_capacity(1024, stream);
        let token = gateway.tokens[person].clone();
        let mut caller =
            Self { stream, port: gateway.address.port(), token, session: String::new() };
        caller.initialize().await;
        caller
    }

    /// The head of a request to `/mcp`; `more` are whole lines.
    pub(crate) fn head(&self, method: &str, more: &str) -> String {
        let session = if self.session.is_empty() {
            String::new()
        } else {
            format!("Mcp-Session-Id: {}\r\nMcp-Protocol-Version: 2025-11-25\r\n", self.session)
        };
        format!(
            "{method} /mcp HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{session}{more}\r\n",
            self.port, self.token
        )
    }

    async fn initialize(&mut self) {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;
        let (head, _) = self.post(hello).await;
        let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        session.unwrap_or_else(|| panic!("no session: {head}")).clone_into(&mut self.session);
    }

    /// Opens the stream of the session and reads as far as it is open.
    pub(crate) async fn listen(&mut self) {
        let head = self.head("GET", "");
        self.stream.write_all(head.as_bytes()).await.unwrap();
        let head = self.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        self.hears(": open").await;
    }

    /// Reads the stream until this comes.
    pub(crate) async fn hears(&mut self, wanted: &str) {
        let mut line = String::new();
        while !line.starts_with(wanted) {
            line.clear();
            assert!(
                self.stream.read_line(&mut line).await.unwrap() > 0,
                "the stream ended before {wanted:?}"
            );
        }
    }

    /// So many pings here and as many there, in turn: whatever else the machine does meanwhile, it
    /// does to both.
    pub(crate) async fn pings_beside(&mut self, other: &mut Self, count: u32) -> (Pings, Pings) {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for n in 0..count {
            here.push(self.ping(n).await);
            there.push(other.ping(n).await);
        }
        (Pings::of(here), Pings::of(there))
    }

    /// One ping, answered.
    pub(crate) async fn ping(&mut self, n: u32) -> Duration {
        let began = Instant::now();
        let (head, body) =
            self.post(&format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"ping"}}"#)).await;
        let took = began.elapsed();
        assert_eq!(body, format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{{}}}}"#), "{head}");
        took
    }

    async fn post(&mut self, body: &str) -> (String, String) {
        let head = self.head("POST", &format!("Content-Length: {}\r\n", body.len()));
        self.stream.write_all((head + body).as_bytes()).await.unwrap();
        let head = self.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or_else(|| panic!("no length: {head}"))];
        self.stream.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    async fn read_head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                self.stream.read_line(&mut head).await.unwrap() > 0,
                "the connection ended: {head}"
            );
        }
        head
    }
}
