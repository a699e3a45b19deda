//! The parts of a gateway that stay when its configuration changes, and are told of the new one by
//! [`super::reload`].

use std::sync::Arc;

use portunus_mcp::{shared::SharedServers, upstream::Upstreams};
use portunus_store::seal::Sealer;

use crate::{net::ForwardingClient, pins::PinBook};

/// What is told of a new configuration, beside the endpoints.
pub(super) struct Reloadable {
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) shared: Arc<SharedServers>,
    pub(super) pins: Arc<PinBook>,
    pub(super) sealer: Sealer,
    pub(super) forwarding: ForwardingClient,
}
