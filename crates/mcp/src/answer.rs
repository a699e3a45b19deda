//! An answer of the Streamable HTTP transport, before the edge makes HTTP of it.

use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, StatusCode};

/// Status, headers (content type and session id included) and body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

pub enum Body {
    Empty,
    /// One JSON-RPC message.
    Json(Bytes),
    /// Server-sent events, each item whole and already in `event:`/`data:` form. Dropping the stream is a disconnect.
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
