//! The lists of servers, answered from what is kept of them. Answering wakes no child process,
//! unless the server wants its list fetched again; a fetch, when there must be one, is made once
//! for all who wait. Where a list is kept is [`crate::registry::catalogue`]'s business, how long it
//! is good [`crate::registry::list_cache`]'s.

use std::{sync::Arc, time::Duration};

use portunus_core::ids::ServerName;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{fetch, odd_names::OddNames, quarantine};
use crate::{
    connections::Connections,
    registry::{
        Entry,
        catalogue::{Shown, Slot},
        kind::Kind,
        list::List,
        list_cache::{Look, Need},
    },
    session::requester::Requester,
    settings::HubSettings,
    upstream::{ConnectionKey, Owner, UpstreamError},
};

/// One kind of list of every server that may be known of, in order.
pub(crate) type ServerLists = Vec<(ServerName, Result<Arc<List>, UpstreamError>)>;

/// Finds lists and keeps them as good as their servers want.
pub(crate) struct Lists {
    pub(crate) connections: Arc<Connections>,
    pub(crate) settings: Arc<HubSettings>,
    pub(crate) odd_names: OddNames,
}

impl Lists {
    pub(crate) fn new(connections: Arc<Connections>, settings: Arc<HubSettings>) -> Self {
        Self { connections, settings, odd_names: OddNames::default() }
    }

    /// One server's list, to look something up in it. Fetched if it must be, waited for until
    /// `list_deadline`; an old list is better than none.
    pub(crate) async fn of_server(
        self: &Arc<Self>,
        server: &ServerName,
        kind: Kind,
        requester: &Requester,
    ) -> Result<Arc<List>, UpstreamError> {
        self.look_up(Need::Find, server, kind, requester).await.map(|shown| shown.list)
    }

    /// The same, for what the list lacked when it was looked at last: as new as this moment, or
    /// nearly.
    pub(crate) async fn of_server_anew(
        self: &Arc<Self>,
        server: &ServerName,
        kind: Kind,
        requester: &Requester,
    ) -> Result<Arc<List>, UpstreamError> {
        let need = Need::Lacking(Instant::now());
        self.look_up(need, server, kind, requester).await.map(|shown| shown.list)
    }

    /// The same, to be shown: as new as the server wants it.
    pub(crate) async fn of_server_to_show(
        self: &Arc<Self>,
        server: &ServerName,
        kind: Kind,
        requester: &Requester,
    ) -> Result<Shown, UpstreamError> {
        self.look_up(Need::Show(Instant::now()), server, kind, requester).await
    }

    async fn look_up(
        self: &Arc<Self>,
        need: Need,
        server: &ServerName,
        kind: Kind,
        requester: &Requester,
    ) -> Result<Shown, UpstreamError> {
        let entry = self.connections.registry.find(server).ok_or(UpstreamError::NotFound)?;
        let connection = ConnectionKey::of(&entry.spec, requester.connection_user());
        let began = Instant::now();
        let deadline = self.settings.list_deadline;
        let mut looked = false;
        loop {
            // Found anew each time: it may have turned out to be one client's own.
            let slot = entry.lists.slot(&connection, kind, requester);
            let mut finished = slot.list_cache.finished();
            let now = Instant::now();
            match slot.list_cache.look(now, need, self.settings.catalogue_ttl, deadline) {
                Look::Have { list, refresh, good_for } => {
                    // Once: a server that is down now keeps its old list.
                    if !std::mem::replace(&mut looked, true)
                        && quarantine::is_lifted(&*self.settings.pins, server, kind, &list).await
                    {
                        slot.list_cache.mark_lacking();
                        continue;
                    }
                    if refresh {
                        self.start_fetch(&entry, slot, &connection, requester, Duration::ZERO);
                    }
                    return Ok(Shown { list, good_for });
                }
                Look::Failed(error) => return Err(error),
                Look::Wait { start, patience } => {
                    let until = (now + patience).min(began + deadline);
                    let waited_at = Arc::clone(&slot.list_cache);
                    if start {
                        self.start_fetch(&entry, slot, &connection, requester, patience);
                    }
                    if tokio::time::timeout_at(until, finished.changed()).await.is_err() {
                        let old = waited_at.give_up().ok_or(UpstreamError::Timeout)?;
                        return Ok(Shown { list: old, good_for: Some(Duration::ZERO) });
                    }
                }
            }
        }
    }

    /// Fetches in a task of its own: who waits may go, others may be waiting too. The requester
    /// waits for `patience`.
    fn start_fetch(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        slot: Slot,
        connection: &ConnectionKey,
        requester: &Requester,
        patience: Duration,
    ) {
        let (lists, entry, connection, requester) =
            (Arc::clone(self), Arc::clone(entry), connection.clone(), requester.clone());
        let fetching = async move {
            let began = Instant::now();
            slot.list_cache.set_out();
            let (server, kind) = (&slot.server, slot.kind());
            let fetched =
                fetch::list(&lists.connections, &lists.settings, server, kind, &requester).await;
            let (fetched, keeping) = match fetched {
                Ok((list, keeping)) => (Ok(list), Some(keeping)),
                Err(error) => (Err(error), None),
            };
            let outcome = quarantine::sort(&*lists.settings.pins, server, kind, fetched).await;
            if let Err(error) = &outcome {
                let reason = error.detail().unwrap_or_default();
                tracing::warn!(%server, list = kind.method(), %error, reason, "a server is left out of lists");
            }
            let settled =
                keeping.filter(|_| connection.owner == Owner::AllUsers).and_then(|keeping| {
                    entry.lists.settle(&slot, keeping.is_private, &connection, &requester)
                });
            let kept = settled.as_ref().unwrap_or(&slot);
            if kept.list_cache.finish(
                Instant::now(),
                outcome,
                keeping.and_then(|keeping| keeping.fresh_for),
            ) {
                let is_told = began.elapsed() < patience;
                lists.connections.delivery.announce_late_list(
                    server,
                    &requester,
                    kind,
                    &kept.owner,
                    is_told,
                );
            }
            if settled.is_some() {
                if slot.list_cache.is_changed() {
                    kept.list_cache.mark_changed();
                }
                slot.list_cache.clear();
            }
        };
        tokio::spawn(fetching.in_current_span());
    }

    /// All at once: none waits for another.
    pub(crate) async fn of_servers(
        self: &Arc<Self>,
        servers: Vec<ServerName>,
        kind: Kind,
        requester: &Requester,
    ) -> ServerLists {
        let lists = futures::future::join_all(
            servers.iter().map(|server| self.of_server(server, kind, requester)),
        )
        .await;
        servers.into_iter().zip(lists).collect()
    }

    /// The same, to be shown; and how long all of it is good, as far as servers say so. A list that
    /// is missing may come at any time.
    pub(crate) async fn of_servers_to_show(
        self: &Arc<Self>,
        servers: Vec<ServerName>,
        kind: Kind,
        requester: &Requester,
    ) -> (ServerLists, Option<Duration>) {
        let shown = servers.iter().map(|server| self.of_server_to_show(server, kind, requester));
        let shown = futures::future::join_all(shown).await;
        let good_for = |shown: &Result<Shown, _>| {
            shown.as_ref().map_or(Some(Duration::ZERO), |shown| shown.good_for)
        };
        let least = shown.iter().filter_map(good_for).min();
        (
            servers
                .into_iter()
                .zip(shown.into_iter().map(|shown| shown.map(|shown| shown.list)))
                .collect(),
            least,
        )
    }
}
