//! Requests to servers of the modern era: what each must carry (MCP 2026-07-28, basic, `_meta`; Streamable HTTP, "Request Metadata").
//! How the era is found out is next door in [`super::probe`].

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use portunus_core::ids::ServerName;

use crate::{
    era, header_params,
    translate::errors,
    wire::{self, Outcome, Payload, WireError, code, meta},
};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The servers that do not know the base64 form of headers, found out once for each (FB80).
#[derive(Debug, Default)]
pub(crate) struct PlainHeaders(Mutex<HashSet<ServerName>>);

impl PlainHeaders {
    pub(super) fn are_for(&self, server: &ServerName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(server)
    }

    pub(super) fn note(&self, server: &ServerName, are_plain: bool) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if are_plain {
            servers.insert(server.clone());
        } else {
            servers.remove(server);
        }
    }
}

/// Does the server say that a header is not what the body says? Then it did nothing yet, and what it cannot read may be the form. Only what names
/// these headers counts: a tool's own error is an answer.
pub(super) fn is_mismatch(outcome: &Outcome) -> bool {
    let Outcome::Error(error) = outcome else { return false };
    let text = error.as_str().to_ascii_lowercase();
    errors::code_of(error) == Some(code::HEADER_MISMATCH)
        || ["mcp-name", "mcp-param-", "header mismatch", "headermismatch"].iter().any(|word| text.contains(word))
}

/// Who the gateway says it is.
pub(crate) fn client_info() -> String {
    serde_json::json!({"name": "portunus", "version": env!("CARGO_PKG_VERSION")}).to_string()
}

/// Parameters of a request of our own: with what we say of ourselves.
pub(super) fn own_params(params: Option<&Payload>, capabilities: &Payload) -> Result<Payload, WireError> {
    let members = [
        (meta::PROTOCOL_VERSION, &*wire::quote(era::MODERN)),
        (meta::CLIENT_INFO, &*client_info()),
        (meta::CLIENT_CAPABILITIES, capabilities.as_str()),
    ];
    wire::with_meta(params, &members)
}

/// The headers that every request has, and those of `method`'s parameters.
pub(super) fn headers(method: &str, params: Option<&Payload>) -> Result<HeaderMap, WireError> {
    let mut headers = HeaderMap::new();
    headers.insert(VERSION, HeaderValue::from_static(era::MODERN));
    headers.insert(METHOD, header_params::encode(method));
    let head = params.map(|params| wire::head_of(method, params)).transpose()?.unwrap_or_default();
    let name = match method {
        "tools/call" | "prompts/get" => head.name,
        "resources/read" => head.uri,
        // The tasks extension names its tasks there.
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.and_then(task_id),
        _ => None,
    };
    if let Some(name) = name {
        headers.insert(NAME, header_params::encode(&name));
    }
    Ok(headers)
}

/// `taskId` of the tasks extension's requests.
fn task_id(params: &Payload) -> Option<String> {
    let members = wire::members(params).ok()?;
    members.into_iter().find(|(key, _)| key == "taskId").and_then(|(_, value)| value.read().ok())
}
