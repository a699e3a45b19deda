//! What a server wants to know in the middle of a request: a request of its own in the legacy era,
//! `input_required` in the modern one (MCP 2026-07-28, multi round-trip requests).

use std::collections::HashSet;

use crate::wire::{self, Payload, WireError, protocol::method};

/// How many a server may ask at once.
const MAX_REQUESTS: usize = 32;

/// One thing that a server wants of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputRequest {
    /// The server's own name of it.
    pub(crate) key: String,
    pub(crate) method: String,
    pub(crate) params: Option<Payload>,
}

/// `InputRequiredResult`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputRequired {
    pub(crate) requests: Vec<InputRequest>,
    /// The raw string, to be sent back as it is.
    pub(crate) state: Option<Payload>,
}

/// Reads the result of a modern server; the caller knows that its `resultType` is `input_required`.
pub(crate) fn read(result: &Payload) -> Result<InputRequired, WireError> {
    let mut read = InputRequired { requests: Vec::new(), state: None };
    for (key, value) in wire::members(result)? {
        match &*key {
            "requestState" if value.as_str().starts_with('"') => read.state = Some(value),
            "inputRequests" if value.as_str() != "null" => {
                for (key, request) in wire::members(&value)?.into_iter().take(MAX_REQUESTS) {
                    read.requests.push(request_of(key.into_owned(), &request)?);
                }
            }
            _ => {}
        }
    }
    Ok(read)
}

fn request_of(key: String, request: &Payload) -> Result<InputRequest, WireError> {
    let (mut method, mut params) = (None, None);
    for (name, value) in wire::members(request)? {
        match &*name {
            "method" => method = Some(value.read()?),
            "params" if value.as_str().starts_with('{') => params = Some(value),
            _ => {}
        }
    }
    let method = method.ok_or_else(|| WireError::Missing("inputRequests.method".to_owned()))?;
    Ok(InputRequest { key, method, params })
}

/// The result that asks a modern client. `state` is not quoted yet.
pub(crate) fn write(requests: &[InputRequest], state: &str) -> Payload {
    let asked: Vec<_> = requests.iter().map(|request| (&*request.key, written(request))).collect();
    let asked: Vec<_> = asked.iter().map(|(key, request)| (*key, request.as_str())).collect();
    wire::object(&[
        ("resultType", "\"input_required\""),
        ("inputRequests", wire::object(&asked).as_str()),
        ("requestState", &wire::quote(state)),
    ])
}

fn written(request: &InputRequest) -> Payload {
    let method = wire::quote(&request.method);
    let mut members = vec![("method", &*method)];
    members.extend(request.params.as_ref().map(|params| ("params", params.as_str())));
    wire::object(&members)
}

/// The members of the retry: what was found out, and the server's state.
pub(crate) fn retry(
    answers: &[(String, Payload)],
    state: Option<&Payload>,
) -> Vec<(&'static str, Payload)> {
    let answers: Vec<_> =
        answers.iter().map(|(key, answer)| (key.as_str(), answer.as_str())).collect();
    let mut members = vec![("inputResponses", wire::object(&answers))];
    members.extend(state.map(|state| ("requestState", state.clone())));
    members
}

/// To a legacy client: a page to visit has an id there (2025-11-25), which the modern era dropped.
pub(crate) fn params_to_legacy(
    request: &InputRequest,
    id: &str,
) -> Result<Option<Payload>, WireError> {
    let Some(params) = &request.params else { return Ok(None) };
    let is_url = request.method == method::ELICITATION_CREATE
        && wire::members(params)?
            .iter()
            .any(|(key, value)| key == "mode" && value.as_str() == "\"url\"");
    if is_url {
        wire::with_members(params, &[("elicitationId", &wire::quote(id))]).map(Some)
    } else {
        Ok(Some(params.clone()))
    }
}

/// To a modern client: without the members that only the handshake era had.
pub(crate) fn params_to_modern(
    method: &str,
    params: Option<&Payload>,
) -> Result<Option<Payload>, WireError> {
    match params {
        Some(params) if method == method::ELICITATION_CREATE => {
            without_elicitation_id(params).map(Some)
        }
        other => Ok(other.cloned()),
    }
}

pub(crate) fn without_elicitation_id(params: &Payload) -> Result<Payload, WireError> {
    wire::without_members(params, &["elicitationId", "task"])
}

/// What the client found out, by key. Keys that were not asked for are passed over, as the
/// specification says.
pub(crate) fn answers(
    responses: &Payload,
    asked: &HashSet<&str>,
) -> Result<Vec<(String, Payload)>, WireError> {
    let found = wire::members(responses)?.into_iter().filter(|(key, _)| asked.contains(&**key));
    found
        .map(|(key, value)| {
            if value.as_str().starts_with('{') {
                Ok((key.into_owned(), value))
            } else {
                Err(WireError::WrongType("inputResponses", "an object of objects"))
            }
        })
        .collect()
}
