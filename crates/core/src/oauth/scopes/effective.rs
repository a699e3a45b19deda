//! What a set of scopes comes to once everything it implies is added: made once for a request, then
//! asked for each item of a list. How it is made from words is told by [`super::ScopeCatalogue`].

use std::sync::Arc;

use super::rule::{Operation, ScopeRule};
use crate::{
    ids::ServerName,
    scope::{self, Scope},
};

/// What some scopes allow, on the resource that the token is for.
#[derive(Clone, Debug)]
pub struct EffectiveScopes {
    everything: bool,
    /// Servers that are allowed as a whole.
    servers: Vec<ServerName>,
    rules: Arc<[ScopeRule]>,
    /// Indices into `rules`.
    held: Vec<usize>,
}

impl EffectiveScopes {
    /// Follows `includes` to their ends; a scope that was met before is not followed again.
    pub(super) fn of<'a>(
        scopes: impl IntoIterator<Item = &'a Scope>,
        servers: &[ServerName],
        rules: &'a Arc<[ScopeRule]>,
    ) -> Self {
        let mut effective = Self {
            everything: false,
            servers: Vec::new(),
            rules: Arc::clone(rules),
            held: Vec::new(),
        };
        let mut open: Vec<&Scope> = scopes.into_iter().collect();
        while let Some(next) = open.pop() {
            if next.as_str() == scope::MCP {
                effective.everything = true;
            } else if let Some(server) =
                servers.iter().find(|server| server.as_str() == next.as_str())
            {
                effective.servers.push(server.clone());
            } else if let Some(index) = rules.iter().position(|rule| rule.name == *next)
                && !effective.held.contains(&index)
            {
                effective.held.push(index);
                open.extend(&rules[index].includes);
            }
        }
        effective
    }

    /// Nothing that the scopes name exists (any more).
    pub fn is_empty(&self) -> bool {
        !self.everything && self.servers.is_empty() && self.held.is_empty()
    }

    /// Is anything of the server allowed?
    pub fn touches(&self, server: &ServerName) -> bool {
        self.has_whole(server)
            || self.held().any(|rule| rule.has_patterns() && rule.server.as_ref() == Some(server))
    }

    /// Is the operation allowed?
    pub fn allows(&self, operation: &Operation<'_>) -> bool {
        match operation {
            Operation::Everything => self.everything,
            Operation::Whole(server) => self.has_whole(server),
            Operation::Tool(server, _)
            | Operation::Prompt(server, _)
            | Operation::Resource(server, _) => {
                self.has_whole(server)
                    || self.held().any(|rule| {
                        rule.server.as_ref() == Some(server) && rule.precision(operation).is_some()
                    })
            }
        }
    }

    /// Is everything that `other` allows allowed by these too, by what the scopes are said to
    /// contain?
    pub(super) fn contains(&self, other: &Self) -> bool {
        let has_rule = |index: &usize| {
            let rule = &self.rules[*index];
            self.held.contains(index)
                || !rule.has_patterns()
                || rule.server.as_ref().is_some_and(|server| self.has_whole(server))
        };
        self.everything
            || (!other.everything
                && other.servers.iter().all(|server| self.has_whole(server))
                && other.held.iter().all(has_rule))
    }

    fn has_whole(&self, server: &ServerName) -> bool {
        self.everything || self.servers.contains(server)
    }

    fn held(&self) -> impl Iterator<Item = &ScopeRule> {
        self.held.iter().map(|index| &self.rules[*index])
    }
}
