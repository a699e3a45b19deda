//! What all servers together can do, as `/mcp` declares it. Of a server that was not met
//! to yet everything is assumed. What else the gateway says of itself is next door, in
//! [`super::initialize`].

use serde_json::{Map, Value, json};

use crate::wire::{Payload, capabilities, protocol::extension};

/// The extensions that work here. Of another one, requests of its own could not be told which
/// server they are for.
const EXTENSIONS: [&str; 2] = [extension::TASKS, extension::UI];
/// The revision that has tasks in its core.
const WITH_TASKS: &str = "2025-11-25";

/// One declaration for each server; `None` is one that is not known yet.
pub(super) fn capabilities(declared: &[Option<&Payload>], revision: &str) -> Value {
    let any = |found: &dyn Fn(&Payload) -> bool| {
        declared.iter().any(|declared| declared.is_none_or(found))
    };
    let mut merged = Map::new();
    merged.insert("tools".to_owned(), json!({ "listChanged": true }));
    if any(&|c| capabilities::has(c, "prompts")) {
        merged.insert("prompts".to_owned(), json!({ "listChanged": true }));
    }
    if any(&|c| capabilities::has(c, "resources")) {
        let subscribe = any(&|c| capabilities::has_flag(c, "resources", "subscribe"));
        merged
            .insert("resources".to_owned(), json!({ "subscribe": subscribe, "listChanged": true }));
    }
    for name in ["completions", "logging"] {
        if any(&|c| capabilities::has(c, name)) {
            merged.insert(name.to_owned(), json!({}));
        }
    }
    if revision == WITH_TASKS && any(&|c| capabilities::has(c, "tasks")) {
        let mut tasks = Map::new();
        for what in ["list", "cancel"] {
            if any(&|c| capabilities::has_at(c, &["tasks", what])) {
                tasks.insert(what.to_owned(), json!({}));
            }
        }
        if any(&|c| capabilities::has_at(c, &["tasks", "requests", "tools", "call"])) {
            tasks.insert("requests".to_owned(), json!({ "tools": { "call": {} } }));
        }
        merged.insert("tasks".to_owned(), tasks.into());
    }
    let extensions: Map<_, _> = EXTENSIONS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), settings(declared, name)?)))
        .collect();
    if !extensions.is_empty() {
        merged.insert("extensions".to_owned(), extensions.into());
    }
    Value::Object(merged)
}

/// The settings of an extension that all servers known to have it agree on; `None` when no server
/// can have it.
fn settings(declared: &[Option<&Payload>], name: &str) -> Option<Value> {
    let known = declared.iter().copied().flatten();
    let mut found = known.filter_map(|declared| {
        capabilities::extension(declared, name)?.read::<Map<String, Value>>().ok()
    });
    let Some(mut agreed) = found.next() else {
        return declared.contains(&None).then(|| json!({}));
    };
    for settings in found {
        agreed.retain(|key, value| settings.get(key) == Some(value));
    }
    Some(agreed.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era;

    #[test]
    fn one_declaration_of_many() {
        let tasks = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
        let ui = r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a"],"n":1},"vendor/own":{}}}"#;
        let other_ui = r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a"],"n":2}}}"#;
        let core = r#"{"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}}"#;
        let tools = json!({"listChanged": true});
        for (declared, revision, expected) in [
            (vec![], era::MODERN, json!({"tools": tools})),
            (vec!["{}"], WITH_TASKS, json!({"tools": tools})),
            (
                vec!["{}", tasks, core],
                era::MODERN,
                json!({"tools": tools, "extensions": {"io.modelcontextprotocol/tasks": {}}}),
            ),
            (
                vec![ui, other_ui],
                "2025-06-18",
                json!({"tools": tools, "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["a"]}}}),
            ),
            (
                vec![core, r#"{"tasks":{"list":{}}}"#],
                WITH_TASKS,
                json!({"tools": tools, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}),
            ),
            (vec![core], "2025-06-18", json!({"tools": tools})),
            (
                vec![r#"{"resources":{},"logging":{},"extensions":[],"prompts":null}"#],
                era::MODERN,
                json!({"tools": tools, "resources": {"subscribe": false, "listChanged": true}, "logging": {}}),
            ),
        ] {
            let payloads: Vec<_> =
                declared.iter().map(|text| Payload::from_json(text).unwrap()).collect();
            let declared: Vec<_> = payloads.iter().map(Some).collect();
            assert_eq!(capabilities(&declared, revision), expected, "{payloads:?} {revision}");
        }
        let ui = Payload::from_json(ui).unwrap();
        let partly = capabilities(&[None, Some(&ui)], era::MODERN);
        assert_eq!(
            partly["extensions"][extension::UI]["n"],
            1,
            "one that is not known disagrees with nobody"
        );
        let unknown = capabilities(&[None], WITH_TASKS);
        for name in ["prompts", "resources", "completions", "logging", "tasks", "extensions"] {
            assert!(unknown.get(name).is_some(), "{name} is assumed: {unknown}");
        }
    }
}
