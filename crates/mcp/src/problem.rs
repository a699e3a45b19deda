//! How a request ended when it is not as its client wished. What a client of each era is told of
//! it, `endpoint::encode` says.

use portunus_core::ids::ServerName;

use crate::{
    answer::{Refused, Wanted},
    client_capabilities::Missing,
    limits::Limited,
    upstream::{RpcError, UpstreamError},
    wire::{self, Outcome, Payload, WireError, code},
};

/// A limit was met: MCP leaves these codes to implementations.
pub(crate) const LIMIT_REACHED: i64 = -32000;

pub(crate) type Reply = Result<Outcome, Problem>;

/// Why there is no answer from a server.
#[derive(Debug)]
pub(crate) enum Problem {
    /// We refuse.
    Refused { code: i64, message: String, data: Option<Payload> },
    /// The person may have it, the client has not been granted it.
    NotGranted(Refused),
    /// The server could not be asked, or did not answer.
    Server { server: ServerName, error: UpstreamError },
    /// A limit of the configuration was met.
    Limited(Box<Limited>),
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

    pub(crate) fn not_granted(server: &ServerName, what: Wanted) -> Self {
        Self::NotGranted(Refused { server: server.clone(), what })
    }

    pub(crate) fn server(server: &ServerName, error: UpstreamError) -> Self {
        Self::Server { server: server.clone(), error }
    }

    /// The client has not declared what a server needs of it.
    pub(crate) fn missing_capability(missing: &Missing) -> Self {
        let data =
            Payload::from_value(&serde_json::json!({ "requiredCapabilities": missing.required }));
        let message = format!(
            "the server needs the client capability `{}`, which this client has not declared",
            missing.name
        );
        Self::Refused { code: code::MISSING_CLIENT_CAPABILITY, message, data: Some(data) }
    }

    /// The client answered what a server asked with an error.
    pub(crate) fn from_client(error: RpcError) -> Self {
        Self::Refused {
            code: error.code,
            message: format!("the client answered the server with an error: {}", error.message),
            data: error.data,
        }
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
