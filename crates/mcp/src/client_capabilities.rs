//! What a client can do, as the gateway declares it to servers on the client's behalf. Servers
//! decide by it which tools they list and whether they ask anything back, so clients of different
//! abilities never share one connection.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value, json};

use crate::wire::{
    Payload,
    protocol::{extension, method},
};

/// Longer declarations are cut down to the capabilities that MCP itself defines.
const MAX_BYTES: usize = 8 * 1024;
const KNOWN: [&str; 3] = ["roots", "sampling", "elicitation"];
/// Extensions that give servers no request of their own.
const ASKING_NOTHING: [&str; 2] = [extension::UI, extension::TASKS];

/// Client capabilities (MCP, `ClientCapabilities`) as canonical JSON: two clients of the same
/// abilities have the same client_capabilities.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCapabilities {
    text: Arc<str>,
    can_be_asked: bool,
}

/// A capability that a request of a server needs of the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// As people write it: `elicitation.url`.
    pub name: &'static str,
    /// As `data.requiredCapabilities` of -32021 has it.
    pub required: Value,
}

impl Default for ClientCapabilities {
    /// Nothing but the core protocol.
    fn default() -> Self {
        Self { text: "{}".into(), can_be_asked: false }
    }
}

impl ClientCapabilities {
    /// `capabilities` as the client declared them; what is no object counts as none.
    pub fn of(capabilities: Option<&Payload>) -> Self {
        let Some(Value::Object(mut declared)) =
            capabilities.and_then(|declared| declared.read().ok())
        else {
            return Self::default();
        };
        declared.retain(|_, value| value.is_object());
        let whole = canonical(&Value::Object(declared.clone())).to_string();
        if whole.len() <= MAX_BYTES {
            return Self { text: whole.into(), can_be_asked: asks_something(&declared) };
        }
        let plain = |name: &&str| {
            let Value::Object(parts) = declared.get(*name)? else { return None };
            let flags = parts.iter().filter(|(key, value)| {
                key.len() <= 64 && (value.is_object() || value.is_boolean())
            });
            let flags: Map<_, _> = flags
                .take(8)
                .map(|(key, value)| {
                    (key.clone(), if value.is_object() { json!({}) } else { value.clone() })
                })
                .collect();
            Some(((*name).to_owned(), Value::Object(flags)))
        };
        let known: Map<_, _> = KNOWN.iter().filter_map(plain).collect();
        let can_be_asked = asks_something(&known);
        Self { text: canonical(&Value::Object(known)).to_string().into(), can_be_asked }
    }

    /// May a server ask this client anything, as far as is known of what the client declared?
    pub fn can_be_asked(&self) -> bool {
        self.can_be_asked
    }

    /// What MCP itself defines of it, without options: there are few different ones.
    pub(crate) fn basic(&self) -> Self {
        let declared: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let has = |path: &str| declared.pointer(path).is_some();
        let part = |paths: &[&str]| {
            let parts =
                paths.iter().filter(|path| has(path)).filter_map(|path| path.rsplit('/').next());
            Value::Object(parts.map(|part| (part.to_owned(), json!({}))).collect())
        };
        let mut basic = Map::new();
        for (name, parts) in [
            ("roots", &[][..]),
            ("sampling", &["/sampling/tools"][..]),
            ("elicitation", &["/elicitation/form", "/elicitation/url"][..]),
        ] {
            if declared.get(name).is_some() {
                basic.insert(name.to_owned(), part(parts));
            }
        }
        let can_be_asked = asks_something(&basic);
        Self { text: canonical(&Value::Object(basic)).to_string().into(), can_be_asked }
    }

    pub(crate) fn is_basic(&self) -> bool {
        // Longer than the longest of them.
        self.text.len() <= 128 && self.basic() == *self
    }

    /// The capabilities, as a client declares them.
    pub fn capabilities(&self) -> Payload {
        Payload::trusted(bytes::Bytes::copy_from_slice(self.text.as_bytes()))
    }

    /// What the client lacks to answer this request of a server; `None` when it lacks nothing that
    /// we know of.
    pub fn lacks(&self, method: &str, params: Option<&Payload>) -> Option<Missing> {
        let declared: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let has = |path: &str| declared.pointer(path).is_some();
        let asked = || params.and_then(|params| params.read::<Value>().ok()).unwrap_or_default();
        let missing = |name, required| Some(Missing { name, required });
        match method {
            method::ROOTS_LIST if !has("/roots") => missing("roots", json!({"roots": {}})),
            method::SAMPLING_CREATE_MESSAGE if !has("/sampling") => {
                missing("sampling", json!({"sampling": {}}))
            }
            method::SAMPLING_CREATE_MESSAGE if !has("/sampling/tools") => {
                let asked = asked();
                let uses_tools = asked
                    .get("tools")
                    .or(asked.get("toolChoice"))
                    .is_some_and(|value| !value.is_null());
                if uses_tools {
                    missing("sampling.tools", json!({"sampling": {"tools": {}}}))
                } else {
                    None
                }
            }
            method::ELICITATION_CREATE if asked()["mode"] == "url" => {
                if has("/elicitation/url") {
                    None
                } else {
                    missing("elicitation.url", json!({"elicitation": {"url": {}}}))
                }
            }
            // An empty object means forms, as it did before there was another mode.
            method::ELICITATION_CREATE
                if !has("/elicitation/form")
                    && (!has("/elicitation") || has("/elicitation/url")) =>
            {
                missing("elicitation.form", json!({"elicitation": {"form": {}}}))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for ClientCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCapabilities({} bytes)", self.text.len())
    }
}

/// Everything but the extensions that are known to let servers ask nothing.
fn asks_something(declared: &Map<String, Value>) -> bool {
    declared.iter().any(|(name, value)| match (name.as_str(), value) {
        ("extensions", Value::Object(extensions)) => {
            extensions.keys().any(|name| !ASKING_NOTHING.contains(&name.as_str()))
        }
        _ => true,
    })
}

/// The same value with the keys of every object in order.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_capabilities(text: &str) -> ClientCapabilities {
        ClientCapabilities::of(Some(&Payload::from_json(text).unwrap()))
    }

    #[test]
    fn the_same_abilities_have_the_same_capabilities() {
        assert_eq!(
            client_capabilities(r#"{"sampling":{}, "roots":{"b":true,"a":{}}}"#),
            client_capabilities(r#"{"roots":{"a":{},"b":true},"sampling":{}}"#)
        );
        assert_ne!(client_capabilities(r#"{"sampling":{}}"#), ClientCapabilities::default());
        assert_eq!(client_capabilities(r#"{"sampling":null}"#), ClientCapabilities::default());
        assert_eq!(ClientCapabilities::of(None), ClientCapabilities::default());
        let long = format!(
            r#"{{"experimental":{{"x":"{}"}},"elicitation":{{"url":{{"y":1}}}}}}"#,
            "x".repeat(MAX_BYTES)
        );
        assert_eq!(
            client_capabilities(&long),
            client_capabilities(r#"{"elicitation":{"url":{}}}"#),
            "what is too long is cut down"
        );
    }

    #[test]
    fn t49_who_can_be_asked() {
        for (declared, expected) in [
            ("{}", false),
            (r#"{"roots":null}"#, false),
            (r#"{"extensions":{}}"#, false),
            (
                r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":[]},"io.modelcontextprotocol/tasks":{}}}"#,
                false,
            ),
            (r#"{"roots":{}}"#, true),
            (r#"{"sampling":{}}"#, true),
            (r#"{"elicitation":{"url":{}}}"#, true),
            (r#"{"experimental":{"own/questions":{}}}"#, true),
            (r#"{"tasks":{}}"#, true),
            (r#"{"later":{}}"#, true),
            (r#"{"extensions":{"io.modelcontextprotocol/ui":{},"com.example/asks":{}}}"#, true),
        ] {
            assert_eq!(client_capabilities(declared).can_be_asked(), expected, "{declared}");
        }
        let long =
            format!(r#"{{"experimental":{{"x":"{}"}},"roots":{{}}}}"#, "x".repeat(MAX_BYTES));
        assert!(client_capabilities(&long).can_be_asked(), "what is too long is cut down");
    }

    #[test]
    fn what_a_client_lacks() {
        let all = r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#;
        for (client, method, params, lacks) in [
            ("{}", "roots/list", "{}", Some("roots")),
            (all, "roots/list", "{}", None),
            ("{}", "sampling/createMessage", "{}", Some("sampling")),
            (r#"{"sampling":{}}"#, "sampling/createMessage", "{}", None),
            (
                r#"{"sampling":{}}"#,
                "sampling/createMessage",
                r#"{"tools":[]}"#,
                Some("sampling.tools"),
            ),
            (all, "sampling/createMessage", r#"{"tools":[]}"#, None),
            ("{}", "elicitation/create", "{}", Some("elicitation.form")),
            (r#"{"elicitation":{}}"#, "elicitation/create", "{}", None),
            (
                r#"{"elicitation":{}}"#,
                "elicitation/create",
                r#"{"mode":"url"}"#,
                Some("elicitation.url"),
            ),
            (
                r#"{"elicitation":{"url":{}}}"#,
                "elicitation/create",
                r#"{"mode":"form"}"#,
                Some("elicitation.form"),
            ),
            (r#"{"elicitation":{"url":{}}}"#, "elicitation/create", r#"{"mode":"url"}"#, None),
            (all, "elicitation/create", "{}", None),
            ("{}", "x/unknown", "{}", None),
        ] {
            let params = Payload::from_json(params).unwrap();
            assert_eq!(
                client_capabilities(client)
                    .lacks(method, Some(&params))
                    .map(|missing| missing.name),
                lacks,
                "{client} {method}"
            );
        }
    }
}
