//! A configuration file as it is written: values with their lines, whatever the language.
//! [`super::yaml`] and [`super::json`] make it, [`super::check`] checks it, [`super::inputs`] reads
//! it.

use std::path::PathBuf;

use super::mistake::Where;

/// A value and the line it begins on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) value: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Value {
    /// Also what stands in for a value that was found to be wrong, and reported: it is not reported
    /// twice.
    #[default]
    Null,
    Flag(bool),
    /// As a person would write it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`. Keys may repeat here; that is a mistake for [`super::check`] to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) value: Node,
}

impl Value {
    /// What a person calls it. Never its content, for that may be a secret.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a group of keys",
        }
    }
}

/// A whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) root: Node,
}

impl Document {
    pub(super) fn root(&self) -> Item<'_> {
        Item { document: self, node: &self.root, key: String::new() }
    }
}

/// A value in its file, with the keys that lead to it.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    document: &'a Document,
    node: &'a Node,
    key: String,
}

impl<'a> Item<'a> {
    pub(super) fn at(&self) -> Where {
        Where::File {
            path: self.document.path.clone(),
            line: self.node.line,
            key: self.key.clone(),
        }
    }

    /// The value of a key, if it is there and not null.
    pub(super) fn find(&self, name: &str) -> Option<Item<'a>> {
        self.entries().into_iter().find_map(|(key, item)| (key == name).then_some(item))
    }

    /// Was something written there that was reported and taken out? Then its absence need not be
    /// reported too.
    pub(super) fn was_taken_out(&self, name: &str) -> bool {
        let Value::Map(entries) = &self.node.value else { return false };
        entries.iter().any(|entry| entry.key == name && entry.value.value == Value::Null)
    }

    /// The value at the end of a path such as `store.sqlite.path`.
    pub(super) fn find_path(&self, path: &str) -> Option<Item<'a>> {
        path.split('.').try_fold(self.clone(), |item, name| item.find(name))
    }

    /// The keys and values of a map; nothing for anything else.
    pub(super) fn entries(&self) -> Vec<(&'a str, Item<'a>)> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        let present = entries.iter().filter(|entry| entry.value.value != Value::Null);
        present
            .map(|entry| {
                (entry.key.as_str(), self.child(&entry.value, joined(&self.key, &entry.key)))
            })
            .collect()
    }

    /// The values of a list; nothing for anything else.
    pub(super) fn items(&self) -> Vec<Item<'a>> {
        let Value::List(nodes) = &self.node.value else { return Vec::new() };
        let numbered = nodes.iter().enumerate().filter(|(_, node)| node.value != Value::Null);
        numbered.map(|(index, node)| self.child(node, format!("{}[{index}]", self.key))).collect()
    }

    /// Is it a list that was written with nothing in it?
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.node.value, Value::List(nodes) if nodes.is_empty())
    }

    /// A scalar as text.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Flag(flag) => Some(flag.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    fn child(&self, node: &'a Node, key: String) -> Item<'a> {
        Item { document: self.document, node, key }
    }
}

/// A key below others: `store` and `sqlite` give `store.sqlite`.
pub(super) fn joined(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}
