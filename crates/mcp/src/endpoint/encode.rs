//! How a request ended, as a response message: what a client of each era is told, and with which
//! HTTP status.

use bytes::Bytes;
use http::StatusCode;

use super::{answer_stream::Last, answers};
use crate::{
    allow::Verdict,
    answer::{Answer, Refused, Wanted},
    caller::{Caller, View},
    limits::Limited,
    problem::{LIMIT_REACHED, Problem, Reply},
    registry::ServerRegistry,
    upstream::UpstreamError,
    wire::{self, Outcome, Payload, RequestId, code},
};

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

/// The refusal of a view of one server. One that the caller may not know of is as absent as one
/// that is not configured.
pub(crate) fn refused_view(registry: &ServerRegistry, caller: &Caller) -> Option<Answer> {
    let View::One(server) = &caller.view else { return None };
    let verdict =
        if registry.find(server).is_some() { caller.allow.server(server) } else { Verdict::Hidden };
    match verdict {
        Verdict::Allowed => None,
        Verdict::NotGranted => {
            Some(refusal(None, Refused { server: server.clone(), what: Wanted::Server }))
        }
        Verdict::Hidden | Verdict::Unmet(_) => Some(answers::error(
            StatusCode::NOT_FOUND,
            None,
            code::INVALID_REQUEST,
            "there is no such server",
        )),
    }
}

/// The response; a call that was cancelled has none.
pub(crate) fn message(id: &RequestId, reply: &Reply) -> Option<Bytes> {
    match reply {
        Ok(Outcome::Result(result)) => Some(wire::result(id, result)),
        Ok(Outcome::Error(error)) => Some(wire::error_raw(Some(id), error)),
        Err(Problem::Refused { code, message, data }) => {
            Some(wire::error(Some(id), *code, message, data.as_ref()))
        }
        Err(Problem::NotGranted(refused)) => {
            Some(wire::error(Some(id), NOT_GRANTED, &not_granted_text(refused), None))
        }
        Err(Problem::Limited(limited)) => Some(limited_message(Some(id), limited)),
        Err(Problem::Server { error: UpstreamError::Cancelled, .. }) => None,
        Err(Problem::Server { server, error }) => {
            let text = format!("server {:?}: {error}", server.as_str());
            let name = wire::quote(server.as_str());
            let mut members = vec![("server", &*name)];
            if matches!(error, UpstreamError::Lost) {
                members.push(("retriable", "true"));
            }
            let data = wire::object(&members);
            let code = if matches!(error, UpstreamError::ShareUsedUp { .. }) {
                LIMIT_REACHED
            } else {
                code::INTERNAL_ERROR
            };
            Some(wire::error(Some(id), code, &text, Some(&data)))
        }
    }
}

/// The answer to a message that is not let through. One without an id has none.
pub(crate) fn limited(id: Option<&RequestId>, limited: &Limited) -> Answer {
    answers::limited(limited_message(id, limited), limited.retry_after)
}

fn limited_message(id: Option<&RequestId>, limited: &Limited) -> Bytes {
    let data = Payload::from_value(&serde_json::json!({
        "limit": limited.limit,
        "retryAfterMs": u64::try_from(limited.retry_after.as_millis()).unwrap_or(u64::MAX),
    }));
    wire::error(id, LIMIT_REACHED, &limited.text, Some(&data))
}

/// The answer to a modern client.
pub(crate) fn modern(id: &RequestId, reply: Reply) -> Last {
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
        Ok(Outcome::Error(error)) => wire::code_of(error),
        Err(Problem::Refused { code, .. }) => Some(*code),
        _ => None,
    };
    let message = Some(message(id, &reply).unwrap_or_default());
    let (refused, retry_after) = match reply {
        Err(Problem::NotGranted(refused)) => (Some(refused), None),
        Err(Problem::Limited(limited)) => (None, Some(limited.retry_after)),
        _ => (None, None),
    };
    Last { status: status_of(code), message, refused, retry_after }
}

/// The HTTP status of an answer with this error code; `None` is a result.
fn status_of(code: Option<i64>) -> StatusCode {
    match code {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            code::HEADER_MISMATCH
            | code::MISSING_CLIENT_CAPABILITY
            | code::UNSUPPORTED_PROTOCOL_VERSION
            | code::PARSE_ERROR
            | code::INVALID_REQUEST,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// The same as one JSON message.
pub(crate) fn modern_answer(id: &RequestId, reply: Reply) -> Answer {
    modern(id, reply).into_answer()
}

/// What the caller is not told goes to the log.
pub(crate) fn log(method: &str, reply: &Reply) {
    if let Err(Problem::Server { server, error }) = reply {
        tracing::warn!(%server, method, %error, reason = error.detail().unwrap_or_default(), "a server did not answer");
    }
}

#[cfg(test)]
mod tests {
    use portunus_core::ids::ServerName;

    use super::*;

    #[test]
    fn a_call_that_was_lost_with_its_node_may_be_sent_again() {
        let server = ServerName::parse("dice").unwrap();
        let told = |error| {
            let text =
                message(&RequestId::number(7), &Err(Problem::server(&server, error))).unwrap();
            String::from_utf8(text.to_vec()).unwrap()
        };
        let lost = told(UpstreamError::Lost);
        assert!(lost.ends_with(r#""data":{"server":"dice","retriable":true}}}"#), "{lost}");
        let ended = told(UpstreamError::closed("why"));
        assert!(ended.ends_with(r#""data":{"server":"dice"}}}"#), "{ended}");
    }
}
