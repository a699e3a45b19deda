//! YAML into a [`Node`] with lines. What the keys mean is decided in [`super::check`].

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use super::document::{Entry, Node, Value};

/// Reads one document. The error is a line and what is wrong there, without quoting the file: it
/// may hold secrets.
pub(super) fn parse(text: &str) -> Result<Node, (u32, String)> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| line_number(location.line()));
        let text = error.without_snippet().to_string();
        (line, text.lines().next().unwrap_or_default().to_owned())
    })
}

fn line_number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: line_number(spanned.defined.line()), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry { line: line_number(key.defined.line()), key: key.value, value });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(String, u32, u32, Value)> {
        match parse(text).unwrap().value {
            Value::Map(entries) => entries
                .into_iter()
                .map(|entry| (entry.key, entry.line, entry.value.line, entry.value.value))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_keep_their_lines_and_their_kinds() {
        let text =
            "# comment\na: x\nb: 3000\n\nc: true\nd:\ne: \"3000\"\nf: 007\ng: yes\na: again\n";
        let expected = [
            ("a", 2, Value::Text("x".to_owned())),
            ("b", 3, Value::Number("3000".to_owned())),
            ("c", 5, Value::Flag(true)),
            ("e", 7, Value::Text("3000".to_owned())),
            ("f", 8, Value::Text("007".to_owned())),
            ("g", 9, Value::Text("yes".to_owned())),
            ("a", 10, Value::Text("again".to_owned())),
        ];
        let mut found = entries(text);
        let (key, line, _, value) = found.remove(3);
        assert_eq!((key.as_str(), line, value), ("d", 6, Value::Null));
        for ((key, key_line, line, value), expected) in found.into_iter().zip(expected) {
            assert_eq!(
                (key.as_str(), key_line, line, value),
                (expected.0, expected.1, expected.1, expected.2)
            );
        }
    }

    #[test]
    fn an_empty_file_is_nothing() {
        for text in ["", "# only a comment\n", "---\n"] {
            assert_eq!(parse(text).map(|node| node.value), Ok(Value::Null), "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_names_a_line_and_quotes_nothing() {
        let (line, text) = parse("a: 1\nsecret: \"hunter2\nb: 2\n").unwrap_err();
        assert!(line >= 2, "{line}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(parse("a: 1\n  b: 2\n").unwrap_err().0, 2);
    }
}
