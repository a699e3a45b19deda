//! MCP: the wire, the servers behind the gateway, their lists, the clients' sessions and calls. It
//! knows nothing of OAuth: it is handed a principal and an [`allow::Allow`] predicate, and gives
//! back an [`answer::Answer`] that the edge turns into HTTP.
//!
//! The parts, each using those before it alone: [`wire`] ← [`upstream`] (servers) ← `session`
//! (clients) ← `registry` (the servers of the configuration) ← `connections` (of the one to the
//! other) ← `lists` ← `lifecycle` (of sessions), `calls` ← `endpoint` (the transport towards
//! clients) ← [`hub`].

pub mod allow;
pub mod answer;
pub mod bridge;
mod caller;
mod calls;
pub mod child;
pub mod client_capabilities;
mod connections;
mod endpoint;
pub mod era;
mod hash;
mod header_params;
pub mod hub;
mod implementation;
mod lifecycle;
pub mod limits;
mod lists;
pub mod observer;
mod permission;
pub mod pins;
mod problem;
pub mod records;
mod registry;
pub mod sandbox;
mod seal;
mod session;
mod settings;
pub mod shared;
pub mod spec;
mod sync;
mod translate;
pub mod upstream;
pub mod wire;
