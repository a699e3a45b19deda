//! A JSON-RPC error in answer to a server: the gateway's own, or a client's, passed on unchanged.

use crate::wire::{self, Payload, RequestId, protocol::error_member};

/// A JSON-RPC error to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Payload>,
    /// The client's own error object, passed on as it is.
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

    /// Reads an error object. It is passed on unchanged, unknown members and the spelling of its
    /// number included.
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
