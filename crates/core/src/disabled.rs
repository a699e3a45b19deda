//! What an administrator disabled: persons, clients, servers, proxied paths, tools. The words, and
//! the rules that read them ([`DisabledSet`]). How it is kept is [`crate::store::DisabledStore`]'s;
//! how a running gateway follows, the gateway's part.
//!
//! Disabling ends what there is and refuses what would come; enabling lifts the refusal, and brings
//! nothing back.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    access::Thing,
    clock::Timestamp,
    ids::{ClientId, ServerName, UserId},
};

/// The most characters of a reason.
pub const LONGEST_REASON: usize = 500;
/// The most bytes of an id, a path or a tool's name.
pub const LONGEST_NAME: usize = 2048;

/// One thing that can be disabled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disableable {
    /// By issuer and subject ([`UserId::of`]), so also one who never signed in. Never by an e-mail
    /// address, which can change hands (threat 42).
    Person(UserId),
    Client(ClientId),
    Server(ServerName),
    /// A proxied path, by its pattern.
    Proxy(String),
    /// By its server's own name for it.
    Tool {
        server: ServerName,
        tool: String,
    },
}

/// That something is disabled, since when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledRecord {
    pub what: Disableable,
    /// What people call it, where its id tells them nothing; as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who did it: the account of a command, a person, or a client.
    pub by: String,
    pub at: Timestamp,
}

/// What disabling ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub grants: u64,
    pub logins: u64,
    /// MCP sessions that were written down.
    pub sessions: u64,
    /// Tasks of servers that are no longer theirs.
    pub tasks: u64,
}

/// What disabling came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disabling {
    /// It was disabled before, and stays so with this reason.
    pub was_disabled: bool,
    pub ended: Ended,
}

/// Why something cannot be disabled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CannotDisable {
    #[error("the reason may have {LONGEST_REASON} characters at most, in one line")]
    Reason,
    #[error("a name may have {LONGEST_NAME} bytes, and must not be empty")]
    Name,
}

impl Disableable {
    /// Its kind, as commands and records call it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Client(_) => "client",
            Self::Server(_) => "server",
            Self::Proxy(_) => "proxy",
            Self::Tool { .. } => "tool",
        }
    }

    /// Does anybody see it in a list?
    pub const fn is_listed(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Tool { .. })
    }

    /// Which one of its kind. Of a tool `server/tool`: no server has a slash in its name.
    pub fn id(&self) -> String {
        match self {
            Self::Person(id) => id.to_string(),
            Self::Client(id) => id.to_string(),
            Self::Server(name) => name.to_string(),
            Self::Proxy(pattern) => pattern.clone(),
            Self::Tool { server, tool } => format!("{server}/{tool}"),
        }
    }

    /// Of persons there may be any number; gateways hold all else in memory.
    pub const fn is_person(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    fn is_sound(&self) -> bool {
        let length = match self {
            Self::Person(id) => id.as_str().len(),
            Self::Client(id) => id.as_str().len(),
            Self::Server(name) => name.as_str().len(),
            Self::Proxy(pattern) => pattern.len(),
            Self::Tool { tool, .. } => tool.len(),
        };
        (1..=LONGEST_NAME).contains(&length)
    }
}

impl fmt::Display for Disableable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

impl DisabledRecord {
    /// Everything that is written of it has a bound.
    pub fn check(&self) -> Result<(), CannotDisable> {
        if let Some(reason) = &self.reason
            && (reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control))
        {
            return Err(CannotDisable::Reason);
        }
        let is_named = self.name.as_ref().is_none_or(|name| name.len() <= LONGEST_NAME);
        if is_named && self.what.is_sound() { Ok(()) } else { Err(CannotDisable::Name) }
    }
}

/// What is disabled, as requests ask for it. An empty one answers without a look-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisabledSet {
    people: HashSet<UserId>,
    clients: HashSet<ClientId>,
    servers: HashMap<ServerName, OfServer>,
    proxies: HashSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfServer {
    whole: bool,
    tools: HashSet<String>,
}

impl DisabledSet {
    pub fn insert(&mut self, what: Disableable) {
        match what {
            Disableable::Person(id) => drop(self.people.insert(id)),
            Disableable::Client(id) => drop(self.clients.insert(id)),
            Disableable::Server(name) => self.servers.entry(name).or_default().whole = true,
            Disableable::Proxy(pattern) => drop(self.proxies.insert(pattern)),
            Disableable::Tool { server, tool } => {
                self.servers.entry(server).or_default().tools.insert(tool);
            }
        }
    }

    pub fn remove(&mut self, what: &Disableable) {
        match what {
            Disableable::Person(id) => drop(self.people.remove(id)),
            Disableable::Client(id) => drop(self.clients.remove(id)),
            Disableable::Proxy(pattern) => drop(self.proxies.remove(pattern)),
            Disableable::Server(server) | Disableable::Tool { server, .. } => {
                let Some(of_server) = self.servers.get_mut(server) else { return };
                match what {
                    Disableable::Tool { tool, .. } => drop(of_server.tools.remove(tool)),
                    _ => of_server.whole = false,
                }
                if !of_server.whole && of_server.tools.is_empty() {
                    self.servers.remove(server);
                }
            }
        }
    }

    pub fn contains(&self, what: &Disableable) -> bool {
        match what {
            Disableable::Person(id) => self.is_person_disabled(id),
            Disableable::Client(id) => self.is_client_disabled(id),
            Disableable::Server(server) => {
                self.servers.get(server).is_some_and(|of_server| of_server.whole)
            }
            Disableable::Proxy(pattern) => self.proxies.contains(pattern),
            Disableable::Tool { server, tool } => {
                self.servers.get(server).is_some_and(|of_server| of_server.tools.contains(tool))
            }
        }
    }

    /// Every one of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Disableable> + '_ {
        let of_server = |(server, of_server): (&ServerName, &OfServer)| {
            let whole = of_server.whole.then(|| Disableable::Server(server.clone()));
            let tool =
                |tool: &String| Disableable::Tool { server: server.clone(), tool: tool.clone() };
            whole.into_iter().chain(of_server.tools.iter().map(tool)).collect::<Vec<_>>()
        };
        self.people
            .iter()
            .cloned()
            .map(Disableable::Person)
            .chain(self.clients.iter().cloned().map(Disableable::Client))
            .chain(self.servers.iter().flat_map(of_server))
            .chain(self.proxies.iter().cloned().map(Disableable::Proxy))
    }

    /// How many persons are in it.
    pub fn persons(&self) -> usize {
        self.people.len()
    }

    /// Is anything in it that [`DisabledSet::hides`] could be true of?
    pub fn hides_anything(&self) -> bool {
        !self.servers.is_empty() || !self.proxies.is_empty()
    }

    /// Are the same things hidden by the other one?
    pub fn hides_the_same(&self, other: &Self) -> bool {
        self.servers == other.servers && self.proxies == other.proxies
    }

    /// Are tools of this server in it, though not the server?
    pub fn hides_tools_of(&self, server: &ServerName) -> bool {
        !self.servers.is_empty()
            && self.servers.get(server).is_some_and(|of_server| !of_server.tools.is_empty())
    }

    /// Is any person or client in it?
    pub fn refuses_anybody(&self) -> bool {
        !self.people.is_empty() || !self.clients.is_empty()
    }

    pub fn is_person_disabled(&self, id: &UserId) -> bool {
        !self.people.is_empty() && self.people.contains(id)
    }

    pub fn is_client_disabled(&self, id: &ClientId) -> bool {
        !self.clients.is_empty()
            && (self.clients.contains(id)
                || (id.key().is_some() && self.clients.contains(&ClientId::agent_key())))
    }

    /// Is nothing that comes with this person's grant to this client to be served?
    pub fn refuses(&self, user: &UserId, client: &ClientId) -> bool {
        self.is_person_disabled(user) || self.is_client_disabled(client)
    }

    /// Is this to be as if it were not there, for every caller? With a server goes all that it has.
    pub fn hides(&self, thing: &Thing<'_>) -> bool {
        if !self.hides_anything() {
            return false;
        }
        match thing {
            Thing::Proxy(pattern) => self.proxies.contains(*pattern),
            Thing::Server(server)
            | Thing::Tool { server, .. }
            | Thing::Prompt(server, _)
            | Thing::Resource(server, _)
            | Thing::Method(server, _) => {
                let Some(of_server) = self.servers.get(*server) else { return false };
                of_server.whole
                    || matches!(thing, Thing::Tool { name, .. } if of_server.tools.contains(*name))
            }
        }
    }
}

impl FromIterator<Disableable> for DisabledSet {
    fn from_iter<I: IntoIterator<Item = Disableable>>(all: I) -> Self {
        let mut set = Self::default();
        all.into_iter().for_each(|what| set.insert(what));
        set
    }
}

#[cfg(test)]
mod tests;
