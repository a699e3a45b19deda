//! The lists of all servers, kept for who may see them: everybody for shared servers whose lists are nobody's in particular, else one
//! user and client. Answering from here wakes no child process, unless the server wants its list fetched again; fetching, when it must be, is done once
//! for all who wait. How long a list is good is [`super::list_cache`]'s business.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use portunus_core::ids::{ClientId, ServerName, UserId};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    fetch,
    kind::Kind,
    list::List,
    list_cache::{ListCache, Look, Need},
    quarantine,
};
use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    hub::{Asker, Inner, registry::Entry},
    upstream::{ConnectionKey, Owner, UpstreamError},
};

/// Lists that nobody wanted for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// Which of a server's lists: it may show a client what fits what that client can do, and what each half of a server of both eras offers is its
/// own (FB41).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Which {
    client_capabilities: ClientCapabilities,
    era: Era,
    kind: Kind,
}

impl Which {
    fn of(connection: &ConnectionKey, kind: Kind) -> Self {
        Self { client_capabilities: connection.client_capabilities.clone(), era: connection.era, kind }
    }
}

#[derive(Default)]
struct ListCaches {
    kept: HashMap<(Keeper, Which), Arc<ListCache>>,
    /// Of a server that everybody shares: the lists that it showed to one person as that person's own (`cacheScope`).
    private: HashSet<Which>,
}

/// The lists of one server: one lock, mostly read.
#[derive(Default)]
pub(crate) struct Catalogue {
    list_caches: RwLock<ListCaches>,
}

/// Whose list it is. The sessions that a user has with one client see the same list, also where each has a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Keeper {
    Everybody,
    Client(UserId, ClientId),
}

impl Keeper {
    fn of_owner(owner: &Owner) -> Self {
        match owner {
            Owner::Everybody => Self::Everybody,
            Owner::Client(user, client) | Owner::Session(user, client, _) => Self::Client(user.clone(), client.clone()),
        }
    }
}

/// One list, as one user may see it.
#[derive(Clone)]
struct Place {
    server: ServerName,
    keeper: Keeper,
    which: Which,
    list_cache: Arc<ListCache>,
}

impl ListCaches {
    fn keeper(&self, connection: &ConnectionKey, which: &Which, asker: &Asker) -> Keeper {
        match Keeper::of_owner(&connection.owner) {
            Keeper::Everybody if self.private.contains(which) => Keeper::Client(asker.user().clone(), asker.client().clone()),
            keeper => keeper,
        }
    }
}

impl Catalogue {
    /// Where the asker finds the list of this connection's server.
    fn place(&self, connection: &ConnectionKey, kind: Kind, asker: &Asker) -> Place {
        let which = Which::of(connection, kind);
        let (key, kept) = {
            let list_caches = self.list_caches.read().unwrap_or_else(PoisonError::into_inner);
            let key = (list_caches.keeper(connection, &which, asker), which);
            let kept = list_caches.kept.get(&key).cloned();
            (key, kept)
        };
        let place = kept.unwrap_or_else(|| {
            let mut list_caches = self.list_caches.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(list_caches.kept.entry(key.clone()).or_insert_with(|| Arc::new(ListCache::new(Instant::now()))))
        });
        let (keeper, which) = key;
        Place { server: connection.server.clone(), keeper, which, list_cache: place }
    }

    /// The server said whose list this is: where is it kept from now on? `place` is where it was asked for, on a connection that is
    /// everybody's.
    fn settle(&self, place: &Place, is_private: bool, connection: &ConnectionKey, asker: &Asker) -> Option<Place> {
        let mark = place.which.clone();
        let mut list_caches = self.list_caches.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = if is_private { list_caches.private.insert(mark) } else { list_caches.private.remove(&mark) };
        drop(list_caches);
        if is_news || (is_private && place.keeper == Keeper::Everybody) {
            return Some(self.place(connection, place.which.kind, asker));
        }
        None
    }

    fn mark_changed(&self, connection: &ConnectionKey, kind: Kind) {
        let list_caches = self.list_caches.read().unwrap_or_else(PoisonError::into_inner);
        let (owner, which) = (Keeper::of_owner(&connection.owner), Which::of(connection, kind));
        if owner == Keeper::Everybody {
            list_caches.kept.iter().filter(|((_, of), _)| *of == which).for_each(|(_, list_cache)| list_cache.mark_changed());
        } else if let Some(list_cache) = list_caches.kept.get(&(owner, which)) {
            list_cache.mark_changed();
        }
    }

    /// Forgets what nobody has wanted for long.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut list_caches = self.list_caches.write().unwrap_or_else(PoisonError::into_inner);
        let ListCaches { kept, private } = &mut *list_caches;
        kept.retain(|_, list_cache| now.duration_since(list_cache.used_at()) < FORGET_AFTER);
        private.retain(|which| kept.keys().any(|(_, of)| of == which));
    }
}

/// A list that is shown, and how long it is still good if its server says so.
pub(crate) struct Shown {
    pub(crate) list: Arc<List>,
    pub(crate) good_for: Option<Duration>,
}

impl Inner {
    /// The server said that a list of its changed, or showed by what it answers that it did.
    pub(crate) fn mark_changed(&self, connection: &ConnectionKey, kind: Kind) {
        if let Some(entry) = self.registry.find(&connection.server) {
            entry.lists.mark_changed(connection, kind);
        }
    }

    /// One server's list, to look something up in it. Fetched if it must be, waited for until `list_deadline`; an old list is better than
    /// none.
    pub(crate) async fn list(
        self: &Arc<Self>,
        server: &ServerName,
        kind: Kind,
        asker: &Asker,
    ) -> Result<Arc<List>, UpstreamError> {
        self.list_for(Need::Find, server, kind, asker).await.map(|shown| shown.list)
    }

    /// The same, to be shown: as new as the server wants it.
    pub(crate) async fn list_to_show(
        self: &Arc<Self>,
        server: &ServerName,
        kind: Kind,
        asker: &Asker,
    ) -> Result<Shown, UpstreamError> {
        self.list_for(Need::Show(Instant::now()), server, kind, asker).await
    }

    async fn list_for(
        self: &Arc<Self>,
        need: Need,
        server: &ServerName,
        kind: Kind,
        asker: &Asker,
    ) -> Result<Shown, UpstreamError> {
        let entry = self.registry.find(server).ok_or(UpstreamError::NotFound)?;
        let connection = ConnectionKey::of(&entry.spec, asker.holder());
        let began = Instant::now();
        let deadline = self.settings.list_deadline;
        let mut looked = false;
        loop {
            // Found anew each time: it may have turned out to be somebody's own.
            let place = entry.lists.place(&connection, kind, asker);
            let mut finished = place.list_cache.finished();
            let now = Instant::now();
            match place.list_cache.look(now, need, self.settings.catalogue_ttl, deadline) {
                Look::Have { list, refresh, good_for } => {
                    // Once: a server that is down now keeps its old list.
                    if !std::mem::replace(&mut looked, true) && quarantine::is_lifted(self, server, &list).await {
                        place.list_cache.mark_lacking();
                        continue;
                    }
                    if refresh {
                        self.start_fetch(&entry, place, &connection, asker, Duration::ZERO);
                    }
                    return Ok(Shown { list, good_for });
                }
                Look::Failed(error) => return Err(error),
                Look::Wait { start, patience } => {
                    let until = (now + patience).min(began + deadline);
                    let waited_at = Arc::clone(&place.list_cache);
                    if start {
                        self.start_fetch(&entry, place, &connection, asker, patience);
                    }
                    if tokio::time::timeout_at(until, finished.changed()).await.is_err() {
                        let old = waited_at.give_up().ok_or(UpstreamError::Timeout)?;
                        return Ok(Shown { list: old, good_for: Some(Duration::ZERO) });
                    }
                }
            }
        }
    }

    /// Fetches in a task of its own: who waits may go, others may be waiting too. The asker waits for `patience`.
    fn start_fetch(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        place: Place,
        connection: &ConnectionKey,
        asker: &Asker,
        patience: Duration,
    ) {
        let (hub, entry, connection, asker) = (Arc::clone(self), Arc::clone(entry), connection.clone(), asker.clone());
        let fetching = async move {
            let began = Instant::now();
            place.list_cache.set_out();
            let Place { server, which: Which { kind, .. }, .. } = &place;
            let fetched = fetch::list(&hub, server, *kind, &asker).await;
            let (fetched, keeping) = match fetched {
                Ok((list, keeping)) => (Ok(list), Some(keeping)),
                Err(error) => (Err(error), None),
            };
            let outcome = quarantine::sort(&hub, server, *kind, fetched).await;
            if let Err(error) = &outcome {
                let reason = error.detail().unwrap_or_default();
                tracing::warn!(%server, list = kind.method(), %error, reason, "a server is left out of lists");
            }
            let settled = keeping
                .filter(|_| connection.owner == Owner::Everybody)
                .and_then(|keeping| entry.lists.settle(&place, keeping.is_private, &connection, &asker));
            let kept = settled.as_ref().unwrap_or(&place);
            if kept.list_cache.finish(Instant::now(), outcome, keeping.and_then(|keeping| keeping.fresh_for)) {
                let is_told = began.elapsed() < patience;
                hub.announce_late_list(server, &asker, *kind, &kept.keeper, is_told);
            }
            if settled.is_some() {
                if place.list_cache.is_changed() {
                    kept.list_cache.mark_changed();
                }
                place.list_cache.clear();
            }
        };
        tokio::spawn(fetching.in_current_span());
    }
}
