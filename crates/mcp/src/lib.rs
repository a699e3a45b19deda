//! MCP: the wire, the servers behind the gateway, the merged catalogue, the clients' sessions. It knows nothing of OAuth: it
//! is handed a principal and an [`allow::Allow`] predicate, and gives back an [`answer::Answer`] that the edge turns into HTTP.

mod aggregate;
pub mod allow;
pub mod answer;
pub mod child;
pub mod client_capabilities;
mod endpoint;
pub mod era;
mod header_params;
pub mod hub;
pub mod pins;
pub mod records;
pub mod sandbox;
mod session;
pub mod shared;
pub mod spec;
mod sync;
mod translate;
pub mod upstream;
pub mod wire;
