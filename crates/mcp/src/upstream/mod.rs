//! The servers behind the gateway. [`Upstreams`] is the pool; a [`Connection`] is one live, initialized connection of the legacy
//! era; below it a transport each for stdio, Streamable HTTP and HTTP+SSE. Who may call what is decided next door, in `allow`.

mod connection;
mod error;
mod handshake;
mod http;
mod id_finder;
mod inbox;
mod link;
mod pool;
mod requests;
mod sse;
mod stdio;

use std::{sync::Arc, time::Duration};

use portunus_core::ids::{ServerName, UserId};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::spec::{Isolation, ServerSpec};

pub use connection::{Call, Connection, Hold, ServerInfo};
pub use error::UpstreamError;
pub use inbox::Event;
pub use pool::{Options, Upstreams};
pub use requests::{NoServerRequests, RpcError, ServerRequests};

/// On whose behalf a connection is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    pub user: UserId,
    /// The client's session, by whatever name the caller has for it.
    pub session: String,
}

impl ConnectionKey {
    fn of(spec: &ServerSpec, holder: &Holder) -> Self {
        let owner = match spec.isolation {
            Isolation::Shared => Owner::Everybody,
            Isolation::User => Owner::User(holder.user.clone()),
            Isolation::Session => Owner::Session(holder.user.clone(), holder.session.clone()),
        };
        Self { server: spec.name.clone(), owner }
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
}

/// What every connection of the pool is made with.
#[derive(Clone)]
pub(crate) struct Hello {
    pub(crate) capabilities: crate::wire::Payload,
    pub(crate) on_request: Arc<dyn ServerRequests>,
    /// The longest message taken from a server.
    pub(crate) max_message: usize,
    /// How long a server has to end by itself.
    pub(crate) close_grace: Duration,
    /// The time for grace is over: end by force.
    pub(crate) hurry: CancellationToken,
    /// What a shutdown waits for.
    pub(crate) tasks: TaskTracker,
}
