//! What is looked up when the page is read: the state of things, not what happened to them.

use std::sync::Arc;

use portunus_core::{Timestamp, store::StoreLatency};
use portunus_mcp::{hub::Hub, upstream::Upstreams};

use crate::{
    audit::AuditLog,
    cluster::Cluster,
    edge::{connections::Connections, resource_server::cache::TokenCache},
};

/// Where it is found.
#[derive(Clone)]
pub struct Sources {
    pub hub: Arc<Hub>,
    pub upstreams: Arc<Upstreams>,
    pub store: Arc<StoreLatency>,
    pub tokens: TokenCache,
    pub connections: Connections,
    pub audit: AuditLog,
    pub cluster: Cluster,
    /// When the gateway began.
    pub began: Timestamp,
}
