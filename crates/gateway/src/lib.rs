//! Portunus: single sign-on for MCP servers. This crate is the gateway itself: its configuration
//! ([`config`]), its commands ([`cli`]), keys for programs without a browser
//! ([`agent_keys`]), what speaks HTTP to browsers and clients ([`edge`]), its
//! clients for the outside ([`net`]), its log ([`telemetry`]) and its audit trail ([`audit`]), its
//! life from start to stop ([`gateway`]), what it remembers of servers' tools ([`pins`]) and of
//! sessions ([`records`]), what reads people anew ([`groups`]), other gateways on the same store
//! ([`cluster`]) and what they tell ([`invalidations`]), what an administrator disabled
//! ([`disabled`]), and the machine under it ([`os`]). [`connect`] is the other side: MCP over stdio
//! for clients without HTTP. The rules live in `portunus-core`, what is kept in `portunus-store`,
//! the providers in `portunus-identity`, the protocol in `portunus-mcp`.

pub mod agent_keys;
pub mod audit;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod connect;
pub mod demo;
pub mod disabled;
pub mod edge;
pub mod gateway;
pub mod groups;
pub mod invalidations;
pub mod metrics;
pub mod net;
pub mod os;
pub mod pins;
pub mod prometheus;
pub mod records;
pub mod telemetry;
