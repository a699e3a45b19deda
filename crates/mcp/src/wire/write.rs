//! Writes envelopes around raw payloads. They are read next door, in [`super::parse`].

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    payload::{Payload, RequestId},
    protocol::error_member,
};

/// A JSON string.
pub fn quote(text: &str) -> String {
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        return serde_json::Value::from(text).to_string();
    }
    ["\"", text, "\""].concat()
}

pub fn request(id: &RequestId, method: &str, params: Option<&Payload>) -> Bytes {
    let method = quote(method);
    let (id, method) = (id.payload().as_bytes(), method.as_bytes());
    write(&[(r#"{"jsonrpc":"2.0","id":"#, id), (r#","method":"#, method)], params)
}

pub fn notification(method: &str, params: Option<&Payload>) -> Bytes {
    let method = quote(method);
    write(&[(r#"{"jsonrpc":"2.0","method":"#, method.as_bytes())], params)
}

pub fn result(id: &RequestId, result: &Payload) -> Bytes {
    write(
        &[
            (r#"{"jsonrpc":"2.0","id":"#, id.payload().as_bytes()),
            (r#","result":"#, result.as_bytes()),
        ],
        None,
    )
}

/// An error response. `id` is `None` when the request's id could not be read: JSON-RPC has null for
/// it.
pub fn error(id: Option<&RequestId>, code: i64, message: &str, data: Option<&Payload>) -> Bytes {
    error_raw(id, &error_object(code, message, data))
}

pub(crate) fn error_object(code: i64, message: &str, data: Option<&Payload>) -> Payload {
    let (code, message) = (code.to_string(), quote(message));
    let mut members = vec![(error_member::CODE, &*code), (error_member::MESSAGE, &*message)];
    members.extend(data.map(|data| (error_member::DATA, data.as_str())));
    object(&members)
}

/// An error response with a whole error object.
pub fn error_raw(id: Option<&RequestId>, error: &Payload) -> Bytes {
    object(&[
        ("jsonrpc", r#""2.0""#),
        ("id", id.map_or("null", RequestId::raw)),
        ("error", error.as_str()),
    ])
    .into_bytes()
}

/// An object of members whose values are raw JSON.
pub fn object(members: &[(&str, &str)]) -> Payload {
    let mut out = BytesMut::with_capacity(
        2 + members.iter().map(|(key, raw)| key.len() + raw.len() + 4).sum::<usize>(),
    );
    out.put_u8(b'{');
    for (n, (key, raw)) in members.iter().enumerate() {
        if n > 0 {
            out.put_u8(b',');
        }
        out.put_slice(quote(key).as_bytes());
        out.put_u8(b':');
        out.put_slice(raw.as_bytes());
    }
    out.put_u8(b'}');
    Payload::trusted(out.freeze())
}

/// Writes bytes: that they are text was checked when they arrived.
fn write(parts: &[(&str, &[u8])], params: Option<&Payload>) -> Bytes {
    let params: &[u8] = params.map_or(&[], |params| params.as_bytes());
    let length = parts.iter().map(|(a, b)| a.len() + b.len()).sum::<usize>() + params.len() + 12;
    let mut out = BytesMut::with_capacity(length);
    for (before, value) in parts {
        out.put_slice(before.as_bytes());
        out.put_slice(value);
    }
    if !params.is_empty() {
        out.put_slice(br#","params":"#);
        out.put_slice(params);
    }
    out.put_u8(b'}');
    out.freeze()
}
