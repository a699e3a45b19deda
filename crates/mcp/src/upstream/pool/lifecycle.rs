//! The life of a connection in the pool: started once at a time, with a backoff after failures
//! (threat F5), watched until its end, closed when idle or to make room. The limits are next door,
//! in [`super::limits`]; the slot of one connection, in [`super::slot`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, RwLock, atomic::AtomicUsize},
    time::Duration,
};

use arc_swap::ArcSwap;
use portunus_core::ids::{ServerName, UserId};
use tokio::{sync::OwnedMutexGuard, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    counts::ConnectionCounts,
    limits::{ConnectionLimits, LimitReached, Permit},
    options::Options,
    slot::{Phase, Slot, SlotState},
};
use crate::{
    hash::FastMap,
    spec::{ServerSpec, Transport},
    sync::{locked, read_locked, write_locked},
    upstream::{
        connect,
        connect_options::ConnectOptions,
        connection::Connection,
        error::UpstreamError,
        http::HttpClient,
        owner::{ConnectionKey, Person},
        probe::KnownEras,
    },
};

/// How often the record of a session in use is prolonged, which is well before it expires.
const TOUCH_EVERY: Duration = Duration::from_secs(3600);
/// Stale slots are removed after so many new ones.
const PURGE_EVERY: usize = 256;

pub(super) struct Pool {
    pub(super) specs: ArcSwap<Vec<Arc<ServerSpec>>>,
    pub(super) http: HttpClient,
    pub(super) options: Options,
    pub(super) connect_options: ConnectOptions,
    pub(super) slots: RwLock<FastMap<ConnectionKey, Slot>>,
    pub(super) limits: ConnectionLimits,
    pub(super) stopping: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// How many connections are about to close after a new configuration and will give their
    /// permits back.
    pub(super) retiring: AtomicUsize,
    /// The eras that each server is known to have.
    pub(super) known_eras: Mutex<HashMap<ServerName, KnownEras>>,
    /// How their connections went.
    pub(super) counts: Mutex<HashMap<ServerName, ConnectionCounts>>,
}

impl Pool {
    pub(super) fn spec(&self, server: &ServerName) -> Option<Arc<ServerSpec>> {
        self.specs.load().iter().find(|spec| spec.name == *server).cloned()
    }

    fn count(&self, server: &ServerName, note: impl FnOnce(&mut ConnectionCounts)) {
        note(locked(&self.counts).entry(server.clone()).or_default());
    }

    pub(super) fn read_slots<T>(&self, read: impl FnOnce(&FastMap<ConnectionKey, Slot>) -> T) -> T {
        read(&read_locked(&self.slots))
    }

    pub(super) fn slot(&self, key: &ConnectionKey) -> Slot {
        if let Some(slot) = self.read_slots(|slots| slots.get(key).cloned()) {
            return slot;
        }
        let mut slots = write_locked(&self.slots);
        if slots.len() % PURGE_EVERY == PURGE_EVERY - 1 {
            slots.retain(|_, slot| match slot.try_lock() {
                Ok(mut state) if state.is_stale(&self.options) => {
                    state.phase = Phase::Gone;
                    false
                }
                _ => true,
            });
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }

    /// Removes the slot from the pool, if it is still the current one. The caller holds its lock
    /// and empties it.
    pub(super) fn remove(&self, key: &ConnectionKey, slot: &Slot) {
        let mut slots = write_locked(&self.slots);
        if slots.get(key).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            slots.remove(key);
        }
    }

    pub(super) async fn start(
        self: Arc<Self>,
        spec: Arc<ServerSpec>,
        key: ConnectionKey,
        slot: Slot,
        mut state: OwnedMutexGuard<SlotState>,
        person: Person,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let permit = self.permit(&key, &spec).await?;
        let connecting = self.connect(&key, &spec, &person);
        let connected = tokio::select! {
            connected = connecting => connected,
            () = self.stopping.cancelled() => return Err(UpstreamError::closed("the gateway is stopping")),
        };
        match connected {
            Ok(connection) => {
                let connection = Arc::new(connection);
                self.count(&spec.name, |counts| counts.started += 1);
                tracing::debug!(server = %spec.name, revision = connection.info().protocol_version, "connected to a server");
                state.phase =
                    Phase::Live { connection: Arc::clone(&connection), since: Instant::now() };
                drop(state);
                let watch = Arc::clone(&self).watch(
                    key,
                    slot,
                    Arc::clone(&connection),
                    spec.idle_timeout,
                    permit,
                );
                self.tasks.spawn(watch);
                Ok(connection)
            }
            Err(error) => {
                self.count(&spec.name, |counts| counts.failed += 1);
                tracing::warn!(server = %spec.name, %error, detail = error.detail(), "could not connect to a server");
                state.note_failure(
                    error.detail().map_or_else(|| error.to_string(), str::to_owned),
                    &self.options,
                );
                Err(error)
            }
        }
    }

    /// Connects to the server. One that fails over the first question is started once more, with
    /// the other question alone.
    async fn connect(
        &self,
        key: &ConnectionKey,
        spec: &ServerSpec,
        person: &Person,
    ) -> Result<Connection, UpstreamError> {
        let connect = |order| {
            connect::connect(key.clone(), spec, &self.http, &self.connect_options, order, person)
        };
        let note = |note: &dyn Fn(&mut KnownEras)| {
            note(locked(&self.known_eras).entry(spec.name.clone()).or_default());
        };
        let known = locked(&self.known_eras).get(&spec.name).copied().unwrap_or_default();
        let order = known.order(key.era, spec.era);
        let began = Instant::now();
        let connected = connect(order).await;
        let is_silent = began.elapsed() >= spec.connect_timeout;
        let again = connected.as_ref().err().and_then(|error| order.again(error, is_silent));
        let connected = match (connected, again) {
            (Err(error), Some(again)) => {
                tracing::debug!(server = %spec.name, %error, detail = error.detail(), "once more, with the other question alone");
                connect(again).await
            }
            (connected, _) => connected,
        };
        match connected {
            Ok(connection) => {
                note(&|known| known.note_answer(order, connection.info().era));
                Ok(connection)
            }
            Err(error) => {
                if is_silent {
                    note(&|known| known.note_silence(order));
                }
                // No call was made on the connection yet.
                Err(match error {
                    UpstreamError::Closed { detail } => UpstreamError::Handshake { detail },
                    error => error,
                })
            }
        }
    }

    /// A permit for one more connection. If there is none, the connection that is idle the longest
    /// is closed: one of the person's own, when it is the person's share that is used up.
    async fn permit(
        &self,
        key: &ConnectionKey,
        spec: &ServerSpec,
    ) -> Result<Permit, UpstreamError> {
        let is_child = matches!(spec.transport, Transport::Stdio { .. });
        let why = match self.permit_after_retiring(key, is_child).await {
            Ok(permit) => return Ok(permit),
            Err(why) => why,
        };
        let whose = key.owner.user().filter(|_| why != LimitReached::Pool);
        if self.close_one_idle(is_child && why != LimitReached::ConnectionShare, whose).await {
            // The permit of a closed connection is free as soon as its watcher has seen the end.
            for _ in 0..100 {
                if let Ok(permit) = self.limits.take(key, is_child) {
                    return Ok(permit);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let Some(user) = whose.filter(|_| why == LimitReached::Share) else {
            tracing::warn!(server = %spec.name, ?why, "no room for another connection: raise the limit or shorten the idle time");
            return Err(UpstreamError::TooMany);
        };
        let limit = self.limits.max_share();
        tracing::warn!(server = %spec.name, %user, limit, "no room for another child of this person: limits.children_per_user");
        Err(UpstreamError::ShareUsedUp { limit })
    }

    /// Closes the connection that is idle the longest; with `whose`, the longest idle one of that
    /// person. `false`: there is none.
    async fn close_one_idle(&self, is_child: bool, whose: Option<&UserId>) -> bool {
        let is_wanted = |key: &ConnectionKey| {
            let spec = self.spec(&key.server);
            let is_of_kind = !is_child
                || spec.is_some_and(|spec| matches!(spec.transport, Transport::Stdio { .. }));
            is_of_kind && whose.is_none_or(|user| key.owner.user() == Some(user))
        };
        let oldest = self.read_slots(|slots| {
            let idle = slots.iter().filter(|(key, _)| is_wanted(key)).filter_map(|(key, slot)| {
                let state = slot.try_lock().ok()?;
                let Phase::Live { connection, .. } = &state.phase else { return None };
                Some((connection.idle_since()?, key.clone(), Arc::clone(slot)))
            });
            idle.min_by_key(|(since, ..)| *since)
        });
        let Some((_, key, slot)) = oldest else { return false };
        let taken = {
            let Ok(mut state) = slot.try_lock() else { return false };
            self.remove(&key, &slot);
            state.vacate()
        };
        if let Some(connection) = taken {
            tracing::debug!(server = %key.server, "closed an idle connection to make room");
            connection.close("closed to make room").await;
        }
        true
    }

    /// Watches one connection until its end.
    async fn watch(
        self: Arc<Self>,
        key: ConnectionKey,
        slot: Slot,
        connection: Arc<Connection>,
        idle: Duration,
        permit: Permit,
    ) {
        let since = Instant::now();
        let mut touch_at = since + TOUCH_EVERY;
        let idle = idle.max(Duration::from_millis(20));
        loop {
            let looked = Instant::now();
            let idle_at = connection.idle_since().unwrap_or(looked) + idle;
            tokio::select! {
                () = connection.closed() => {
                    let mut state = slot.lock().await;
                    if state.holds(&connection) {
                        let reason = connection.close_reason();
                        tracing::warn!(server = %key.server, detail = reason.and_then(UpstreamError::detail), "a connection ended");
                        self.count(&key.server, |counts| counts.lost += 1);
                        state.note_end(&connection, since.elapsed(), &self.options);
                        // Before another session can begin in this slot, and be stored.
                        connection.forget_record().await;
                    }
                    break;
                }
                () = self.stopping.cancelled() => {
                    connection.hand_over("the gateway is stopping").await;
                    break;
                }
                () = tokio::time::sleep_until(touch_at) => {
                    touch_at = Instant::now() + TOUCH_EVERY;
                    connection.touch_record().await;
                }
                () = tokio::time::sleep_until(idle_at) => {
                    let mut state = slot.lock().await;
                    if !state.holds(&connection) {
                        // It left the pool: the code that removed it closes it.
                        drop(state);
                        connection.closed().await;
                        break;
                    }
                    let idle_enough = connection.idle_since().is_some_and(|since| since.elapsed() >= idle);
                    if idle_enough {
                        tracing::debug!(server = %key.server, "closing an idle connection");
                        self.remove(&key, &slot);
                        state.vacate();
                        break;
                    }
                }
            }
        }
        connection.close("closed by the gateway").await;
        drop(permit);
    }
}
