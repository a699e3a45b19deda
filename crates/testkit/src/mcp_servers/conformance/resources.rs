//! What there is to read: a text, a picture, something to subscribe to, and a template.

use rmcp::{ErrorData, model::ReadResourceResponse};
use serde_json::{Value, json};

use super::{content::PNG, result::complete};

/// The resource to subscribe to; `test_touch_resource` touches it when it is told of no other.
pub(super) const WATCHED: &str = "test://watched-resource";

pub(super) fn list() -> Vec<Value> {
    let resource = |uri: &str, name: &str, description: &str, kind: &str| json!({"uri": uri, "name": name, "description": description, "mimeType": kind});
    vec![
        resource("test://static-text", "Static text", "A text that never changes", "text/plain"),
        resource(
            "test://static-binary",
            "Static picture",
            "A picture that never changes",
            "image/png",
        ),
        resource(WATCHED, "Watched", "Changes when `test_touch_resource` is called", "text/plain"),
    ]
}

pub(super) fn templates() -> Vec<Value> {
    vec![json!({
        "uriTemplate": "test://template/{id}/data", "name": "Data by id", "description": "Data for any id",
        "mimeType": "application/json",
    })]
}

pub(super) fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let contents = match uri {
        "test://static-text" => {
            json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
        WATCHED => {
            json!({"uri": uri, "mimeType": "text/plain", "text": "Watched resource content"})
        }
        _ => templated(uri).ok_or_else(|| {
            ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri})))
        })?,
    };
    complete(json!({"contents": [contents]})).map(ReadResourceResponse::Complete)
}

fn templated(uri: &str) -> Option<Value> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
    Some(json!({"uri": uri, "mimeType": "application/json", "text": data.to_string()}))
}
