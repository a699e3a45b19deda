//! Parameters of tools that stand in headers too (MCP 2026-07-28, "Custom Headers from Tool
//! Parameters"): learnt from the lists that pass by, since a client on stdio knows nothing of them.
//! Tools whose annotation is unsound are taken out of the list, as the specification wants it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::HeaderMap;
use portunus_mcp::{
    bridge::{self, HeaderParam},
    wire::{self, Payload},
};

/// Tools with such parameters that are remembered; with more, all are forgotten.
const MAX_TOOLS: usize = 4096;

#[derive(Default)]
pub(super) struct ToolHeaders(Mutex<HashMap<String, Vec<HeaderParam>>>);

impl ToolHeaders {
    /// Learns from a result of `tools/list`; answers with the result in its place if tools had to
    /// be left out.
    pub(super) fn learn(&self, result: &Payload) -> Option<Payload> {
        let tools = wire::elements(&wire::find_member(result, &["tools"])?).ok()?;
        let mut kept = Vec::with_capacity(tools.len());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for tool in &tools {
            let name: Option<String> =
                wire::find_member(tool, &["name"]).and_then(|name| name.read().ok());
            let name = name.unwrap_or_default();
            match bridge::of_tool(tool) {
                Ok(parameters) => {
                    if parameters.is_empty() {
                        known.remove(&name);
                    } else {
                        if known.len() >= MAX_TOOLS {
                            known.clear();
                        }
                        known.insert(name, parameters);
                    }
                    kept.push(tool.as_str());
                }
                Err(error) => {
                    tracing::warn!(tool = name, %error, "a tool is left out of the list: its parameters cannot stand in headers");
                }
            }
        }
        if kept.len() == tools.len() {
            return None;
        }
        let array = Payload::from_json(&format!("[{}]", kept.join(","))).ok()?;
        wire::replace_member(result, &["tools"], &array).ok()
    }

    /// The headers that a call needs.
    pub(super) fn of_call(&self, params: &Payload) -> HeaderMap {
        let name: Option<String> =
            wire::find_member(params, &["name"]).and_then(|name| name.read().ok());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parameters = name.and_then(|name| known.get(&name));
        parameters
            .and_then(|parameters| bridge::headers(parameters, params).ok())
            .unwrap_or_default()
    }
}

/// One message in place of another, with this result.
pub(super) fn with_result(id: &wire::RequestId, result: &Payload) -> Bytes {
    wire::result(id, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_learnt_and_unsound_ones_are_left_out() {
        let tool = |name: &str, annotation: &str| {
            format!(
                r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{"region":{{"type":"string","x-mcp-header":"{annotation}"}}}}}}}}"#
            )
        };
        let headers = ToolHeaders::default();
        let sound =
            Payload::from_json(&format!(r#"{{"tools":[{}],"x":1}}"#, tool("a", "Region"))).unwrap();
        assert!(headers.learn(&sound).is_none(), "nothing to change");
        let params = Payload::from_json(r#"{"name":"a","arguments":{"region":"é"}}"#).unwrap();
        assert_eq!(headers.of_call(&params)["mcp-param-region"], "=?base64?w6k=?=");
        let mixed =
            format!(r#"{{"tools":[{}, {}],"x":1}}"#, tool("b", "not a token"), tool("c", "C"));
        let left = headers.learn(&Payload::from_json(&mixed).unwrap()).unwrap();
        assert_eq!(left.as_str(), format!(r#"{{"tools":[{}],"x":1}}"#, tool("c", "C")));
    }
}
