//! How a request ended, and the response message that says so.

use bytes::Bytes;
use http::StatusCode;
use portunus_core::ids::ServerName;

use crate::{
    answer::{Answer, Refused, Wanted},
    endpoint::{answers, modern},
    translate::errors,
    upstream::UpstreamError,
    wire::{self, Outcome, Payload, RequestId, WireError, code},
};

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
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::refused(error.code(), error.to_string())
    }
}

/// The client has not been granted it: of the codes that MCP leaves to implementations.
const NOT_GRANTED: i64 = -32010;

/// What the person did not grant, as the client asked for it.
pub(crate) fn not_granted_text(refused: &Refused) -> String {
    let server = refused.server.as_str();
    match &refused.what {
        Wanted::Tool(name) => format!("Not granted: the tool {name} of the server {server}"),
        Wanted::Prompt(name) => format!("Not granted: the prompt {name} of the server {server}"),
        Wanted::Resource(uri) => format!("Not granted: the resource {uri} of the server {server}"),
        Wanted::Server => format!("Not granted: the server {server}"),
    }
}

/// The answer to a message without an id, or before there is one.
pub(crate) fn refusal(id: Option<&RequestId>, refused: Refused) -> Answer {
    let message = wire::error(id, NOT_GRANTED, &not_granted_text(&refused), None);
    answers::refused(message, refused)
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
        Err(Problem::NotGranted(refused)) => Some(wire::error(Some(id), NOT_GRANTED, &not_granted_text(refused), None)),
        Err(Problem::Server { error: UpstreamError::Cancelled, .. }) => None,
        Err(Problem::Server { server, error }) => {
            let text = format!("server {:?}: {error}", server.as_str());
            let name = wire::quote(server.as_str());
            let mut members = vec![("server", &*name)];
            if matches!(error, UpstreamError::Lost) {
                members.push(("retriable", "true"));
            }
            let data = wire::object(&members);
            let code =
                if matches!(error, UpstreamError::ShareUsedUp { .. }) { answers::LIMIT_REACHED } else { code::INTERNAL_ERROR };
            Some(wire::error(Some(id), code, &text, Some(&data)))
        }
    }
}

/// The answer to a modern client: status and message, and what it has not been granted.
pub(crate) fn modern(id: &RequestId, reply: Reply) -> (StatusCode, Bytes, Option<Refused>) {
    let reply = match reply {
        // Not used any more in that era.
        Err(Problem::Refused { code: code::RESOURCE_NOT_FOUND, message, data }) => {
            Err(Problem::Refused { code: code::INVALID_PARAMS, message, data })
        }
        Err(Problem::Server { server, error: UpstreamError::Cancelled }) => Err(Problem::Refused {
            code: code::INTERNAL_ERROR,
            message: format!("server {:?}: the call was cancelled", server.as_str()),
            data: None,
        }),
        other => other,
    };
    let code = match &reply {
        Ok(Outcome::Error(error)) => errors::code_of(error),
        Err(Problem::Refused { code, .. }) => Some(*code),
        _ => None,
    };
    let text = message(id, &reply).unwrap_or_default();
    let refused = match reply {
        Err(Problem::NotGranted(refused)) => Some(refused),
        _ => None,
    };
    (modern::status_of(code), text, refused)
}

/// The same as one JSON message.
pub(crate) fn modern_answer(id: &RequestId, reply: Reply) -> Answer {
    let (status, message, refused) = modern(id, reply);
    match refused {
        Some(refused) => answers::refused(message, refused),
        None => answers::json(status, message),
    }
}

/// What the caller is not told goes to the log.
pub(crate) fn log(method: &str, reply: &Reply) {
    if let Err(Problem::Server { server, error }) = reply {
        tracing::warn!(%server, method, %error, reason = error.detail().unwrap_or_default(), "a server did not answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_lost_with_its_node_may_be_sent_again() {
        let server = ServerName::parse("dice").unwrap();
        let told = |error| {
            let text = message(&RequestId::number(7), &Err(Problem::server(&server, error))).unwrap();
            String::from_utf8(text.to_vec()).unwrap()
        };
        let lost = told(UpstreamError::Lost);
        assert!(lost.ends_with(r#""data":{"server":"dice","retriable":true}}}"#), "{lost}");
        let ended = told(UpstreamError::closed("why"));
        assert!(ended.ends_with(r#""data":{"server":"dice"}}}"#), "{ended}");
    }
}
