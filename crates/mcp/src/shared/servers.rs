//! The servers as the hub sees them, wherever they run: here, or at their owner.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use portunus_core::{
    ids::{ServerName, UserId},
    node::Node,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    host::SharedServerHost,
    owners::{OwnerUnknown, Owners, Pieces},
    peer::{Attached, RelayedPeer},
};
use crate::{
    spec::ServerSpec,
    sync::locked,
    upstream::{
        ConnectionUser, Ending, UpstreamError, Upstreams,
        servers::{Peer, Servers},
    },
};

/// How long an owner that cannot be reached is tried: longer than it takes to notice that it is
/// dead.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(200);

/// The servers as the hub sees them, wherever they run.
pub struct SharedServers {
    upstreams: Arc<Upstreams>,
    host: Arc<SharedServerHost>,
    /// Not there while this gateway is alone.
    owners: OnceLock<Arc<dyn Owners>>,
    away: Mutex<HashMap<ServerName, Slot>>,
}

/// The peer whose other end is at the server's owner. The task that holds the lock attaches.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<RelayedPeer>>>>;

/// Where a server was found.
enum Found {
    Here,
    There(Arc<RelayedPeer>),
    /// Its owner did not take the request.
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

    /// Does what another node wants of a server that this node owns. `None`: not any more, since
    /// this node is going to stop; nothing has been done.
    pub fn take(
        &self,
        server: &ServerName,
        request: &Bytes,
        leaving: &CancellationToken,
    ) -> Option<Pieces> {
        self.host.take(server, request, leaving)
    }

    /// The shared children of this node.
    pub fn here(&self) -> Vec<ServerName> {
        self.host.servers()
    }

    /// Is a call to the server under way here?
    pub fn is_busy(&self, server: &ServerName) -> bool {
        self.host.is_busy(server)
    }

    /// Another node owns the server: its child here ends.
    pub async fn evict_user(&self, server: &ServerName) {
        self.upstreams.close_shared(server).await;
    }

    async fn peer(
        &self,
        spec: &ServerSpec,
        owners: &Arc<dyn Owners>,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<dyn Peer>, UpstreamError> {
        let server = &spec.name;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.found(spec, owners).await? {
                Found::Here => return Ok(self.host.local(server, connection_user).await?),
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

    async fn found(
        &self,
        spec: &ServerSpec,
        owners: &Arc<dyn Owners>,
    ) -> Result<Found, UpstreamError> {
        let slot = Arc::clone(locked(&self.away).entry(spec.name.clone()).or_default());
        let mut slot = slot.lock().await;
        // Asked only now: after the wait there may be another owner.
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
        let attached =
            RelayedPeer::attach(spec, node, owners, self.upstreams.max_message()).await?;
        if let Attached::Peer(peer) = &attached {
            *slot = Some(Arc::clone(peer));
        }
        Ok(attached)
    }
}

#[async_trait]
impl Servers for SharedServers {
    async fn connection(
        &self,
        server: &ServerName,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<dyn Peer>, UpstreamError> {
        if let Some(owners) = self.owners.get()
            && let Some(spec) = self.upstreams.find_shared_child(server)
        {
            return self.peer(&spec, owners, connection_user).await;
        }
        Servers::connection(&*self.upstreams, server, connection_user).await
    }

    async fn close_session(&self, connection_user: &ConnectionUser) {
        self.upstreams.close_session(connection_user).await;
    }

    async fn close_user(&self, user: &UserId) {
        self.upstreams.close_user(user).await;
    }

    /// Those at other nodes end there: every node is told.
    async fn end(&self, which: &Ending) {
        self.upstreams.end(which).await;
    }
}

impl fmt::Debug for SharedServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedServers").finish_non_exhaustive()
    }
}
