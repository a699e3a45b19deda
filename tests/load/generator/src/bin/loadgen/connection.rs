//! One HTTP/1.1 connection to the target, made anew when it is closed: as little code as can be
//! between a request and its answer. What is asked over it is in session.rs.

use std::time::Duration;

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HEADERS: usize = 64;

pub struct Connection {
    stream: Option<TcpStream>,
    host: String,
    /// Head and body of the answer that is being read.
    buffer: Vec<u8>,
    connects: u64,
}

pub struct Answer {
    pub status: u16,
    pub session: Option<String>,
    pub body: Vec<u8>,
}

enum Length {
    Known(usize),
    Chunked,
    /// To the end of the connection.
    Open,
}

struct Head {
    status: u16,
    length: usize,
    body: Length,
    closes: bool,
    session: Option<String>,
}

impl Connection {
    pub fn new(host: &str) -> Self {
        Self {
            stream: None,
            host: host.to_owned(),
            buffer: Vec::with_capacity(1 << 16),
            connects: 0,
        }
    }

    /// How often it was made anew.
    pub fn reconnects(&self) -> u64 {
        self.connects.saturating_sub(1)
    }

    pub async fn send(&mut self, request: &[u8], patience: Duration) -> Result<Answer, String> {
        let answered = match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) => Err("timeout".to_owned()),
        };
        if answered.is_err() {
            self.stream = None;
        }
        answered
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer, String> {
        let began = if self.write_and_hear(request).await.unwrap_or(0) > 0 {
            true
        } else {
            // A connection that was kept open and that the other side has closed: tried once more
            // on a new one.
            self.stream = None;
            self.write_and_hear(request).await? > 0
        };
        if began { self.read_answer().await } else { Err("closed".to_owned()) }
    }

    /// Sends the request, and tells how many bytes of an answer came first.
    async fn write_and_hear(&mut self, request: &[u8]) -> Result<usize, String> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.host)
                .await
                .map_err(|error| format!("connect: {error}"))?;
            let _ = stream.set_nodelay(true);
            self.stream = Some(stream);
            self.connects += 1;
        }
        self.buffer.clear();
        let stream = self.stream.as_mut().expect("made above");
        stream.write_all(request).await.map_err(|error| format!("write: {error}"))?;
        self.fill().await
    }

    async fn fill(&mut self) -> Result<usize, String> {
        let stream = self.stream.as_mut().expect("open while an answer is read");
        stream.read_buf(&mut self.buffer).await.map_err(|error| format!("read: {error}"))
    }

    /// Reads on; the end of the connection is an error.
    async fn more(&mut self, place: &str) -> Result<(), String> {
        if self.fill().await? == 0 { Err(format!("closed in {place}")) } else { Ok(()) }
    }

    async fn read_answer(&mut self) -> Result<Answer, String> {
        let mut head = self.read_head().await?;
        let body = match head.body {
            Length::Known(length) => {
                let end = head.length + length;
                // bounded: by the timeout of `send`
                while self.buffer.len() < end {
                    self.more("body").await?;
                }
                self.buffer[head.length..end].to_vec()
            }
            Length::Chunked => self.read_chunks(head.length).await?,
            Length::Open => {
                // bounded: by the timeout of `send`
                while self.fill().await? != 0 {}
                head.closes = true;
                self.buffer[head.length..].to_vec()
            }
        };
        if head.closes {
            self.stream = None;
        }
        Ok(Answer { status: head.status, session: head.session, body })
    }

    async fn read_head(&mut self) -> Result<Head, String> {
        // bounded: by the timeout of `send`
        loop {
            match parse_head(&self.buffer)? {
                Some(head) if head.status == 100 => drop(self.buffer.drain(..head.length)),
                Some(head) => return Ok(head),
                None => self.more("head").await?,
            }
        }
    }

    async fn read_chunks(&mut self, start: usize) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        let mut at = start;
        // bounded: by the timeout of `send`
        loop {
            let line_end = match memmem::find(&self.buffer[at..], b"\r\n") {
                Some(found) => at + found,
                None => {
                    self.more("chunk").await?;
                    continue;
                }
            };
            let size = chunk_size(&self.buffer[at..line_end]).ok_or("bad chunk")?;
            let end = line_end + 2 + size;
            // bounded: by the timeout of `send`
            while self.buffer.len() < end + 2 {
                self.more("chunk").await?;
            }
            body.extend_from_slice(&self.buffer[line_end + 2..end]);
            at = end + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()
}

/// Nothing while the head is not complete.
fn parse_head(buffer: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) =
        response.parse(buffer).map_err(|error| format!("http: {error}"))?
    else {
        return Ok(None);
    };
    let status = response.code.unwrap_or(0);
    let mut head = Head { status, length, body: Length::Open, closes: false, session: None };
    if matches!(status, 100 | 202 | 204 | 304) {
        head.body = Length::Known(0);
    }
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            if let Ok(length) = value.parse() {
                head.body = Length::Known(length);
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if value.to_ascii_lowercase().contains("chunked") {
                head.body = Length::Chunked;
            }
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            head.session = Some(value.to_owned());
        }
    }
    Ok(Some(head))
}
