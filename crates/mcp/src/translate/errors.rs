//! Errors that servers answer with.

use super::input::{InputRequest, without_elicitation_id};
use crate::wire::{self, Payload, WireError, code, protocol::method};

/// To a modern client: -32002 is not used any more.
pub(crate) fn to_modern(error: &Payload) -> Result<Payload, WireError> {
    match wire::code_of(error) {
        Some(code::RESOURCE_NOT_FOUND) => with_code(error, code::INVALID_PARAMS),
        _ => Ok(error.clone()),
    }
}

/// To a legacy client: a resource that is not there has a code of its own. Other bad parameters of
/// a read say no `uri`.
pub(crate) fn to_legacy(method: &str, error: &Payload) -> Result<Payload, WireError> {
    let is_missing = method == method::RESOURCES_READ
        && wire::code_of(error) == Some(code::INVALID_PARAMS)
        && names_uri(error);
    if is_missing { with_code(error, code::RESOURCE_NOT_FOUND) } else { Ok(error.clone()) }
}

fn names_uri(error: &Payload) -> bool {
    let data = wire::members(error)
        .ok()
        .and_then(|members| members.into_iter().find(|(key, _)| key == "data"));
    data.is_some_and(|(_, data)| {
        wire::members(&data).is_ok_and(|members| members.iter().any(|(key, _)| key == "uri"))
    })
}

fn with_code(error: &Payload, code: i64) -> Result<Payload, WireError> {
    wire::with_members(error, &[("code", &code.to_string())])
}

/// The pages that a person has to visit before a call can succeed (-32042 of revision 2025-11-25),
/// as requests of the modern era.
pub(crate) fn url_elicitations(error: &Payload) -> Option<Vec<InputRequest>> {
    if wire::code_of(error) != Some(code::URL_ELICITATION_REQUIRED) {
        return None;
    }
    let (_, data) = wire::members(error).ok()?.into_iter().find(|(key, _)| key == "data")?;
    let (_, list) =
        wire::members(&data).ok()?.into_iter().find(|(key, _)| key == "elicitations")?;
    let requests =
        wire::elements(&list).ok()?.into_iter().enumerate().map(|(n, params)| InputRequest {
            key: format!("elicitation-{}", n + 1),
            method: method::ELICITATION_CREATE.to_owned(),
            params: without_elicitation_id(&params).ok(),
        });
    let requests: Vec<_> = requests.collect();
    (!requests.is_empty()).then_some(requests)
}
