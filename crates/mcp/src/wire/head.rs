//! The few members of `params` that the gateway reads. Everything else is passed over unread; how
//! members are found is next door, in [`super::members`].

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    error::WireError,
    members::{raw_members, refuse_odd_key, slice},
    payload::{Payload, RequestId},
    protocol::{member, meta, method},
};

/// What the gateway reads of `params`. A member that is absent or null is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamsHead {
    /// Of a tool or a prompt.
    pub name: Option<String>,
    /// Of a resource.
    pub uri: Option<String>,
    /// Of a task.
    pub task_id: Option<String>,
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
    /// Revision 2026-07-28: a server's state, sent back with the retry of a request.
    pub request_state: Option<String>,
    /// Revision 2026-07-28: the client's answers to a server's questions, by the server's keys. An
    /// object.
    pub input_responses: Option<Payload>,
    pub meta: Meta,
}

/// What the gateway reads of `_meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The caller asks for progress, with this token.
    pub progress_token: Option<RequestId>,
    /// Revision 2026-07-28 on: the revision that the request is made in.
    pub protocol_version: Option<String>,
    /// Revision 2026-07-28 on: `clientInfo`.
    pub client_info: Option<Payload>,
    /// Revision 2026-07-28 on: the client capabilities for this request. An object.
    pub client_capabilities: Option<Payload>,
    /// Revision 2026-07-28 on: the lowest level of log messages that the client wants with this
    /// request.
    pub log_level: Option<String>,
    /// Revision 2026-07-28 on, of notifications: the subscription that they belong to.
    pub subscription_id: Option<RequestId>,
}

/// `ref` of `completion/complete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// `ref/prompt` or `ref/resource`.
    pub kind: Option<String>,
    pub name: Option<String>,
    pub uri: Option<String>,
}

const PARAMS: [&str; 13] = [
    member::NAME,
    member::ARGUMENTS,
    member::URI,
    member::TASK_ID,
    member::CURSOR,
    member::REF,
    member::PROTOCOL_VERSION,
    member::LEVEL,
    member::REQUEST_ID,
    member::PROGRESS_TOKEN,
    member::REQUEST_STATE,
    member::INPUT_RESPONSES,
    member::META,
];
/// The methods of whose parameters the gateway reads more than `_meta`.
const METHODS: [&str; 14] = [
    method::INITIALIZE,
    method::SERVER_DISCOVER,
    method::SUBSCRIPTIONS_LISTEN,
    method::LOGGING_SET_LEVEL,
    method::COMPLETION_COMPLETE,
    method::TOOLS_LIST,
    method::TOOLS_CALL,
    method::PROMPTS_LIST,
    method::PROMPTS_GET,
    method::RESOURCES_LIST,
    method::RESOURCES_TEMPLATES_LIST,
    method::RESOURCES_READ,
    method::RESOURCES_SUBSCRIBE,
    method::RESOURCES_UNSUBSCRIBE,
];
const META: [&str; 6] = [
    member::PROGRESS_TOKEN,
    meta::PROTOCOL_VERSION,
    meta::CLIENT_INFO,
    meta::CLIENT_CAPABILITIES,
    meta::LOG_LEVEL,
    meta::SUBSCRIPTION_ID,
];
const REFERENCE: [&str; 3] = [member::TYPE, member::NAME, member::URI];

/// Reads the head of an object of parameters. A key twice, a known key in another case or a member
/// of another type is refused.
pub fn params_head(params: &Payload) -> Result<ParamsHead, WireError> {
    let text = params.as_bytes();
    let mut head = ParamsHead::default();
    for (key, raw) in present(text)? {
        match &*key {
            member::NAME => head.name = Some(string(member::NAME, raw)?),
            member::URI => head.uri = Some(string(member::URI, raw)?),
            member::TASK_ID => head.task_id = Some(string(member::TASK_ID, raw)?),
            member::CURSOR => head.cursor = Some(opaque(member::CURSOR, raw)?),
            member::PROTOCOL_VERSION => {
                head.protocol_version = Some(string(member::PROTOCOL_VERSION, raw)?);
            }
            member::LEVEL => head.level = Some(string(member::LEVEL, raw)?),
            member::REQUEST_ID => head.request_id = Some(token(member::REQUEST_ID, text, raw)?),
            member::PROGRESS_TOKEN => {
                head.progress_token = Some(token(member::PROGRESS_TOKEN, text, raw)?);
            }
            member::REF => head.reference = Some(reference(raw)?),
            member::REQUEST_STATE => head.request_state = Some(opaque(member::REQUEST_STATE, raw)?),
            member::INPUT_RESPONSES => {
                head.input_responses = Some(object(member::INPUT_RESPONSES, text, raw)?);
            }
            member::META => head.meta = read_meta(&slice(text, raw))?,
            other => refuse_odd_key(other, &PARAMS)?,
        }
    }
    Ok(head)
}

/// Does [`head_of`] read all of the head of this method's parameters?
pub fn is_read_whole(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Reads the head of the parameters of `method`. Of an unknown method only the members that any
/// request may have are read: others may mean anything there and have any type.
pub fn head_of(method: &str, params: &Payload) -> Result<ParamsHead, WireError> {
    if is_read_whole(method) {
        return params_head(params);
    }
    let text = params.as_bytes();
    let mut head = ParamsHead::default();
    for (key, raw) in present(text)? {
        match &*key {
            member::REQUEST_STATE => head.request_state = opaque(member::REQUEST_STATE, raw).ok(),
            member::INPUT_RESPONSES => {
                head.input_responses = object(member::INPUT_RESPONSES, text, raw).ok();
            }
            member::META => head.meta = read_meta(&slice(text, raw))?,
            other => refuse_odd_key(other, &[member::META])?,
        }
    }
    Ok(head)
}

/// Reads `_meta` alone, for parameters of unknown methods.
pub fn meta_of(params: &Payload) -> Result<Meta, WireError> {
    let text = params.as_bytes();
    let mut found = Meta::default();
    for (key, raw) in present(text)? {
        match &*key {
            member::META => found = read_meta(&slice(text, raw))?,
            other => refuse_odd_key(other, &[member::META])?,
        }
    }
    Ok(found)
}

/// Reads the progress token alone, of parameters that were checked before. Those that cannot have
/// one are not read again.
pub fn progress_token(params: &Payload) -> Result<Option<RequestId>, WireError> {
    let text = params.as_bytes();
    // A key is spelt out or has an escape.
    let may_have_meta = text.contains(&b'\\')
        || text.windows(member::META.len()).any(|part| part == member::META.as_bytes());
    if may_have_meta { Ok(meta_of(params)?.progress_token) } else { Ok(None) }
}

fn read_meta(whole: &Payload) -> Result<Meta, WireError> {
    let text = whole.as_bytes();
    let mut found = Meta::default();
    for (key, raw) in present(text).map_err(|e| not_an_object(e, member::META))? {
        match &*key {
            member::PROGRESS_TOKEN => {
                found.progress_token = Some(token("_meta.progressToken", text, raw)?);
            }
            meta::PROTOCOL_VERSION => {
                found.protocol_version = Some(string(meta::PROTOCOL_VERSION, raw)?);
            }
            meta::CLIENT_INFO => found.client_info = Some(object(meta::CLIENT_INFO, text, raw)?),
            meta::CLIENT_CAPABILITIES => {
                found.client_capabilities = Some(object(meta::CLIENT_CAPABILITIES, text, raw)?);
            }
            meta::LOG_LEVEL => found.log_level = Some(string(meta::LOG_LEVEL, raw)?),
            meta::SUBSCRIPTION_ID => {
                found.subscription_id = Some(token(meta::SUBSCRIPTION_ID, text, raw)?);
            }
            other => refuse_odd_key(other, &META)?,
        }
    }
    Ok(found)
}

fn reference(raw: &RawValue) -> Result<Reference, WireError> {
    let mut reference = Reference::default();
    for (key, raw) in present(raw.get().as_bytes()).map_err(|e| not_an_object(e, member::REF))? {
        match &*key {
            member::TYPE => reference.kind = Some(string("ref.type", raw)?),
            member::NAME => reference.name = Some(string("ref.name", raw)?),
            member::URI => reference.uri = Some(string("ref.uri", raw)?),
            other => refuse_odd_key(other, &REFERENCE)?,
        }
    }
    Ok(reference)
}

/// Members that are not null.
fn present(
    text: &[u8],
) -> Result<impl Iterator<Item = (std::borrow::Cow<'_, str>, &RawValue)>, WireError> {
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

/// Reads a string that its maker alone understands. One that is not Unicode (half a surrogate pair)
/// is not the gateway's own, which is all that has to be known of it.
fn opaque(what: &'static str, raw: &RawValue) -> Result<String, WireError> {
    let text = string(what, raw);
    if raw.get().starts_with('"') {
        Ok(text.unwrap_or_else(|_| char::REPLACEMENT_CHARACTER.into()))
    } else {
        text
    }
}

fn object(what: &'static str, text: &Bytes, raw: &RawValue) -> Result<Payload, WireError> {
    if raw.get().starts_with('{') {
        Ok(slice(text, raw))
    } else {
        Err(WireError::WrongType(what, "an object"))
    }
}

fn token(what: &'static str, text: &Bytes, raw: &RawValue) -> Result<RequestId, WireError> {
    RequestId::from_payload(slice(text, raw))
        .ok_or(WireError::WrongType(what, "a string or a number"))
}
