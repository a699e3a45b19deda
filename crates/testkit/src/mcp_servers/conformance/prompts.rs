//! The prompts, the same in both eras; what the one asks that asks back is in [`super::questions`].

use std::sync::atomic::Ordering;

use rmcp::{
    ErrorData, RoleServer,
    model::{GetPromptRequestParams, GetPromptResponse, JsonObject},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{
    asking,
    content::{image_block, text_block},
    input::{self, Brought, Step},
    questions,
    request::is_modern,
    result::complete,
    server::Shared,
};

pub(super) fn list(shared: &Shared) -> Vec<Value> {
    let argument = |name: &str, description: &str| json!({"name": name, "description": description, "required": true});
    let prompt = |name: &str, description: &str, arguments: &[Value]| json!({"name": name, "description": description, "arguments": arguments});
    let mut prompts = vec![
        prompt("test_simple_prompt", "A prompt without arguments", &[]),
        prompt(
            "test_prompt_with_arguments",
            "A prompt with two arguments",
            &[argument("arg1", "First test argument"), argument("arg2", "Second test argument")],
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            "A prompt with a resource in it",
            &[argument("resourceUri", "URI of the resource to embed")],
        ),
        prompt("test_prompt_with_image", "A prompt with a picture in it", &[]),
        prompt(questions::PROMPT.name, questions::PROMPT.description, &[]),
    ];
    if shared.has_late_prompt.load(Ordering::SeqCst) {
        prompts.push(prompt("test_late_prompt", "Came later", &[]));
    }
    prompts
}

pub(super) async fn read(
    shared: &Shared,
    request: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let arguments = request.arguments.clone().unwrap_or_default();
    let blocks = match request.name.as_str() {
        "test_simple_prompt" => vec![text_block("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument(&arguments, "arg1")?, argument(&arguments, "arg2")?);
            vec![text_block(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let uri = argument(&arguments, "resourceUri")?;
            let resource = json!({"uri": uri, "mimeType": "text/plain", "text": "Embedded resource content for testing."});
            let resource = json!({"type": "resource", "resource": resource});
            vec![resource, text_block("Please process the embedded resource above.")]
        }
        "test_prompt_with_image" => {
            vec![image_block(), text_block("Please analyze the image above.")]
        }
        name if name == questions::PROMPT.name => return ask(request, &arguments, context).await,
        "test_late_prompt" if shared.has_late_prompt.load(Ordering::SeqCst) => {
            vec![text_block("Late, but here.")]
        }
        _ => return Err(ErrorData::invalid_params("Unknown prompt", None)),
    };
    messages(blocks)
}

async fn ask(
    request: GetPromptRequestParams,
    arguments: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let text = if is_modern(context) {
        let brought = Brought { responses: request.input_responses, state: request.request_state };
        match input::step(&questions::PROMPT, arguments, &brought, context)? {
            Step::Ask(questions) => return Ok(questions.into()),
            Step::Answer(text) => text,
        }
    } else {
        asking::ask(&questions::PROMPT, arguments, context).await?
    };
    messages(vec![text_block(&text)])
}

/// A complete answer: each block is a message of the user's.
fn messages(blocks: Vec<Value>) -> Result<GetPromptResponse, ErrorData> {
    let messages: Vec<_> =
        blocks.into_iter().map(|block| json!({"role": "user", "content": block})).collect();
    complete(json!({"messages": messages})).map(GetPromptResponse::Complete)
}

fn argument<'a>(arguments: &'a JsonObject, name: &str) -> Result<&'a str, ErrorData> {
    let value = arguments.get(name).and_then(Value::as_str);
    value.ok_or_else(|| ErrorData::invalid_params(format!("argument {name} is missing"), None))
}
