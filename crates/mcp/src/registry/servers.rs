//! The servers of the configuration in force. A new configuration takes the place of the old one at
//! once ([`ServerRegistry::replace`]); a server that it does not change keeps what is known of it.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwap;
use portunus_core::ids::ServerName;
use tokio::time::Instant;

use super::{entry::Entry, kind::Kind};
use crate::{
    allow::{Allow, Verdict},
    era::Era,
    settings::Names,
    spec::ServerSpec,
    upstream::ConnectionKey,
    wire::Payload,
};

/// The servers of one configuration, in its order: merged lists have it too.
pub(crate) struct Snapshot {
    pub(crate) names: Names,
    pub(crate) entries: Vec<Arc<Entry>>,
}

impl Snapshot {
    pub(crate) fn names(&self) -> impl Iterator<Item = &ServerName> {
        self.entries.iter().map(|entry| entry.name())
    }

    fn find(&self, server: &ServerName) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.name() == server)
    }
}

/// The servers that are in force right now.
pub(crate) struct ServerRegistry(ArcSwap<Snapshot>);

impl ServerRegistry {
    pub(crate) fn new(names: Names, specs: Vec<ServerSpec>) -> Self {
        let entries = specs.into_iter().map(|spec| Arc::new(Entry::new(spec))).collect();
        Self(ArcSwap::from_pointee(Snapshot { names, entries }))
    }

    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    pub(crate) fn find(&self, server: &ServerName) -> Option<Arc<Entry>> {
        self.0.load().find(server).cloned()
    }

    pub(crate) fn spec(&self, server: &ServerName) -> Option<Arc<ServerSpec>> {
        self.0.load().find(server).map(|entry| Arc::clone(&entry.spec))
    }

    /// The servers that may be known of, in order.
    pub(crate) fn allowed(&self, allow: &dyn Allow) -> Vec<ServerName> {
        self.0.load().names().filter(|name| allow.server(name).is_allowed()).cloned().collect()
    }

    /// The servers that the client could be granted something of, in order.
    pub(crate) fn withheld(&self, allow: &dyn Allow) -> Vec<ServerName> {
        let withheld = |name: &&ServerName| allow.server(name) == Verdict::NotGranted;
        self.0.load().names().filter(withheld).cloned().collect()
    }

    /// The servers that the person could use in another way, in order.
    pub(crate) fn unmet(&self, allow: &dyn Allow) -> Vec<ServerName> {
        let unmet = |name: &&ServerName| matches!(allow.server(name), Verdict::Unmet(_));
        self.0.load().names().filter(unmet).cloned().collect()
    }

    /// Did the server declare this to clients of this era? Of a server that was not met yet,
    /// everything is assumed.
    pub(crate) fn may_have(
        &self,
        server: &ServerName,
        client: Era,
        declared: impl Fn(&Payload) -> bool,
    ) -> bool {
        self.0.load().find(server).is_some_and(|entry| entry.may_have(client, declared))
    }

    /// The server said that a list of its changed, or showed by what it answers that it did.
    pub(crate) fn mark_changed(&self, connection: &ConnectionKey, kind: Kind) {
        if let Some(entry) = self.0.load().find(&connection.server) {
            entry.lists.mark_changed(connection, kind);
        }
    }

    /// Forgets lists that have not been wanted for long.
    pub(crate) fn sweep(&self, now: Instant) {
        for entry in &self.0.load().entries {
            entry.lists.sweep(now);
        }
    }

    /// These are the servers from now on. Gives those of which lists may be others by now.
    pub(crate) fn replace(&self, names: Names, specs: Vec<ServerSpec>) -> BTreeSet<ServerName> {
        let old = self.load();
        let entries: Vec<_> = specs
            .into_iter()
            .map(|spec| {
                let kept = old.find(&spec.name).filter(|entry| *entry.spec == spec);
                kept.map_or_else(|| Arc::new(Entry::new(spec)), Arc::clone)
            })
            .collect();
        let affected = affected(&old, names, &entries);
        self.0.store(Arc::new(Snapshot { names, entries }));
        affected
    }
}

/// Servers of which lists may be others by now.
fn affected(old: &Snapshot, names: Names, entries: &[Arc<Entry>]) -> BTreeSet<ServerName> {
    let is_in = |entries: &[Arc<Entry>], one: &Arc<Entry>| {
        entries.iter().any(|other| Arc::ptr_eq(other, one))
    };
    let all = || old.entries.iter().chain(entries);
    let differ =
        all().filter(|one| old.names != names || !is_in(&old.entries, one) || !is_in(entries, one));
    differ.map(|entry| entry.name().clone()).collect()
}
