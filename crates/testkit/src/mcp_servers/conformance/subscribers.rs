//! Who wants to hear of changes: sessions of legacy clients with the resources they subscribed to,
//! and listen streams of modern ones. Who causes a change is in [`super::tools`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmcp::{
    Peer, RoleServer, ServiceError,
    model::ResourceUpdatedNotificationParam,
    service::{SubscriptionSendError, SubscriptionSink},
};
use tokio::sync::watch;

/// What changed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Tools,
    Prompts,
    /// The resource with this URI.
    Resource(String),
}

#[derive(Debug, Default)]
pub(super) struct Subscribers {
    numbers: AtomicU64,
    /// How many listen streams are being acknowledged. rmcp does that before it hands the stream
    /// over, and a client may cause a change as soon as it has the acknowledgment: [`Self::tell`]
    /// waits for these streams to be there.
    opening: watch::Sender<usize>,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    sessions: BTreeMap<u64, Session>,
    streams: BTreeMap<u64, SubscriptionSink>,
}

#[derive(Debug)]
struct Session {
    peer: Peer<RoleServer>,
    uris: BTreeSet<String>,
}

impl Subscribers {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_session(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// From now on the session hears of changed lists.
    pub(super) fn add_session(&self, session: u64, peer: Peer<RoleServer>) {
        self.listeners()
            .sessions
            .entry(session)
            .or_insert_with(|| Session { peer, uris: BTreeSet::new() });
    }

    pub(super) fn subscribe(&self, session: u64, peer: Peer<RoleServer>, uri: String) {
        let mut listeners = self.listeners();
        let entry = listeners
            .sessions
            .entry(session)
            .or_insert_with(|| Session { peer, uris: BTreeSet::new() });
        entry.uris.insert(uri);
    }

    pub(super) fn unsubscribe(&self, session: u64, uri: &str) {
        if let Some(session) = self.listeners().sessions.get_mut(&session) {
            session.uris.remove(uri);
        }
    }

    /// A stream is about to be acknowledged.
    pub(super) fn stream_opens(&self) {
        self.opening.send_modify(|opening| *opening += 1);
    }

    /// It was handed over, or never will be.
    pub(super) fn stream_opened(&self) {
        self.opening.send_modify(|opening| *opening = opening.saturating_sub(1));
    }

    /// Returns what [`Self::remove_stream`] wants to know.
    pub(super) fn add_stream(&self, sink: SubscriptionSink) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        self.listeners().streams.insert(number, sink);
        number
    }

    pub(super) fn remove_stream(&self, number: u64) {
        self.listeners().streams.remove(&number);
    }

    /// Tells every session and stream that asked for it, and forgets those that are gone. Returns
    /// how many were told.
    pub(super) async fn tell(&self, change: &Change) -> usize {
        let mut opening = self.opening.subscribe();
        // Past that time a stream has broken while it was opened.
        let _ =
            tokio::time::timeout(Duration::from_secs(1), opening.wait_for(|opening| *opening == 0))
                .await;
        let mut told = 0;
        for (number, peer) in self.sessions_for(change) {
            match tell_session(&peer, change).await {
                Ok(()) => told += 1,
                Err(_) => drop(self.listeners().sessions.remove(&number)),
            }
        }
        for (number, sink) in self.streams() {
            match tell_stream(&sink, change).await {
                Ok(()) => told += 1,
                Err(SubscriptionSendError::NotificationNotAccepted(_)) => {}
                Err(_) => self.remove_stream(number),
            }
        }
        told
    }

    /// A copy, so that nothing is locked while messages are on their way.
    fn sessions_for(&self, change: &Change) -> Vec<(u64, Peer<RoleServer>)> {
        let wants = |session: &Session| match change {
            Change::Resource(uri) => session.uris.contains(uri),
            Change::Tools | Change::Prompts => true,
        };
        let listeners = self.listeners();
        let sessions = listeners.sessions.iter().filter(|(_, session)| wants(session));
        sessions.map(|(number, session)| (*number, session.peer.clone())).collect()
    }

    /// A copy as well. Each stream knows itself what it lets through.
    fn streams(&self) -> Vec<(u64, SubscriptionSink)> {
        self.listeners().streams.iter().map(|(number, sink)| (*number, sink.clone())).collect()
    }
}

async fn tell_session(peer: &Peer<RoleServer>, change: &Change) -> Result<(), ServiceError> {
    match change {
        Change::Tools => peer.notify_tool_list_changed().await,
        Change::Prompts => peer.notify_prompt_list_changed().await,
        Change::Resource(uri) => {
            peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri.clone())).await
        }
    }
}

async fn tell_stream(
    sink: &SubscriptionSink,
    change: &Change,
) -> Result<(), SubscriptionSendError> {
    match change {
        Change::Tools => sink.notify_tool_list_changed().await,
        Change::Prompts => sink.notify_prompt_list_changed().await,
        Change::Resource(uri) => sink.notify_resource_updated(uri.clone()).await,
    }
}
