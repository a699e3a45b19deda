//! Requests to servers of the modern era: what each must carry (MCP 2026-07-28, basic, `_meta`;
//! Streamable HTTP, "Request Metadata"). How the era is found out is next door in [`super::probe`].

use http::{HeaderMap, HeaderValue};

use super::call::KnownParams;
use crate::{
    era, header_params,
    wire::{
        self, Payload, WireError, meta,
        protocol::{header_name, member, method},
    },
};

/// The gateway as an MCP client: `clientInfo`.
pub(crate) fn client_info() -> String {
    serde_json::json!({"name": "portunus", "version": env!("CARGO_PKG_VERSION")}).to_string()
}

/// The parameters of the gateway's own request, with the `_meta` that the modern era requires.
pub(super) fn own_params(
    params: Option<&Payload>,
    capabilities: &Payload,
) -> Result<Payload, WireError> {
    let members = [
        (meta::PROTOCOL_VERSION, &*wire::quote(era::MODERN)),
        (meta::CLIENT_INFO, &*client_info()),
        (meta::CLIENT_CAPABILITIES, capabilities.as_str()),
    ];
    wire::with_meta(params, &members)
}

/// The headers that every request has, and those of `method`'s parameters.
pub(super) fn headers(
    method: &str,
    params: Option<&Payload>,
    known: Option<&KnownParams>,
) -> Result<HeaderMap, WireError> {
    let mut headers = HeaderMap::new();
    headers.insert(header_name::PROTOCOL_VERSION, HeaderValue::from_static(era::MODERN));
    headers.insert(header_name::METHOD, header_params::encode(method));
    let name = match known.and_then(|known| known.name.as_deref()) {
        Some(name) => Some(name.to_owned()),
        None => named(method, params)?,
    };
    if let Some(name) = name {
        headers.insert(header_name::NAME, header_params::encode(&name));
    }
    Ok(headers)
}

/// What a request is about, for the methods that have it in a header.
pub fn named(method: &str, params: Option<&Payload>) -> Result<Option<String>, WireError> {
    let head = params.map(|params| wire::head_of(method, params)).transpose()?.unwrap_or_default();
    Ok(match method {
        method::TOOLS_CALL | method::PROMPTS_GET => head.name,
        method::RESOURCES_READ => head.uri,
        // The tasks extension has the id of the task there.
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => {
            params.and_then(|params| wire::find_member(params, &[member::TASK_ID])?.read().ok())
        }
        _ => None,
    })
}
