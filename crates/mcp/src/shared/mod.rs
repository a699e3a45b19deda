//! Children that everybody shares, among several nodes (docs/decisions/0036): each runs on one of them, its owner. [`SharedServers`] stands
//! before the pool and finds out where; a server elsewhere is a [`peer`] here. What the owner does for other nodes is [`host`]'s, over
//! [`local`] connections; what they say to one another stands in [`orders`] and travels in [`frames`]. How it gets there, and who the owner
//! is, the crate does not know: that is the port [`Owners`].

mod frames;
mod host;
mod local;
mod orders;
mod peer;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use portunus_core::{
    ids::{ServerName, UserId},
    node::Node,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    host::SharedServerHost,
    peer::{Attached, RelayedPeer},
};
use crate::{
    hub::{Peer, Servers},
    spec::ServerSpec,
    sync::locked,
    upstream::{Holder, UpstreamError, Upstreams},
};

/// How long an owner that cannot be reached is tried: longer than it takes to notice that it is dead.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(200);

/// What another node sends, in pieces of any size. It breaks off with whatever carries it.
pub type Pieces = BoxStream<'static, Result<Bytes, BrokenOff>>;

/// The rest does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenOff;

/// Nobody can say just now where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerUnknown;

/// Why an order has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// Nothing has been done: nobody is there, or the server is at home elsewhere.
    Unreached,
    /// Nobody knows what has been done.
    Broken,
}

/// Which node runs which server, and the way there.
#[async_trait]
pub trait Owners: Send + Sync {
    /// `None`: this one does. A server without an owner gets one.
    async fn owner(&self, server: &ServerName) -> Result<Option<Node>, OwnerUnknown>;

    /// What was said of the owner was wrong.
    fn ask_again(&self, server: &ServerName);

    async fn send(&self, to: &Node, server: &ServerName, order: Bytes) -> Result<Pieces, Undelivered>;
}

/// The servers as the hub sees them, wherever they run.
pub struct SharedServers {
    upstreams: Arc<Upstreams>,
    host: Arc<SharedServerHost>,
    /// Not there while this gateway is alone.
    owners: OnceLock<Arc<dyn Owners>>,
    away: Mutex<HashMap<ServerName, Slot>>,
}

/// The peer whose other end is at the server's owner. Whoever holds the lock attaches.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<RelayedPeer>>>>;

/// Where a server was found.
enum Found {
    Here,
    There(Arc<RelayedPeer>),
    /// Its owner did not take the order.
    Silent(Node),
}

impl SharedServers {
    pub fn new(upstreams: Arc<Upstreams>) -> Self {
        let host = Arc::new(SharedServerHost::new(Arc::clone(&upstreams)));
        Self { upstreams, host, owners: OnceLock::new(), away: Mutex::default() }
    }

    /// From now on there are other nodes.
    pub fn join(&self, owners: Arc<dyn Owners>) {
        // A gateway joins once.
        let _ = self.owners.set(owners);
    }

    /// Does what another node wants of a server that is at home here. `None`: not any more, since this node is going to stop; nothing has
    /// been done.
    pub fn take(&self, server: &ServerName, order: &Bytes, leaving: &CancellationToken) -> Option<Pieces> {
        self.host.take(server, order, leaving)
    }

    /// The shared children of this node.
    pub fn here(&self) -> Vec<ServerName> {
        self.host.servers()
    }

    /// Is a call to the server under way here?
    pub fn is_busy(&self, server: &ServerName) -> bool {
        self.host.is_busy(server)
    }

    /// The server is at home at another node: its child here ends.
    pub async fn evict_user(&self, server: &ServerName) {
        self.upstreams.close_shared(server).await;
    }

    async fn peer(&self, spec: &ServerSpec, owners: &Arc<dyn Owners>, holder: &Holder) -> Result<Arc<dyn Peer>, UpstreamError> {
        let server = &spec.name;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.found(spec, owners).await? {
                Found::Here => return Ok(self.host.local(server, holder).await?),
                Found::There(peer) => return Ok(peer),
                Found::Silent(node) if Instant::now() > until => {
                    tracing::warn!(%server, node = %node.id, url = node.url, "the node that runs this server does not answer");
                    return Err(UpstreamError::Lost);
                }
                Found::Silent(_) => owners.ask_again(server),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn found(&self, spec: &ServerSpec, owners: &Arc<dyn Owners>) -> Result<Found, UpstreamError> {
        let slot = Arc::clone(locked(&self.away).entry(spec.name.clone()).or_default());
        let mut slot = slot.lock().await;
        // Asked only now: whoever had to wait may find another owner.
        match owners.owner(&spec.name).await {
            Ok(None) => {
                *slot = None;
                Ok(Found::Here)
            }
            Ok(Some(node)) => match self.attached(&mut slot, spec, owners, &node).await? {
                Attached::Peer(peer) => Ok(Found::There(peer)),
                Attached::Undelivered => Ok(Found::Silent(node)),
            },
            Err(OwnerUnknown) => Err(UpstreamError::Lost),
        }
    }

    async fn attached(
        &self,
        slot: &mut Option<Arc<RelayedPeer>>,
        spec: &ServerSpec,
        owners: &Arc<dyn Owners>,
        node: &Node,
    ) -> Result<Attached, UpstreamError> {
        if let Some(peer) = slot.as_ref().filter(|peer| !peer.is_closed() && peer.is_at(node)) {
            return Ok(Attached::Peer(Arc::clone(peer)));
        }
        *slot = None;
        let attached = RelayedPeer::attach(spec, node, owners, self.upstreams.max_message()).await?;
        if let Attached::Peer(peer) = &attached {
            *slot = Some(Arc::clone(peer));
        }
        Ok(attached)
    }
}

#[async_trait]
impl Servers for SharedServers {
    async fn connection(&self, server: &ServerName, holder: &Holder) -> Result<Arc<dyn Peer>, UpstreamError> {
        if let Some(owners) = self.owners.get()
            && let Some(spec) = self.upstreams.find_shared_child(server)
        {
            return self.peer(&spec, owners, holder).await;
        }
        Servers::connection(&*self.upstreams, server, holder).await
    }

    async fn close_session(&self, holder: &Holder) {
        self.upstreams.close_session(holder).await;
    }

    async fn close_user(&self, user: &UserId) {
        self.upstreams.close_user(user).await;
    }
}

impl fmt::Debug for SharedServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedServers").finish_non_exhaustive()
    }
}
