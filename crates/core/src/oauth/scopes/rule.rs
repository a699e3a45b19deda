//! A scope that the configuration names, and the operations that its patterns can speak of. All
//! rules together are [`super::ScopeCatalogue`].

use super::pattern::Pattern;
use crate::{ids::ServerName, scope::Scope};

/// A scope that the configuration names: parts of one server, other scopes, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRule {
    pub name: Scope,
    /// What it means, in words for the person who is asked.
    pub description: String,
    /// The server that the patterns are about.
    pub server: Option<ServerName>,
    /// Of the server's own names, without our prefix.
    pub tools: Vec<Pattern>,
    pub prompts: Vec<Pattern>,
    /// Of URIs, and of the texts of URI templates.
    pub resources: Vec<Pattern>,
    /// Other configured scopes, and names of servers, that this one implies.
    pub includes: Vec<Scope>,
    /// Clients without a token are told to ask for this one in place of the whole server.
    pub ask_first: bool,
}

/// What a request wants to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    Tool(&'a ServerName, &'a str),
    Prompt(&'a ServerName, &'a str),
    /// By its URI, or a template by its text.
    Resource(&'a ServerName, &'a str),
    /// What no scope of a part of the server speaks of.
    Whole(&'a ServerName),
    /// Something that is not an MCP server: a proxied service.
    Everything,
}

impl ScopeRule {
    /// How precisely the rule's own patterns speak of the operation; `None` if they do not.
    pub(super) fn precision(&self, operation: &Operation<'_>) -> Option<(bool, usize)> {
        let fitting = |patterns: &[Pattern], fits: &dyn Fn(&Pattern) -> bool| {
            patterns.iter().filter(|pattern| fits(pattern)).map(Pattern::precision).max()
        };
        match operation {
            Operation::Tool(_, name) => fitting(&self.tools, &|pattern| pattern.fits(name)),
            Operation::Prompt(_, name) => fitting(&self.prompts, &|pattern| pattern.fits(name)),
            Operation::Resource(_, uri) => {
                fitting(&self.resources, &|pattern| pattern.fits_uri(uri))
            }
            Operation::Whole(_) | Operation::Everything => None,
        }
    }

    pub(super) fn has_patterns(&self) -> bool {
        !(self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty())
    }
}
