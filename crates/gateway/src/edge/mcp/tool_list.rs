//! The list of tools as `GET /tools` answers it. The endpoint is [`super::tools`].

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use portunus_mcp::hub::ServerTool;

/// The list, as the hub of the user's owner node has it.
pub(super) fn answer(tools: &[ServerTool]) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, list(tools)).into_response()
}

/// `{"tools":[{"server":…, …the tool as its server wrote it}]}`: tool objects are spliced in raw.
fn list(tools: &[ServerTool]) -> Vec<u8> {
    let mut json = br#"{"tools":["#.to_vec();
    for (n, tool) in tools.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        json.extend_from_slice(format!(r#"{{"server":"{}","#, tool.server).as_bytes());
        json.extend_from_slice(tool.tool.trim_ascii_start().strip_prefix(b"{").unwrap_or(b"}"));
    }
    json.extend_from_slice(b"]}");
    json
}
