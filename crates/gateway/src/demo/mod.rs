//! What `portunus demo` has in place of the outside world: people ([`people`]), the place where
//! they sign in ([`provider`]), and two MCP servers ([`servers`]). The gateway between them is the
//! real one; `cli::demo` puts it together.

pub mod people;
pub mod provider;
pub mod servers;
