//! Which scopes there are and what each lets its holder use: `mcp` everything on the token's
//! resource, a server's name that server, and those that the configuration names parts of a server.
//! A broader scope implies the narrower ones (MCP authorization, "Scope Challenge Handling"). What
//! a scope is as a word lives in [`crate::scope`].
//!
//! `rule` has what the configuration names, `effective` what a set of scopes comes to, `catalogue`
//! all that is asked of the scopes together.

mod catalogue;
mod effective;
mod pattern;
mod rule;
#[cfg(test)]
pub(crate) mod tests;

pub use self::{
    catalogue::ScopeCatalogue,
    effective::EffectiveScopes,
    pattern::{BadPattern, Pattern, may_lead_out},
    rule::{Operation, ScopeRule},
};
