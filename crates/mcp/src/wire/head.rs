//! The few members of `params` that the gateway reads, whatever the method. Everything else is passed over unread.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    Payload, RequestId, WireError,
    members::{raw_members, refuse_odd_key, slice},
};

/// What the gateway reads of `params`. A member that is absent or null is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamsHead {
    /// Of a tool or a prompt.
    pub name: Option<String>,
    /// Of a resource.
    pub uri: Option<String>,
    pub cursor: Option<String>,
    /// What `completion/complete` is about.
    pub reference: Option<Reference>,
    /// Of `initialize`.
    pub protocol_version: Option<String>,
    /// Of `logging/setLevel`.
    pub level: Option<String>,
    /// Of `notifications/cancelled`.
    pub request_id: Option<RequestId>,
    /// Of `notifications/progress`.
    pub progress_token: Option<RequestId>,
    /// `_meta.progressToken`: the caller wants to hear of progress under this token.
    pub meta_progress_token: Option<RequestId>,
    /// All of `_meta`.
    pub meta: Option<Payload>,
}

/// `ref` of `completion/complete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// `ref/prompt` or `ref/resource`.
    pub kind: Option<String>,
    pub name: Option<String>,
    pub uri: Option<String>,
}

const PARAMS: [&str; 9] = ["name", "uri", "cursor", "ref", "protocolVersion", "level", "requestId", "progressToken", "_meta"];
const META: [&str; 1] = ["progressToken"];
const REFERENCE: [&str; 3] = ["type", "name", "uri"];

/// Reads the head of an object of parameters. A key twice, a known key in another case or a member of another type is refused.
pub fn params_head(params: &Payload) -> Result<ParamsHead, WireError> {
    let text = params.as_bytes();
    let mut head = ParamsHead::default();
    for (key, raw) in present(text)? {
        match &*key {
            "name" => head.name = Some(string("name", raw)?),
            "uri" => head.uri = Some(string("uri", raw)?),
            "cursor" => head.cursor = Some(string("cursor", raw)?),
            "protocolVersion" => head.protocol_version = Some(string("protocolVersion", raw)?),
            "level" => head.level = Some(string("level", raw)?),
            "requestId" => head.request_id = Some(token("requestId", text, raw)?),
            "progressToken" => head.progress_token = Some(token("progressToken", text, raw)?),
            "ref" => head.reference = Some(reference(raw)?),
            "_meta" => {
                let meta = slice(text, raw);
                head.meta_progress_token = meta_progress_token(&meta)?;
                head.meta = Some(meta);
            }
            other => refuse_odd_key(other, &PARAMS)?,
        }
    }
    Ok(head)
}

/// `_meta.progressToken` alone, for parameters of methods we do not know.
pub fn progress_token(params: &Payload) -> Result<Option<RequestId>, WireError> {
    let text = params.as_bytes();
    for (key, raw) in present(text)? {
        match &*key {
            "_meta" => return meta_progress_token(&slice(text, raw)),
            other => refuse_odd_key(other, &["_meta"])?,
        }
    }
    Ok(None)
}

fn meta_progress_token(meta: &Payload) -> Result<Option<RequestId>, WireError> {
    let text = meta.as_bytes();
    let mut found = None;
    for (key, raw) in present(text).map_err(|e| not_an_object(e, "_meta"))? {
        match &*key {
            "progressToken" => found = Some(token("_meta.progressToken", text, raw)?),
            other => refuse_odd_key(other, &META)?,
        }
    }
    Ok(found)
}

fn reference(raw: &RawValue) -> Result<Reference, WireError> {
    let mut reference = Reference::default();
    for (key, raw) in present(raw.get().as_bytes()).map_err(|e| not_an_object(e, "ref"))? {
        match &*key {
            "type" => reference.kind = Some(string("ref.type", raw)?),
            "name" => reference.name = Some(string("ref.name", raw)?),
            "uri" => reference.uri = Some(string("ref.uri", raw)?),
            other => refuse_odd_key(other, &REFERENCE)?,
        }
    }
    Ok(reference)
}

/// Members that are not null.
fn present(text: &[u8]) -> Result<impl Iterator<Item = (std::borrow::Cow<'_, str>, &RawValue)>, WireError> {
    Ok(raw_members(text)?.into_iter().filter(|(_, raw)| raw.get() != "null"))
}

fn not_an_object(error: WireError, what: &'static str) -> WireError {
    match error {
        WireError::InvalidParams(_) => WireError::WrongType(what, "an object"),
        other => other,
    }
}

fn string(what: &'static str, raw: &RawValue) -> Result<String, WireError> {
    serde_json::from_str(raw.get()).map_err(|_| WireError::WrongType(what, "a string"))
}

fn token(what: &'static str, text: &Bytes, raw: &RawValue) -> Result<RequestId, WireError> {
    RequestId::from_payload(slice(text, raw)).ok_or(WireError::WrongType(what, "a string or a number"))
}
