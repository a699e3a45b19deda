//! The two MCP servers of the demo: [`dice`] and [`uuid`]. This file is their common core, one
//! message in and at most one out, for revisions up to 2025-11-25; how messages arrive is the
//! business of [`stdio`] and [`http`].

pub mod dice;
pub mod http;
pub mod stdio;
pub mod uuid;

use std::{fmt, sync::Arc};

use clap::ValueEnum;
use portunus_core::{Clock, Entropy};
use serde_json::{Map, Value, json};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DemoServer {
    /// Rolls dice
    Dice,
    /// Makes UUIDs
    Uuid,
}

/// Revisions spoken, latest last.
const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// The arguments of a tool call.
pub(crate) type Arguments = Map<String, Value>;

/// One of the servers, with the chance and time it needs. It keeps nothing between messages.
#[derive(Clone)]
pub struct DemoMcp {
    pub kind: DemoServer,
    pub entropy: Arc<dyn Entropy>,
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for DemoMcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoMcp").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A JSON-RPC error.
struct Fault {
    code: i32,
    message: String,
}

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn answer(self, id: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "error": {"code": self.code, "message": self.message}})
    }
}

/// What a tool gives: words for people and models, and the same as data.
pub(crate) struct ToolOutput {
    pub(crate) text: String,
    pub(crate) structured: Value,
}

impl DemoMcp {
    /// Answers one message, or one batch (revision 2025-03-26). `None` for notifications and
    /// responses.
    pub fn handle(&self, message: &[u8]) -> Option<Value> {
        match serde_json::from_slice(message) {
            Ok(Value::Array(batch)) if batch.is_empty() => {
                Some(Fault::new(INVALID_REQUEST, "A batch must not be empty").answer(&Value::Null))
            }
            Ok(Value::Array(batch)) => {
                let answers: Vec<Value> =
                    batch.iter().filter_map(|message| self.handle_one(message)).collect();
                (!answers.is_empty()).then_some(Value::Array(answers))
            }
            Ok(message) => self.handle_one(&message),
            Err(error) => {
                Some(Fault::new(PARSE_ERROR, format!("Not JSON: {error}")).answer(&Value::Null))
            }
        }
    }

    fn handle_one(&self, message: &Value) -> Option<Value> {
        let id = message.get("id");
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Some(
                Fault::new(INVALID_REQUEST, "jsonrpc must be \"2.0\"").answer(&Value::Null),
            );
        }
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            let is_response = message.get("result").is_some() || message.get("error").is_some();
            return (!is_response)
                .then(|| Fault::new(INVALID_REQUEST, "method is missing").answer(&Value::Null));
        };
        let id = id?;
        if !(id.is_string() || id.is_number()) {
            return Some(
                Fault::new(INVALID_REQUEST, "id must be a string or a number").answer(&Value::Null),
            );
        }
        let params = message.get("params").unwrap_or(&Value::Null);
        Some(match self.answer(method, params) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(fault) => fault.answer(id),
        })
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, Fault> {
        match method {
            "initialize" => Ok(self.initialize(params)),
            "ping" => Ok(json!({})),
            "tools/list" if params.get("cursor").is_some_and(|cursor| !cursor.is_null()) => {
                Err(Fault::new(INVALID_PARAMS, "Unknown cursor: the list has one page"))
            }
            "tools/list" => Ok(json!({"tools": [self.tool()]})),
            "tools/call" => self.call(params),
            _ => Err(Fault::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))),
        }
    }

    /// Agrees on the client's revision if it is known, else offers the latest (MCP lifecycle,
    /// version negotiation).
    fn initialize(&self, params: &Value) -> Value {
        let [.., latest] = REVISIONS;
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let agreed = asked.filter(|revision| REVISIONS.contains(revision)).unwrap_or(latest);
        let (name, title, instructions) = match self.kind {
            DemoServer::Dice => ("dice", "Dice", "Rolls dice that nobody can predict."),
            DemoServer::Uuid => ("uuid", "UUIDs", "Makes universally unique identifiers."),
        };
        json!({
            "protocolVersion": agreed,
            "capabilities": {"tools": {"listChanged": false}},
            "serverInfo": {"name": name, "title": title, "version": env!("CARGO_PKG_VERSION")},
            "instructions": instructions,
        })
    }

    fn tool(&self) -> Value {
        match self.kind {
            DemoServer::Dice => dice::tool(),
            DemoServer::Uuid => uuid::tool(),
        }
    }

    /// An unknown tool is a protocol error; arguments that do not fit are the tool's own error, so
    /// that a model can correct them.
    fn call(&self, params: &Value) -> Result<Value, Fault> {
        let name = params.get("name").and_then(Value::as_str);
        let name =
            name.ok_or_else(|| Fault::new(INVALID_PARAMS, "params.name must be a tool's name"))?;
        let none = Arguments::new();
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(arguments)) => arguments,
            Some(_) => {
                return Err(Fault::new(INVALID_PARAMS, "params.arguments must be an object"));
            }
        };
        let output = match (self.kind, name) {
            (DemoServer::Dice, dice::NAME) => dice::call(arguments, &*self.entropy),
            (DemoServer::Uuid, uuid::NAME) => {
                uuid::call(arguments, &*self.entropy, self.clock.now())
            }
            _ => return Err(Fault::new(INVALID_PARAMS, format!("Unknown tool: {name}"))),
        };
        Ok(match output {
            Ok(ToolOutput { text, structured }) => {
                json!({"content": [{"type": "text", "text": text}], "structuredContent": structured, "isError": false})
            }
            Err(message) => {
                json!({"content": [{"type": "text", "text": message}], "isError": true})
            }
        })
    }
}

/// Refuses arguments that the tool does not know.
pub(crate) fn only(arguments: &Arguments, known: &[&str]) -> Result<(), String> {
    match arguments.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => {
            Err(format!("Unknown argument `{unknown}`: this tool takes {}.", known.join(" and ")))
        }
        None => Ok(()),
    }
}

/// A whole number within bounds, or `default` when the argument is left out.
pub(crate) fn whole_number(
    arguments: &Arguments,
    name: &str,
    default: u32,
    min: u32,
    max: u32,
) -> Result<u32, String> {
    let Some(value) = arguments.get(name) else { return Ok(default) };
    // JSON has one kind of number: 6.0 is 6.
    let number = value.as_u64().or_else(|| {
        value.as_f64().filter(|n| n.fract() == 0.0).and_then(|n| format!("{n:.0}").parse().ok())
    });
    match number.and_then(|number| u32::try_from(number).ok()) {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("`{name}` must be a whole number from {min} to {max}, not {value}.")),
    }
}

#[cfg(test)]
mod tests;
