//! What a server of the zoo does when it is asked.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Extra headers of an answer.
pub type Headers = Vec<(&'static str, String)>;

/// One way to answer a GET.
#[derive(Clone, Debug)]
pub enum Animal {
    /// What was asked for, as JSON.
    Honest(Value, Headers),
    /// A whole answer: status line, headers, body.
    Says { status: u16, content_type: &'static str, headers: Headers, body: String },
    /// Declares this many bytes and sends those.
    Liar { declared: usize, body: String },
    /// A body without end, chunked.
    Endless,
    /// Headers without end.
    Talkative,
    /// A sound answer, a byte a second.
    Dripping(Value),
    /// Never answers.
    Asleep,
    /// A small compressed body that is a large one.
    Bomb(&'static str),
    /// Hangs up in the middle.
    Shy,
    /// No HTTP at all.
    Foreign,
}

impl Animal {
    pub const fn honest(document: Value) -> Self {
        Self::Honest(document, Vec::new())
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        let headers = vec![("location", location.to_owned())];
        Self::Says { status, content_type: "application/json", headers, body: "{}".to_owned() }
    }

    pub(super) async fn answer(&self, to: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        match self {
            Self::Honest(document, headers) => {
                let body = document.to_string();
                to.write_all(&whole(200, "application/json", headers, body.len(), &body)).await
            }
            Self::Says { status, content_type, headers, body } => {
                to.write_all(&whole(*status, content_type, headers, body.len(), body)).await
            }
            Self::Liar { declared, body } => to.write_all(&whole(200, "application/json", &[], *declared, body)).await,
            Self::Endless => {
                to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                // bounded: by the reader, whose end is an error here. That it gives up is what is tested.
                loop {
                    to.write_all(b"400\r\n").await?;
                    to.write_all(&[b' '; 1024]).await?;
                    to.write_all(b"\r\n").await?;
                }
            }
            Self::Talkative => {
                to.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                // bounded: by the reader, whose end is an error here. That it gives up is what is tested.
                loop {
                    to.write_all(b"x-more: ").await?;
                    to.write_all(&[b'x'; 1024]).await?;
                    to.write_all(b"\r\n").await?;
                }
            }
            Self::Dripping(document) => {
                let body = document.to_string();
                for byte in whole(200, "application/json", &[], body.len(), &body) {
                    to.write_all(&[byte]).await?;
                    to.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Ok(())
            }
            Self::Asleep => std::future::pending().await,
            Self::Bomb(coding) => {
                let headers = [("content-encoding", (*coding).to_owned())];
                to.write_all(&whole(200, "application/json", &headers, 4, "\u{1f}\u{b}AA")).await
            }
            Self::Shy => to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{").await,
            Self::Foreign => to.write_all(b"220 mail.zoo.example ESMTP\r\n").await,
        }
    }
}

fn whole(status: u16, content_type: &str, headers: &[(&'static str, String)], length: usize, body: &str) -> Vec<u8> {
    let mut lines = vec![format!("HTTP/1.1 {status} X"), "connection: close".to_owned(), format!("content-length: {length}")];
    if !content_type.is_empty() {
        lines.push(format!("content-type: {content_type}"));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}
