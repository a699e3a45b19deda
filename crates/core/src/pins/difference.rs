//! How a pinned thing changed, for people who decide about it, member by member ([`between`]): at a
//! terminal, on a page, or as JSON. Nothing of it may steer the reader or stay unseen, for hidden
//! characters are a way to speak to a model behind a person's back.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices};

use super::Definition;
use crate::text::is_invisible;

/// Texts of more lines are compared as a whole: a server must not have us compare for long.
const MOST_LINES: usize = 2_000;

/// One member that is not what it was. Every text of it is printable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where in the definition, as `inputSchema.properties.sides.description`.
    pub path: String,
    /// A text in quotes, or JSON; `None` where there was nothing.
    pub old: Option<String>,
    pub new: Option<String>,
    /// Of a text that has several lines now or had them: line by line. Else nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
}

/// One line of a text that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub change: Change,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Same,
    Removed,
    Added,
}

/// What is different in `new`; all of it where there was no `old`. Of definitions that are longer
/// than what is kept of them, the whole of what is kept is one member, called [`CUT`].
pub fn between(old: Option<&Definition>, new: &Definition) -> Vec<Difference> {
    let parsed = |definition: &Definition| serde_json::from_str::<Value>(definition.as_str()).ok();
    let (old, new) = match (old.map(parsed), parsed(new)) {
        (Some(Some(old)), Some(new)) => (leaves(&old), leaves(&new)),
        (None, Some(new)) => (BTreeMap::new(), leaves(&new)),
        _ => (old.map(cut).unwrap_or_default(), cut(new)),
    };
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let of = |path: &&String| difference(path, old.get(*path), new.get(*path));
    paths.iter().filter_map(of).collect()
}

/// The path of a definition that is too long to be compared member by member.
pub const CUT: &str = "the first 16384 bytes of it";

fn cut(definition: &Definition) -> BTreeMap<String, Leaf> {
    BTreeMap::from([(CUT.to_owned(), Leaf::Json(printable(definition.as_str())))])
}

/// A scalar, or an empty array or object.
#[derive(PartialEq)]
enum Leaf {
    Text(String),
    Json(String),
}

impl Leaf {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{}\"", printable(text)),
            Self::Json(json) => json.clone(),
        }
    }

    fn lines(&self) -> Vec<&str> {
        if let Self::Text(text) = self { text.split('\n').collect() } else { Vec::new() }
    }
}

fn difference(path: &str, old: Option<&Leaf>, new: Option<&Leaf>) -> Option<Difference> {
    if old == new {
        return None;
    }
    Some(Difference {
        path: path.to_owned(),
        old: old.map(Leaf::shown),
        new: new.map(Leaf::shown),
        lines: old.zip(new).map(|(old, new)| lines(old, new)).unwrap_or_default(),
    })
}

fn lines(old: &Leaf, new: &Leaf) -> Vec<Line> {
    let (old, new) = (old.lines(), new.lines());
    let is_longer = |lines: &[&str]| lines.len() > MOST_LINES;
    if old.is_empty() || new.is_empty() || old.len().max(new.len()) < 2 {
        return Vec::new();
    }
    if is_longer(&old) || is_longer(&new) {
        return Vec::new();
    }
    let operations = capture_diff_slices(Algorithm::Myers, &old, &new);
    let changes =
        operations.iter().flat_map(|operation: &DiffOp| operation.iter_changes(&old, &new));
    let line = |tag: ChangeTag, text: &str| Line {
        change: match tag {
            ChangeTag::Equal => Change::Same,
            ChangeTag::Delete => Change::Removed,
            ChangeTag::Insert => Change::Added,
        },
        text: printable(text),
    };
    changes.map(|change| line(change.tag(), change.value())).collect()
}

/// Every scalar, and every empty array and object, by its path.
fn leaves(value: &Value) -> BTreeMap<String, Leaf> {
    fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, Leaf>) {
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
                found.insert(path.to_owned(), Leaf::Text(text.clone()));
            }
            other => {
                found.insert(path.to_owned(), Leaf::Json(other.to_string()));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect("", value, &mut found);
    found
}

/// A word that could be taken for more than one stands in quotes.
pub fn quoted(key: &str) -> String {
    let is_plain = !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'));
    if is_plain { key.to_owned() } else { format!("\"{}\"", printable(key)) }
}

/// On one line, every character that cannot be seen written as its code.
pub fn printable(text: &str) -> String {
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
    use serde_json::json;

    use super::*;
    use crate::pins::{PinKind, SeenItem};

    fn definition(tool: &Value) -> Definition {
        SeenItem::read(PinKind::Tool, tool.to_string().as_bytes()).unwrap().definition
    }

    #[test]
    fn texts_of_several_lines_are_compared_line_by_line() {
        let tool = |text: &str| definition(&json!({"name": "n", "description": text}));
        let found = between(Some(&tool("one\ntwo\nthree")), &tool("one\n2\u{200b}\nthree\nfour"));
        let lines: Vec<_> =
            found[0].lines.iter().map(|line| (line.change, line.text.as_str())).collect();
        let expected = [
            (Change::Same, "one"),
            (Change::Removed, "two"),
            (Change::Added, r"2\u{200b}"),
            (Change::Same, "three"),
            (Change::Added, "four"),
        ];
        assert_eq!(lines, expected);
        assert_eq!(found[0].old.as_deref(), Some(r#""one\ntwo\nthree""#));
        assert!(between(Some(&tool("one")), &tool("two"))[0].lines.is_empty());
    }

    #[test]
    fn a_text_of_very_many_lines_is_not_compared_by_them() {
        let tool = |line: &str| {
            definition(&json!({"name": "n", "description": line.repeat(MOST_LINES + 1)}))
        };
        let found = between(Some(&tool("a\n")), &tool("b\n"));
        assert!(found[0].lines.is_empty() && found[0].old.is_some() && found[0].new.is_some());
    }
}
