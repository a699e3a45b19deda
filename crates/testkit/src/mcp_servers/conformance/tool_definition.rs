//! How a tool is written in a list. Which tools there are is in [`super::tools`] and
//! [`super::tasks`].

use serde_json::{Value, json};

/// A tool whose arguments have these schemas.
pub(super) fn tool(name: &str, description: &str, properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({"name": name, "description": description, "inputSchema": schema})
}

/// A tool without arguments.
pub(super) fn plain(name: &str, description: &str) -> Value {
    tool(name, description, &json!({}), &[])
}
