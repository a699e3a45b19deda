//! The servers behind the gateway. [`Upstreams`] is the pool; a [`Connection`] is one live connection to a server of either era
//! ([`handshake`] finds out which); below it a transport each for stdio, Streamable HTTP and HTTP+SSE. Who may call what is decided
//! next door, in `allow`.

mod activity;
mod connection;
mod error;
mod handshake;
mod http;
mod id_finder;
mod inbox;
mod kept;
mod link;
mod listen;
mod modern;
mod news;
mod pool;
mod probe;
mod requests;
mod sse;
mod stdio;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use portunus_core::{
    ids::{ServerName, UserId},
    secret::SecretText,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    child::Launcher,
    face::Face,
    records::SessionRecords,
    spec::{EnvPart, EnvValue, Isolation, ServerSpec, Transport},
};

pub(crate) use activity::Activity;
pub use activity::Hold;
pub use connection::{Call, Connection, ServerInfo};
pub use error::UpstreamError;
pub use http::HttpClient;
pub use inbox::Event;
pub use news::{News, ServerAsk};
pub use pool::{Options, Upstreams};
pub use requests::{NoServerRequests, RpcError, ServerRequests};

/// On whose behalf a connection is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    pub user: UserId,
    /// The client's session, by whatever name the caller has for it.
    pub session: String,
    /// What is declared to the server on the client's behalf.
    pub face: Face,
    /// Of the person, for the variables of a child of their own.
    pub person: Person,
}

/// What a server's configured variables may say of the person it works for.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Person {
    /// The subject, as the identity provider calls the person.
    pub subject: String,
    /// The e-mail address, if the provider vouches for it.
    pub email: Option<String>,
}

impl Person {
    /// The variables of a child, with what they say of the person filled in. A value is a value: it reaches no shell, and what it says is
    /// not looked at again. A person without an e-mail address gets no child that is told one: an empty one could mean anybody.
    fn fill_in(&self, env: &BTreeMap<String, EnvValue>) -> Result<BTreeMap<String, SecretText>, UpstreamError> {
        let part = |part: &EnvPart| match part {
            EnvPart::Text(text) => Some(text.expose().to_owned()),
            EnvPart::Subject => Some(self.subject.clone()),
            EnvPart::Email => self.email.clone(),
        };
        let fill = |(name, EnvValue(parts)): (&String, &EnvValue)| {
            let text: Option<String> = parts.iter().map(part).collect();
            let text = text.ok_or_else(|| UpstreamError::Spawn {
                detail: format!(
                    "`{name}` in `env` has ${{user.email}}, and the provider vouches for no e-mail address of this person"
                ),
            })?;
            Ok((name.clone(), SecretText::new(text)))
        };
        env.iter().map(fill).collect()
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person")
    }
}

impl ConnectionKey {
    /// The connection that `holder` shares or owns. One child that is shared by everybody has no client that it could ask anything:
    /// whose call it is about could not be told (threat 37).
    pub fn of(spec: &ServerSpec, holder: &Holder) -> Self {
        let owner = match spec.isolation {
            Isolation::Shared => Owner::Everybody,
            Isolation::User => Owner::User(holder.user.clone()),
            Isolation::Session => Owner::Session(holder.user.clone(), holder.session.clone()),
        };
        let is_one_for_all = owner == Owner::Everybody && !matches!(spec.transport, Transport::Http { .. });
        let face = if is_one_for_all { Face::default() } else { holder.face.clone() };
        Self { server: spec.name.clone(), owner, face }
    }
}

/// Whom a connection belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Everybody,
    User(UserId),
    /// A session's name is unique across users.
    Session(UserId, String),
}

/// Which connection: the pool has one for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    pub server: ServerName,
    pub owner: Owner,
    /// What the server was told that its client can do.
    pub face: Face,
}

/// What every connection of the pool is made with.
#[derive(Clone)]
pub(crate) struct Hello {
    pub(crate) on_request: Arc<dyn ServerRequests>,
    /// Where sessions with servers are written down, if they are.
    pub(crate) records: Option<Arc<dyn SessionRecords>>,
    /// How children are started; unset, they run without a supervisor.
    pub(crate) launcher: Arc<OnceLock<Launcher>>,
    /// The longest message taken from a server.
    pub(crate) max_message: usize,
    /// How long a server has to end by itself.
    pub(crate) close_grace: Duration,
    /// The time for grace is over: end by force.
    pub(crate) hurry: CancellationToken,
    /// What a shutdown waits for.
    pub(crate) tasks: TaskTracker,
}
