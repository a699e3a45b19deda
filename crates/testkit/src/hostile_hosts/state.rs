//! What the hostile hosts answer, and what reached them so far: set and read by
//! [`super::HostileHosts`], used by [`super::server`].

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::behaviour::Behaviour;

#[derive(Default)]
pub(super) struct SharedState {
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// By host and path.
    pub(super) behaviours: HashMap<String, Behaviour>,
    /// The answers of the resolver that are still to come; the last one stays.
    pub(super) names: HashMap<String, VecDeque<Vec<IpAddr>>>,
    pub(super) lookups: Vec<String>,
    pub(super) requests: Vec<String>,
    pub(super) connections: usize,
}

impl SharedState {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
