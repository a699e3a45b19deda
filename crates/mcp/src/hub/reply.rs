//! How a request ended, and the response message that says so.

use bytes::Bytes;
use portunus_core::ids::ServerName;

use crate::{
    upstream::UpstreamError,
    wire::{self, Outcome, Payload, RequestId, WireError, code},
};

pub(crate) type Reply = Result<Outcome, Problem>;

/// Why there is no answer from a server.
#[derive(Debug)]
pub(crate) enum Problem {
    /// We refuse.
    Refused { code: i64, message: String, data: Option<Payload> },
    /// The server could not be asked, or did not answer.
    Server { server: ServerName, error: UpstreamError },
}

impl Problem {
    pub(crate) fn refused(code: i64, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into(), data: None }
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::refused(code::INVALID_PARAMS, message)
    }

    pub(crate) fn missing(member: &str) -> Self {
        Self::invalid_params(format!("`{member}` is missing"))
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        Self::refused(code::METHOD_NOT_FOUND, format!("Method not found: {method}"))
    }

    pub(crate) fn resource_not_found(uri: &str, message: impl Into<String>) -> Self {
        let data = wire::object(&[("uri", &wire::quote(uri))]);
        Self::Refused { code: code::RESOURCE_NOT_FOUND, message: message.into(), data: Some(data) }
    }

    pub(crate) fn server(server: &ServerName, error: UpstreamError) -> Self {
        Self::Server { server: server.clone(), error }
    }
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::refused(error.code(), error.to_string())
    }
}

/// An empty result.
pub(crate) fn done() -> Outcome {
    Outcome::Result(wire::object(&[]))
}

/// The response; a call that was cancelled has none.
pub(crate) fn message(id: &RequestId, reply: &Reply) -> Option<Bytes> {
    match reply {
        Ok(Outcome::Result(result)) => Some(wire::result(id, result)),
        Ok(Outcome::Error(error)) => Some(wire::error_raw(Some(id), error)),
        Err(Problem::Refused { code, message, data }) => Some(wire::error(Some(id), *code, message, data.as_ref())),
        Err(Problem::Server { error: UpstreamError::Cancelled, .. }) => None,
        Err(Problem::Server { server, error }) => {
            let text = format!("server {:?}: {error}", server.as_str());
            let data = wire::object(&[("server", &wire::quote(server.as_str()))]);
            Some(wire::error(Some(id), code::INTERNAL_ERROR, &text, Some(&data)))
        }
    }
}

/// What the caller is not told goes to the log.
pub(crate) fn log(method: &str, reply: &Reply) {
    if let Err(Problem::Server { server, error }) = reply {
        tracing::warn!(%server, method, %error, reason = error.detail().unwrap_or_default(), "a server did not answer");
    }
}
