//! Parses bytes into a [`Message`]: the envelope of JSON-RPC 2.0 and nothing else. Parameters are
//! read next door, in [`super::head`].

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    depth::is_too_deep,
    error::WireError,
    members::{raw_members, refuse_odd_key, slice},
    message::{Message, Notification, Outcome, Request, Response},
    payload::{Payload, RequestId},
};

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

#[derive(Default)]
struct Envelope<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

/// Reads one message. Payloads are slices of `text`.
pub fn parse(text: &Bytes) -> Result<Message, WireError> {
    if is_too_deep(text) {
        return Err(WireError::TooDeep);
    }
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(b'[') => return Err(WireError::Batch),
        Some(_) if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
            return Err(WireError::InvalidRequest("a message is an object"));
        }
        _ => return Err(WireError::Parse("no object".to_owned())),
    }
    let mut envelope = Envelope::default();
    for (key, raw) in raw_members(text)? {
        match &*key {
            "jsonrpc" => envelope.jsonrpc = Some(raw),
            "id" => envelope.id = Some(raw),
            "method" => envelope.method = Some(raw),
            "params" => envelope.params = Some(raw),
            "result" => envelope.result = Some(raw),
            "error" => envelope.error = Some(raw),
            other => refuse_odd_key(other, &ENVELOPE)?,
        }
    }
    message(text, &envelope)
}

fn message(text: &Bytes, envelope: &Envelope<'_>) -> Result<Message, WireError> {
    if envelope.jsonrpc.and_then(string).as_deref() != Some("2.0") {
        return Err(WireError::InvalidRequest("`jsonrpc` must be \"2.0\""));
    }
    // Some servers write all members of an envelope, some of them null (FB33).
    let is_answer = envelope.result.or(envelope.error).is_some();
    let Some(method) = envelope.method.filter(|method| !(is_answer && method.get() == "null"))
    else {
        return response(text, envelope).map(Message::Response);
    };
    if envelope.result.is_some() || envelope.error.is_some() {
        return Err(WireError::InvalidRequest(
            "a message has either `method` or `result` or `error`",
        ));
    }
    let method = string(method).ok_or(WireError::InvalidRequest("`method` must be a string"))?;
    let params = params(text, envelope.params)?;
    match envelope.id {
        Some(raw) => {
            let id = id(text, raw)?.ok_or(WireError::InvalidRequest("`id` must not be null"))?;
            Ok(Message::Request(Request { id, method, params }))
        }
        None => Ok(Message::Notification(Notification { method, params })),
    }
}

fn response(text: &Bytes, envelope: &Envelope<'_>) -> Result<Response, WireError> {
    let id = envelope.id.map(|raw| id(text, raw)).transpose()?.flatten();
    let outcome = match (envelope.result, envelope.error) {
        (Some(raw), None) => Outcome::Result(slice(text, raw)),
        (Some(raw), Some(error)) if error.get() == "null" => Outcome::Result(slice(text, raw)),
        (Some(result), Some(raw)) if result.get() == "null" => Outcome::Error(slice(text, raw)),
        (None, Some(raw)) => Outcome::Error(slice(text, raw)),
        _ => {
            return Err(WireError::InvalidRequest(
                "a message has either `method` or `result` or `error`",
            ));
        }
    };
    if id.is_none() && matches!(outcome, Outcome::Result(_)) {
        return Err(WireError::InvalidRequest("`id` must not be null"));
    }
    Ok(Response { id, outcome })
}

/// `None` is a null id.
fn id(text: &Bytes, raw: &RawValue) -> Result<Option<RequestId>, WireError> {
    if raw.get() == "null" {
        return Ok(None);
    }
    RequestId::from_payload(slice(text, raw))
        .map(Some)
        .ok_or(WireError::InvalidRequest("`id` must be a string or a number"))
}

/// MCP's parameters are objects; null counts as none.
fn params(text: &Bytes, raw: Option<&RawValue>) -> Result<Option<Payload>, WireError> {
    match raw {
        None => Ok(None),
        Some(raw) if raw.get() == "null" => Ok(None),
        Some(raw) if raw.get().starts_with('{') => Ok(Some(slice(text, raw))),
        Some(_) => Err(WireError::InvalidRequest("`params` must be an object")),
    }
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
