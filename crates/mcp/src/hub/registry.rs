//! The servers behind the hub, as they are configured right now, each with what is known of it: its lists and what it said of itself. A
//! new configuration takes the place of the old one at once ([`Hub::reconfigure`]); a server that it does not change keeps what is
//! known. Their connections are [`crate::upstream`]'s affair.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use portunus_core::ids::ServerName;

use super::{Hub, Inner, Names, View, events::tell_changed};
use crate::{
    aggregate::{catalogue::Catalogue, kind::Kind},
    era::Era,
    session::Session,
    spec::ServerSpec,
    sync::locked,
    upstream::ServerInfo,
    wire::{self, Payload},
};

/// One server.
pub(crate) struct Entry {
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) lists: Catalogue,
    /// What it said of itself the last time anybody was connected to it, on behalf of a client of each era: of two halves each speaks for itself.
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

/// All of them, in the order of the configuration: merged lists have it too.
pub(crate) struct ServerRegistry {
    pub(crate) names: Names,
    pub(crate) entries: Vec<Arc<Entry>>,
}

/// The registry that is in force.
pub(crate) struct Current(ArcSwap<ServerRegistry>);

impl Entry {
    fn new(spec: ServerSpec) -> Self {
        Self { spec: Arc::new(spec), lists: Catalogue::default(), profiles: Mutex::default(), waited_for: Default::default() }
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

    /// Did the server declare this to clients of this era? Of one that nobody was connected to yet, everything is assumed.
    pub(crate) fn may_have(&self, client: Era, declared: impl Fn(&Payload) -> bool) -> bool {
        locked(&self.profiles).of(self.spec.era_for(client)).as_ref().is_none_or(|info| declared(&info.capabilities))
    }
}

impl ServerRegistry {
    pub(crate) fn names(&self) -> impl Iterator<Item = &ServerName> {
        self.entries.iter().map(|entry| entry.name())
    }

    fn find(&self, server: &ServerName) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.name() == server)
    }
}

impl Current {
    pub(crate) fn new(names: Names, specs: Vec<ServerSpec>) -> Self {
        let entries = specs.into_iter().map(|spec| Arc::new(Entry::new(spec))).collect();
        Self(ArcSwap::from_pointee(ServerRegistry { names, entries }))
    }

    pub(crate) fn load(&self) -> Arc<ServerRegistry> {
        self.0.load_full()
    }

    pub(crate) fn find(&self, server: &ServerName) -> Option<Arc<Entry>> {
        self.0.load().find(server).cloned()
    }
}

impl Hub {
    /// These are the servers from now on. Sessions go on: those of a server that is gone end, those that see a list which may be another
    /// one by now are told. Lists of servers whose entry did not change are kept.
    pub fn reconfigure(&self, names: Names, specs: Vec<ServerSpec>) {
        let hub = &self.inner;
        let old = hub.registry.load();
        let entries: Vec<_> = specs
            .into_iter()
            .map(|spec| {
                let kept = old.find(&spec.name).filter(|entry| *entry.spec == spec);
                kept.map_or_else(|| Arc::new(Entry::new(spec)), Arc::clone)
            })
            .collect();
        let affected = affected(&old, names, &entries);
        hub.registry.0.store(Arc::new(ServerRegistry { names, entries }));
        for session in hub.sessions.of_everybody() {
            hub.settle_session(&session, &affected);
        }
    }
}

/// Servers of which lists may be others by now.
fn affected(old: &ServerRegistry, names: Names, entries: &[Arc<Entry>]) -> BTreeSet<ServerName> {
    let is_in = |entries: &[Arc<Entry>], one: &Arc<Entry>| entries.iter().any(|other| Arc::ptr_eq(other, one));
    let all = || old.entries.iter().chain(entries);
    let differ = all().filter(|one| old.names != names || !is_in(&old.entries, one) || !is_in(entries, one));
    differ.map(|entry| entry.name().clone()).collect()
}

impl Inner {
    /// After a new configuration.
    fn settle_session(self: &Arc<Self>, session: &Arc<Session>, affected: &BTreeSet<ServerName>) {
        match &session.view {
            View::One(server) if self.registry.find(server).is_none() => {
                tracing::info!(session = ?session.id, %server, "a session ends: its server is not configured any more");
                self.sessions.remove(session);
                self.end_in_background(Arc::clone(session));
            }
            _ if affected.iter().any(|server| session.sees(server)) => {
                for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
                    tell_changed(session, kind, &wire::notification(kind.changed(), None), None);
                }
                self.renew_subscriptions(session, |server| affected.contains(server));
            }
            _ => {}
        }
    }
}
