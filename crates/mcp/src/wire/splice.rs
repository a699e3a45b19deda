//! Replaces, adds and removes members of a payload; every other byte stays. Members are found next
//! door, in [`super::members`].

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    error::WireError,
    members::{raw_members, slice},
    payload::{Payload, RequestId},
    protocol::member,
    write::{self, quote},
};

/// Replaces the value of the member at `path`, which must be there. Every other byte stays.
pub fn replace_member(
    object: &Payload,
    path: &[&str],
    value: &Payload,
) -> Result<Payload, WireError> {
    let text: &[u8] = object.as_bytes();
    let mut at = 0..text.len();
    for key in path {
        let found = raw_members(&text[at.clone()])?.into_iter().find(|(name, _)| name == key);
        let (_, raw) = found.ok_or_else(|| WireError::Missing(path.join(".")))?;
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        at = start..start + raw.get().len();
    }
    let new = value.as_bytes();
    let mut out = BytesMut::with_capacity(text.len() - at.len() + new.len());
    out.put_slice(&text[..at.start]);
    out.put_slice(new);
    out.put_slice(&text[at.end..]);
    Ok(Payload::trusted(out.freeze()))
}

/// Replaces `name`.
pub fn replace_name(params: &Payload, name: &str) -> Result<Payload, WireError> {
    replace_member(params, &[member::NAME], &Payload::trusted(Bytes::from(quote(name))))
}

/// Replaces `_meta.progressToken`.
pub fn replace_progress_token(params: &Payload, token: &RequestId) -> Result<Payload, WireError> {
    replace_member(params, &[member::META, member::PROGRESS_TOKEN], token.payload())
}

/// Sets members, whose values are raw JSON: those that are there keep their place, others are added
/// at the end.
pub fn with_members(object: &Payload, members: &[(&str, &str)]) -> Result<Payload, WireError> {
    let text = object.as_bytes();
    let found = raw_members(text)?;
    let mut edits: Vec<(Range<usize>, &str)> = Vec::new();
    let mut added = BytesMut::new();
    let mut is_empty = found.is_empty();
    for (key, value) in members {
        if let Some((_, raw)) = found.iter().find(|(name, _)| name == key) {
            let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            edits.push((start..start + raw.get().len(), value));
            continue;
        }
        if !std::mem::take(&mut is_empty) {
            added.put_u8(b',');
        }
        added.put_slice(quote(key).as_bytes());
        added.put_u8(b':');
        added.put_slice(value.as_bytes());
    }
    edits.sort_by_key(|(at, _)| at.start);
    let end = text
        .iter()
        .rposition(|byte| *byte == b'}')
        .ok_or_else(|| WireError::InvalidParams("no object".to_owned()))?;
    let mut out = BytesMut::with_capacity(
        text.len() + added.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>(),
    );
    let mut copied = 0;
    for (at, new) in edits {
        out.put_slice(&text[copied..at.start]);
        out.put_slice(new.as_bytes());
        copied = at.end;
    }
    out.put_slice(&text[copied..end]);
    out.put_slice(&added);
    out.put_slice(&text[end..]);
    Ok(Payload::trusted(out.freeze()))
}

/// Removes members, each with the white space around it and one comma. Every other byte stays, the
/// spelling of the other keys included; an object without any of them is returned as it is.
pub fn without_members(object: &Payload, names: &[&str]) -> Result<Payload, WireError> {
    let text: &[u8] = object.as_bytes();
    let found = raw_members(text)?;
    if !found.iter().any(|(key, _)| names.contains(&&**key)) {
        return Ok(object.clone());
    }
    let mut out = BytesMut::with_capacity(text.len());
    // A member reaches from the brace or comma before it to the comma or brace behind it.
    let mut start = text.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1);
    out.put_u8(b'{');
    for (key, raw) in &found {
        let value_ends = raw.get().as_ptr() as usize - text.as_ptr() as usize + raw.get().len();
        let end = value_ends
            + text[value_ends..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if !names.contains(&&**key) {
            if out.len() > 1 {
                out.put_u8(b',');
            }
            out.put_slice(&text[start..end]);
        }
        start = end + 1;
    }
    out.put_u8(b'}');
    Ok(Payload::trusted(out.freeze()))
}

/// Sets members of `_meta`, which is added if there is none.
pub fn with_meta(params: Option<&Payload>, members: &[(&str, &str)]) -> Result<Payload, WireError> {
    let nothing = write::object(&[]);
    let params = params.unwrap_or(&nothing);
    let old = raw_members(params.as_bytes())?
        .into_iter()
        .find(|(key, raw)| key == member::META && raw.get() != "null");
    let old = match old {
        Some((_, raw)) => slice(params.as_bytes(), raw),
        None => write::object(&[]),
    };
    with_members(params, &[(member::META, with_members(&old, members)?.as_str())])
}

/// Removes members of `_meta`, and `_meta` itself when it had no others.
pub fn without_meta(params: &Payload, names: &[&str]) -> Result<Payload, WireError> {
    let found = raw_members(params.as_bytes())?
        .into_iter()
        .find(|(key, raw)| key == member::META && raw.get() != "null");
    let Some((_, raw)) = found else { return Ok(params.clone()) };
    let old = slice(params.as_bytes(), raw);
    let new = without_members(&old, names)?;
    if new == old {
        return Ok(params.clone());
    }
    if raw_members(new.as_bytes())?.is_empty() {
        return without_members(params, &[member::META]);
    }
    replace_member(params, &[member::META], &new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::from_json(text).unwrap()
    }

    #[test]
    fn members_are_added_and_replaced() {
        for (object, members, expected) in [
            ("{}", &[("a", "1")][..], r#"{"a":1}"#),
            (r#"{ "x":1.50 }"#, &[("a", "1"), ("b", "[]")], r#"{ "x":1.50 ,"a":1,"b":[]}"#),
            (
                r#"{"a":{"b":2}, "x":"\u00e9"}"#,
                &[("x", "null"), ("a", "0")],
                r#"{"a":0, "x":null}"#,
            ),
            (r#"{"a":"}"}"#, &[("b", "1")], r#"{"a":"}","b":1}"#),
        ] {
            assert_eq!(
                with_members(&payload(object), members).unwrap().as_str(),
                expected,
                "{object}"
            );
        }
        assert!(with_members(&payload("[]"), &[("a", "1")]).is_err());
    }

    #[test]
    fn members_are_taken_out() {
        let object = payload(r#"{"a":1.0,  "b":2}"#);
        assert_eq!(
            without_members(&object, &["c"]).unwrap().as_bytes().as_ptr(),
            object.as_bytes().as_ptr()
        );
        assert_eq!(without_members(&object, &["b"]).unwrap().as_str(), r#"{"a":1.0}"#);
        assert_eq!(without_members(&object, &["a"]).unwrap().as_str(), r#"{  "b":2}"#);
        assert_eq!(without_members(&object, &["a", "b"]).unwrap().as_str(), "{}");
        let odd = payload(r#"{ "\u0061" : "}," ,"\ud800":[1E5 ] , "b":{} }"#);
        assert_eq!(
            without_members(&odd, &["b"]).unwrap().as_str(),
            r#"{ "\u0061" : "}," ,"\ud800":[1E5 ] }"#
        );
        assert_eq!(
            without_members(&odd, &["a"]).unwrap().as_str(),
            r#"{"\ud800":[1E5 ] , "b":{} }"#
        );
    }

    #[test]
    fn meta_is_made_changed_and_dropped() {
        assert_eq!(with_meta(None, &[("k", "1")]).unwrap().as_str(), r#"{"_meta":{"k":1}}"#);
        let params = payload(r#"{"name":"t","_meta":{"progressToken":1.0}}"#);
        assert_eq!(
            with_meta(Some(&params), &[("k", "1")]).unwrap().as_str(),
            r#"{"name":"t","_meta":{"progressToken":1.0,"k":1}}"#
        );
        assert_eq!(without_meta(&params, &["k"]).unwrap(), params);
        assert_eq!(without_meta(&params, &["progressToken"]).unwrap().as_str(), r#"{"name":"t"}"#);
        let empty = payload(r#"{"_meta":{ },"name":"t"}"#);
        assert_eq!(without_meta(&empty, &["k"]).unwrap(), empty, "it was empty before");
        let both = payload(r#"{"_meta":{"k":1,"o":2},"name":"t"}"#);
        assert_eq!(
            without_meta(&both, &["k"]).unwrap().as_str(),
            r#"{"_meta":{"o":2},"name":"t"}"#
        );
    }
}
