//! Port for the nodes that share a store, and which of them is whose home.
//!
//! A user's MCP sessions, their streams and child processes live on one node, the user's home; the others pass requests on to it. A node
//! that is gone loses its users to whichever node is asked for them next.
//!
//! Whether a node is alive is judged by the store's own clock, for those of the nodes need not agree.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;
use crate::{
    ids::{NodeId, UserId},
    node::Node,
};

#[async_trait]
pub trait NodeStore: Send + Sync {
    /// The node is alive, and is taken to be so for this long.
    async fn beat(&self, node: &Node, alive_for: Duration) -> Result<(), StoreError>;

    /// The node stops: nobody need wait for it to be missed. Whoever was at home there is free.
    async fn leave(&self, node: &NodeId) -> Result<(), StoreError>;

    /// The nodes that are alive, in the order of their names.
    async fn list_nodes(&self) -> Result<Vec<Node>, StoreError>;

    /// One atomic step: the user's home. If there is none, or it is not alive, `me` becomes it: of many callers one does, and all get the
    /// same answer. `me` must be alive. Being asked for by the home itself prolongs it: it ends when it was not asked for in `keep_for`.
    async fn claim_home(&self, user: &UserId, me: &Node, keep_for: Duration) -> Result<Node, StoreError>;

    /// The node is no longer the user's home, if it was. `false` if it was not.
    async fn release_home(&self, user: &UserId, node: &NodeId) -> Result<bool, StoreError>;
}
