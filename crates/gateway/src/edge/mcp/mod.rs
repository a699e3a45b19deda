//! What needs a session in the hub: MCP endpoints ([`endpoint`]) and the list of tools ([`tools`]).
//! [`local`] runs them on this node; [`shares`] is how much of it a person has at once.

pub mod endpoint;
pub mod local;
pub mod shares;
mod tool_list;
pub mod tools;
