//! Everything that may differ between the bytes that are sent and the bytes that arrive. There is
//! no other difference:
//!
//! | where | what |
//! |---|---|
//! | requests | `_meta.progressToken` is the gateway's own number; in events of progress it is the client's again |
//! | requests on `/mcp` | `name` of a tool or prompt, and `ref.name`, has lost its prefix |
//! | from a modern client to a legacy server | the protocol's four members of `_meta`, `inputResponses` and `requestState` are left out, and a `_meta` that held nothing else |
//! | from a legacy client to a modern server | `_meta` has the protocol's members, behind its own |
//! | results from a legacy server to a modern client | `resultType`, `ttlMs`, `cacheScope` and who the server is are added at the end if missing, and `cacheScope` is private |
//! | results within the modern era | `cacheScope` is private |
//! | results from a modern server to a legacy client | `resultType` and who the server is are left out, of lists and resources `ttlMs` and `cacheScope` too, and a `_meta` that held nothing else |
//! | errors across the eras | -32002 is -32602, and for a resource the other way round |
//! | to a child | a line break is a space: a message is a line there |
//! | to a client on an event stream | a line break is a line feed |
//!
//! What is left out goes with the white space around it and one comma.

use portunus_mcp::era::Era;

use super::{
    peer::{Peer, SERVER_INFO},
    text::{Member, Object, Value},
    world::{CAPABILITIES, CLIENT_INFO},
};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const ABLE: &str = "io.modelcontextprotocol/clientCapabilities";
const LEVEL: &str = "io.modelcontextprotocol/logLevel";
const SERVER: &str = "io.modelcontextprotocol/serverInfo";

/// What a modern client says of itself in each request.
pub(crate) fn own_meta() -> [(&'static str, String); 4] {
    let level = r#""debug""#.to_owned();
    [
        (VERSION, r#""2026-07-28""#.to_owned()),
        (CLIENT, CLIENT_INFO.to_owned()),
        (ABLE, CAPABILITIES.to_owned()),
        (LEVEL, level),
    ]
}

/// The parameters of a request as the server should get them. On `/mcp`, `plain` is the server's
/// own name of what the client named.
pub(crate) fn params(
    sent: &Object,
    client: Era,
    peer: &Peer,
    plain: Option<&str>,
    id: &str,
) -> String {
    let mut params = sent.clone();
    if let Some(plain) = plain {
        let plain = format!("\"{plain}\"");
        params.replace("name", &plain);
        if let Some(Value::Object(reference)) = params.find_mut("ref") {
            reference.replace("name", &plain);
        }
    }
    if let Some(meta) = params.meta() {
        meta.replace("progressToken", id);
    }
    match (client, peer.era) {
        (Era::Modern, Era::Legacy) => {
            params.take_out(&["inputResponses", "requestState"]);
            leave_out_meta(&mut params, &[VERSION, CLIENT, ABLE, LEVEL]);
        }
        (Era::Legacy, Era::Modern) => {
            // Who has set no level hears what a legacy server would say by itself (FB84).
            let level = (LEVEL, r#""info""#);
            with_meta(
                &mut params,
                &[(VERSION, r#""2026-07-28""#), (CLIENT, CLIENT_INFO), (ABLE, CAPABILITIES), level],
            );
        }
        _ => {}
    }
    let text = params.text();
    if peer.is_child { text.replace(['\n', '\r'], " ") } else { text }
}

/// A result as the client should get it.
pub(crate) fn result(sent: &Object, method: &str, client: Era, server: Era) -> Object {
    let mut result = sent.clone();
    let is_list = matches!(
        method,
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list"
    );
    let is_cacheable = is_list || method == "resources/read";
    match (client, server) {
        (Era::Modern, Era::Legacy) => {
            result.add("resultType", r#""complete""#);
            if is_cacheable {
                result.add("ttlMs", if is_list { "60000" } else { "0" });
                result.add("cacheScope", r#""private""#);
                result.replace("cacheScope", r#""private""#);
            }
            with_meta(&mut result, &[(SERVER, SERVER_INFO)]);
        }
        (Era::Modern, Era::Modern) if is_cacheable => result.replace("cacheScope", r#""private""#),
        (Era::Legacy, Era::Modern) => {
            result.take_out(if is_cacheable {
                &["resultType", "ttlMs", "cacheScope"]
            } else {
                &["resultType"]
            });
            leave_out_meta(&mut result, &[SERVER]);
        }
        _ => {}
    }
    result
}

/// An error as the client should get it.
pub(crate) fn error(sent: &Object, method: &str, client: Era, server: Era) -> Object {
    let mut error = sent.clone();
    let code = error.find("code").map(Value::text).unwrap_or_default();
    let names_uri =
        matches!(error.find("data"), Some(Value::Object(data)) if data.find("uri").is_some());
    match (client, server, code.as_str()) {
        (Era::Modern, Era::Legacy, "-32002") => error.replace("code", "-32602"),
        (Era::Legacy, Era::Modern, "-32602") if method == "resources/read" && names_uri => {
            error.replace("code", "-32002");
        }
        _ => {}
    }
    error
}

fn leave_out_meta(object: &mut Object, names: &[&str]) {
    if object.meta().is_some_and(|meta| meta.take_out(names) && meta.0.is_empty()) {
        object.take_out(&["_meta"]);
    }
}

fn with_meta(object: &mut Object, members: &[(&str, &str)]) {
    if object.find("_meta").is_none() {
        object.0.push(Member::of("_meta", Value::Object(Object::default())));
    }
    let meta = object.meta().expect("it is there");
    for (name, value) in members {
        meta.add(name, value);
        meta.replace(name, value);
    }
}

/// On an event stream.
pub(crate) fn in_events(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
