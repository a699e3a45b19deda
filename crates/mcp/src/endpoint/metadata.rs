//! What every request of the modern era says of itself, in its body and again in its headers (MCP
//! 2026-07-28, basic, `_meta`; Streamable HTTP, "Server Validation"). Parameters of tools that
//! stand in headers too are compared in `calls::forward`, where the tool is known.

use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::json;

use super::answers;
use crate::{
    answer::Answer,
    era, header_params,
    session::level::Level,
    wire::{
        self, ParamsHead, Payload, Request, code, meta,
        protocol::{header_name, member, method},
    },
};

/// A request that says everything it must, the same in both places.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) head: ParamsHead,
    pub(crate) level: Option<Level>,
    /// The parameters that the client repeated in headers.
    pub(crate) header_params: HeaderMap,
}

pub(crate) fn check(request: &Request, map: &HeaderMap) -> Result<Sound, Box<Answer>> {
    let refuse = |code, message: &str| Err(refusal(request, code, message, None));
    let head =
        request.params.as_ref().map(|params| wire::head_of(&request.method, params)).transpose();
    let head = head
        .map_err(|error| refusal(request, error.code(), &error.to_string(), None))?
        .unwrap_or_default();
    let given = match only(map, &header_name::PROTOCOL_VERSION) {
        Ok(given) => given,
        Err(message) => return refuse(code::HEADER_MISMATCH, &message),
    };
    match (&head.meta.protocol_version, given.as_deref()) {
        (None, Some(revision)) if revision != era::MODERN => {
            return Err(unsupported(request, revision));
        }
        (None, _) => {
            return refuse(
                code::INVALID_PARAMS,
                &format!("`_meta` must have {:?}", meta::PROTOCOL_VERSION),
            );
        }
        (Some(_), None) => {
            return refuse(
                code::HEADER_MISMATCH,
                "Header mismatch: the MCP-Protocol-Version header is missing",
            );
        }
        (Some(said), Some(given)) if said != given => {
            return refuse(
                code::HEADER_MISMATCH,
                "Header mismatch: MCP-Protocol-Version does not match the body",
            );
        }
        (Some(revision), _) if revision != era::MODERN => {
            return Err(unsupported(request, revision));
        }
        _ => {}
    }
    if head.meta.client_capabilities.is_none() {
        return refuse(
            code::INVALID_PARAMS,
            &format!("`_meta` must have {:?}", meta::CLIENT_CAPABILITIES),
        );
    }
    let level = match head.meta.log_level.as_deref().map(|level| Level::parse(level).ok_or(level)) {
        Some(Err(level)) => {
            return refuse(code::INVALID_PARAMS, &format!("there is no log level {level:?}"));
        }
        Some(Ok(level)) => Some(level),
        None => None,
    };
    let name = match request.method.as_str() {
        method::TOOLS_CALL | method::PROMPTS_GET => head.name.as_deref(),
        method::RESOURCES_READ => head.uri.as_deref(),
        _ => None,
    };
    if let Err(message) = agrees(map, &header_name::METHOD, Some(&request.method))
        .and_then(|()| agrees_if_named(map, request, name))
    {
        return refuse(code::HEADER_MISMATCH, &format!("Header mismatch: {message}"));
    }
    let repeated =
        map.iter().filter(|(name, _)| name.as_str().starts_with(header_name::PARAM_PREFIX));
    let header_params = repeated.map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(Sound { head, level, header_params })
}

/// `Mcp-Name`, where the method has one: of the tasks extension, whatever task it names.
fn agrees_if_named(map: &HeaderMap, request: &Request, name: Option<&str>) -> Result<(), String> {
    match request.method.as_str() {
        method::TOOLS_CALL | method::PROMPTS_GET | method::RESOURCES_READ => {
            agrees(map, &header_name::NAME, name)
        }
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => {
            let members = request
                .params
                .as_ref()
                .and_then(|params| wire::members(params).ok())
                .unwrap_or_default();
            let task = members
                .into_iter()
                .find(|(key, _)| key == member::TASK_ID)
                .and_then(|(_, id)| id.read::<String>().ok());
            agrees(map, &header_name::NAME, task.as_deref())
        }
        _ => Ok(()),
    }
}

fn agrees(map: &HeaderMap, name: &HeaderName, body: Option<&str>) -> Result<(), String> {
    match (only(map, name)?, body) {
        // What the body lacks, its method complains about.
        (_, None) => Ok(()),
        (None, Some(_)) => Err(format!("the {name} header is missing")),
        (Some(given), Some(body)) if given == body => Ok(()),
        (Some(_), Some(_)) => Err(format!("the {name} header does not match the body")),
    }
}

/// The value of a header that may come once.
fn only(map: &HeaderMap, name: &HeaderName) -> Result<Option<String>, String> {
    let mut values = map.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => header_params::decode(value)
            .map(Some)
            .ok_or_else(|| format!("the {name} header cannot be read")),
        (Some(_), Some(_)) => Err(format!("the {name} header appears more than once")),
    }
}

fn unsupported(request: &Request, requested: &str) -> Box<Answer> {
    let data = Payload::from_value(
        &json!({ "supported": era::all().collect::<Vec<_>>(), "requested": requested }),
    );
    refusal(
        request,
        code::UNSUPPORTED_PROTOCOL_VERSION,
        "Unsupported protocol version",
        Some(&data),
    )
}

fn refusal(request: &Request, code: i64, message: &str, data: Option<&Payload>) -> Box<Answer> {
    Box::new(answers::json(
        StatusCode::BAD_REQUEST,
        wire::error(Some(&request.id), code, message, data),
    ))
}

#[cfg(test)]
mod tests;
