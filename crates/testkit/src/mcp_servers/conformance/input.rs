//! Tools and a prompt that ask the client in the modern way: they answer with what they want to know, and are called again with
//! it (SEP-2322). How legacy ones ask is in [`super::asking`].

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, InputRequiredResult, InputResponses,
        RequestStateCodec, SealOptions,
    },
    service::RequestContext,
};
use serde_json::{Map, Value, json};

use super::{
    super::fixture::model,
    asking::{root_uris, sampled_text},
    content, declared_capabilities, prompts,
};

/// What seals the state that clients carry from round to round. The same in every process: nothing here is worth guarding, and
/// a call may begin at one server and end at another.
const KEY: &[u8] = b"a fixture has no secrets, but its states must not be altered";

/// What the client brought with this call.
struct Round {
    responses: InputResponses,
    state: Option<String>,
}

/// The tools of this file, with what they do.
pub(super) const TOOLS: &[(&str, &str)] = &[
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks the model a question"),
    ("test_input_required_result_list_roots", "Asks for the roots"),
    ("test_input_required_result_request_state", "Asks for a confirmation, and for its state back"),
    ("test_input_required_result_multiple_inputs", "Asks three things at once"),
    ("test_input_required_result_multi_round", "Asks twice"),
    ("test_input_required_result_tampered_state", "Asks once, and takes no state that was altered"),
    ("test_input_required_result_capabilities", "Asks only what the client declared"),
    ("test_streaming_elicitation", "Asks for a name on its response stream"),
    ("test_missing_capability", "Needs sampling"),
];

/// None if no tool of this file has that name.
pub(super) fn call(
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let round = Round { responses: request.input_responses.unwrap_or_default(), state: request.request_state };
    let needs: &[&str] = match &*request.name {
        "test_input_required_result_sampling" | "test_missing_capability" => &["sampling"],
        "test_input_required_result_list_roots" => &["roots"],
        "test_input_required_result_multiple_inputs" => &["elicitation", "sampling", "roots"],
        "test_input_required_result_capabilities" => &[],
        _ => &["elicitation"],
    };
    let tool = match &*request.name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => name,
        "test_input_required_result_sampling" => capital,
        "test_input_required_result_list_roots" => roots,
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => confirm,
        "test_input_required_result_multiple_inputs" => several,
        "test_input_required_result_multi_round" => twice,
        "test_input_required_result_capabilities" => return Some(whatever_is_declared(&round, context)),
        "test_missing_capability" => |_: &str, _: &Round| content::text("The client has declared sampling"),
        _ => return None,
    };
    Some(require(context, needs).and_then(|()| tool(&request.name, &round)))
}

/// Refuses a client that did not declare what is needed, as -32021 with the capabilities that are missing.
fn require(context: &RequestContext<RoleServer>, needs: &[&str]) -> Result<(), ErrorData> {
    let declared = declared_capabilities(context);
    let missing: Map<String, Value> =
        needs.iter().filter(|need| !declared.contains(**need)).map(|need| ((*need).to_owned(), json!({}))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ErrorData::missing_required_client_capability(model(Value::Object(missing))?))
}

fn name(_: &str, round: &Round) -> Result<CallToolResponse, ErrorData> {
    match entered(round, "user_name", "name") {
        Entered::Value(name) => content::text(format!("Hello, {}!", name.as_str().unwrap_or_default())),
        Entered::Refused => content::text("Hello, whoever you are!"),
        Entered::Nothing => ask(&json!({"user_name": question("What is your name?", "name", "string")}), None).map(Into::into),
    }
}

fn capital(_: &str, round: &Round) -> Result<CallToolResponse, ErrorData> {
    if let Some(answer) = round.responses.get("capital_question") {
        return content::text(format!("The model says: {}", sampled_text(answer)));
    }
    ask(&json!({"capital_question": sampling("What is the capital of France?", 100)}), None).map(Into::into)
}

fn roots(_: &str, round: &Round) -> Result<CallToolResponse, ErrorData> {
    if let Some(uris) = round.responses.get("client_roots").and_then(root_uris) {
        return content::text(format!("Roots: {}", uris.join(", ")));
    }
    ask(&json!({"client_roots": {"method": "roots/list", "params": {}}}), None).map(Into::into)
}

/// Answers only to a state that this very tool has sealed.
fn confirm(tool: &str, round: &Round) -> Result<CallToolResponse, ErrorData> {
    if round.state.is_some() {
        open(tool, round)?;
        match entered(round, "confirm", "ok") {
            Entered::Value(ok) => return content::text(format!("state-ok, confirmed: {ok}")),
            Entered::Refused => return content::text("state-ok, not confirmed"),
            Entered::Nothing => {}
        }
    }
    ask(&json!({"confirm": question("Please confirm", "ok", "boolean")}), Some(seal(tool, &json!("confirm"))?)).map(Into::into)
}

fn several(tool: &str, round: &Round) -> Result<CallToolResponse, ErrorData> {
    let answers = (entered(round, "user_name", "name"), round.responses.get("greeting"), round.responses.get("client_roots"));
    if let (Entered::Value(name), Some(greeting), Some(roots)) = answers {
        open(tool, round)?;
        let roots = root_uris(roots).unwrap_or_default().join(", ");
        return content::text(format!(
            "{} for {}, with roots {roots}",
            sampled_text(greeting),
            name.as_str().unwrap_or_default()
        ));
    }
    let questions = json!({
        "user_name": question("What is your name?", "name", "string"),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": {"method": "roots/list", "params": {}},
    });
    ask(&questions, Some(seal(tool, &json!("several"))?)).map(Into::into)
}

/// The answer to the first question travels in the state to the second.
fn twice(tool: &str, round: &Round) -> Result<CallToolResponse, ErrorData> {
    let state = if round.state.is_some() { open(tool, round)? } else { json!({}) };
    if let Some(name) = state["name"].as_str() {
        if let Entered::Value(color) = entered(round, "step2", "color") {
            return content::text(format!("{name} likes {}", color.as_str().unwrap_or_default()));
        }
        return second_question(tool, name);
    }
    match entered(round, "step1", "name") {
        Entered::Value(name) => second_question(tool, name.as_str().unwrap_or_default()),
        Entered::Refused => content::text("Nobody likes anything"),
        Entered::Nothing => {
            let questions = json!({"step1": question("Step 1: What is your name?", "name", "string")});
            ask(&questions, Some(seal(tool, &json!({"step": 1}))?)).map(Into::into)
        }
    }
}

fn second_question(tool: &str, name: &str) -> Result<CallToolResponse, ErrorData> {
    let questions = json!({"step2": question("Step 2: What is your favorite color?", "color", "string")});
    ask(&questions, Some(seal(tool, &json!({"step": 2, "name": name}))?)).map(Into::into)
}

fn whatever_is_declared(round: &Round, context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    if !round.responses.is_empty() {
        let answered: Vec<_> = round.responses.keys().map(String::as_str).collect();
        return content::text(format!("Answered: {}", answered.join(", ")));
    }
    let mut questions = Map::new();
    for capability in declared_capabilities(context) {
        questions.insert(
            format!("by_{capability}"),
            match capability {
                "elicitation" => question("What is your name?", "name", "string"),
                "sampling" => sampling("Generate a greeting", 50),
                _ => json!({"method": "roots/list", "params": {}}),
            },
        );
    }
    if questions.is_empty() {
        return content::text("There is nothing the client could be asked");
    }
    ask(&Value::Object(questions), None).map(Into::into)
}

pub(super) fn prompt(
    request: &GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    require(context, &["elicitation"])?;
    let round = Round { responses: request.input_responses.clone().unwrap_or_default(), state: request.request_state.clone() };
    match entered(&round, "user_context", "context") {
        Entered::Value(context) => {
            let text = format!("Use this context: {}", context.as_str().unwrap_or_default());
            prompts::messages(vec![content::text_block(&text)])
        }
        Entered::Refused => prompts::messages(vec![content::text_block("Use no context.")]),
        Entered::Nothing => {
            let questions = json!({"user_context": question("What context should the prompt use?", "context", "string")});
            ask(&questions, None).map(Into::into)
        }
    }
}

/// What somebody did with a form.
enum Entered<'a> {
    Value(&'a Value),
    /// Declined, or closed it.
    Refused,
    /// There is no answer, or none that can be made sense of: the question is to be asked again.
    Nothing,
}

fn entered<'a>(round: &'a Round, question: &str, property: &str) -> Entered<'a> {
    let Some(answer) = round.responses.get(question) else { return Entered::Nothing };
    match (answer["action"].as_str(), &answer["content"][property]) {
        (Some("accept"), Value::Null) => Entered::Nothing,
        (Some("accept"), value) => Entered::Value(value),
        (Some("decline" | "cancel"), _) => Entered::Refused,
        _ => Entered::Nothing,
    }
}

/// A form of one field.
fn question(message: &str, property: &str, kind: &str) -> Value {
    let schema = json!({"type": "object", "properties": {property: {"type": kind}}, "required": [property]});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

fn sampling(prompt: &str, max_tokens: u32) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": max_tokens}})
}

fn ask(questions: &Value, state: Option<String>) -> Result<InputRequiredResult, ErrorData> {
    Ok(InputRequiredResult::new(Some(model(questions.clone())?), state))
}

fn codec() -> Result<RequestStateCodec, ErrorData> {
    RequestStateCodec::try_new(KEY).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn seal(tool: &str, state: &Value) -> Result<String, ErrorData> {
    let options = SealOptions::new().associated_data(tool.as_bytes());
    codec()?.seal_json_with(state, &options).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn open(tool: &str, round: &Round) -> Result<Value, ErrorData> {
    let state = round.state.as_deref().unwrap_or_default();
    codec()?.open_json_with(state, tool.as_bytes()).map_err(|_| ErrorData::invalid_params("requestState is not ours", None))
}
