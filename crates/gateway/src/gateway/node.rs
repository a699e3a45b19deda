//! What makes a gateway one of several: its listener for the others' forwarded requests, from the
//! first of them to the last.

use std::{io, sync::Arc, time::Duration};

use portunus_mcp::shared::SharedServers;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::reload::Live;
use crate::cluster::{self, ListenerState, Member};

/// A node that is known to the others, and does not take forwarded requests yet.
pub(super) struct RunningNode {
    pub(super) member: Arc<Member>,
    pub(super) listener: TcpListener,
}

/// A node whose listener is open.
pub(super) struct NodeAtWork {
    pub(super) member: Arc<Member>,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl NodeAtWork {
    pub(super) fn begin(
        RunningNode { member, listener }: RunningNode,
        live: Arc<Live>,
        shared: Arc<SharedServers>,
    ) -> Self {
        let stop = CancellationToken::new();
        let mcp = Arc::new(move || live.app().local_mcp());
        let state = ListenerState { member: Arc::clone(&member), mcp, shared };
        let listening = cluster::listen(listener, state, stop.clone().cancelled_owned());
        Self { member, stop, task: tokio::spawn(listening) }
    }

    /// What other nodes have sent is finished first, until the time is up.
    pub(super) async fn end(self, until: Instant) {
        let quiet = async {
            while self.member.has_work() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout_at(until, quiet).await.is_err() {
            tracing::warn!("some requests of other nodes did not end in time");
        }
        self.member.leave().await;
        self.stop.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the listener for other nodes failed"),
            Err(error) => tracing::warn!(%error, "the listener for other nodes broke off"),
        }
    }
}
