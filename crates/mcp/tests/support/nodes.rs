//! Several nodes in one process, and a child that all users share: the way from one to another is a
//! function call here.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use portunus_core::{
    ids::{NodeId, ServerName},
    node::Node,
};
use portunus_mcp::{
    hub::{Peer, Servers},
    shared::{OwnerUnknown, Owners, Pieces, SharedServers, Undelivered},
    spec::ServerSpec,
    upstream::{UpstreamError, Upstreams},
};
use tokio_util::sync::CancellationToken;

use super::{client, connection_user, name, quick};

/// The nodes, and which of them has the one server there is.
pub(crate) struct Nodes {
    pub(crate) servers: Vec<SharedServers>,
    pub(crate) home: Mutex<Option<usize>>,
    pub(crate) leaving: Vec<CancellationToken>,
    dead: Vec<CancellationToken>,
    /// Orders that arrived.
    pub(crate) orders: Mutex<Vec<String>>,
}

impl Nodes {
    pub(crate) fn new(spec: &ServerSpec, count: usize) -> Arc<Self> {
        Self::each_with(&vec![spec.clone(); count])
    }

    pub(crate) fn each_with(specs: &[ServerSpec]) -> Arc<Self> {
        let count = specs.len();
        let upstreams =
            |spec: &ServerSpec| Arc::new(Upstreams::new(vec![spec.clone()], client(), quick()));
        let nodes = Arc::new(Self {
            servers: specs.iter().map(|spec| SharedServers::new(upstreams(spec))).collect(),
            home: Mutex::default(),
            leaving: vec![CancellationToken::new(); count],
            dead: (0..count).map(|_| CancellationToken::new()).collect(),
            orders: Mutex::default(),
        });
        for (n, servers) in nodes.servers.iter().enumerate() {
            servers.join(Arc::new(At(n, Arc::clone(&nodes))));
        }
        nodes
    }

    /// Two, the first being the owner.
    pub(crate) async fn pair(spec: &ServerSpec) -> (Arc<Self>, Arc<dyn Peer>, Arc<dyn Peer>) {
        let nodes = Self::new(spec, 2);
        let (owner, other) = (nodes.peer(0).await.unwrap(), nodes.peer(1).await.unwrap());
        (nodes, owner, other)
    }

    pub(crate) async fn peer(&self, n: usize) -> Result<Arc<dyn Peer>, UpstreamError> {
        self.servers[n].connection(&name("fixture"), &connection_user("ada", "1")).await
    }

    pub(crate) async fn kill(&self, n: usize) {
        self.dead[n].cancel();
        *self.home.lock().unwrap() = None;
        self.servers[n].evict_user(&name("fixture")).await;
    }
}

struct At(usize, Arc<Nodes>);

#[async_trait]
impl Owners for At {
    async fn owner(&self, _: &ServerName) -> Result<Option<Node>, OwnerUnknown> {
        let home = *self.1.home.lock().unwrap().get_or_insert(self.0);
        let node = || Node { id: NodeId::from_text(home.to_string()), url: String::new() };
        Ok((home != self.0).then(node))
    }

    fn ask_again(&self, _: &ServerName) {}

    async fn send(
        &self,
        to: &Node,
        server: &ServerName,
        order: Bytes,
    ) -> Result<Pieces, Undelivered> {
        let n: usize = to.id.as_str().parse().unwrap();
        let nodes = &self.1;
        if nodes.dead[n].is_cancelled() || *nodes.home.lock().unwrap() != Some(n) {
            return Err(Undelivered::Unreached);
        }
        nodes.orders.lock().unwrap().push(String::from_utf8(order.to_vec()).unwrap());
        let pieces = nodes.servers[n]
            .take(server, &order, &nodes.leaving[n])
            .ok_or(Undelivered::Unreached)?;
        Ok(pieces.take_until(nodes.dead[n].clone().cancelled_owned()).boxed())
    }
}
