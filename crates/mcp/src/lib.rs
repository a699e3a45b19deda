//! MCP: the wire, the servers behind the gateway, the merged catalogue, the clients' sessions. It knows nothing of OAuth: it
//! is handed a principal and an [`allow::Allow`] predicate, and gives back an [`answer::Answer`] that the edge turns into HTTP.

mod aggregate;
pub mod allow;
pub mod answer;
pub mod child;
mod endpoint;
pub mod era;
pub mod face;
pub mod hub;
mod mirror;
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
