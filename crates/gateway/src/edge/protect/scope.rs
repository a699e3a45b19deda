//! What a token's scopes let its holder use: the predicate that MCP lists are filtered by and calls are guarded by (threat 32).

use std::sync::Arc;

use portunus_core::{ids::ServerName, principal::Principal, scope};
use portunus_mcp::allow::Allow;

/// `mcp` allows everything on the token's resource, a server's name that server.
pub struct ScopeAllow(pub Arc<Principal>);

impl Allow for ScopeAllow {
    fn server(&self, server: &ServerName) -> bool {
        self.0.scopes.contains(scope::MCP) || self.0.scopes.contains(server.as_str())
    }

    fn tool(&self, server: &ServerName, _: &str) -> bool {
        self.server(server)
    }

    fn prompt(&self, server: &ServerName, _: &str) -> bool {
        self.server(server)
    }

    fn resource(&self, server: &ServerName, _: &str) -> bool {
        self.server(server)
    }
}
