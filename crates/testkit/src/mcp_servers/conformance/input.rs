//! How a modern client is asked: with a result that says what is wanted, upon which it calls again
//! and brings it (SEP-2322). How a legacy one is asked is in [`super::asking`], and what they are
//! asked in [`super::questions`].

use rmcp::{
    ErrorData, RoleServer,
    model::{InputRequiredResult, InputResponses, JsonObject, RequestStateCodec, SealOptions},
    service::RequestContext,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    super::sdk_conversions::model,
    questions::{Asking, ByKey, Declared, capability, is_answer},
    request::declared_capabilities,
};

/// What seals the state that clients carry from round to round. The same in every process: nothing
/// here is worth guarding, and a call may begin at one server and end at another.
const KEY: &[u8] = b"a fixture has no secrets, but its states must not be altered";

/// What the client brought with this call.
pub(super) struct Brought {
    pub(super) responses: Option<InputResponses>,
    pub(super) state: Option<String>,
}

/// One call's worth of the way to an answer.
pub(super) enum Step {
    Ask(InputRequiredResult),
    Answer(String),
}

/// Where a sealed one is.
#[derive(Default, Deserialize, Serialize)]
struct State {
    round: usize,
    answers: ByKey,
}

pub(super) fn step(
    asking: &Asking,
    arguments: &JsonObject,
    brought: &Brought,
    context: &RequestContext<RoleServer>,
) -> Result<Step, ErrorData> {
    let declared = declared_capabilities(context);
    let brought_by =
        |key: &str| brought.responses.as_ref().and_then(|responses| responses.get(key));
    let State { round: begun, mut answers } = match &brought.state {
        Some(state) if asking.sealed => open(asking.name, state)?,
        _ => State::default(),
    };
    for (round, questions) in asking.rounds.iter().enumerate().skip(begun) {
        let mut unanswered = ByKey::new();
        for (key, question) in questions(arguments, &declared) {
            if let Some(answer) = brought_by(&key).filter(|answer| is_answer(&question, answer)) {
                answers.insert(key, answer.clone());
            } else if !answers.contains_key(&key) {
                unanswered.insert(key, question);
            }
        }
        if unanswered.is_empty() {
            continue;
        }
        require(&declared, &unanswered)?;
        let state =
            asking.sealed.then(|| seal(asking.name, &State { round, answers })).transpose()?;
        return Ok(Step::Ask(InputRequiredResult::new(
            Some(model(Value::Object(unanswered))?),
            state,
        )));
    }
    Ok(Step::Answer((asking.finish)(&answers)))
}

/// Refuses a client that did not declare what is needed, as -32021 with the capabilities that are
/// missing.
fn require(declared: &Declared, questions: &ByKey) -> Result<(), ErrorData> {
    let needs = questions.values().map(capability).filter(|needs| !declared.contains(needs));
    let missing: Map<String, Value> = needs.map(|needs| (needs.to_owned(), json!({}))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ErrorData::missing_required_client_capability(model(Value::Object(missing))?))
}

fn codec() -> Result<RequestStateCodec, ErrorData> {
    RequestStateCodec::try_new(KEY)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// Bound to the tool, so that no other takes it.
fn seal(tool: &str, state: &State) -> Result<String, ErrorData> {
    let options = SealOptions::new().associated_data(tool.as_bytes());
    codec()?
        .seal_json_with(state, &options)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn open(tool: &str, state: &str) -> Result<State, ErrorData> {
    codec()?
        .open_json_with(state, tool.as_bytes())
        .map_err(|_| ErrorData::invalid_params("requestState is not ours", None))
}
