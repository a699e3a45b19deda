//! Who the gateway says it is, to clients of `/mcp`.

use serde_json::{Value, json};

use crate::wire::Payload;

/// Name, title and version (MCP, `Implementation`).
pub(crate) fn value() -> Value {
    json!({ "name": "portunus", "title": "Portunus", "version": env!("CARGO_PKG_VERSION") })
}

/// The same as JSON.
pub(crate) fn payload() -> Payload {
    Payload::from_value(&value())
}
