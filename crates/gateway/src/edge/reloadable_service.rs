//! Where requests come in, whatever the endpoints behind it are right now: a new configuration
//! brings new ones ([`ReloadableService::change`]). Each request is answered by those that it met.
//! They are put together in [`super::router`].

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::FutureExt as _;

use super::{
    layers::{self, EdgeState},
    server::Answering,
};

#[derive(Clone)]
pub struct ReloadableService(Arc<ArcSwap<EdgeState>>);

impl ReloadableService {
    pub fn new(state: EdgeState) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(state)))
    }

    /// Requests that come from now on meet these.
    pub fn change(&self, state: EdgeState) {
        self.0.store(Arc::new(state));
    }

    /// For the server.
    pub fn endpoints(&self) -> impl Answering + use<> {
        let states = Arc::clone(&self.0);
        tower::service_fn(move |request| layers::observe(states.load_full(), request).map(Ok))
    }
}
