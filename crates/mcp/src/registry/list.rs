//! One server's list as it was fetched: items stay the bytes they were; only what identifies each
//! is read. Where lists are kept is [`super::catalogue`]'s business, making one list of many
//! [`super::merge`]'s.

use std::{collections::HashMap, ops::Range};

use bytes::{BufMut, Bytes, BytesMut};
use portunus_core::access::ToolHints;

use super::kind::Kind;
use crate::{
    header_params::{self, HeaderParam},
    wire::{self, Payload, WireError},
};

/// A tool, prompt, resource or template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The name, URI or URI template.
    pub(crate) id: Box<str>,
    pub(crate) raw: Payload,
    /// Where the id stands in `raw`, quotes included.
    id_at: Range<usize>,
    /// Of a tool: the parameters that stand in headers too. What is annotated wrongly mirrors
    /// nothing.
    pub(crate) mirrored: Vec<HeaderParam>,
    /// Of a tool: the resource that is its user interface (MCP Apps). Servers need not list it.
    pub(crate) interface: Option<Box<str>>,
    /// Of a tool: what its server says of it.
    pub(crate) hints: ToolHints,
}

impl Item {
    /// `None` when the item lacks what identifies it.
    pub(crate) fn parse(kind: Kind, raw: Payload) -> Result<Option<Self>, WireError> {
        let found = wire::members(&raw)?.into_iter().find(|(key, _)| key == kind.id());
        let Some((_, value)) = found else { return Ok(None) };
        let id: String = value.read()?;
        let start = value.as_bytes().as_ptr() as usize - raw.as_bytes().as_ptr() as usize;
        let id_at = start..start + value.as_bytes().len();
        let mirrored = if kind == Kind::Tools {
            header_params::of_tool(&raw).unwrap_or_default()
        } else {
            Vec::new()
        };
        let interface = if kind == Kind::Tools { interface_of(&raw) } else { None };
        let hints = if kind == Kind::Tools { hints_of(&raw) } else { ToolHints::default() };
        Ok(Some(Self { id: id.into(), raw, id_at, mirrored, interface, hints }))
    }

    /// The item with `prefix` before its name; no other byte changes. The prefix has no character
    /// that JSON escapes.
    pub(crate) fn prefixed(&self, prefix: &str) -> Bytes {
        let text = self.raw.as_bytes();
        let inside = self.id_at.start + 1;
        let mut out = BytesMut::with_capacity(text.len() + prefix.len());
        out.put_slice(&text[..inside]);
        out.put_slice(prefix.as_bytes());
        out.put_slice(&text[inside..]);
        out.freeze()
    }
}

/// `_meta.ui.resourceUri` of a tool; earlier servers write `_meta["ui/resourceUri"]`.
fn interface_of(tool: &Payload) -> Option<Box<str>> {
    // Few tools have one.
    if !tool.as_str().contains("resourceUri") {
        return None;
    }
    let at = |path: &[&str]| wire::find_member(tool, path)?.read::<String>().ok();
    at(&["_meta", "ui", "resourceUri"])
        .or_else(|| at(&["_meta", "ui/resourceUri"]))
        .map(String::into_boxed_str)
}

/// The hints among `annotations` of a tool. What is neither `true` nor `false` says nothing.
fn hints_of(tool: &Payload) -> ToolHints {
    let annotations = tool.as_str().contains("Hint\"").then(|| {
        let annotations = wire::find_member(tool, &["annotations"])?;
        let members = wire::members(&annotations).ok()?;
        let said = |hint: &str| {
            let (_, value) = members.iter().find(|(key, _)| key == hint)?;
            match value.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            }
        };
        Some(ToolHints::of(
            said("readOnlyHint"),
            said("destructiveHint"),
            said("idempotentHint"),
            said("openWorldHint"),
        ))
    });
    annotations.flatten().unwrap_or_default()
}

/// One server's list, in the server's order. A name given twice counts once, the first time.
#[derive(Debug, Default)]
pub(crate) struct List {
    items: Vec<Item>,
    index: HashMap<Box<str>, usize>,
    /// Those in quarantine: they are not shown, and keep their names.
    held: Vec<Item>,
    /// Those that `/mcp` does not have; at its own address the server shows them.
    left_out: Vec<Item>,
}

impl List {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Item> {
        self.index.get(id).map(|at| &self.items[*at])
    }

    pub(crate) fn held(&self) -> &[Item] {
        &self.held
    }

    /// Shown or held.
    pub(crate) fn item(&self, id: &str) -> Option<&Item> {
        self.find(id).or_else(|| self.held.iter().find(|item| &*item.id == id))
    }

    /// Shown or held.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.item(id).is_some()
    }

    /// Shown, held, or left out of `/mcp`.
    pub(crate) fn listed(&self, id: &str) -> Option<&Item> {
        self.item(id).or_else(|| self.left_out.iter().find(|item| &*item.id == id))
    }

    /// What the server listed, in the order in which [`Self::holding`] counts.
    pub(crate) fn to_judge(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().chain(&self.left_out)
    }

    /// Puts into quarantine what `is_held`, by its place in [`Self::to_judge`].
    pub(crate) fn holding(self, is_held: impl Fn(usize) -> bool) -> Self {
        let (mut list, shown) = (Self::default(), self.items.len());
        for (n, item) in self.items.into_iter().chain(self.left_out).enumerate() {
            if is_held(n) {
                list.held.push(item);
            } else if n < shown {
                list.push(item);
            } else {
                list.left_out.push(item);
            }
        }
        list
    }

    pub(crate) fn leave_out(&mut self, item: Item) {
        self.left_out.push(item);
    }

    /// `false` when there was one of this id.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        if self.has(&item.id) {
            return false;
        }
        self.index.insert(item.id.clone(), self.items.len());
        self.items.push(item);
        true
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items && self.held == other.held && self.left_out == other.left_out
    }
}

/// The items of one page and the cursor of the next.
pub(crate) fn page(
    kind: Kind,
    result: &Payload,
) -> Result<(Vec<Payload>, Option<Payload>), WireError> {
    let (mut items, mut next) = (Vec::new(), None);
    for (key, value) in wire::members(result)? {
        if key == kind.member() {
            items = wire::elements(&value)?;
        } else if key == "nextCursor" && value.as_str() != "null" {
            next = Some(value);
        }
    }
    Ok((items, next))
}

/// The result of a list without the items that `keep` refuses; the very same bytes when it refuses
/// none.
pub(crate) fn filtered(
    kind: Kind,
    result: &Payload,
    keep: impl Fn(&Item) -> bool,
) -> Result<Payload, WireError> {
    let Some((_, listed)) =
        wire::members(result)?.into_iter().find(|(key, _)| key == kind.member())
    else {
        return Ok(result.clone());
    };
    let items = wire::elements(&listed)?;
    let kept: Vec<&Payload> = items.iter().filter(|raw| is_kept(kind, raw, &keep)).collect();
    if kept.len() == items.len() {
        return Ok(result.clone());
    }
    wire::replace_member(result, &[kind.member()], &array(kept.iter().map(|raw| raw.as_bytes())))
}

/// An array of raw values.
pub(crate) fn array<'a>(items: impl Iterator<Item = &'a Bytes> + Clone) -> Payload {
    let length = items.clone().map(|item| item.len() + 1).sum::<usize>() + 2;
    let mut out = BytesMut::with_capacity(length);
    out.put_u8(b'[');
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.put_u8(b',');
        }
        out.put_slice(item);
    }
    out.put_u8(b']');
    Payload::trusted(out.freeze())
}

/// What cannot be identified cannot be called either, so it stays; what has two names is refused
/// (threat 35).
fn is_kept(kind: Kind, raw: &Payload, keep: impl Fn(&Item) -> bool) -> bool {
    match Item::parse(kind, raw.clone()) {
        Ok(Some(item)) => keep(&item),
        Ok(None) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::from_json(text).unwrap()
    }

    #[test]
    fn a_prefix_changes_nothing_else() {
        let raw =
            r#"{ "description":"\u00e9 1.0e5", "name" : "\u0061dd","x":{"name":"add"},"n":1.0e5}"#;
        let item = Item::parse(Kind::Tools, payload(raw)).unwrap().unwrap();
        assert_eq!(&*item.id, "add");
        assert_eq!(item.prefixed("calc_"), raw.replace(r#""\u0061dd""#, r#""calc_\u0061dd""#));
    }

    #[test]
    fn interfaces_of_tools_are_read() {
        for (tool, interface) in [
            (
                r#"{"name":"t","_meta":{"ui":{"resourceUri":"ui://a/b.html","visibility":["app"]}}}"#,
                Some("ui://a/b.html"),
            ),
            (r#"{"name":"t","_meta":{"ui/resourceUri":"ui://a/\u0063"}}"#, Some("ui://a/c")),
            (
                r#"{"name":"t","_meta":{"ui/resourceUri":"ui://old","ui":{"resourceUri":"ui://new"}}}"#,
                Some("ui://new"),
            ),
            (r#"{"name":"t","description":"resourceUri","_meta":{"ui":{}}}"#, None),
            (r#"{"name":"t","_meta":{"ui":{"resourceUri":7}}}"#, None),
            (r#"{"name":"t","_meta":{"ui":"resourceUri"}}"#, None),
        ] {
            let item = Item::parse(Kind::Tools, payload(tool)).unwrap().unwrap();
            assert_eq!(item.interface.as_deref(), interface, "{tool}");
        }
    }

    #[test]
    fn tools_that_only_read_say_so() {
        for (tool, expected) in [
            (r#"{"name":"t","annotations":{"readOnlyHint":true}}"#, true),
            (r#"{"name":"t","annotations":{"title":"x","readOnlyHint": true }}"#, true),
            (r#"{"name":"t","annotations":{"readOnlyHint":false}}"#, false),
            (r#"{"name":"t","annotations":{"readOnlyHint":"true"}}"#, false),
            (r#"{"name":"t","readOnlyHint":true}"#, false),
            (r#"{"name":"t","_meta":{"annotations":{"readOnlyHint":true}}}"#, false),
            (r#"{"name":"readOnlyHint"}"#, false),
        ] {
            let item = Item::parse(Kind::Tools, payload(tool)).unwrap().unwrap();
            assert_eq!(item.hints.read_only, expected, "{tool}");
        }
        let prompt = r#"{"name":"t","annotations":{"readOnlyHint":true}}"#;
        assert!(!Item::parse(Kind::Prompts, payload(prompt)).unwrap().unwrap().hints.read_only);
        let said = r#"{"name":"t","annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}"#;
        let hints = Item::parse(Kind::Tools, payload(said)).unwrap().unwrap().hints;
        assert_eq!(hints, ToolHints::of(None, Some(false), Some(true), Some(false)));
    }

    #[test]
    fn filtering_touches_only_what_it_must() {
        let raw = r#"{"x":1.50,"tools":[ {"name":"a"} , {"name":"b", "k":1e2}],"nextCursor":"c"}"#;
        assert_eq!(filtered(Kind::Tools, &payload(raw), |_| true).unwrap().as_str(), raw);
        let without = filtered(Kind::Tools, &payload(raw), |item| &*item.id != "a").unwrap();
        assert_eq!(
            without.as_str(),
            r#"{"x":1.50,"tools":[{"name":"b", "k":1e2}],"nextCursor":"c"}"#
        );
        let twice = r#"{"tools":[{"name":"a","name":"b"}]}"#;
        assert_eq!(
            filtered(Kind::Tools, &payload(twice), |_| true).unwrap().as_str(),
            r#"{"tools":[]}"#
        );
    }

    #[test]
    fn pages_are_read() {
        let (items, next) =
            page(Kind::Resources, &payload(r#"{"resources":[{"uri":"a:b"}],"nextCursor":"n"}"#))
                .unwrap();
        assert_eq!((items.len(), next.unwrap().as_str()), (1, r#""n""#));
        let (items, next) = page(Kind::Resources, &payload(r#"{"nextCursor":null}"#)).unwrap();
        assert!(items.is_empty() && next.is_none());
    }
}
