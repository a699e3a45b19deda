//! A request as one node forwards it to another, or runs it itself.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use portunus_core::{oauth::scopes::EffectiveScopes, principal::Principal};
use portunus_mcp::hub::View;

use crate::{audit::RequestAudit, edge::resource_server::access::Remembered};

/// What is asked of the MCP half, its token already checked.
#[derive(Clone)]
pub struct ForwardedRequest {
    pub what: ForwardedKind,
    pub principal: Arc<Principal>,
    /// What this node remembers of the caller.
    pub remembered: Remembered,
    /// What the principal's scopes cover.
    pub scopes: EffectiveScopes,
    pub view: View,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From where, and what the edge notes of it.
    pub audit: RequestAudit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedKind {
    /// A request on an MCP endpoint.
    Mcp(Method),
    /// The list of tools, as `GET /tools` gives it.
    Tools,
}
