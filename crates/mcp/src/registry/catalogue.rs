//! Where the lists of one server are kept: for all users, of shared servers whose lists are
//! no user's own, else for one user and client. Pure state; fetching is
//! [`crate::lists`]'s. How long a list is good is [`super::list_cache`]'s business.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use portunus_core::ids::{ClientId, ServerName, UserId};
use tokio::time::Instant;

use super::{kind::Kind, list::List, list_cache::ListCache};
use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    hash::{FastMap, FastSet},
    session::requester::Requester,
    upstream::{ConnectionKey, Owner},
};

/// Lists that were not wanted for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// Which of a server's lists: it may show a client what fits what that client can do, and what each
/// half of a server of both eras offers is its own (FB41).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Which {
    client_capabilities: ClientCapabilities,
    era: Era,
    kind: Kind,
}

impl Which {
    fn of(connection: &ConnectionKey, kind: Kind) -> Self {
        Self {
            client_capabilities: connection.client_capabilities.clone(),
            era: connection.era,
            kind,
        }
    }
}

#[derive(Default)]
struct ListCaches {
    kept: FastMap<(ListOwner, Which), Arc<ListCache>>,
    /// Of a server that all users share: the lists that it showed to one person as that person's
    /// own (`cacheScope`).
    private: FastSet<Which>,
}

/// The lists of one server: one lock, mostly read.
#[derive(Default)]
pub(crate) struct Catalogue {
    list_caches: RwLock<ListCaches>,
}

/// Whose list it is. The sessions that a user has with one client see the same list, also where
/// each has a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListOwner {
    AllUsers,
    Client(UserId, ClientId),
}

impl ListOwner {
    fn of_owner(owner: &Owner) -> Self {
        match owner {
            Owner::AllUsers => Self::AllUsers,
            Owner::Client(user, client) | Owner::Session(user, client, _) => {
                Self::Client(user.clone(), client.clone())
            }
        }
    }
}

/// One list, as one user may see it.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) server: ServerName,
    pub(crate) owner: ListOwner,
    which: Which,
    pub(crate) list_cache: Arc<ListCache>,
}

impl Slot {
    pub(crate) fn kind(&self) -> Kind {
        self.which.kind
    }
}

impl ListCaches {
    fn owner(&self, connection: &ConnectionKey, which: &Which, requester: &Requester) -> ListOwner {
        match ListOwner::of_owner(&connection.owner) {
            ListOwner::AllUsers if self.private.contains(which) => {
                ListOwner::Client(requester.user().clone(), requester.client().clone())
            }
            owner => owner,
        }
    }
}

impl Catalogue {
    /// Where the requester finds the list of this connection's server.
    pub(crate) fn slot(
        &self,
        connection: &ConnectionKey,
        kind: Kind,
        requester: &Requester,
    ) -> Slot {
        let which = Which::of(connection, kind);
        let (key, kept) = {
            let list_caches = self.list_caches.read().unwrap_or_else(PoisonError::into_inner);
            let key = (list_caches.owner(connection, &which, requester), which);
            let kept = list_caches.kept.get(&key).cloned();
            (key, kept)
        };
        let slot = kept.unwrap_or_else(|| {
            let mut list_caches = self.list_caches.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                list_caches
                    .kept
                    .entry(key.clone())
                    .or_insert_with(|| Arc::new(ListCache::new(Instant::now()))),
            )
        });
        let (owner, which) = key;
        Slot { server: connection.server.clone(), owner, which, list_cache: slot }
    }

    /// The server said whose list this is: where is it kept from now on? `slot` is where it was
    /// asked for, on a connection that all users share.
    pub(crate) fn settle(
        &self,
        slot: &Slot,
        is_private: bool,
        connection: &ConnectionKey,
        requester: &Requester,
    ) -> Option<Slot> {
        let mark = slot.which.clone();
        let mut list_caches = self.list_caches.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = if is_private {
            list_caches.private.insert(mark)
        } else {
            list_caches.private.remove(&mark)
        };
        drop(list_caches);
        if is_new || (is_private && slot.owner == ListOwner::AllUsers) {
            return Some(self.slot(connection, slot.which.kind, requester));
        }
        None
    }

    pub(crate) fn mark_changed(&self, connection: &ConnectionKey, kind: Kind) {
        let list_caches = self.list_caches.read().unwrap_or_else(PoisonError::into_inner);
        let (owner, which) = (ListOwner::of_owner(&connection.owner), Which::of(connection, kind));
        if owner == ListOwner::AllUsers {
            list_caches
                .kept
                .iter()
                .filter(|((_, of), _)| *of == which)
                .for_each(|(_, list_cache)| list_cache.mark_changed());
        } else if let Some(list_cache) = list_caches.kept.get(&(owner, which)) {
            list_cache.mark_changed();
        }
    }

    /// Forgets what has not been wanted for long.
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
