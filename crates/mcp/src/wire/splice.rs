//! Changing one member of a payload and not one other byte.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Payload, RequestId, WireError, members::raw_members, write::quote};

/// Puts `value` where the member at `path` was; every other byte stays. The member must be there.
pub fn replace_member(object: &Payload, path: &[&str], value: &Payload) -> Result<Payload, WireError> {
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

/// Another `name`.
pub fn replace_name(params: &Payload, name: &str) -> Result<Payload, WireError> {
    replace_member(params, &["name"], &Payload::trusted(Bytes::from(quote(name))))
}

/// Another `_meta.progressToken`.
pub fn replace_progress_token(params: &Payload, token: &RequestId) -> Result<Payload, WireError> {
    replace_member(params, &["_meta", "progressToken"], token.payload())
}
