//! Checks a file against the declarations of its settings: the walk that finds everything in it
//! that does not fit them. `portunus schema` prints the same declarations as JSON Schema
//! ([`super::schema`]), so the two cannot drift apart.

use std::path::Path;

use portunus_core::settings::{Section, ValueType, quantity};

use super::{
    document::{Entry, Node, Value, joined},
    environment::Environment,
    expand::{expand, pieces},
    mistake::{Report, Where},
    suggest::nearest,
};

/// Goes through a whole file, expands references to variables, and reports whatever does not fit.
/// What was reported is taken out, so that readers of the document see only
/// values of the right form.
pub(super) fn check(
    section: &'static Section,
    root: &mut Node,
    path: &Path,
    env: &Environment,
    report: &mut Report,
) {
    if root.value != Value::Null {
        let mut walk = Walk { path, env, report };
        walk.section(section, root, "");
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

    fn value(&mut self, value_type: &'static ValueType, node: &mut Node, key: &str) {
        match value_type {
            // Nothing says neither the word nor the section, and must not be taken for having said
            // nothing.
            ValueType::WordOr(..) if node.value == Value::Null => {
                self.report.mistake(
                    self.at(node.line, key),
                    "nothing",
                    expected(value_type, &node.value),
                );
            }
            _ if node.value == Value::Null => {}
            ValueType::WordOr(_, section) if matches!(node.value, Value::Map(_)) => {
                self.section(section, node, key);
            }
            ValueType::Values if matches!(node.value, Value::List(_)) => {
                self.list(value_type, node, key);
            }
            ValueType::List(inner) => self.list(inner, node, key),
            ValueType::Map(inner) => self.map(inner, node, key),
            ValueType::Section(section) => self.section(section, node, key),
            ValueType::Text
            | ValueType::Secret
            | ValueType::Personal
            | ValueType::Flag
            | ValueType::Seconds
            | ValueType::Count
            | ValueType::Duration
            | ValueType::DurationOrOff
            | ValueType::Size
            | ValueType::Rate
            | ValueType::RateOrUnlimited
            | ValueType::SizeRate
            | ValueType::Choice(_)
            | ValueType::Values
            | ValueType::WordOr(..) => self.scalar(value_type, node, key),
        }
    }

    fn scalar(&mut self, value_type: &'static ValueType, node: &mut Node, key: &str) {
        let mut was_expanded = false;
        if let Value::Text(text) = &mut node.value {
            let is_personal = matches!(value_type, ValueType::Personal);
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
        let fits = match value_type {
            ValueType::Flag => {
                matches!(&node.value, Value::Flag(_)) || (was_expanded && is_flag(&node.value))
            }
            ValueType::Seconds | ValueType::Count => {
                matches!(node.value, Value::Number(_))
                    || (was_expanded && matches!(node.value, Value::Text(_)))
            }
            ValueType::Size => matches!(node.value, Value::Number(_) | Value::Text(_)),
            ValueType::Values => {
                matches!(node.value, Value::Number(_) | Value::Text(_) | Value::Flag(_))
            }
            _ => matches!(node.value, Value::Text(_)),
        };
        if !fits {
            self.report.mistake(
                self.at(node.line, key),
                found(value_type, &node.value),
                expected(value_type, &node.value),
            );
            node.value = Value::Null;
        }
    }

    fn list(&mut self, inner: &'static ValueType, node: &mut Node, key: &str) {
        let Value::List(items) = &mut node.value else { return self.wrong(node, key, "a list") };
        for (index, item) in items.iter_mut().enumerate() {
            let key = format!("{key}[{index}]");
            // Left out in silence, it would leave a list of nothing, which means something else.
            if item.value == Value::Null {
                let expected = expected(inner, &item.value);
                self.report.mistake(self.at(item.line, &key), "nothing", expected);
            }
            self.value(inner, item, &key);
        }
    }

    fn map(&mut self, inner: &'static ValueType, node: &mut Node, key: &str) {
        let Value::Map(entries) = &mut node.value else {
            return self.wrong(node, key, "a group of keys with values");
        };
        self.drop_duplicates(entries, key);
        for entry in entries {
            self.value(inner, &mut entry.value, &joined(key, &entry.key));
        }
    }

    fn section(&mut self, section: &'static Section, node: &mut Node, key: &str) {
        let line = node.line;
        let Value::Map(entries) = &mut node.value else {
            return self.wrong(node, key, &format!("a group of keys: {}", names(section)));
        };
        self.drop_duplicates(entries, key);
        let mut meant = Vec::new();
        entries.retain(|entry| self.is_known(section, entry, key, &mut meant));
        self.presence(section, entries, &meant, line, key);
        for entry in entries {
            if let Some(setting) = section.settings.iter().find(|setting| setting.name == entry.key)
            {
                self.value(&setting.value, &mut entry.value, &joined(key, &entry.key));
            }
        }
    }

    /// Fields that are needed, and fields that exclude each other. A field that was meant by a
    /// mistyped key is not missed too.
    fn presence(
        &mut self,
        section: &Section,
        entries: &[Entry],
        meant: &[&str],
        line: u32,
        key: &str,
    ) {
        let is_there = |name: &str| {
            meant.contains(&name)
                || entries.iter().any(|entry| entry.key == name && entry.value.value != Value::Null)
        };
        for setting in
            section.settings.iter().filter(|setting| setting.required && !is_there(setting.name))
        {
            let found = format!("no `{}`", setting.name);
            self.report.mistake(
                self.at(line, key),
                found,
                format!("`{}`: {}", setting.name, setting.help),
            );
        }
        let present: Vec<&str> =
            section.one_of.iter().copied().filter(|name| is_there(name)).collect();
        if !section.one_of.is_empty() && present.len() != 1 {
            let found = if present.is_empty() {
                "none of them".to_owned()
            } else {
                quoted(&present, " and ")
            };
            self.report.mistake(
                self.at(line, key),
                found,
                format!("exactly one of {}", quoted(section.one_of, " and ")),
            );
        }
    }

    fn is_known(
        &mut self,
        section: &Section,
        entry: &Entry,
        key: &str,
        meant: &mut Vec<&'static str>,
    ) -> bool {
        let is_known = section.settings.iter().any(|setting| setting.name == entry.key);
        if !is_known {
            let guess = nearest(&entry.key, section.settings.iter().map(|setting| setting.name));
            meant.extend(guess);
            let guess = guess.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            let found = format!("unknown key `{}`", entry.key);
            self.report.mistake(
                self.at(entry.line, key),
                found,
                format!("{guess}Known here: {}", names(section)),
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
fn found(value_type: &ValueType, value: &Value) -> String {
    match (value_type, value) {
        (ValueType::Text | ValueType::Secret | ValueType::Personal, _) => value.kind().to_owned(),
        (_, Value::Number(text) | Value::Text(text)) => format!("`{text}`, {}", value.kind()),
        (_, Value::Flag(flag)) => format!("`{flag}`"),
        _ => value.kind().to_owned(),
    }
}

/// What to write in place of a scalar of the wrong kind.
fn expected(value_type: &ValueType, found: &Value) -> String {
    match value_type {
        ValueType::Flag => "true or false, without quotes".to_owned(),
        ValueType::Seconds => "a number of seconds, without quotes".to_owned(),
        ValueType::Count => "a whole number, without quotes".to_owned(),
        ValueType::Duration => quantity::DURATION.to_owned(),
        ValueType::DurationOrOff => quantity::DURATION_OR_OFF.to_owned(),
        ValueType::Size => quantity::SIZE.to_owned(),
        ValueType::Rate => quantity::RATE.to_owned(),
        ValueType::RateOrUnlimited => quantity::RATE_OR_UNLIMITED.to_owned(),
        ValueType::SizeRate => quantity::SIZE_RATE.to_owned(),
        ValueType::Values => {
            "a text (* stands for any characters), a number, true or false, or a list of these"
                .to_owned()
        }
        ValueType::Choice(choices) => format!("one of {}", quoted(choices, ", ")),
        ValueType::WordOr(words, section) => {
            format!("{}, or a group of keys: {}", quoted(words, ", "), names(section))
        }
        _ if matches!(found, Value::Number(_) | Value::Flag(_)) => {
            "text: put it in quotes".to_owned()
        }
        _ => "text".to_owned(),
    }
}

fn names(section: &Section) -> String {
    quoted(&section.settings.iter().map(|setting| setting.name).collect::<Vec<_>>(), ", ")
}

/// Words in backticks, joined.
pub(super) fn quoted(words: &[&str], separator: &str) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(separator)
}
