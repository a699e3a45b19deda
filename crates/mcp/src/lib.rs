//! MCP: the wire, the servers behind the gateway, the merged catalogue, the clients' sessions. It knows nothing of OAuth: it
//! is handed a principal and an [`allow::Allow`] predicate, and gives back an [`answer::Answer`] that the edge turns into HTTP.

pub mod allow;
pub mod answer;
pub mod era;
pub mod hub;
pub mod spec;
pub mod upstream;
pub mod wire;
