//! Requests that servers make: roots, sampling, elicitation. A `ping` never comes here, the connection answers it.

use async_trait::async_trait;

use super::ConnectionKey;
use crate::wire::{self, Payload, RequestId};

/// Answers requests of servers.
#[async_trait]
pub trait ServerRequests: Send + Sync {
    /// `from` says which server asks, and on whose connection.
    async fn handle(&self, from: &ConnectionKey, method: &str, params: Option<Payload>) -> Result<Payload, RpcError>;
}

/// A JSON-RPC error to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Payload>,
}

impl RpcError {
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub fn method_not_found() -> Self {
        Self::new(wire::code::METHOD_NOT_FOUND, "Method not found")
    }

    pub(super) fn write(&self, id: &RequestId) -> bytes::Bytes {
        wire::error(Some(id), self.code, &self.message, self.data.as_ref())
    }
}

/// Knows no method at all: right when the handshake declares no capabilities.
#[derive(Clone, Copy, Debug)]
pub struct NoServerRequests;

#[async_trait]
impl ServerRequests for NoServerRequests {
    async fn handle(&self, _: &ConnectionKey, _: &str, _: Option<Payload>) -> Result<Payload, RpcError> {
        Err(RpcError::method_not_found())
    }
}
