//! Nodes and homes. The nodes are in one slot, a user's home is in the user's: a home is taken from
//! a node only if it is still that node's, so that looking at the one and then at the other is as
//! good as one step.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use portunus_core::{
    ids::{NodeId, UserId},
    node::Node,
    store::{NodeStore, StoreError},
};

use super::{
    database::Database,
    failure::unavailable,
    script::{self, Call},
};

/// How often a user's owner node may change during one claim; each time another node must have
/// died.
const TRIES: usize = 20;

pub(super) struct RedisNodeStore(pub(super) Arc<Database>);

/// Redis keeps nothing for no time at all.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52)
}

impl RedisNodeStore {
    fn on_nodes(&self, script: &'static script::Script) -> Call {
        Call::new(script).key(self.0.keys.nodes()).key(self.0.keys.node_urls())
    }

    async fn alive(&self, only: Option<&str>) -> Result<Vec<Node>, StoreError> {
        let call = only.into_iter().fold(self.on_nodes(&script::LIST_NODES), Call::arg);
        let found: Vec<String> = self.0.run(&call).await?;
        let node = |pair: &[String]| {
            Some(Node { id: NodeId::from_text(pair.first()?), url: pair.get(1)?.clone() })
        };
        let mut nodes: Vec<Node> = found.chunks_exact(2).filter_map(node).collect();
        nodes.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(nodes)
    }
}

#[async_trait]
impl NodeStore for RedisNodeStore {
    async fn beat(&self, node: &Node, alive_for: Duration) -> Result<(), StoreError> {
        let call = self
            .on_nodes(&script::BEAT)
            .arg(node.id.as_str())
            .arg(&node.url)
            .arg(millis(alive_for));
        self.0.run::<u8>(&call).await.map(drop)
    }

    async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        self.0.run::<u8>(&self.on_nodes(&script::LEAVE).arg(node.as_str())).await.map(drop)
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.alive(None).await
    }

    async fn claim_ownership(
        &self,
        user: &UserId,
        me: &Node,
        keep_for: Duration,
    ) -> Result<Node, StoreError> {
        let home = self.0.keys.home(user);
        let mut found = self.0.pointer(&home).await?.unwrap_or_default();
        for _ in 0..TRIES {
            if !found.is_empty()
                && found != me.id.as_str()
                && let Some(other) = self.alive(Some(&found)).await?.pop()
            {
                return Ok(other);
            }
            let call = Call::new(&script::CLAIM_OWNERSHIP)
                .key(home.clone())
                .arg(&found)
                .arg(me.id.as_str())
                .arg(millis(keep_for));
            let now: String = self.0.run(&call).await?;
            if now == me.id.as_str() {
                return Ok(me.clone());
            }
            found = now;
        }
        Err(unavailable("a user's home changes faster than it can be looked at"))
    }

    async fn release_ownership(&self, user: &UserId, node: &NodeId) -> Result<bool, StoreError> {
        self.0
            .run(
                &Call::new(&script::RELEASE_OWNERSHIP)
                    .key(self.0.keys.home(user))
                    .arg(node.as_str()),
            )
            .await
    }
}
