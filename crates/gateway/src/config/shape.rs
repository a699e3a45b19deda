//! What a file may hold: the types of the tables in [`super::tables`], and the walk that finds
//! everything in a file that does not fit them. `portunus schema` prints the same tables as JSON
//! Schema ([`super::schema`]), so the two cannot drift apart.

use std::path::Path;

use super::{
    document::{Entry, Node, Value, joined},
    environment::Environment,
    expand::{expand, pieces},
    mistake::{Report, Where},
    quantity,
    suggest::nearest,
};

/// The form of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    /// Text that is never printed.
    Secret,
    /// A secret that may refer to a person. It is left as it was written: its reader expands it,
    /// with [`super::expand::pieces`].
    Personal,
    /// `true` or `false`.
    Flag,
    /// A number of seconds.
    Seconds,
    /// A whole number.
    Count,
    /// A number with a unit of time.
    Duration,
    /// The same, or `off`.
    DurationOrOff,
    /// A number of bytes, or a number with a unit.
    Size,
    /// A number of times in a time.
    Rate,
    Choice(&'static [&'static str]),
    /// One of these words, or a table.
    WordOr(&'static [&'static str], &'static Table),
    List(&'static Shape),
    /// Keys that the writer of the file makes up.
    Map(&'static Shape),
    Table(&'static Table),
}

/// Keys that we make up.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) doc: &'static str,
    pub(super) fields: &'static [Field],
    /// Exactly one of these fields must be there.
    pub(super) one_of: &'static [&'static str],
}

/// One key.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) doc: &'static str,
    pub(super) required: bool,
    /// Variables that set the same, and win over the file.
    pub(super) variables: &'static [&'static str],
}

impl Field {
    pub(super) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, doc, required: false, variables: &[] }
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn variables(mut self, names: &'static [&'static str]) -> Self {
        self.variables = names;
        self
    }
}

/// Goes through a whole file, expands references to variables, and reports whatever does not fit.
/// What was reported is taken out, so that readers of the document see only values of the right form.
pub(super) fn check(
    table: &'static Table,
    root: &mut Node,
    path: &Path,
    env: &Environment,
    report: &mut Report,
) {
    if root.value != Value::Null {
        let mut walk = Walk { path, env, report };
        walk.table(table, root, "");
    }
}

struct Walk<'a> {
    path: &'a Path,
    env: &'a Environment,
    report: &'a mut Report,
}

impl Walk<'_> {
    fn at(&self, line: u32, key: &str) -> Where {
        Where::File { path: self.path.to_owned(), line, key: key.to_owned() }
    }

    fn value(&mut self, shape: &'static Shape, node: &mut Node, key: &str) {
        match shape {
            // Nothing says neither the word nor the table, and must not be taken for having said
            // nothing.
            Shape::WordOr(..) if node.value == Value::Null => {
                self.report.mistake(
                    self.at(node.line, key),
                    "nothing",
                    expected(shape, &node.value),
                );
            }
            _ if node.value == Value::Null => {}
            Shape::WordOr(_, table) if matches!(node.value, Value::Map(_)) => {
                self.table(table, node, key);
            }
            Shape::List(inner) => self.list(inner, node, key),
            Shape::Map(inner) => self.map(inner, node, key),
            Shape::Table(table) => self.table(table, node, key),
            Shape::Text
            | Shape::Secret
            | Shape::Personal
            | Shape::Flag
            | Shape::Seconds
            | Shape::Count
            | Shape::Duration
            | Shape::DurationOrOff
            | Shape::Size
            | Shape::Rate
            | Shape::Choice(_)
            | Shape::WordOr(..) => self.scalar(shape, node, key),
        }
    }

    fn scalar(&mut self, shape: &'static Shape, node: &mut Node, key: &str) {
        let mut was_expanded = false;
        if let Value::Text(text) = &mut node.value {
            let is_personal = matches!(shape, Shape::Personal);
            let variable = |name: &str| self.env.text(name);
            match if is_personal {
                pieces(text, variable).map(|_| text.clone())
            } else {
                expand(text, variable)
            } {
                Ok(expanded) => {
                    was_expanded = expanded != *text;
                    *text = expanded;
                }
                Err(bad) => {
                    self.report.mistake(self.at(node.line, key), bad.found, bad.expected);
                    node.value = Value::Null;
                    return;
                }
            }
        }
        let fits = match shape {
            Shape::Flag => {
                matches!(&node.value, Value::Flag(_)) || (was_expanded && is_flag(&node.value))
            }
            Shape::Seconds | Shape::Count => {
                matches!(node.value, Value::Number(_))
                    || (was_expanded && matches!(node.value, Value::Text(_)))
            }
            Shape::Size => matches!(node.value, Value::Number(_) | Value::Text(_)),
            _ => matches!(node.value, Value::Text(_)),
        };
        if !fits {
            self.report.mistake(
                self.at(node.line, key),
                found(shape, &node.value),
                expected(shape, &node.value),
            );
            node.value = Value::Null;
        }
    }

    fn list(&mut self, inner: &'static Shape, node: &mut Node, key: &str) {
        let Value::List(items) = &mut node.value else { return self.wrong(node, key, "a list") };
        for (index, item) in items.iter_mut().enumerate() {
            self.value(inner, item, &format!("{key}[{index}]"));
        }
    }

    fn map(&mut self, inner: &'static Shape, node: &mut Node, key: &str) {
        let Value::Map(entries) = &mut node.value else {
            return self.wrong(node, key, "a group of keys with values");
        };
        self.drop_duplicates(entries, key);
        for entry in entries {
            self.value(inner, &mut entry.value, &joined(key, &entry.key));
        }
    }

    fn table(&mut self, table: &'static Table, node: &mut Node, key: &str) {
        let line = node.line;
        let Value::Map(entries) = &mut node.value else {
            return self.wrong(node, key, &format!("a group of keys: {}", names(table)));
        };
        self.drop_duplicates(entries, key);
        let mut meant = Vec::new();
        entries.retain(|entry| self.is_known(table, entry, key, &mut meant));
        self.presence(table, entries, &meant, line, key);
        for entry in entries {
            if let Some(field) = table.fields.iter().find(|field| field.name == entry.key) {
                self.value(&field.shape, &mut entry.value, &joined(key, &entry.key));
            }
        }
    }

    /// Fields that are needed, and fields that exclude each other. A field that was meant by a
    /// mistyped key is not missed too.
    fn presence(&mut self, table: &Table, entries: &[Entry], meant: &[&str], line: u32, key: &str) {
        let is_there = |name: &str| {
            meant.contains(&name)
                || entries.iter().any(|entry| entry.key == name && entry.value.value != Value::Null)
        };
        for field in table.fields.iter().filter(|field| field.required && !is_there(field.name)) {
            let found = format!("no `{}`", field.name);
            self.report.mistake(
                self.at(line, key),
                found,
                format!("`{}`: {}", field.name, field.doc),
            );
        }
        let present: Vec<&str> =
            table.one_of.iter().copied().filter(|name| is_there(name)).collect();
        if !table.one_of.is_empty() && present.len() != 1 {
            let found = if present.is_empty() {
                "none of them".to_owned()
            } else {
                quoted(&present, " and ")
            };
            self.report.mistake(
                self.at(line, key),
                found,
                format!("exactly one of {}", quoted(table.one_of, " and ")),
            );
        }
    }

    fn is_known(
        &mut self,
        table: &Table,
        entry: &Entry,
        key: &str,
        meant: &mut Vec<&'static str>,
    ) -> bool {
        let is_known = table.fields.iter().any(|field| field.name == entry.key);
        if !is_known {
            let guess = nearest(&entry.key, table.fields.iter().map(|field| field.name));
            meant.extend(guess);
            let guess = guess.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            let found = format!("unknown key `{}`", entry.key);
            self.report.mistake(
                self.at(entry.line, key),
                found,
                format!("{guess}Known here: {}", names(table)),
            );
        }
        is_known
    }

    fn drop_duplicates(&mut self, entries: &mut Vec<Entry>, key: &str) {
        let mut seen: Vec<(String, u32)> = Vec::new();
        entries.retain(|entry| {
            let earlier = seen.iter().find(|(name, _)| *name == entry.key).map(|(_, line)| *line);
            if let Some(line) = earlier {
                let found = format!("`{}` a second time; it stands on line {line} too", entry.key);
                self.report.mistake(
                    self.at(entry.line, &joined(key, &entry.key)),
                    found,
                    "each key once",
                );
            } else {
                seen.push((entry.key.clone(), entry.line));
            }
            earlier.is_none()
        });
    }

    fn wrong(&mut self, node: &mut Node, key: &str, expected: &str) {
        self.report.mistake(self.at(node.line, key), node.value.kind(), expected);
        node.value = Value::Null;
    }
}

fn is_flag(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text == "true" || text == "false")
}

/// What stands there: its kind, and the value itself where it can be no secret.
fn found(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::Text | Shape::Secret | Shape::Personal, _) => value.kind().to_owned(),
        (_, Value::Number(text) | Value::Text(text)) => format!("`{text}`, {}", value.kind()),
        (_, Value::Flag(flag)) => format!("`{flag}`"),
        _ => value.kind().to_owned(),
    }
}

/// What to write in place of a scalar of the wrong kind.
fn expected(shape: &Shape, found: &Value) -> String {
    match shape {
        Shape::Flag => "true or false, without quotes".to_owned(),
        Shape::Seconds => "a number of seconds, without quotes".to_owned(),
        Shape::Count => "a whole number, without quotes".to_owned(),
        Shape::Duration => quantity::DURATION.to_owned(),
        Shape::DurationOrOff => quantity::DURATION_OR_OFF.to_owned(),
        Shape::Size => quantity::SIZE.to_owned(),
        Shape::Rate => quantity::RATE.to_owned(),
        Shape::Choice(choices) => format!("one of {}", quoted(choices, ", ")),
        Shape::WordOr(words, table) => {
            format!("{}, or a group of keys: {}", quoted(words, ", "), names(table))
        }
        _ if matches!(found, Value::Number(_) | Value::Flag(_)) => {
            "text: put it in quotes".to_owned()
        }
        _ => "text".to_owned(),
    }
}

fn names(table: &Table) -> String {
    quoted(&table.fields.iter().map(|field| field.name).collect::<Vec<_>>(), ", ")
}

/// Words in backticks, joined.
pub(super) fn quoted(words: &[&str], separator: &str) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(separator)
}
