//! Payloads, the raw parts of messages, and the ids of requests, which are such parts. Members of a
//! payload are found next door, in [`super::members`].

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{depth::is_too_deep, error::WireError};

/// One JSON value as the text it arrived in: a slice of the message, never copied and never
/// re-serialised.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(Bytes);

impl Payload {
    /// Takes bytes that are known to be one JSON value.
    pub(crate) fn trusted(raw: Bytes) -> Self {
        Self(raw)
    }

    /// Takes a text if it is exactly one JSON value. White space around it is dropped.
    pub fn from_json(text: &str) -> Result<Self, WireError> {
        if is_too_deep(text.as_bytes()) {
            return Err(WireError::TooDeep);
        }
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|e| WireError::Parse(e.to_string()))?;
        Ok(Self(Bytes::copy_from_slice(raw.get().as_bytes())))
    }

    /// Takes bytes if they are exactly one JSON value, and shares them. White space around it
    /// stays.
    pub(crate) fn whole(text: &Bytes) -> Result<Self, WireError> {
        if is_too_deep(text) {
            return Err(WireError::TooDeep);
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(text)
            .map_err(|e| WireError::Parse(e.to_string()))?;
        Ok(Self(text.clone()))
    }

    /// Writes a value as a payload.
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(Bytes::from(value.to_string()))
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads the payload into a Rust type. Only for values whose bytes are not passed on.
    pub fn read<'de, T: serde::Deserialize<'de>>(&'de self) -> Result<T, WireError> {
        serde_json::from_slice(&self.0).map_err(|e| WireError::InvalidParams(e.to_string()))
    }

    /// The same text in memory of its own, so that a small part does not keep a large message
    /// alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl fmt::Debug for Payload {
    /// Prints the size only: payloads may hold anything, and end up in logs (threat 48).
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

    /// The number, if the id may be one of the gateway's own. Some servers send it back as `"3"` or
    /// `3.0` (FB33).
    pub fn as_u64(&self) -> Option<u64> {
        id_as_u64(self.raw())
    }
}

/// The number that an id's JSON text may stand for.
pub(crate) fn id_as_u64(raw: &str) -> Option<u64> {
    let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).or_else(|| {
        let number: f64 = text.parse().ok().filter(|_| is_number)?;
        // Below this, an `f64` holds every whole number.
        let is_whole = number.fract() == 0.0 && number < 9_007_199_254_740_992.0;
        is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
    })
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.raw())
    }
}
