//! The lists of all servers, kept for who may see them: everybody for shared servers, else one user. Answering from here wakes
//! no child process; fetching, when it must be, is done once for all who wait.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use portunus_core::ids::{ServerName, UserId};
use tokio::time::Instant;

use super::{
    fetch,
    kind::Kind,
    list::List,
    quarantine,
    shelf::{Look, Shelf},
};
use crate::{
    face::Face,
    hub::{Asker, Inner},
    spec::Isolation,
    upstream::{ConnectionKey, Owner, UpstreamError},
};

/// Lists that nobody wanted for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// A server may show a client what fits what that client can do, so lists are kept for each face.
type Shelves = HashMap<(Keeper, Face, Kind), Arc<Shelf>>;

/// One lock a server, mostly read.
pub(crate) struct Catalogue {
    servers: HashMap<ServerName, RwLock<Shelves>>,
}

/// Whose list it is. A user's sessions see the same list, also where each has a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Keeper {
    Everybody,
    User(UserId),
}

impl Keeper {
    pub(crate) fn of(isolation: Isolation, user: &UserId) -> Self {
        match isolation {
            Isolation::Shared => Self::Everybody,
            Isolation::User | Isolation::Session => Self::User(user.clone()),
        }
    }

    fn of_owner(owner: &Owner) -> Self {
        match owner {
            Owner::Everybody => Self::Everybody,
            Owner::User(user) | Owner::Session(user, _) => Self::User(user.clone()),
        }
    }
}

impl Catalogue {
    pub(crate) fn new<'a>(servers: impl Iterator<Item = &'a ServerName>) -> Self {
        Self { servers: servers.map(|name| (name.clone(), RwLock::default())).collect() }
    }

    fn shelf(&self, server: &ServerName, keeper: Keeper, face: Face, kind: Kind) -> Option<Arc<Shelf>> {
        let shelves = self.servers.get(server)?;
        let key = (keeper, face, kind);
        if let Some(shelf) = shelves.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Some(Arc::clone(shelf));
        }
        let mut shelves = shelves.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(shelves.entry(key).or_insert_with(|| Arc::new(Shelf::new(Instant::now())))))
    }

    /// The server said that a list of its changed.
    pub(crate) fn mark_changed(&self, connection: &ConnectionKey, kind: Kind) {
        let Some(shelves) = self.servers.get(&connection.server) else { return };
        let key = (Keeper::of_owner(&connection.owner), connection.face.clone(), kind);
        if let Some(shelf) = shelves.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            shelf.mark_changed();
        }
    }

    /// Forgets what nobody has wanted for long.
    pub(crate) fn sweep(&self, now: Instant) {
        for shelves in self.servers.values() {
            let mut shelves = shelves.write().unwrap_or_else(PoisonError::into_inner);
            shelves.retain(|_, shelf| now.duration_since(shelf.used_at()) < FORGET_AFTER);
        }
    }
}

impl Inner {
    /// One server's list. Fetched if it must be, waited for until `list_deadline`; an old list is better than none.
    pub(crate) async fn list(
        self: &Arc<Self>,
        server: &ServerName,
        kind: Kind,
        asker: &Asker,
    ) -> Result<Arc<List>, UpstreamError> {
        let spec = self.spec(server).ok_or(UpstreamError::NotFound)?;
        let key = ConnectionKey::of(spec, asker.holder());
        let kept = self.catalogue.shelf(server, Keeper::of_owner(&key.owner), key.face, kind).ok_or(UpstreamError::NotFound)?;
        let mut finished = kept.finished();
        let began = Instant::now();
        let deadline = self.settings.list_deadline;
        let mut looked = false;
        loop {
            let now = Instant::now();
            match kept.look(now, self.settings.catalogue_ttl, deadline) {
                Look::Have { list, refresh } => {
                    // Once: a server that is down now keeps its old list.
                    if !std::mem::replace(&mut looked, true) && quarantine::is_lifted(self, server, &list).await {
                        kept.mark_lacking();
                        continue;
                    }
                    if refresh {
                        self.start_fetch(&kept, server, kind, asker, Duration::ZERO);
                    }
                    return Ok(list);
                }
                Look::Failed(error) => return Err(error),
                Look::Wait { start, patience } => {
                    if start {
                        self.start_fetch(&kept, server, kind, asker, patience);
                    }
                    let until = (now + patience).min(began + deadline);
                    if tokio::time::timeout_at(until, finished.changed()).await.is_err() {
                        return kept.give_up().ok_or(UpstreamError::Timeout);
                    }
                }
            }
        }
    }

    /// Fetches in a task of its own: who waits may go, others may be waiting too. The asker waits for `patience`.
    fn start_fetch(self: &Arc<Self>, kept: &Arc<Shelf>, server: &ServerName, kind: Kind, asker: &Asker, patience: Duration) {
        let (hub, kept, server, asker) = (Arc::clone(self), Arc::clone(kept), server.clone(), asker.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            kept.set_out();
            let fetched = fetch::list(&hub, &server, kind, &asker).await;
            let outcome = quarantine::sort(&hub, &server, kind, fetched).await;
            if let Err(error) = &outcome {
                let reason = error.detail().unwrap_or_default();
                tracing::warn!(%server, list = kind.method(), %error, reason, "a server is left out of lists");
            }
            if kept.finish(Instant::now(), outcome) {
                let is_told = began.elapsed() < patience;
                hub.announce_late_list(&server, &asker, kind, is_told);
            }
        });
    }
}
