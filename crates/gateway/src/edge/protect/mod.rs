//! What guards every MCP request: [`bearer`] finds out who calls and [`cache`] remembers it, as long as the [`invalidation_log`] say nothing else; [`door`] decides where the request goes, [`scope`] what the
//! token lets its holder use, [`watch`] ends streams with their token.

pub mod bearer;
pub mod cache;
pub mod invalidation_log;
pub mod resource_server;
pub mod scope;
pub mod watch;
