//! What guards every MCP request: [`bearer`] finds out who calls, [`door`] decides where the request goes, [`scope`] what the
//! token lets its holder use, [`watch`] ends streams with their token.

pub mod bearer;
pub mod door;
pub mod scope;
pub mod watch;
