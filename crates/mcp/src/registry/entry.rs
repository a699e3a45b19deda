//! One server of the configuration in force, with what is known of it: what it said of itself, and
//! its lists.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use portunus_core::ids::ServerName;

use super::catalogue::Catalogue;
use crate::{era::Era, spec::ServerSpec, sync::locked, upstream::ServerInfo, wire::Payload};

/// One server.
pub(crate) struct Entry {
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) lists: Catalogue,
    /// What it said of itself at the last connection to it, on behalf of a client of each era: of
    /// two halves each speaks for itself.
    profiles: Mutex<Profiles>,
    /// Has a greeting waited for it, on behalf of clients of the legacy era, of the modern one?
    waited_for: [AtomicBool; 2],
}

/// One for each era that a connection is met in.
#[derive(Default)]
struct Profiles {
    legacy: Option<ServerInfo>,
    modern: Option<ServerInfo>,
}

impl Profiles {
    fn of(&mut self, met_in: Era) -> &mut Option<ServerInfo> {
        match met_in {
            Era::Legacy => &mut self.legacy,
            Era::Modern => &mut self.modern,
        }
    }
}

impl Entry {
    pub(super) fn new(spec: ServerSpec) -> Self {
        Self {
            spec: Arc::new(spec),
            lists: Catalogue::default(),
            profiles: Mutex::default(),
            waited_for: Default::default(),
        }
    }

    pub(crate) fn name(&self) -> &ServerName {
        &self.spec.name
    }

    /// What it said on behalf of a client of this era.
    pub(crate) fn profile(&self, client: Era) -> Option<ServerInfo> {
        locked(&self.profiles).of(self.spec.era_for(client)).clone()
    }

    /// `true` the first time alone: one that takes long holds up one greeting, not all of them.
    pub(crate) fn begin_to_wait(&self, client: Era) -> bool {
        !self.waited_for(client).swap(true, Ordering::Relaxed)
    }

    /// It did not take long, and could not be met on behalf of who asked.
    pub(crate) fn wait_again(&self, client: Era) {
        self.waited_for(client).store(false, Ordering::Relaxed);
    }

    const fn waited_for(&self, client: Era) -> &AtomicBool {
        let [legacy, modern] = &self.waited_for;
        match client {
            Era::Legacy => legacy,
            Era::Modern => modern,
        }
    }

    /// `met_in` is the connection's.
    pub(crate) fn note_profile(&self, met_in: Era, info: &ServerInfo) {
        *locked(&self.profiles).of(met_in) = Some(info.clone());
    }

    /// Did the server declare this to clients of this era? Of one that were not met yet,
    /// everything is assumed.
    pub(crate) fn may_have(&self, client: Era, declared: impl Fn(&Payload) -> bool) -> bool {
        locked(&self.profiles)
            .of(self.spec.era_for(client))
            .as_ref()
            .is_none_or(|info| declared(&info.capabilities))
    }
}
