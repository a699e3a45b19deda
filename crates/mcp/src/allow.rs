//! What the caller may use, decided elsewhere: lists are filtered, and calls guarded, by the same
//! predicate (threat 32).

use portunus_core::{access::ToolHints, ids::ServerName};

use crate::wire::Payload;

/// What a caller may do with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// The person may use it, but has not granted it to this client. Lists leave it out; a call is
    /// refused as what it is ([`crate::answer::Refused`]), so that the client can ask for more.
    NotGranted,
    /// The person may use it, but not in this way. Lists show what could be called in some way; a
    /// call is told what would have to be otherwise.
    Unmet(Unmet),
    /// Not for this person: as if it were not there.
    Hidden,
}

/// What would have to be otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    Arguments,
    /// The person would have to sign in anew.
    SignIn,
}

/// What something is called with.
#[derive(Clone, Copy, Debug)]
pub enum CalledWith<'a> {
    /// It is not called now: could it be, with any arguments?
    Any,
    /// It is called with these, byte for byte as they are forwarded; `None`: without any.
    These(Option<&'a Payload>),
}

impl Verdict {
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }

    /// By rules, or since it is disabled; not for want of a scope, which can be granted.
    pub fn is_denied(self) -> bool {
        matches!(self, Self::Hidden | Self::Unmet(_))
    }
}

/// `true` is allowed, `false` is hidden.
impl From<bool> for Verdict {
    fn from(allowed: bool) -> Self {
        if allowed { Self::Allowed } else { Self::Hidden }
    }
}

/// A predicate over one caller's request. It must answer quickly: it is asked once for each listed
/// item.
pub trait Allow: Send + Sync {
    /// May the caller use anything of this server?
    fn server(&self, server: &ServerName) -> Verdict;
    /// `name` is the server's own name of the tool, without our prefix. `hints`: what the server
    /// says of it (MCP, tool annotations).
    fn tool(
        &self,
        server: &ServerName,
        name: &str,
        hints: ToolHints,
        with: CalledWith<'_>,
    ) -> Verdict;
    fn prompt(&self, server: &ServerName, name: &str, with: CalledWith<'_>) -> Verdict;
    fn resource(&self, server: &ServerName, uri: &str) -> Verdict;
    /// A method that none of the others speaks of: an extension, or one that we do not know.
    fn method(&self, server: &ServerName, method: &str) -> Verdict;
    /// Does it matter what a server says of its tool? Then a call has it looked up in its server's
    /// list.
    fn asks_hints(&self) -> bool {
        false
    }
    /// Does it matter with which arguments something is called? Without, they are not looked for.
    fn asks_arguments(&self) -> bool {
        false
    }
    /// May something of this server be hidden by its name? Then a tool or a prompt that the server
    /// does not list is not called: it may know one that is hidden by another spelling of its name.
    fn asks_listed(&self, _: &ServerName) -> bool {
        false
    }
    /// What the answers go by: another number when it changed.
    fn rules(&self) -> u64 {
        0
    }
}

/// Everything is allowed.
#[derive(Clone, Copy, Debug)]
pub struct AllowAll;

impl Allow for AllowAll {
    fn server(&self, _: &ServerName) -> Verdict {
        Verdict::Allowed
    }
    fn tool(&self, _: &ServerName, _: &str, _: ToolHints, _: CalledWith<'_>) -> Verdict {
        Verdict::Allowed
    }
    fn prompt(&self, _: &ServerName, _: &str, _: CalledWith<'_>) -> Verdict {
        Verdict::Allowed
    }
    fn resource(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Allowed
    }
    fn method(&self, _: &ServerName, _: &str) -> Verdict {
        Verdict::Allowed
    }
}
