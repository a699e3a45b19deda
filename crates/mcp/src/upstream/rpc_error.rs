//! A JSON-RPC error that a server is answered with: one of the gateway's own, or a client's as it came.

use crate::wire::{self, Payload, RequestId, protocol::error_member};

/// A JSON-RPC error to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Payload>,
    /// The object as somebody else wrote it, which is how it goes on.
    whole: Option<Payload>,
}

impl RpcError {
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, whole: None }
    }

    pub(crate) fn unanswered() -> Self {
        Self::new(wire::code::INTERNAL_ERROR, "the client did not answer")
    }

    pub fn method_not_found() -> Self {
        Self::new(wire::code::METHOD_NOT_FOUND, "Method not found")
    }

    /// Reads an error object. Passed on, it is that object, whatever else is in it and however its number is spelt.
    pub(crate) fn read(error: &Payload) -> Self {
        let mut read = Self::new(wire::code::INTERNAL_ERROR, "an error that cannot be read");
        read.whole = error.as_str().starts_with('{').then(|| error.clone());
        for (key, value) in wire::members(error).unwrap_or_default() {
            match &*key {
                error_member::CODE => read.code = value.read().unwrap_or(read.code),
                error_member::MESSAGE => read.message = value.read().unwrap_or(read.message),
                error_member::DATA => read.data = Some(value),
                _ => {}
            }
        }
        read
    }

    /// The error object.
    pub(crate) fn object(&self) -> Payload {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        wire::error_object(self.code, &self.message, self.data.as_ref())
    }

    pub(super) fn write(&self, id: &RequestId) -> bytes::Bytes {
        wire::error_raw(Some(id), &self.object())
    }
}
