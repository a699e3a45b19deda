//! The tools that just answer, with every kind of content there is. Which tools there are is in
//! [`super::tools`].

use rmcp::{
    ErrorData,
    model::{CallToolResponse, CallToolResult},
};
use serde_json::{Value, json};

use super::result::complete;

/// A picture of one red pixel.
pub(super) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";
/// One silent sample.
const WAV: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==";

pub(super) fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

pub(super) fn image_block() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

/// A complete answer of one text.
pub(super) fn text(text: impl AsRef<str>) -> Result<CallToolResponse, ErrorData> {
    result(text.as_ref(), false).map(CallToolResponse::Complete)
}

/// An answer that says the tool failed.
pub(super) fn failure(text: &str) -> Result<CallToolResponse, ErrorData> {
    result(text, true).map(CallToolResponse::Complete)
}

pub(super) fn result(text: &str, is_error: bool) -> Result<CallToolResult, ErrorData> {
    complete(json!({"content": [text_block(text)], "isError": is_error}))
}

pub(super) fn image() -> Result<CallToolResponse, ErrorData> {
    whole(json!({"content": [image_block()]}))
}

pub(super) fn audio() -> Result<CallToolResponse, ErrorData> {
    whole(json!({"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}))
}

pub(super) fn embedded_resource() -> Result<CallToolResponse, ErrorData> {
    let resource = json!({
        "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content.",
    });
    whole(json!({"content": [{"type": "resource", "resource": resource}]}))
}

pub(super) fn mixed() -> Result<CallToolResponse, ErrorData> {
    let resource = json!({
        "uri": "test://mixed-content-resource", "mimeType": "application/json", "text": r#"{"test":"data","value":123}"#,
    });
    whole(json!({"content": [
        text_block("Multiple content types test:"), image_block(), {"type": "resource", "resource": resource},
    ]}))
}

fn whole(result: Value) -> Result<CallToolResponse, ErrorData> {
    complete(result).map(CallToolResponse::Complete)
}
