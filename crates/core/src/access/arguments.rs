//! Reads of a call's arguments what rules ask for, and nothing else: from the bytes that are
//! forwarded, in one pass for each level. What a value means is [`super::condition`]'s.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::condition::{ArgumentCondition, Fit, Found, Number};
use crate::text::is_key_like;

/// The arguments that rules speak of, as a tree of their paths, each with its number.
#[derive(Debug, Default)]
pub(super) struct Paths {
    root: Branch,
    count: u32,
}

#[derive(Debug, Default)]
struct Branch {
    number: Option<u32>,
    below: BTreeMap<String, Branch>,
}

/// The arguments of one call, as far as rules speak of them.
#[derive(Debug, Default)]
pub struct Arguments<'a>(Vec<(u32, Found<'a>)>);

impl Paths {
    /// The number of a condition's path.
    pub(super) fn add(&mut self, condition: &ArgumentCondition) -> u32 {
        let mut branch = &mut self.root;
        for key in condition.path() {
            branch = branch.below.entry(key.clone()).or_default();
        }
        *branch.number.get_or_insert_with(|| {
            self.count += 1;
            self.count
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Of arguments that are no object, or name a key twice, in whatever case, nothing is known.
    pub(super) fn read<'a>(&self, arguments: Option<&'a [u8]>) -> Arguments<'a> {
        let text = arguments.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let mut found = Vec::new();
        let is_read = text.is_some_and(|text| self.root.members(text, &mut found).is_some());
        if !is_read {
            found.clear();
        }
        found.sort_by_key(|(number, _)| *number);
        Arguments(found)
    }
}

impl Branch {
    /// The members of an object that something is below.
    fn members<'a>(&self, text: &'a str, found: &mut Vec<(u32, Found<'a>)>) -> Option<()> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader.deserialize_map(Members(&self.below)).ok()?;
        reader.end().ok()?;
        for (branch, raw) in members {
            branch.value(raw.get(), found)?;
        }
        Some(())
    }

    fn value<'a>(&self, text: &'a str, found: &mut Vec<(u32, Found<'a>)>) -> Option<()> {
        let is_object = text.starts_with('{');
        if is_object && !self.below.is_empty() {
            self.members(text, found)?;
        }
        if let Some(number) = self.number
            && text != "null"
        {
            found.push((number, scalar(text)?));
        }
        Some(())
    }
}

/// `None`: no text that can be read, such as half a surrogate pair.
fn scalar(text: &str) -> Option<Found<'_>> {
    Some(match text.as_bytes().first()? {
        b'"' => Found::Text(match serde_json::from_str::<Borrowed<'_>>(text).ok()?.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text),
            Cow::Owned(text) => Cow::Owned(text),
        }),
        b't' => Found::Flag(true),
        b'f' => Found::Flag(false),
        b'{' | b'[' => Found::Other,
        _ => Number::parse(text).map_or(Found::Other, Found::Number),
    })
}

#[derive(serde::Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'t>(&'t BTreeMap<String, Branch>);

impl<'de, 't> Visitor<'de> for Members<'t> {
    type Value = Vec<(&'t Branch, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Self::Value = Vec::new();
        while let Some(branch) = map.next_key_seed(Key(self.0))? {
            let Some(branch) = branch else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // Of two, its server may read the other.
            if found.iter().any(|(one, _)| std::ptr::eq(*one, branch)) {
                return Err(A::Error::custom("a key twice"));
            }
            found.push((branch, map.next_value()?));
        }
        Ok(found)
    }
}

/// The branch that a key leads to.
struct Key<'t>(&'t BTreeMap<String, Branch>);

impl<'de, 't> DeserializeSeed<'de> for Key<'t> {
    type Value = Option<&'t Branch>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'t> Visitor<'_> for Key<'t> {
    type Value = Option<&'t Branch>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let found = self.0.get(key);
        // Its server may take it for the one that a rule is about.
        if found.is_none() && self.0.keys().any(|wanted| is_key_like(key, wanted)) {
            return Err(E::custom("a key in another case"));
        }
        Ok(found)
    }
}

impl Arguments<'_> {
    /// `number` is that of the condition's path.
    pub(super) fn fit(&self, number: u32, condition: &ArgumentCondition) -> Fit {
        let at = self.0.binary_search_by_key(&number, |(number, _)| *number);
        condition.fit(at.ok().map(|at| &self.0[at].1))
    }
}
