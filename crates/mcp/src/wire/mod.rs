//! JSON-RPC messages: the envelope is parsed once, payloads stay the bytes they were (design decision 2). Here live the words;
//! reading the envelope is in [`parse`], what we read of a payload in [`head`], changing one member of it in [`splice`],
//! writing envelopes in [`write`].

use std::{fmt, hash::Hash};

use bytes::Bytes;
use thiserror::Error;

pub(crate) mod capabilities;
mod head;
mod members;
mod parse;
mod splice;
mod write;

pub use head::{Meta, ParamsHead, Reference, head_of, meta, meta_of, params_head, progress_token};
pub use members::{elements, find_member, members};
pub use parse::parse;
pub use splice::{replace_member, replace_name, replace_progress_token, with_members, with_meta, without_members, without_meta};
pub use write::{error, error_raw, notification, object, quote, request, result};

/// Error codes of JSON-RPC 2.0 section 5.1 and of MCP.
pub mod code {
    pub const PARSE_ERROR: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL_ERROR: i64 = -32603;
    /// MCP up to 2025-11-25: a resource that does not exist.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// MCP 2025-11-25: the person has to visit a URL first.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// MCP 2026-07-28: header and body disagree.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// MCP 2026-07-28: the request needs something that the client cannot do.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// MCP 2026-07-28: the revision is not spoken here.
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

/// How deep a message may nest. Most JSON parsers give up at 128 too.
pub const MAX_DEPTH: usize = 128;

/// One JSON value as the text it arrived in: a slice of the message, never copied and never re-serialised.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(Bytes);

impl Payload {
    /// Takes text that is known to be one JSON value.
    pub(crate) fn trusted(raw: Bytes) -> Self {
        Self(raw)
    }

    /// Takes any text, if it is exactly one JSON value (no white space around it is kept).
    pub fn from_json(text: &str) -> Result<Self, WireError> {
        members::check_depth(text.as_bytes())?;
        let raw: &serde_json::value::RawValue = serde_json::from_str(text).map_err(|e| WireError::Parse(e.to_string()))?;
        Ok(Self(Bytes::copy_from_slice(raw.get().as_bytes())))
    }

    /// The same of bytes, which it goes on to share; white space around the value stays.
    pub(crate) fn whole(text: &Bytes) -> Result<Self, WireError> {
        members::check_depth(text)?;
        serde_json::from_slice::<serde::de::IgnoredAny>(text).map_err(|e| WireError::Parse(e.to_string()))?;
        Ok(Self(text.clone()))
    }

    /// A value of our own making.
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(Bytes::from(value.to_string()))
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads the payload into a type of ours. Only for values whose bytes are not passed on.
    pub fn read<'de, T: serde::Deserialize<'de>>(&'de self) -> Result<T, WireError> {
        serde_json::from_slice(&self.0).map_err(|e| WireError::InvalidParams(e.to_string()))
    }

    /// The same text in memory of its own, so that a small part does not keep a large message alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl fmt::Debug for Payload {
    /// Payloads may hold anything: logs get their size only (threat 48).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// A request id, or a progress token: a JSON string or number, compared by its spelling.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Payload);

impl RequestId {
    pub fn number(n: u64) -> Self {
        Self(Payload(Bytes::from(n.to_string())))
    }

    /// `None` unless the value is a string or a number.
    pub fn from_payload(raw: Payload) -> Option<Self> {
        matches!(raw.0.first(), Some(b'"' | b'-' | b'0'..=b'9')).then_some(Self(raw))
    }

    /// The JSON text: a string has its quotes.
    pub fn raw(&self) -> &str {
        self.0.as_str()
    }

    pub fn payload(&self) -> &Payload {
        &self.0
    }

    /// The number, when the id is one that we could have made. There are servers that give it back as `"3"` or as `3.0` (FB33).
    pub fn as_u64(&self) -> Option<u64> {
        id_as_u64(self.raw())
    }
}

/// An id's JSON text as the number that it may stand for.
pub(crate) fn id_as_u64(raw: &str) -> Option<u64> {
    let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).or_else(|| {
        let number: f64 = text.parse().ok().filter(|_| is_number)?;
        // Every whole number below this is one of its own.
        let is_whole = number.fract() == 0.0 && number < 9_007_199_254_740_992.0;
        is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
    })
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.raw())
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Request(Request),
    Notification(Notification),
    Response(Response),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: RequestId,
    pub method: String,
    /// An object, when present.
    pub params: Option<Payload>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub method: String,
    /// An object, when present.
    pub params: Option<Payload>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Absent (or null) only on errors about a message whose id could not be read.
    pub id: Option<RequestId>,
    pub outcome: Outcome,
}

/// How a request ended at the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Result(Payload),
    /// The raw error object: code, message, data.
    Error(Payload),
}

/// A message, or a part of one, that we do not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("the message is not valid JSON")]
    Parse(String),
    #[error("batches are not supported: send one JSON-RPC message at a time")]
    Batch,
    #[error("the message is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the key `{0}` appears more than once")]
    DuplicateKey(String),
    #[error("the key `{found}` must be spelt `{expected}`")]
    OddKey { found: String, expected: &'static str },
    #[error("not a JSON-RPC 2.0 message: {0}")]
    InvalidRequest(&'static str),
    #[error("the parameters are not as expected")]
    InvalidParams(String),
    #[error("`{0}` must be {1}")]
    WrongType(&'static str, &'static str),
    #[error("`{0}` is missing")]
    Missing(String),
}

impl WireError {
    /// The JSON-RPC error code to answer with.
    pub fn code(&self) -> i64 {
        match self {
            Self::Parse(_) => code::PARSE_ERROR,
            Self::Batch | Self::TooDeep | Self::DuplicateKey(_) | Self::OddKey { .. } | Self::InvalidRequest(_) => {
                code::INVALID_REQUEST
            }
            Self::InvalidParams(_) | Self::WrongType(..) | Self::Missing(_) => code::INVALID_PARAMS,
        }
    }
}

#[cfg(test)]
mod tests;
