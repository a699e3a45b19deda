//! A limit as an administrator writes it, and which requests it is about. What it has counted is in
//! [`super::counter`]; `who` and patterns are those of access rules ([`crate::access`]).

use std::{fmt, num::NonZeroU32};

use super::quota::Quota;
use crate::{access::Who, oauth::scopes::Pattern, principal::Principal};

/// A limit: requests of callers that fit `who`, to what fits `servers` and `tools`, are counted, by
/// one counter for each `each`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimit {
    /// What it is called. Who is refused by it is told.
    pub name: String,
    pub who: Who,
    /// Names of servers, and patterns of proxied paths. Empty: it does not matter.
    pub servers: Vec<Pattern>,
    /// Of the server's own names, without our prefix. Empty: it does not matter.
    pub tools: Vec<Pattern>,
    /// What has a counter of its own, sorted. Never empty.
    pub each: Vec<Part>,
    pub requests: Option<Quota>,
    /// How many may be at work at once.
    pub concurrent: Option<NonZeroU32>,
    /// Of requests and answers.
    pub bytes: Option<Quota>,
}

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Person,
    Client,
    Server,
    /// A tool of one server.
    Tool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The name of a server, or the pattern of a proxied path. `None` for what concerns no server
    /// alone: a list of all.
    pub server: Option<&'a str>,
    /// A tool that is called.
    pub tool: Option<&'a str>,
}

impl CallLimit {
    /// Is this request counted?
    pub fn fits(&self, principal: &Principal, target: Target<'_>) -> bool {
        self.is_about(target) && self.who.fits(principal)
    }

    /// Is it about what goes there, for any caller?
    pub fn is_about(&self, Target { server, tool }: Target<'_>) -> bool {
        let has = |part| self.each.contains(&part);
        let fits = |patterns: &[Pattern], name: Option<&str>, counts: bool| match name {
            Some(name) => patterns.is_empty() || patterns.iter().any(|one| one.fits(name)),
            None => patterns.is_empty() && !counts,
        };
        fits(&self.servers, server, has(Part::Server) || has(Part::Tool))
            && fits(&self.tools, tool, has(Part::Tool))
    }

    /// Would the two count the same, by whatever names?
    pub fn is_same(&self, other: &Self) -> bool {
        Self { name: String::new(), ..self.clone() }
            == Self { name: String::new(), ..other.clone() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person => "person",
            Self::Client => "client",
            Self::Server => "server",
            Self::Tool => "tool",
        })
    }
}
