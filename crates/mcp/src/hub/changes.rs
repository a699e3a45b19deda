//! What changes while the hub runs: servers, limits, what callers may use. Users who come and go
//! are next door, in [`super::eviction`].

use std::sync::atomic::Ordering;

use portunus_core::ids::UserId;

use super::{Hub, Names, Totals};
use crate::spec::ServerSpec;

impl Hub {
    /// So many calls of one person may be at work from now on.
    pub fn limit_calls_per_user(&self, calls: usize) {
        self.endpoint.calls_per_user.store(calls, Ordering::Relaxed);
    }

    /// These are the servers from now on. Sessions go on: those of a server that is gone end, those
    /// that see a list which may be another one by now are told. Lists of servers whose entry did
    /// not change are kept.
    pub fn reconfigure(&self, names: Names, specs: Vec<ServerSpec>) {
        let affected = self.endpoint.calls.registry.replace(names, specs);
        self.endpoint.lifecycle.reconfigured(&affected);
    }

    /// How names are made on the merged endpoint.
    pub fn names(&self) -> Names {
        self.endpoint.calls.registry.load().names
    }

    /// Callers may use other things from now on: every client is told to look at its lists again,
    /// and hears no more of what it may not have any more.
    pub fn permissions_changed(&self) {
        self.endpoint.lifecycle.permissions_changed();
    }

    /// The same for one person.
    pub fn permissions_of_user_changed(&self, user: &UserId) {
        self.endpoint.lifecycle.permissions_of_user_changed(user);
    }

    /// What all users have together.
    pub fn totals(&self) -> Totals {
        self.endpoint.sessions.totals()
    }
}
