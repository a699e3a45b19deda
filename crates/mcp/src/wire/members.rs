//! Finds the members of an object and the elements of an array as raw slices, without reading what
//! is inside them. Changing them is next door, in [`super::splice`].

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use bytes::Bytes;
use portunus_core::text::is_key_like;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{error::WireError, payload::Payload, protocol::error_member};

/// How much of a hostile key is repeated in an error.
const SHOWN_KEY: usize = 64;

/// The members of an object, in order. An object with a key twice is refused (threat 35).
pub fn members(object: &Payload) -> Result<Vec<(Cow<'_, str>, Payload)>, WireError> {
    let found = raw_members(object.as_bytes())?;
    Ok(found.into_iter().map(|(key, raw)| (key, slice(object.as_bytes(), raw))).collect())
}

/// The value at this path of an object. `None` for null and for what cannot be read.
pub fn find_member(object: &Payload, path: &[&str]) -> Option<Payload> {
    path.iter().try_fold(object.clone(), |object, name| {
        let found = members(&object)
            .ok()?
            .into_iter()
            .find(|(key, value)| key == name && value.as_str() != "null");
        found.map(|(_, value)| value)
    })
}

/// The code of an error object.
pub fn code_of(error: &Payload) -> Option<i64> {
    let members = members(error).ok()?;
    members
        .into_iter()
        .find(|(key, _)| key == error_member::CODE)
        .and_then(|(_, value)| value.read().ok())
}

/// The elements of an array, in order.
pub fn elements(array: &Payload) -> Result<Vec<Payload>, WireError> {
    let Raws(found) = serde_json::from_slice(array.as_bytes())
        .map_err(|e| WireError::InvalidParams(e.to_string()))?;
    Ok(found.into_iter().map(|raw| slice(array.as_bytes(), raw)).collect())
}

/// The members of the object that `text` is.
pub(super) fn raw_members(text: &[u8]) -> Result<Vec<(Cow<'_, str>, &RawValue)>, WireError> {
    let Members { found, twice } = serde_json::from_slice(text).map_err(|e| {
        if e.is_data() {
            WireError::InvalidParams("an object is expected".to_owned())
        } else {
            WireError::Parse(e.to_string())
        }
    })?;
    match twice {
        Some(key) => Err(WireError::DuplicateKey(key)),
        None => Ok(found),
    }
}

/// `raw`, which was found within `message`, as a payload.
pub(super) fn slice(message: &Bytes, raw: &RawValue) -> Payload {
    Payload::trusted(message.slice_ref(raw.get().as_bytes()))
}

/// Refuses a key that differs from one of `known` in case alone.
pub(super) fn refuse_odd_key(key: &str, known: &[&'static str]) -> Result<(), WireError> {
    match known.iter().find(|name| **name != key && is_key_like(key, name)) {
        Some(expected) => Err(WireError::OddKey { found: shown(key), expected }),
        None => Ok(()),
    }
}

fn shown(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(SHOWN_KEY).collect()
}

struct Members<'a> {
    found: Vec<(Cow<'a, str>, &'a RawValue)>,
    twice: Option<String>,
}

/// A key, borrowed from the message unless it has escapes.
///
/// In JSON an escape may be half of a surrogate pair, which a Rust string cannot hold: the key then
/// has the escape itself.
struct Key<'a>(Cow<'a, str>);

/// Text from bytes that serde_json made: UTF-8 in which halves of pairs are encoded as if they were
/// characters. `None` for other bytes.
fn with_halves_escaped(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len() + 8);
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        let (sound, half) = rest.split_at(error.valid_up_to());
        text.push_str(std::str::from_utf8(sound).ok()?);
        let (&[0xed, high @ 0xa0..=0xbf, low @ 0x80..=0xbf], after) = half.split_first_chunk()?
        else {
            return None;
        };
        let unit = 0xd000 | (u32::from(high & 0x3f) << 6) | u32::from(low & 0x3f);
        write!(text, "\\u{unit:04x}").ok()?;
        rest = after;
    }
    text.push_str(std::str::from_utf8(rest).ok()?);
    Some(text)
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_bytes<E: serde::de::Error>(
                self,
                bytes: &'de [u8],
            ) -> Result<Self::Value, E> {
                match std::str::from_utf8(bytes) {
                    Ok(text) => Ok(Key(Cow::Borrowed(text))),
                    Err(_) => self.visit_bytes(bytes),
                }
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                with_halves_escaped(bytes)
                    .map(|text| Key(Cow::Owned(text)))
                    .ok_or_else(|| E::custom("a key that is no text"))
            }
        }
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members { found: Vec::with_capacity(4), twice: None };
                let mut seen = Seen::default();
                while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                    if members.twice.is_some() || !seen.insert(&members.found, &key) {
                        members.twice.get_or_insert_with(|| shown(&key));
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    members.found.push((key, map.next_value()?));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// The keys that were there: the list itself while it is short, a set when it is long.
#[derive(Default)]
struct Seen(std::collections::HashSet<String>);

impl Seen {
    const SHORT: usize = 32;

    /// Notes a key; `false` when it was there before.
    fn insert(&mut self, found: &[(Cow<'_, str>, &RawValue)], key: &str) -> bool {
        if found.len() < Self::SHORT {
            return found.iter().all(|(other, _)| other != key);
        }
        if self.0.is_empty() {
            self.0.extend(found.iter().map(|(other, _)| other.to_string()));
        }
        self.0.insert(key.to_owned())
    }
}

struct Raws<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Raws<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArrayVisitor;
        impl<'de> Visitor<'de> for ArrayVisitor {
            type Value = Raws<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(raw) = seq.next_element()? {
                    found.push(raw);
                    if found.len() > 1_000_000 {
                        return Err(A::Error::custom("the array is too long"));
                    }
                }
                Ok(Raws(found))
            }
        }
        deserializer.deserialize_seq(ArrayVisitor)
    }
}
