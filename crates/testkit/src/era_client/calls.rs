//! Calling a tool, as every exercise does: through as many rounds as it takes, with the headers
//! that it wants.

use std::time::Duration;

use rmcp::{
    ServiceError,
    model::{CallToolRequestParams, CallToolResult, ErrorCode, JsonObject},
};
use serde_json::json;

use super::client::{Client, Failure};

/// How long to wait for something that should come at once.
pub(super) const SOON: Duration = Duration::from_secs(5);
/// How often to learn anew which arguments go into headers.
const REFRESHES: usize = 3;

pub(super) fn call_params(tool: &str, arguments: JsonObject) -> CallToolRequestParams {
    CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)
}

/// Calls a tool, through as many rounds as it takes; the texts in its answer.
pub(super) async fn text_of(
    client: &Client,
    tool: &str,
    arguments: JsonObject,
) -> Result<String, Failure> {
    text_for(client, call_params(tool, arguments)).await
}

/// The same with parameters that hold more than arguments.
pub(super) async fn text_for(
    client: &Client,
    params: CallToolRequestParams,
) -> Result<String, Failure> {
    let mut result = client.running.call_tool(params.clone()).await;
    // A server that misses a header says so, and the client is to learn anew which arguments go
    // into headers, and to try again (2026-07-28, Streamable HTTP). rmcp leaves both to its user,
    // and now and then it needs this: a list that arrives in the moment its stream ends is not read
    // for headers.
    for _ in 0..REFRESHES {
        let Err(ServiceError::McpError(error)) = &result else { break };
        if error.code != ErrorCode::HEADER_MISMATCH {
            break;
        }
        client.running.clear_response_cache().await;
        client.running.list_all_tools().await?;
        result = client.running.call_tool(params.clone()).await;
    }
    let result = result?;
    let text = text_in(&result);
    if result.is_error == Some(true) {
        Err(format!("the tool failed: {text}").into())
    } else {
        Ok(text)
    }
}

fn text_in(result: &CallToolResult) -> String {
    let content = json!(result.content);
    let blocks = content.as_array().into_iter().flatten();
    blocks.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}
