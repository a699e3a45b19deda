//! JSON with comments and trailing commas into a [`Node`] with lines. What the keys mean is decided
//! in [`super::check`].

use jsonc_parser::{
    CollectOptions, ParseOptions, ast, common::Ranged as _, errors::ParseError, parse_to_ast,
};

use super::document::{Entry, Node, Value};

/// Strict JSON but for comments and trailing commas.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads one value. The error is a line and what is wrong there, without quoting the file: it may
/// hold secrets.
pub(super) fn parse(text: &str) -> Result<Node, (u32, String)> {
    let lines = Lines(text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS)
        .map_err(|error: ParseError| (lines.of(error.range().start), error.kind().to_string()))?;
    Ok(parsed.value.map_or_else(Node::default, |value| node(value, &lines)))
}

fn node(value: ast::Value<'_>, lines: &Lines<'_>) -> Node {
    let line = lines.of(value.start());
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(flag) => Value::Flag(flag.value),
        ast::Value::NumberLit(number) => Value::Number(number.value.to_owned()),
        ast::Value::StringLit(text) => Value::Text(text.value.into_owned()),
        ast::Value::Array(list) => {
            Value::List(list.elements.into_iter().map(|item| node(item, lines)).collect())
        }
        ast::Value::Object(object) => {
            Value::Map(object.properties.into_iter().map(|entry| property(entry, lines)).collect())
        }
    };
    Node { line, value }
}

fn property(property: ast::ObjectProp<'_>, lines: &Lines<'_>) -> Entry {
    Entry {
        line: lines.of(property.start()),
        key: property.name.into_string(),
        value: node(property.value, lines),
    }
}

/// Finds the line of a byte.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, offset: usize) -> u32 {
        let before = self.0.get(..offset).unwrap_or(self.0);
        u32::try_from(before.matches('\n').count())
            .map_or(u32::MAX, |count| count.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_lines() {
        let text = "// comment\n{\n  \"a\": [1, 2.5,],\n  /* more */ \"b\": {\"c\": null},\n  \"a\": true,\n}\n";
        let Value::Map(entries) = parse(text).unwrap().value else { panic!("a map") };
        assert_eq!(
            entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect::<Vec<_>>(),
            [("a", 3), ("b", 4), ("a", 5)]
        );
        let Value::List(items) = &entries[0].value.value else { panic!("a list") };
        assert_eq!(items[1], Node { line: 3, value: Value::Number("2.5".to_owned()) });
    }

    #[test]
    fn broken_json_names_a_line() {
        let cases = [
            ("{\n\"a\": 1\n\"b\": 2}", 2),
            ("{'a': 1}", 1),
            ("{\n\n\"a\": }", 3),
            ("{\"a\": 0x1}", 1),
            ("[", 1),
        ];
        for (text, line) in cases {
            assert_eq!(parse(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn an_empty_file_is_nothing() {
        assert_eq!(parse("").unwrap().value, Value::Null);
    }
}
