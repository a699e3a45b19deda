//! One spelling for all JSON texts that mean the same: members sorted by key, no white space,
//! escapes only where JSON wants them. The order of arrays counts; but for what a tool means, that
//! of `required` does not. An object with a key twice means what its reader makes of it, so it has
//! no canonical form.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// JSON without a choice of spelling. Displays as its canonical form.
pub(super) enum Json {
    /// Null, a truth value, a number or a string.
    Scalar(Value),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// `None` unless the text is one object.
pub(super) fn read(json: &[u8]) -> Option<Json> {
    serde_json::from_slice(json).ok().filter(|read| matches!(read, Json::Object(_)))
}

impl Json {
    /// The same with the arrays of names called `required` in one order, wherever they stand: they
    /// are sets (JSON Schema Validation section 6.5.3), and there are servers that list them in
    /// another order with each start.
    pub(super) fn with_sorted_sets(self) -> Self {
        match self {
            Self::Scalar(value) => Self::Scalar(value),
            Self::Array(items) => {
                Self::Array(items.into_iter().map(Self::with_sorted_sets).collect())
            }
            Self::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(key, value)| {
                        let value = if key == "required" {
                            value.sorted()
                        } else {
                            value.with_sorted_sets()
                        };
                        (key, value)
                    })
                    .collect(),
            ),
        }
    }

    /// A list of different names, in the order of the alphabet; anything else stays.
    fn sorted(self) -> Self {
        let Self::Array(items) = self else { return self.with_sorted_sets() };
        let names: Option<BTreeSet<&str>> = items.iter().map(Self::text).collect();
        match names.filter(|names| names.len() == items.len()) {
            Some(names) => {
                Self::Array(names.into_iter().map(|name| Self::Scalar(name.into())).collect())
            }
            None => Self::Array(items.into_iter().map(Self::with_sorted_sets).collect()),
        }
    }

    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        if let Self::Object(members) = self { members.get(key) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Scalar(Value::String(text)) = self { Some(text) } else { None }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(value) => write!(f, "{value}"),
            Self::Array(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (n, (key, value)) in members.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { "," })?;
                    write!(f, "{}:{value}", Value::from(key.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;
        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Scalar(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Scalar(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Scalar(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Scalar(value.into()))
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
                let number = Number::from_f64(value).ok_or_else(|| E::custom("no number"))?;
                Ok(Json::Scalar(number.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Scalar(text.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Json>()? {
                    if members.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key comes twice"));
                    }
                }
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(JsonVisitor)
    }
}
