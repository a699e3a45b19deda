//! An answer of the Streamable HTTP transport, before the edge makes HTTP of it.

use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, StatusCode};
use portunus_core::ids::ServerName;

/// Status, headers (content type and session id included) and body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    /// Set when the request was refused because the client has not been granted what it needs: the
    /// status is 403 then, and the edge says what to ask for.
    pub refused: Option<Refused>,
}

/// What the client has not been granted, on which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub server: ServerName,
    pub what: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By the server's own name of it.
    Tool(String),
    Prompt(String),
    /// By its URI, or a template by its text.
    Resource(String),
    /// Anything of the server at all, or a method that lies outside of its parts.
    Server,
}

pub enum Body {
    Empty,
    /// One JSON-RPC message.
    Json(Bytes),
    /// Server-sent events, each item whole and already in `event:`/`data:` form. Dropping the
    /// stream is a disconnect.
    Events(BoxStream<'static, Bytes>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Json(bytes) => write!(f, "Json({} bytes)", bytes.len()),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}
