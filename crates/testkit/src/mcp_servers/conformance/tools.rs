//! Which tools there are, and what is behind each name. What they do is next door: [`super::content`], [`super::telling`],
//! [`super::asking`] and [`super::input`].

use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, JsonObject, Tool},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{
    super::fixture::model, Conformance, Shared, asking, content, input, is_modern, resources::WATCHED, subscribers::Change,
    telling,
};

/// In the order in which they are always listed.
pub(super) fn list(shared: &Shared, modern: bool) -> Vec<Value> {
    let mut tools = of_both_eras();
    if modern {
        tools.push(plain("test_logging_tool", "Logs, if the request says from which level on"));
        tools.extend(input::TOOLS.iter().map(|(name, description)| plain(name, description)));
    } else {
        tools.extend(of_the_legacy_era());
    }
    if shared.has_late_tool.load(Ordering::SeqCst) {
        tools.push(plain("test_late_tool", "Came later"));
    }
    tools
}

fn tool(name: &str, description: &str, properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({"name": name, "description": description, "inputSchema": schema})
}

/// A tool without arguments.
fn plain(name: &str, description: &str) -> Value {
    tool(name, description, &json!({}), &[])
}

fn of_both_eras() -> Vec<Value> {
    let text = json!({"type": "string"});
    vec![
        plain("test_simple_text", "Answers with a text"),
        plain("test_image_content", "Answers with a picture"),
        plain("test_audio_content", "Answers with a sound"),
        plain("test_embedded_resource", "Answers with a resource"),
        plain("test_multiple_content_types", "Answers with a text, a picture and a resource"),
        plain("test_error_handling", "Fails as a tool does"),
        plain("test_tool_with_logging", "Logs three times while it runs"),
        plain("test_tool_with_progress", "Tells of its progress three times while it runs"),
        plain("test_slow", "Takes a minute, unless it is cancelled"),
        plain("test_cancelled_count", "Counts the calls of test_slow that were cancelled"),
        tool("test_touch_resource", "Tells whoever subscribed to `uri` that it changed", &json!({"uri": text}), &[]),
        plain("test_trigger_tool_change", "Adds a tool to the list, or takes it away again"),
        plain("test_trigger_prompt_change", "Adds a prompt to the list, or takes it away again"),
        tool(
            "test_header_tool",
            "Answers with its arguments, some of which travel in headers too",
            &json!({
                "region": {"type": "string", "x-mcp-header": "Region"},
                "priority": {"type": "integer", "x-mcp-header": "Priority"},
                "query": text,
            }),
            &["region"],
        ),
        json!({
            "name": "json_schema_2020_12_tool", "description": "Tool with JSON Schema 2020-12 features",
            "inputSchema": rich_schema(),
        }),
    ]
}

fn of_the_legacy_era() -> Vec<Value> {
    let text = json!({"type": "string"});
    vec![
        tool("test_sampling", "Asks the model", &json!({"prompt": text}), &["prompt"]),
        tool("test_elicitation", "Asks the user who they are", &json!({"message": text}), &["message"]),
        plain("test_elicitation_sep1034_defaults", "Asks for values that have defaults"),
        plain("test_elicitation_sep1330_enums", "Asks for choices, in every way there is"),
        plain("test_list_roots", "Asks for the roots"),
    ]
}

/// Words of JSON Schema that a server or a gateway may be tempted to drop.
fn rich_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

/// A tool of any era by its name: rmcp holds the headers of a call against its schema.
pub(super) fn find(shared: &Shared, name: &str) -> Option<Tool> {
    let tools = [true, false].into_iter().flat_map(|modern| list(shared, modern));
    let found = tools.into_iter().find(|tool| tool["name"] == name)?;
    model(found).ok()
}

pub(super) async fn call(
    server: &Conformance,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let shared = &server.shared;
    let arguments = request.arguments.clone().unwrap_or_default();
    match &*request.name {
        "test_simple_text" => content::text("This is a simple text response for testing."),
        "test_image_content" => content::image(),
        "test_audio_content" => content::audio(),
        "test_embedded_resource" => content::embedded_resource(),
        "test_multiple_content_types" => content::mixed(),
        "test_error_handling" => content::failure("This tool intentionally returns an error for testing"),
        "test_tool_with_logging" => telling::with_logging(server, context).await,
        "test_tool_with_progress" => telling::with_progress(context).await,
        "test_slow" => telling::slow(server, context).await,
        "test_cancelled_count" => content::text(shared.cancelled.load(Ordering::SeqCst).to_string()),
        "test_touch_resource" => {
            let uri = arguments.get("uri").and_then(Value::as_str).unwrap_or(WATCHED).to_owned();
            let told = shared.subscribers.tell(&Change::Resource(uri)).await;
            content::text(format!("Told {told}"))
        }
        "test_trigger_tool_change" => change(shared, &shared.has_late_tool, &Change::Tools).await,
        "test_trigger_prompt_change" => change(shared, &shared.has_late_prompt, &Change::Prompts).await,
        "test_header_tool" | "json_schema_2020_12_tool" => content::text(Value::Object(arguments).to_string()),
        "test_late_tool" if shared.has_late_tool.load(Ordering::SeqCst) => content::text("Late, but here"),
        _ => call_of_one_era(server, request, &arguments, context).await,
    }
}

async fn change(shared: &Shared, there: &AtomicBool, change: &Change) -> Result<CallToolResponse, ErrorData> {
    let was_there = there.fetch_xor(true, Ordering::SeqCst);
    let told = shared.subscribers.tell(change).await;
    content::text(format!("{}; told {told}", if was_there { "Taken away" } else { "Added" }))
}

async fn call_of_one_era(
    server: &Conformance,
    request: CallToolRequestParams,
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let unknown = || Err(ErrorData::invalid_params("Unknown tool", None));
    if is_modern(context) {
        return match &*request.name {
            "test_logging_tool" => telling::with_logging(server, context).await,
            _ => input::call(request, context).unwrap_or_else(unknown),
        };
    }
    match &*request.name {
        "test_sampling" => asking::sampling(arguments, context).await,
        "test_elicitation" => asking::elicitation(arguments, context).await,
        "test_elicitation_sep1034_defaults" => asking::defaults(context).await,
        "test_elicitation_sep1330_enums" => asking::choices(context).await,
        "test_list_roots" => asking::roots(context).await,
        _ => unknown(),
    }
}
