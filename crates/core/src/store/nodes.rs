//! Port for the nodes that share a store, and which of them owns which user.
//!
//! A user's MCP sessions, their streams and child processes live on one node, the owner node; the
//! other nodes forward requests to it. The users of a node that is gone are owned by the next node
//! that asks for them.
//!
//! Whether a node is alive is judged by the store's own clock, for those of the nodes need not
//! agree.

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

    /// The node stops. It is no longer alive from now on, and its users can be owned by other nodes
    /// at once.
    async fn leave(&self, node: &NodeId) -> Result<(), StoreError>;

    /// The nodes that are alive, in the order of their names.
    async fn list_nodes(&self) -> Result<Vec<Node>, StoreError>;

    /// Finds the owner node of a user, in one atomic step. If there is none, or it is not alive,
    /// `me` becomes it: of many callers one does, and all get the same answer. `me` must be alive.
    /// A call by the owner itself prolongs the ownership, which ends when there was none for
    /// `keep_for`.
    async fn claim_ownership(
        &self,
        user: &UserId,
        me: &Node,
        keep_for: Duration,
    ) -> Result<Node, StoreError>;

    /// The node no longer owns the user. `false` if it did not.
    async fn release_ownership(&self, user: &UserId, node: &NodeId) -> Result<bool, StoreError>;
}
