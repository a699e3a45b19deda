//! What stands behind a resource. Which target a resource has is known by [`super::Resources`].

use crate::ids::ServerName;

/// What stands behind a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/mcp`: every server the user may see.
    All,
    /// `/mcp/{server}`: one server of `mcp.json`.
    Server(ServerName),
    /// A `proxies` pattern of `config.yaml`: begins and ends with a slash.
    Proxy { pattern: String },
}
