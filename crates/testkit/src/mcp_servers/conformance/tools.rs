//! Which tools there are, the same in both eras but for tasks, and what is behind each name. What
//! they do is next door: [`super::content`], [`super::telling`], [`super::questions`] and
//! [`super::tasks`].

use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, JsonObject, Tool},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{
    super::sdk_conversions::model,
    asking, content,
    input::{self, Brought, Step},
    questions::{self, Asking},
    request::is_modern,
    resources::WATCHED,
    server::{Conformance, Shared},
    sessions::INTERRUPTED,
    subscribers::Change,
    tasks, telling,
    tool_definition::{plain, tool},
};

/// In the order in which they are always listed.
pub(super) fn list(shared: &Shared, modern: bool) -> Vec<Value> {
    let mut tools = that_ask_nothing();
    tools.extend(tasks::list(modern));
    tools.extend(questions::TOOLS.iter().map(|asking| {
        let arguments: Vec<_> = asking.argument.into_iter().collect();
        let properties =
            arguments.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
        tool(asking.name, asking.description, &Value::Object(properties), &arguments)
    }));
    if shared.has_late_tool.load(Ordering::SeqCst) {
        tools.push(plain("test_late_tool", "Came later"));
    }
    tools
}

fn that_ask_nothing() -> Vec<Value> {
    let text = json!({"type": "string"});
    vec![
        plain("test_simple_text", "Answers with a text"),
        plain("test_image_content", "Answers with a picture"),
        plain("test_audio_content", "Answers with a sound"),
        plain("test_embedded_resource", "Answers with a resource"),
        plain("test_multiple_content_types", "Answers with a text, a picture and a resource"),
        plain("test_error_handling", "Fails as a tool does"),
        plain("test_tool_with_logging", "Logs three times while it runs"),
        plain("test_logging_tool", "Logs as well, if a modern request says from which level on"),
        plain("test_tool_with_progress", "Tells of its progress three times while it runs"),
        plain(
            INTERRUPTED,
            "Closes its stream in the middle of the call, where it has one that can be taken up again",
        ),
        tool("greet", "Greets; never a task", &json!({"name": text}), &["name"]),
        plain("test_slow", "Takes a minute, unless it is cancelled"),
        plain("test_cancelled_count", "Counts the calls of test_slow that were cancelled"),
        tool(
            "test_touch_resource",
            "Tells whoever subscribed to `uri` that it changed",
            &json!({"uri": text}),
            &[],
        ),
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

/// A tool by its name: rmcp holds the headers of a call against its schema.
pub(super) fn find(shared: &Shared, name: &str) -> Option<Tool> {
    let found = list(shared, true).into_iter().find(|tool| tool["name"] == name)?;
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
        "test_error_handling" => {
            content::failure("This tool intentionally returns an error for testing")
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            telling::with_logging(server, context).await
        }
        "test_tool_with_progress" => telling::with_progress(context).await,
        INTERRUPTED => telling::interrupted(server, context).await,
        "test_slow" => telling::slow(server, context).await,
        "test_cancelled_count" => {
            content::text(shared.cancelled.load(Ordering::SeqCst).to_string())
        }
        "test_touch_resource" => {
            let uri = arguments.get("uri").and_then(Value::as_str).unwrap_or(WATCHED).to_owned();
            let told = shared.subscribers.tell(&Change::Resource(uri)).await;
            content::text(format!("Told {told}"))
        }
        "test_trigger_tool_change" => change(shared, &shared.has_late_tool, &Change::Tools).await,
        "test_trigger_prompt_change" => {
            change(shared, &shared.has_late_prompt, &Change::Prompts).await
        }
        "test_header_tool" | "json_schema_2020_12_tool" => {
            content::text(Value::Object(arguments).to_string())
        }
        "test_late_tool" if shared.has_late_tool.load(Ordering::SeqCst) => {
            content::text("Late, but here")
        }
        "greet" => {
            let name = arguments.get("name").and_then(Value::as_str).unwrap_or_default();
            content::text(format!("Hello, {name}!"))
        }
        name => match questions::TOOLS.iter().find(|asking| asking.name == name) {
            Some(asking) => ask(asking, request, &arguments, context).await,
            None => match tasks::call(&shared.tasks, request, &arguments, context).await {
                Some(answer) => answer,
                None => Err(ErrorData::invalid_params("Unknown tool", None)),
            },
        },
    }
}

async fn change(
    shared: &Shared,
    there: &AtomicBool,
    change: &Change,
) -> Result<CallToolResponse, ErrorData> {
    let was_there = there.fetch_xor(true, Ordering::SeqCst);
    let told = shared.subscribers.tell(change).await;
    content::text(format!("{}; told {told}", if was_there { "Taken away" } else { "Added" }))
}

async fn ask(
    asking: &Asking,
    request: CallToolRequestParams,
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    if is_modern(context) {
        let brought = Brought { responses: request.input_responses, state: request.request_state };
        return match input::step(asking, arguments, &brought, context)? {
            Step::Ask(questions) => Ok(questions.into()),
            Step::Answer(text) => content::text(text),
        };
    }
    match asking::ask(asking, arguments, context).await {
        Ok(text) => content::text(text),
        Err(error) => content::failure(&error.message),
    }
}
