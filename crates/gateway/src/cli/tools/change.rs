//! How a tool changed, for an administrator who has to decide about it at a terminal: member by
//! member, old above new. Nothing of it may steer the terminal or stay unseen, for hidden
//! characters are a way to speak to a model behind a person's back.

use std::{collections::BTreeMap, fmt::Write as _};

use portunus_core::{pins::Definition, text::is_invisible};
use serde_json::Value;

/// Characters shown of one text, and how many of them before the first that differs.
const SHORT: usize = 600;
const BEFORE: usize = 60;

/// How much of a long text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excerpt {
    /// From a little before the first difference.
    Short,
    Full,
}

pub(super) fn shown(old: Option<&Definition>, new: &Definition, excerpt: Excerpt) -> String {
    let mut text = String::new();
    let parsed = |definition: &Definition| serde_json::from_str::<Value>(definition.as_str()).ok();
    let (old_leaves, new_leaves) = match (old.map(parsed), parsed(new)) {
        (Some(Some(old)), Some(new)) => (leaves(&old), leaves(&new)),
        (None, Some(new)) => (BTreeMap::new(), leaves(&new)),
        // One of them is longer than what is kept of it.
        _ => {
            let _ = writeln!(
                text,
                "  too long to compare: the first {} bytes of each",
                Definition::LONGEST
            );
            let whole = |definition: &Definition| {
                BTreeMap::from([("the tool".to_owned(), printable(definition.as_str()))])
            };
            (old.map(whole).unwrap_or_default(), whole(new))
        }
    };
    let mut paths: Vec<&String> = old_leaves.keys().chain(new_leaves.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (old, new) = (old_leaves.get(path), new_leaves.get(path));
        if old == new {
            continue;
        }
        let _ = writeln!(text, "  {path}");
        let start = match (old, new) {
            (Some(old), Some(new)) => old
                .chars()
                .zip(new.chars())
                .take_while(|(a, b)| a == b)
                .count()
                .saturating_sub(BEFORE),
            _ => 0,
        };
        for (sign, side) in [('-', old), ('+', new)] {
            if let Some(side) = side {
                let _ = writeln!(text, "    {sign} {}", excerpt.of(side, start));
            }
        }
    }
    text
}

impl Excerpt {
    fn of(self, text: &str, start: usize) -> String {
        let length = text.chars().count();
        if self == Self::Full || length <= SHORT {
            return text.to_owned();
        }
        let part: String = text.chars().skip(start).take(SHORT).collect();
        let after = length.saturating_sub(start + SHORT);
        let before = if start > 0 { "…" } else { "" };
        let rest = if after > 0 {
            format!("… {after} characters more: --full shows them")
        } else {
            String::new()
        };
        format!("{before}{part}{rest}")
    }
}

/// Every scalar, and every empty array and object, by its path.
fn leaves(value: &Value) -> BTreeMap<String, String> {
    fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    collect(&format!("{path}{dot}{}", quoted(key)), value, found);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (n, item) in items.iter().enumerate() {
                    collect(&format!("{path}[{n}]"), item, found);
                }
            }
            Value::String(text) => {
                found.insert(path.to_owned(), format!("\"{}\"", printable(text)));
            }
            other => {
                found.insert(path.to_owned(), other.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect("", value, &mut found);
    found
}

/// A word that could be taken for more than one stands in quotes.
pub(super) fn quoted(key: &str) -> String {
    let is_plain = !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'));
    if is_plain { key.to_owned() } else { format!("\"{}\"", printable(key)) }
}

/// On one line, every character that cannot be seen written as its code.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' => shown.push(c),
            c if is_invisible(c) => shown.extend(c.escape_unicode()),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use portunus_core::pins::SeenTool;
    use serde_json::json;

    use super::*;

    fn definition(tool: &Value) -> Definition {
        SeenTool::read(tool.to_string().as_bytes()).unwrap().definition
    }

    #[test]
    fn members_that_differ_are_shown_old_above_new() {
        let old = json!({"name": "roll", "description": "Rolls", "inputSchema": {"properties": {"sides": {"type": "integer"}},
            "required": []}, "same": [1, {"a": null}]});
        let new = json!({"name": "roll", "description": "Rolls \"all\"\nit's", "inputSchema": {"properties": {"sides":
            {"type": "integer", "description": "x"}, "a.b": {}}, "required": ["sides"]}, "same": [1, {"a": null}]});
        let expected = r#"  description
    - "Rolls"
    + "Rolls \"all\"\nit's"
  inputSchema.properties."a.b"
    + {}
  inputSchema.properties.sides.description
    + "x"
  inputSchema.required
    - []
  inputSchema.required[0]
    + "sides"
"#;
        assert_eq!(shown(Some(&definition(&old)), &definition(&new), Excerpt::Short), expected);
        let alone = shown(None, &definition(&json!({"name": "roll"})), Excerpt::Short);
        assert_eq!(alone, "  name\n    + \"roll\"\n");
    }

    #[test]
    fn t45_nothing_stays_unseen_and_nothing_steers_the_terminal() {
        let hidden = "a\u{1b}[2K\u{202e}b\u{200b}\u{e0041}\u{fe0f}\r\n\u{9b}\u{7f}\u{2028}";
        let text = shown(None, &definition(&json!({"name": "n", hidden: hidden})), Excerpt::Full);
        assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text:?}");
        assert_eq!(text.matches(r"\u{e0041}").count(), 2, "as key and as value: {text}");
    }

    #[test]
    fn long_texts_are_shown_around_the_difference() {
        let tool = |end: &str| {
            definition(&json!({"name": "n", "description": format!("{}{end}", "x".repeat(1000))}))
        };
        let text =
            shown(Some(&tool("old")), &tool(&format!("new{}", "y".repeat(700))), Excerpt::Short);
        let x = "x".repeat(BEFORE);
        assert!(text.contains(&format!("- …{x}old\"\n")), "{text}");
        assert!(
            text.contains(&format!("+ …{x}new{}… 164 characters more: --full", "y".repeat(537))),
            "{text}"
        );
        assert!(
            shown(Some(&tool("old")), &tool("new"), Excerpt::Full)
                .contains(&format!("\"{}new\"", "x".repeat(1000)))
        );
        let huge =
            definition(&json!({"name": "n", "description": "x".repeat(Definition::LONGEST)}));
        let text = shown(Some(&tool("old")), &huge, Excerpt::Short);
        assert!(
            text.starts_with(
                "  too long to compare: the first 16384 bytes of each\n  the tool\n    - "
            ),
            "{text}"
        );
    }
}
