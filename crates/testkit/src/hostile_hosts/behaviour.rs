//! What a hostile host answers when it is asked. Which URL has which behaviour is in [`super`].

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Extra headers of an answer.
pub type Headers = Vec<(&'static str, String)>;

/// One way to answer a GET.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// What was asked for, as JSON.
    Honest(Value, Headers),
    /// A whole answer: status line, headers, body.
    Response { status: u16, content_type: &'static str, headers: Headers, body: String },
    /// Declares this many bytes and sends those.
    WrongLength { declared: usize, body: String },
    /// A body without end, chunked.
    EndlessBody,
    /// Headers without end.
    EndlessHeaders,
    /// A sound answer, a byte a second.
    ByteASecond(Value),
    /// Never answers.
    NoAnswer,
    /// A small compressed body that is a large one.
    CompressionBomb(&'static str),
    /// Hangs up in the middle.
    HangsUp,
    /// No HTTP at all.
    NotHttp,
}

impl Behaviour {
    pub const fn honest(document: Value) -> Self {
        Self::Honest(document, Vec::new())
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        let headers = vec![("location", location.to_owned())];
        Self::Response { status, content_type: "application/json", headers, body: "{}".to_owned() }
    }

    pub(super) async fn answer(&self, to: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        match self {
            Self::Honest(document, headers) => {
                let body = document.to_string();
                to.write_all(&whole(200, "application/json", headers, body.len(), &body)).await
            }
            Self::Response { status, content_type, headers, body } => {
                to.write_all(&whole(*status, content_type, headers, body.len(), body)).await
            }
            Self::WrongLength { declared, body } => to.write_all(&whole(200, "application/json", &[], *declared, body)).await,
            Self::EndlessBody => {
                to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                // bounded: by the reader, which gives up: that is what is tested.
                loop {
                    to.write_all(b"400\r\n").await?;
                    to.write_all(&[b' '; 1024]).await?;
                    to.write_all(b"\r\n").await?;
                }
            }
            Self::EndlessHeaders => {
                to.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                // bounded: by the reader, which gives up: that is what is tested.
                loop {
                    to.write_all(b"x-more: ").await?;
                    to.write_all(&[b'x'; 1024]).await?;
                    to.write_all(b"\r\n").await?;
                }
            }
            Self::ByteASecond(document) => {
                let body = document.to_string();
                for byte in whole(200, "application/json", &[], body.len(), &body) {
                    to.write_all(&[byte]).await?;
                    to.flush().await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Ok(())
            }
            Self::NoAnswer => std::future::pending().await,
            Self::CompressionBomb(coding) => {
                let headers = [("content-encoding", (*coding).to_owned())];
                to.write_all(&whole(200, "application/json", &headers, 4, "\u{1f}\u{b}AA")).await
            }
            Self::HangsUp => {
                to.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{").await
            }
            Self::NotHttp => to.write_all(b"220 mail.hosts.example ESMTP\r\n").await,
        }
    }
}

fn whole(
    status: u16,
    content_type: &str,
    headers: &[(&'static str, String)],
    length: usize,
    body: &str,
) -> Vec<u8> {
    let mut lines = vec![
        format!("HTTP/1.1 {status} X"),
        "connection: close".to_owned(),
        format!("content-length: {length}"),
    ];
    if !content_type.is_empty() {
        lines.push(format!("content-type: {content_type}"));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}
