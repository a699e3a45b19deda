//! Results of requests.

use std::time::Duration;

use crate::wire::{self, Payload, WireError, meta, protocol::method};

/// How long a client may keep a list of a legacy server, in milliseconds: such servers say nothing
/// of it, and a change is told anyway.
const LIST_TTL_MS: u32 = 60_000;

/// The results that a client may keep for a while (MCP 2026-07-28, caching), with how long it may
/// when the server does not say.
fn default_ttl(method: &str) -> Option<u32> {
    match method {
        method::SERVER_DISCOVER
        | method::TOOLS_LIST
        | method::PROMPTS_LIST
        | method::RESOURCES_LIST
        | method::RESOURCES_TEMPLATES_LIST => Some(LIST_TTL_MS),
        // What a resource says now is its server's affair.
        method::RESOURCES_READ => Some(0),
        _ => None,
    }
}

/// May a client keep what this method answers?
pub(crate) fn is_cacheable(method: &str) -> bool {
    default_ttl(method).is_some()
}

/// To a modern client: with everything that its era requires, as far as the server did not say it.
pub(crate) fn to_modern(
    method: &str,
    result: &Payload,
    server_info: &Payload,
) -> Result<Payload, WireError> {
    let members = wire::members(result)?;
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    let ttl = default_ttl(method).map(|ttl| ttl.to_string());
    let mut added: Vec<(&str, &str)> = Vec::new();
    // No client could come back to a server of that era with an answer (FB86).
    let asks = members
        .iter()
        .any(|(key, value)| key == "resultType" && value.as_str() == "\"input_required\"");
    if asks || !has("resultType") {
        added.push(("resultType", "\"complete\""));
    }
    if let Some(ttl) = &ttl {
        if !has("ttlMs") {
            added.push(("ttlMs", ttl));
        }
        if !has("cacheScope") {
            added.push(("cacheScope", "\"private\""));
        }
    }
    let result = wire::with_members(result, &added)?;
    if server_info.as_str() == "{}" {
        return Ok(result);
    }
    wire::with_meta(Some(&result), &[(meta::SERVER_INFO, server_info.as_str())])
}

/// A list of many servers' parts: the one that is good for the shortest time counts. There is
/// always one that says nothing of it, the gateway's own: who may see what can change too.
pub(crate) fn good_for(result: &Payload, least: Option<Duration>) -> Result<Payload, WireError> {
    let Some(least) = least else { return Ok(result.clone()) };
    let ttl = least.as_millis().min(LIST_TTL_MS.into());
    wire::with_members(result, &[("ttlMs", &ttl.to_string())])
}

/// To a legacy client: without what its era does not know. How long an answer may be kept is said
/// of some methods' answers alone: that of a task, `ttlMs` is how long the task is.
pub(crate) fn to_legacy(method: &str, result: &Payload) -> Result<Payload, WireError> {
    let is_complete = result_type(result)?.is_none_or(|kind| kind == "complete");
    let mut names = if is_complete { vec!["resultType"] } else { Vec::new() };
    if default_ttl(method).is_some() {
        names.extend(["ttlMs", "cacheScope"]);
    }
    wire::without_meta(&wire::without_members(result, &names)?, &[meta::SERVER_INFO])
}

/// A list or a resource as it may be shown to this person alone: what one may see is decided for
/// each (threat 32), so no cache in between may keep an answer for all, whatever the server thought
/// of it.
pub(crate) fn made_private(result: &Payload) -> Result<Payload, WireError> {
    let scope = wire::members(result)?.into_iter().find(|(key, _)| key == "cacheScope");
    match scope {
        Some((_, scope)) if scope.as_str() != "\"private\"" => {
            wire::with_members(result, &[("cacheScope", "\"private\"")])
        }
        _ => Ok(result.clone()),
    }
}

/// `resultType`, if there is one.
pub(crate) fn result_type(result: &Payload) -> Result<Option<String>, WireError> {
    let found = wire::members(result)?.into_iter().find(|(key, _)| key == "resultType");
    found.map(|(_, value)| value.read()).transpose()
}
