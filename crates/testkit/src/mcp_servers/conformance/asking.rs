//! Tools that ask the client while they run, as legacy servers do: with a request of their own. How modern ones ask is in
//! [`super::input`].

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResponse, ElicitResult, JsonObject},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{super::fixture::model, content, declared_capabilities, telling::sending};

/// An answer instead of a question, for a client that cannot be asked.
fn cannot(context: &RequestContext<RoleServer>, capability: &str) -> Option<Result<CallToolResponse, ErrorData>> {
    let can = declared_capabilities(context).contains(capability);
    (!can).then(|| content::failure(&format!("The client does not support {capability}")))
}

pub(super) async fn sampling(
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    if let Some(answer) = cannot(context, "sampling") {
        return answer;
    }
    let prompt = arguments.get("prompt").and_then(Value::as_str).unwrap_or_default();
    let question = json!({"messages": [{"role": "user", "content": {"type": "text", "text": prompt}}], "maxTokens": 100});
    let answer = context.peer.create_message(model(question)?).await.map_err(sending)?;
    let answer = json!(answer);
    content::text(format!("LLM response: {}", sampled_text(&answer)))
}

/// The text in the answer to a sampling request.
pub(super) fn sampled_text(answer: &Value) -> &str {
    answer["content"]["text"].as_str().or_else(|| answer["content"][0]["text"].as_str()).unwrap_or_default()
}

pub(super) async fn roots(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    if let Some(answer) = cannot(context, "roots") {
        return answer;
    }
    let answer = context.peer.list_roots().await.map_err(sending)?;
    content::text(format!("Roots: {}", root_uris(&json!(answer)).unwrap_or_default().join(", ")))
}

/// The URIs in the answer to a request for roots; none if it is no such answer.
pub(super) fn root_uris(answer: &Value) -> Option<Vec<&str>> {
    answer["roots"].as_array()?.iter().map(|root| root["uri"].as_str()).collect()
}

pub(super) async fn elicitation(
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    if let Some(answer) = cannot(context, "elicitation") {
        return answer;
    }
    let message = arguments.get("message").and_then(Value::as_str).unwrap_or("Who are you?");
    let schema = json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    });
    let answer = elicit(context, message, &schema).await?;
    content::text(format!("User response: {}", described(&answer)))
}

/// A default value for every primitive type (SEP-1034).
pub(super) async fn defaults(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    }});
    completed(context, "Please review these values", &schema).await
}

/// Every way there is to choose from a list (SEP-1330).
pub(super) async fn choices(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    let values = json!(["option1", "option2", "option3"]);
    let titled = |ordinal: [&str; 3], noun: &str| {
        let choices = ["value1", "value2", "value3"].into_iter().zip(ordinal);
        choices.map(|(value, ordinal)| json!({"const": value, "title": format!("{ordinal} {noun}")})).collect::<Vec<_>>()
    };
    let ordinals = ["First", "Second", "Third"];
    let schema = json!({"type": "object", "properties": {
        "untitledSingle": {"type": "string", "enum": values},
        "titledSingle": {"type": "string", "oneOf": titled(ordinals, "Option")},
        "legacyEnum": {
            "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": values}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled(ordinals, "Choice")}},
    }});
    completed(context, "Please choose", &schema).await
}

async fn completed(context: &RequestContext<RoleServer>, message: &str, schema: &Value) -> Result<CallToolResponse, ErrorData> {
    if let Some(answer) = cannot(context, "elicitation") {
        return answer;
    }
    let answer = elicit(context, message, schema).await?;
    content::text(format!("Elicitation completed: {}", described(&answer)))
}

async fn elicit(context: &RequestContext<RoleServer>, message: &str, schema: &Value) -> Result<ElicitResult, ErrorData> {
    let question = model(json!({"mode": "form", "message": message, "requestedSchema": schema}))?;
    context.peer.create_elicitation(question).await.map_err(sending)
}

fn described(answer: &ElicitResult) -> String {
    let action = json!(answer.action);
    let content = answer.content.clone().unwrap_or_else(|| json!({}));
    format!("action={}, content={content}", action.as_str().unwrap_or_default())
}
