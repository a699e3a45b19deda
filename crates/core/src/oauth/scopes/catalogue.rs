//! All scopes of the gateway: which exist on a resource, which imply which, which one an operation
//! needs, and what each is in words. What a set of scopes comes to lives next door, in
//! [`super::effective`].

use std::sync::Arc;

use super::{
    effective::EffectiveScopes,
    rule::{Operation, ScopeRule},
};
use crate::{
    ids::ServerName,
    resource::target::Target,
    scope::{self, Scope, ScopeSet},
};

/// All scopes of this gateway.
#[derive(Clone, Debug)]
pub struct ScopeCatalogue {
    servers: Arc<[ServerName]>,
    rules: Arc<[ScopeRule]>,
}

impl ScopeCatalogue {
    /// Names must be unique and includes without cycles: the configuration sees to that.
    pub fn new(servers: Vec<ServerName>, rules: Vec<ScopeRule>) -> Self {
        Self { servers: servers.into(), rules: rules.into() }
    }

    /// The same servers with other configured scopes.
    #[must_use]
    pub fn with_rules(&self, rules: Vec<ScopeRule>) -> Self {
        Self { servers: Arc::clone(&self.servers), rules: rules.into() }
    }

    /// What these scopes come to. Words that name nothing (any more) add nothing.
    pub fn effective(&self, held: &ScopeSet) -> EffectiveScopes {
        EffectiveScopes::of(held.iter(), &self.servers, &self.rules)
    }

    /// What clients without a token are told to ask for, on the resource with this target.
    pub fn first(&self, target: Option<&Target>) -> ScopeSet {
        let servers: &[ServerName] = match target {
            Some(Target::Server(name)) => std::slice::from_ref(name),
            Some(Target::All) if self.rules.iter().any(|rule| rule.ask_first) => &self.servers,
            Some(Target::All | Target::Proxy { .. }) | None => {
                return Scope::parse(scope::MCP).into_iter().collect();
            }
        };
        let mut first = ScopeSet::default();
        for server in servers {
            let asked = self
                .rules
                .iter()
                .filter(|rule| rule.ask_first && self.is_about(rule, server))
                .map(|rule| &rule.name);
            let asked: Vec<_> = asked.cloned().collect();
            let whole = Scope::parse(server.as_str()).ok().filter(|_| asked.is_empty());
            asked.into_iter().chain(whole).for_each(|scope| first.insert(scope));
        }
        self.minimal(&first)
    }

    fn is_about(&self, rule: &ScopeRule, server: &ServerName) -> bool {
        EffectiveScopes::of([&rule.name], &self.servers, &self.rules).touches(server)
    }

    /// The scopes that mean something on the resource with this target, without `offline_access`.
    pub fn on(&self, target: Option<&Target>) -> ScopeSet {
        let mut scopes: ScopeSet = Scope::parse(scope::MCP).into_iter().collect();
        let servers: &[ServerName] = match target {
            Some(Target::Server(name)) => std::slice::from_ref(name),
            Some(Target::All) => &self.servers,
            Some(Target::Proxy { .. }) | None => &[],
        };
        for word in servers.iter().filter_map(|server| Scope::parse(server.as_str()).ok()) {
            scopes.insert(word);
        }
        for rule in self.rules.iter() {
            if servers.iter().any(|server| self.is_about(rule, server)) {
                scopes.insert(rule.name.clone());
            }
        }
        scopes
    }

    /// Does holding these scopes make `wanted` superfluous? `offline_access` is implied by nothing.
    pub fn covers(&self, held: &ScopeSet, wanted: &Scope) -> bool {
        held.contains(wanted.as_str())
            || (wanted.as_str() != scope::OFFLINE_ACCESS
                && self.implies(&self.effective(held), wanted))
    }

    pub fn covers_all(&self, held: &ScopeSet, wanted: &ScopeSet) -> bool {
        wanted.iter().all(|scope| self.covers(held, scope))
    }

    fn implies(&self, held: &EffectiveScopes, wanted: &Scope) -> bool {
        let is_known = wanted.as_str() == scope::MCP
            || self.servers.iter().any(|server| server.as_str() == wanted.as_str())
            || self.rules.iter().any(|rule| rule.name == *wanted);
        is_known && held.contains(&EffectiveScopes::of([wanted], &self.servers, &self.rules))
    }

    /// The set without those that others in it imply: what it comes to, in the fewest words.
    #[must_use]
    pub fn minimal(&self, scopes: &ScopeSet) -> ScopeSet {
        let mut kept = scopes.clone();
        for scope in scopes.iter() {
            let others: ScopeSet = kept.iter().filter(|other| *other != scope).cloned().collect();
            if self.covers(&others, scope) {
                kept = others;
            }
        }
        kept
    }

    /// What of `asked` lies within `limit`: a scope itself if the limit implies it, else the scopes
    /// of the limit that it implies.
    #[must_use]
    pub fn within(&self, asked: &ScopeSet, limit: &ScopeSet) -> ScopeSet {
        let mut granted = ScopeSet::default();
        for scope in asked.iter() {
            if self.covers(limit, scope) {
                granted.insert(scope.clone());
            } else {
                let narrower: ScopeSet = [scope.clone()].into_iter().collect();
                let implied = limit.iter().filter(|held| self.covers(&narrower, held));
                implied.cloned().for_each(|held| granted.insert(held));
            }
        }
        granted
    }

    /// The narrowest scope that is enough for the operation: the configured one whose pattern fits
    /// most precisely, else the server's own.
    pub fn needed(&self, operation: &Operation<'_>) -> ScopeSet {
        let (server, word) = match operation {
            Operation::Tool(server, _)
            | Operation::Prompt(server, _)
            | Operation::Resource(server, _)
            | Operation::Whole(server) => (Some(*server), server.as_str()),
            Operation::Everything => (None, scope::MCP),
        };
        let fitting = self.rules.iter().filter(|rule| rule.server.as_ref() == server);
        let fitting = fitting.filter_map(|rule| Some((rule.precision(operation)?, rule)));
        // Of equals the first one that is configured.
        let best = fitting.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map(|(_, rule)| rule.name.clone())
            .or_else(|| Scope::parse(word).ok())
            .into_iter()
            .collect()
    }

    /// What a client should ask for so that it can do the operation and all that it could do
    /// before: the whole challenge at once. `offline_access` is no business of a resource.
    #[must_use]
    pub fn step_up(
        &self,
        held: &ScopeSet,
        target: Option<&Target>,
        operation: &Operation<'_>,
    ) -> ScopeSet {
        let still_there = held.intersection(&self.on(target));
        self.minimal(&still_there.union(&self.needed(operation)))
    }

    /// The scope in words, for the person who is asked.
    pub fn words(&self, scope: &Scope) -> String {
        match scope.as_str() {
            scope::MCP => "Use every tool, prompt and resource you may use here".to_owned(),
            scope::OFFLINE_ACCESS => "Stay connected when you are away".to_owned(),
            word => match self.rules.iter().find(|rule| rule.name == *scope) {
                Some(rule) => rule.description.clone(),
                None => format!("Use the server {word}"),
            },
        }
    }
}
