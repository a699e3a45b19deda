//! The port to the other nodes: which one owns a server, and the way there. How requests travel,
//! and how an owner is found, is not known here.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use portunus_core::{ids::ServerName, node::Node};

/// What another node sends, in pieces of any size. It breaks off with whatever carries it.
pub type Pieces = BoxStream<'static, Result<Bytes, BrokenOff>>;

/// The rest does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenOff;

/// Where the server runs cannot be told just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerUnknown;

/// Why a request to another node has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// Nothing has been done: no node is there, or another one owns the server.
    Unreached,
    /// It may have been done.
    Broken,
}

/// Which node runs which server, and the way there.
#[async_trait]
pub trait Owners: Send + Sync {
    /// `None`: this one does. A server without an owner gets one.
    async fn owner(&self, server: &ServerName) -> Result<Option<Node>, OwnerUnknown>;

    /// What was said of the owner was wrong.
    fn ask_again(&self, server: &ServerName);

    async fn send(
        &self,
        to: &Node,
        server: &ServerName,
        request: Bytes,
    ) -> Result<Pieces, Undelivered>;
}
