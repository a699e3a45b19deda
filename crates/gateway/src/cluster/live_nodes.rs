//! The nodes that are alive, as the store told it with this node's last beats: what waits for
//! another node learns here that it is not alive any more, also when it hangs or its network
//! swallows everything, and no connection breaks.

use std::{collections::HashSet, sync::Arc};

use portunus_core::{ids::NodeId, node::Node};
use tokio::sync::watch;

/// How often in a row a node has to be missing: one that has just come may not be on the first.
const MISSING: usize = 2;

#[derive(Default)]
pub(super) struct LiveNodes(watch::Sender<Arc<HashSet<NodeId>>>);

impl LiveNodes {
    /// These are alive.
    pub(super) fn call(&self, nodes: Vec<Node>) {
        self.0.send_replace(Arc::new(nodes.into_iter().map(|node| node.id).collect()));
    }

    /// Ends when the node is missing; never, if this node no longer hears of others.
    pub(super) fn once_missing(&self, node: &NodeId) -> impl Future<Output = ()> + Send + use<> {
        let (mut rolls, node) = (self.0.subscribe(), node.clone());
        async move {
            let mut missing = 0;
            while rolls.changed().await.is_ok() {
                missing = if rolls.borrow_and_update().contains(&node) { 0 } else { missing + 1 };
                if missing == MISSING {
                    return;
                }
            }
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn node(id: &str) -> Node {
        Node { id: NodeId::from_text(id), url: String::new() }
    }

    #[tokio::test]
    async fn a_node_is_missing_when_two_rolls_in_a_row_lack_it() {
        let live_nodes = LiveNodes::default();
        let mut missing = Box::pin(live_nodes.once_missing(&NodeId::from_text("a")));
        for (alive, is_missing) in
            [(&["b"][..], false), (&["a", "b"], false), (&["b"], false), (&["b"], true)]
        {
            live_nodes.call(alive.iter().map(|id| node(id)).collect());
            assert_eq!(missing.as_mut().now_or_never().is_some(), is_missing, "{alive:?}");
        }
        let mut of_the_gone = Box::pin(live_nodes.once_missing(&NodeId::from_text("a")));
        drop(live_nodes);
        assert!(of_the_gone.as_mut().now_or_never().is_none(), "nobody says so");
    }
}
