//! An access rule as an administrator writes it. What it comes to in Cedar is [`super::compile`]'s.

use std::{fmt, time::Duration};

use super::{condition::ArgumentCondition, hints::ToolHints};
use crate::{
    admission::{AccountName, EmailAddress},
    ids::{ClientId, ProviderName},
    oauth::scopes::Pattern,
    principal::Principal,
};

/// A rule: callers that fit `who` may, or may not, use what fits `what`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessRule {
    /// What it is called: the name that it was given, or its place in the list.
    pub name: String,
    pub place: Place,
    pub effect: Effect,
    pub mode: Mode,
    pub who: Who,
    pub what: What,
    pub when: When,
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

/// Does a rule decide?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Enforce,
    /// It is recorded what it would refuse, and nothing is refused.
    Shadow,
}

/// What is known only when something is called. Nothing in it asks for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// Of a tool or a prompt: each of them. No two are of one path.
    pub arguments: Vec<ArgumentCondition>,
    /// Since the person last signed in: of a rule that allows, this time at most; of one that
    /// denies, more than that. Of a caller that has never signed in, it is more.
    pub signed_in: Option<Duration>,
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
    /// Only tools of which this hint holds, or only those of which it does not.
    pub read_only: Option<bool>,
    pub destructive: Option<bool>,
    pub idempotent: Option<bool>,
    pub open_world: Option<bool>,
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
        let is_client = |client| principal.client.is_meant_by(client);
        let is_from = |provider| providers.contains(provider);
        is_one_of_them
            && (clients.is_empty() || clients.iter().any(is_client))
            && (providers.is_empty() || principal.provider.as_ref().is_some_and(is_from))
    }
}

impl What {
    /// Does the rule speak of whole servers?
    pub fn is_whole(&self) -> bool {
        self.tools.is_empty()
            && self.prompts.is_empty()
            && self.resources.is_empty()
            && !self.asks_hints()
    }

    /// Does it matter what a server says of its tool?
    pub fn asks_hints(&self) -> bool {
        self.hints().iter().any(|(_, wanted)| wanted.is_some())
    }

    /// What is asked of a tool, by the names of [`ToolHints`].
    pub fn hints(&self) -> [(&'static str, Option<bool>); 4] {
        [
            ("read_only", self.read_only),
            ("destructive", self.destructive),
            ("idempotent", self.idempotent),
            ("open_world", self.open_world),
        ]
    }
}

impl ToolHints {
    /// By the names that rules have for them.
    pub fn named(&self) -> [(&'static str, bool); 4] {
        [
            ("read_only", self.read_only),
            ("destructive", self.destructive),
            ("idempotent", self.idempotent),
            ("open_world", self.open_world),
        ]
    }
}

impl When {
    pub fn is_always(&self) -> bool {
        self.arguments.is_empty() && self.signed_in.is_none()
    }
}

impl AccessRule {
    /// Does the rule speak of whole servers?
    pub fn is_whole(&self) -> bool {
        self.what.is_whole() && self.when.arguments.is_empty()
    }

    /// Does the rule speak of tools of their own? One about arguments does, unless it names
    /// prompts.
    pub(super) fn has_tools(&self) -> bool {
        !self.what.tools.is_empty()
            || self.what.asks_hints()
            || (!self.when.arguments.is_empty() && self.what.prompts.is_empty())
    }

    /// Is it long enough, or short enough, since the caller signed in?
    pub(super) fn fits_sign_in(&self, ago: Option<Duration>) -> bool {
        self.when.signed_in.is_none_or(|limit| match self.effect {
            Effect::Allow => ago.is_some_and(|ago| ago <= limit),
            Effect::Deny => ago.is_none_or(|ago| ago > limit),
        })
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

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
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
