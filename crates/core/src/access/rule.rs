//! An access rule as an administrator writes it. What it comes to in Cedar is [`super::compile`]'s.

use std::fmt;

use crate::{
    admission::{AccountName, EmailAddress},
    ids::{ClientId, ProviderName},
    oauth::scopes::Pattern,
    principal::Principal,
};

/// A rule: callers that fit `who` may, or may not, use what fits `what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// What it is called: the name that it was given, or its place in the list.
    pub name: String,
    pub place: Place,
    pub effect: Effect,
    pub who: Who,
    pub what: What,
}

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: String,
    pub line: u32,
}

/// A rule that denies goes before all that allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    #[default]
    Allow,
    Deny,
}

/// Callers: those of `groups` or `people`, at one of `clients` and from one of `providers`. A list
/// that is empty asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// As the provider spells them.
    pub groups: Vec<String>,
    pub people: Vec<AccountName>,
    pub clients: Vec<ClientId>,
    pub providers: Vec<ProviderName>,
}

/// Things: of one of `servers`, everything, or only what fits one of the other lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct What {
    /// Names of servers, and patterns of proxied paths. Empty means all of them.
    pub servers: Vec<Pattern>,
    /// Of the server's own names, without our prefix.
    pub tools: Vec<Pattern>,
    pub prompts: Vec<Pattern>,
    /// Of URIs, and of the texts of URI templates.
    pub resources: Vec<Pattern>,
    /// Only tools that say of themselves that they only read, or only those that do not say so.
    pub read_only: Option<bool>,
}

impl Who {
    /// Does the rule speak of every caller?
    pub fn is_anyone(&self) -> bool {
        *self == Self::default()
    }

    /// Is this one of the callers? For what is no access rule; those are compiled, to the same
    /// ([`super::compile`]).
    pub fn fits(&self, principal: &Principal) -> bool {
        let Self { groups, people, clients, providers } = self;
        let email = || principal.email.as_deref().and_then(EmailAddress::parse);
        let is_named = |person: &AccountName| match person {
            AccountName::Email(address) => email().as_ref() == Some(address),
            AccountName::Subject(subject) => *subject == principal.subject,
        };
        let is_one_of_them = (groups.is_empty() && people.is_empty())
            || groups.iter().any(|group| principal.groups.contains(group))
            || people.iter().any(is_named);
        let is_from = |provider| providers.contains(provider);
        is_one_of_them
            && (clients.is_empty() || clients.contains(&principal.client))
            && (providers.is_empty() || principal.provider.as_ref().is_some_and(is_from))
    }
}

impl What {
    /// Does the rule speak of whole servers?
    pub fn is_whole(&self) -> bool {
        self.tools.is_empty()
            && self.prompts.is_empty()
            && self.resources.is_empty()
            && self.read_only.is_none()
    }

    /// Does the rule speak of tools, in whole servers or of their own?
    pub(super) fn has_tools(&self) -> bool {
        !self.tools.is_empty() || self.read_only.is_some()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(name: &str, items: &[T]) -> Option<String> {
            let items: Vec<_> = items.iter().map(T::to_string).collect();
            (!items.is_empty()).then(|| format!("{name} {}", items.join(", ")))
        }
        let people: Vec<_> = [list("groups", &self.groups), list("people", &self.people)]
            .into_iter()
            .flatten()
            .collect();
        let people = (!people.is_empty()).then(|| people.join(" or "));
        let parts: Vec<_> =
            [people, list("clients", &self.clients), list("providers", &self.providers)]
                .into_iter()
                .flatten()
                .collect();
        f.write_str(if parts.is_empty() { "anyone" } else { "" })?;
        f.write_str(&parts.join(", with "))
    }
}
