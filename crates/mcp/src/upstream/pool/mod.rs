//! The pool: which connection a holder gets, started on first use, one start at a time, backing off after failures (threat F5),
//! closed when idle.

mod options;
mod retire;
mod room;
mod slot;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicUsize},
    time::Duration,
};

use arc_swap::ArcSwap;
use portunus_core::ids::{ServerName, UserId};
use tokio::{sync::OwnedMutexGuard, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::options::Options;
use self::{
    room::{NoRoom, Room, Rooms},
    slot::{Next, Phase, Place, Slot},
};
use super::{Call, Connection, ConnectionKey, Hello, Holder, HttpClient, Owner, Person, UpstreamError, handshake, probe::Met};
use crate::{
    child::Launcher,
    spec::{ServerSpec, Transport},
    sync::locked,
    wire::{Outcome, Payload},
};

/// What is left of a shutdown's time for ending by force.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// How often the record of a session in use is prolonged: more often than any of them expires.
const TOUCH_EVERY: Duration = Duration::from_secs(3600);
/// After so many new slots the stale ones are looked for.
const PURGE_EVERY: usize = 256;

/// All servers behind the gateway. Dropping it closes everything.
pub struct Upstreams {
    pool: Arc<Pool>,
}

struct Pool {
    specs: ArcSwap<Vec<Arc<ServerSpec>>>,
    http: HttpClient,
    options: Options,
    hello: Hello,
    slots: RwLock<HashMap<ConnectionKey, Slot>>,
    rooms: Rooms,
    stopping: CancellationToken,
    tasks: TaskTracker,
    /// Connections on their way out after a new configuration: their room is free soon.
    retiring: AtomicUsize,
    /// What is known of each server's eras.
    met: Mutex<HashMap<ServerName, Met>>,
}

impl Upstreams {
    pub fn new(specs: Vec<ServerSpec>, http: HttpClient, options: Options) -> Self {
        let tasks = TaskTracker::new();
        let hello = Hello {
            tasks: tasks.clone(),
            on_request: Arc::clone(&options.on_request),
            records: options.records.clone(),
            launcher: Arc::default(),
            max_message: options.max_message,
            close_grace: options.close_grace,
            hurry: CancellationToken::new(),
            plain_headers: Arc::default(),
        };
        let pool = Pool {
            specs: ArcSwap::from_pointee(specs.into_iter().map(Arc::new).collect()),
            http,
            hello,
            slots: RwLock::default(),
            rooms: Rooms::new(&options),
            options,
            stopping: CancellationToken::new(),
            tasks,
            retiring: AtomicUsize::new(0),
            met: Mutex::default(),
        };
        Self { pool: Arc::new(pool) }
    }

    /// Children are started by `launcher` from now on. To be said once, before the first of them.
    pub fn supervise(&self, launcher: Launcher) {
        let _ = self.pool.hello.launcher.set(launcher);
    }

    /// The servers, in the order of the configuration.
    pub fn specs(&self) -> Vec<Arc<ServerSpec>> {
        self.pool.specs.load().to_vec()
    }

    /// The live connection that `holder` shares or owns, started if need be. Within a backoff the answer is an error at once.
    pub async fn connection(&self, server: &ServerName, holder: &Holder) -> Result<Arc<Connection>, UpstreamError> {
        loop {
            if self.pool.stopping.is_cancelled() {
                return Err(UpstreamError::closed("the gateway is stopping"));
            }
            let spec = self.pool.spec(server).ok_or(UpstreamError::NotFound)?;
            let key = ConnectionKey::of(&spec, holder);
            let slot = self.pool.slot(&key);
            let mut place = Arc::clone(&slot).lock_owned().await;
            // Configured anew while we waited: whoever did that looks for slots of what was before only once.
            if !self.pool.spec(server).is_some_and(|now| Arc::ptr_eq(&now, &spec)) {
                continue;
            }
            place.replace_spent().await;
            match place.next(&self.pool.options)? {
                Next::Use(connection) => return Ok(connection),
                Next::LookAgain => {}
                Next::Start => {
                    // On a task of its own: a caller that goes away does not undo a start others wait for.
                    let start = Arc::clone(&self.pool).start(spec, key, slot, place, holder.person.clone());
                    let started = self.pool.tasks.spawn(start).await;
                    return started.unwrap_or_else(|_| Err(UpstreamError::closed("the start was broken off")));
                }
            }
        }
    }

    /// Gets the connection and asks. When the server has forgotten the session, which means that it did nothing, asks once more
    /// on a new one.
    pub async fn request(
        &self,
        server: &ServerName,
        holder: &Holder,
        method: &str,
        params: Option<Payload>,
        call: Call,
    ) -> Result<Outcome, UpstreamError> {
        let connection = self.connection(server, holder).await?;
        match connection.request(method, params.clone(), call.clone()).await {
            Err(UpstreamError::SessionExpired) => self.connection(server, holder).await?.request(method, params, call).await,
            answer => answer,
        }
    }

    /// The session is over: connections of its own are closed.
    pub async fn close_session(&self, holder: &Holder) {
        let Some(session) = holder.session.clone() else { return };
        let owner = Owner::Session(holder.user.clone(), holder.client.clone(), session);
        self.take_out(|key| key.owner == owner, async |connection| connection.close("the session ended").await).await;
    }

    /// The user is gone: connections that are the user's alone are closed; their sessions go on elsewhere if they can.
    pub async fn close_user(&self, user: &UserId) {
        let is_theirs = |key: &ConnectionKey| key.owner.user() == Some(user);
        self.take_out(is_theirs, async |connection| connection.hand_over("the user went to another node").await).await;
    }

    /// The server runs at another node now: what everybody shares here is closed.
    pub async fn close_shared(&self, server: &ServerName) {
        let is_meant = |key: &ConnectionKey| key.owner == Owner::Everybody && key.server == *server;
        self.take_out(is_meant, async |connection| connection.give_up().await).await;
    }

    /// The server, if it is one child for everybody.
    pub(crate) fn find_shared_child(&self, server: &ServerName) -> Option<Arc<ServerSpec>> {
        self.pool.spec(server).filter(|spec| spec.is_shared_child())
    }

    pub(crate) fn max_message(&self) -> usize {
        self.pool.options.max_message
    }

    async fn take_out(&self, which: impl Fn(&ConnectionKey) -> bool, end: impl AsyncFn(&Connection)) {
        let keys: Vec<_> = self.pool.read_slots(|slots| slots.keys().filter(|key| which(key)).cloned().collect());
        let end = &end;
        let closing = keys.into_iter().map(|key| async move {
            let Some(slot) = self.pool.read_slots(|slots| slots.get(&key).cloned()) else { return };
            let taken = {
                let mut place = slot.lock().await;
                self.pool.remove(&key, &slot);
                place.vacate()
            };
            if let Some(connection) = taken {
                end(&connection).await;
            }
        });
        futures::future::join_all(closing).await;
    }

    /// Closes everything; returns when every child has ended, or when `deadline` has passed.
    pub async fn shutdown(&self, deadline: Duration) {
        self.pool.stopping.cancel();
        self.pool.tasks.close();
        let last_moment = LAST_MOMENT.min(deadline / 2);
        if tokio::time::timeout(deadline.saturating_sub(last_moment), self.pool.tasks.wait()).await.is_err() {
            tracing::warn!("some servers have not ended in time: killing them");
            self.pool.hello.hurry.cancel();
            let _ = tokio::time::timeout(last_moment, self.pool.tasks.wait()).await;
        }
        if let Some(launcher) = self.pool.hello.launcher.get() {
            launcher.children.settle(last_moment).await;
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.pool.stopping.cancel();
    }
}

impl Pool {
    fn spec(&self, server: &ServerName) -> Option<Arc<ServerSpec>> {
        self.specs.load().iter().find(|spec| spec.name == *server).cloned()
    }

    fn read_slots<T>(&self, read: impl FnOnce(&HashMap<ConnectionKey, Slot>) -> T) -> T {
        read(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn slot(&self, key: &ConnectionKey) -> Slot {
        if let Some(slot) = self.read_slots(|slots| slots.get(key).cloned()) {
            return slot;
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.len() % PURGE_EVERY == PURGE_EVERY - 1 {
            slots.retain(|_, slot| match slot.try_lock() {
                Ok(mut place) if place.is_stale(&self.options) => {
                    place.phase = Phase::Gone;
                    false
                }
                _ => true,
            });
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }

    /// Takes the slot out of the pool, if it is still the one there. The caller holds its lock and empties it.
    fn remove(&self, key: &ConnectionKey, slot: &Slot) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.get(key).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            slots.remove(key);
        }
    }

    async fn start(
        self: Arc<Self>,
        spec: Arc<ServerSpec>,
        key: ConnectionKey,
        slot: Slot,
        mut place: OwnedMutexGuard<Place>,
        person: Person,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let room = self.room(&key, &spec).await?;
        let connecting = self.connect(&key, &spec, &person);
        let connected = tokio::select! {
            connected = connecting => connected,
            () = self.stopping.cancelled() => return Err(UpstreamError::closed("the gateway is stopping")),
        };
        match connected {
            Ok(connection) => {
                let connection = Arc::new(connection);
                tracing::debug!(server = %spec.name, revision = connection.info().protocol_version, "connected to a server");
                place.phase = Phase::Live { connection: Arc::clone(&connection), since: Instant::now() };
                drop(place);
                let watch = Arc::clone(&self).watch(key, slot, Arc::clone(&connection), spec.idle_timeout, room);
                self.tasks.spawn(watch);
                Ok(connection)
            }
            Err(error) => {
                tracing::warn!(server = %spec.name, %error, detail = error.detail(), "could not connect to a server");
                place.failed(error.detail().map_or_else(|| error.to_string(), str::to_owned), &self.options);
                Err(error)
            }
        }
    }

    /// A server that comes to grief over what it is asked first gets a second life, without that question.
    async fn connect(&self, key: &ConnectionKey, spec: &ServerSpec, person: &Person) -> Result<Connection, UpstreamError> {
        let connect = |order| handshake::connect(key.clone(), spec, &self.http, &self.hello, order, person);
        let note = |note: &dyn Fn(&mut Met)| note(locked(&self.met).entry(spec.name.clone()).or_default());
        let met = locked(&self.met).get(&spec.name).copied().unwrap_or_default();
        let order = met.order(key.era, spec.era);
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
                note(&|met| met.answered(order, connection.info().era));
                Ok(connection)
            }
            Err(error) => {
                if is_silent {
                    note(&|met| met.kept_silent(order));
                }
                // No call was made on it yet.
                Err(match error {
                    UpstreamError::Closed { detail } => UpstreamError::Handshake { detail },
                    error => error,
                })
            }
        }
    }

    /// Room for one more, made by closing the longest idle one if there is none: of the person's own, when it is their share that is used up.
    async fn room(&self, key: &ConnectionKey, spec: &ServerSpec) -> Result<Room, UpstreamError> {
        let is_child = matches!(spec.transport, Transport::Stdio { .. });
        let why = match self.room_after_retiring(key, is_child).await {
            Ok(room) => return Ok(room),
            Err(why) => why,
        };
        let whose = room::person(key).filter(|_| why != NoRoom::Pool);
        if self.close_one_idle(is_child && why != NoRoom::ConnectionShare, whose).await {
            // The room of the closed one is free as soon as its watcher has seen the end.
            for _ in 0..100 {
                if let Ok(room) = self.rooms.take(key, is_child) {
                    return Ok(room);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let Some(user) = whose.filter(|_| why == NoRoom::Share) else {
            tracing::warn!(server = %spec.name, ?why, "no room for another connection: raise the limit or shorten the idle time");
            return Err(UpstreamError::TooMany);
        };
        let limit = self.rooms.max_share();
        tracing::warn!(server = %spec.name, %user, limit, "no room for another child of this person: limits.children_per_user");
        Err(UpstreamError::ShareUsedUp { limit })
    }

    /// `whose` are the only ones that may be closed, if there is such a person.
    async fn close_one_idle(&self, is_child: bool, whose: Option<&UserId>) -> bool {
        let is_wanted = |key: &ConnectionKey| {
            let spec = self.spec(&key.server);
            let is_of_kind = !is_child || spec.is_some_and(|spec| matches!(spec.transport, Transport::Stdio { .. }));
            is_of_kind && whose.is_none_or(|user| room::person(key) == Some(user))
        };
        let oldest = self.read_slots(|slots| {
            let idle = slots.iter().filter(|(key, _)| is_wanted(key)).filter_map(|(key, slot)| {
                let place = slot.try_lock().ok()?;
                let Phase::Live { connection, .. } = &place.phase else { return None };
                Some((connection.idle_since()?, key.clone(), Arc::clone(slot)))
            });
            idle.min_by_key(|(since, ..)| *since)
        });
        let Some((_, key, slot)) = oldest else { return false };
        let taken = {
            let Ok(mut place) = slot.try_lock() else { return false };
            self.remove(&key, &slot);
            place.vacate()
        };
        if let Some(connection) = taken {
            tracing::debug!(server = %key.server, "closed an idle connection to make room");
            connection.close("closed to make room").await;
        }
        true
    }

    /// Stays with one connection until it ends.
    async fn watch(self: Arc<Self>, key: ConnectionKey, slot: Slot, connection: Arc<Connection>, idle: Duration, room: Room) {
        let since = Instant::now();
        let mut touch_at = since + TOUCH_EVERY;
        let idle = idle.max(Duration::from_millis(20));
        loop {
            let looked = Instant::now();
            let idle_at = connection.idle_since().unwrap_or(looked) + idle;
            tokio::select! {
                () = connection.closed() => {
                    let mut place = slot.lock().await;
                    if place.holds(&connection) {
                        let reason = connection.close_reason();
                        tracing::warn!(server = %key.server, detail = reason.and_then(UpstreamError::detail), "a connection ended");
                        place.ended(&connection, since.elapsed(), &self.options);
                        // Before somebody else begins another session in this place, and writes that one down.
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
                    let mut place = slot.lock().await;
                    if !place.holds(&connection) {
                        // It left the pool: whoever took it out ends it.
                        drop(place);
                        connection.closed().await;
                        break;
                    }
                    let idle_enough = connection.idle_since().is_some_and(|since| since.elapsed() >= idle);
                    if idle_enough {
                        tracing::debug!(server = %key.server, "closing an idle connection");
                        self.remove(&key, &slot);
                        place.vacate();
                        break;
                    }
                }
            }
        }
        connection.close("closed by the gateway").await;
        drop(room);
    }
}
