//! Applies a new configuration of the servers. Connections to servers that it changes or drops
//! leave the pool at once, so that the next caller gets a new one, and close as soon as the calls
//! under way on them have ended. All others stay. How connections begin is next door, in
//! [`super::lifecycle`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use portunus_core::ids::ServerName;
use tokio::time::Instant;

use super::{
    lifecycle::Pool,
    limits::{LimitReached, Permit},
    slot::Slot,
    upstreams::Upstreams,
};
use crate::{
    spec::ServerSpec,
    sync::{locked, write_locked},
    upstream::{connection::Connection, owner::ConnectionKey},
};

/// How long calls under way may go on at an old connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// Within this time a caller that got the connection just before has begun to use it.
const GRACE: Duration = Duration::from_secs(1);
/// How long a new connection waits for the permits of those that are leaving: these stay for
/// [`GRACE`], and their children take a moment to end.
const ROOM_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Upstreams {
    /// Sets how many child processes one person may have.
    pub fn limit_children_per_user(&self, most: usize) {
        self.pool.limits.set_max_share(most);
    }

    /// Sets the servers. Returns at once; connections that leave close in the background.
    pub fn reconfigure(&self, specs: Vec<ServerSpec>) {
        let pool = &self.pool;
        let old = pool.specs.load_full();
        let new = specs.into_iter().map(|spec| {
            let same = old.iter().find(|known| ***known == spec);
            same.map_or_else(|| Arc::new(spec), Arc::clone)
        });
        let new: Vec<_> = new.collect();
        let stays = |spec: &Arc<ServerSpec>| new.iter().any(|other| Arc::ptr_eq(spec, other));
        let left: Vec<ServerName> =
            old.iter().filter(|spec| !stays(spec)).map(|spec| spec.name.clone()).collect();
        let slots: Vec<_> = {
            // Under the lock, so that no caller sees both a new server and an old connection.
            let mut slots = write_locked(&pool.slots);
            pool.specs.store(Arc::new(new));
            slots.extract_if(|key, _| left.contains(&key.server)).collect()
        };
        locked(&pool.known_eras).retain(|server, _| !left.contains(server));
        pool.retiring.fetch_add(slots.len(), Ordering::SeqCst);
        for (key, slot) in slots {
            let retiring = Arc::clone(pool).retire(key, slot);
            pool.tasks.spawn(retiring);
        }
    }
}

/// Counts as one retiring connection, until it is dropped.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pool {
    async fn retire(self: Arc<Self>, key: ConnectionKey, slot: Slot) {
        let _leaving = Leaving(&self.retiring);
        let taken = {
            // A caller may be connecting by the old configuration: the lock waits for it.
            slot.lock().await.vacate()
        };
        let Some(connection) = taken else { return };
        tracing::info!(server = %key.server, "a connection ends: its server's configuration changed");
        self.outlast(&connection).await;
        connection.close("its server's configuration changed").await;
    }

    /// A permit, waited for while retiring connections are about to give theirs back, so that no
    /// other connection is closed for a new configuration.
    pub(super) async fn permit_after_retiring(
        &self,
        key: &ConnectionKey,
        is_child: bool,
    ) -> Result<Permit, LimitReached> {
        let began = Instant::now();
        let mut last_leaving: Option<Instant> = None;
        loop {
            if self.retiring.load(Ordering::SeqCst) > 0 {
                last_leaving = Some(Instant::now());
            }
            match self.limits.take(key, is_child) {
                // The permit of a connection that has left is free as soon as its watcher has seen
                // the end.
                Err(_)
                    if last_leaving.is_some_and(|at| at.elapsed() < GRACE)
                        && began.elapsed() < ROOM_WITHIN =>
                {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits until nothing is under way on the connection, or the time is up.
    async fn outlast(&self, connection: &Connection) {
        let began = Instant::now();
        while began.elapsed() < GRACE || (connection.is_calling() && began.elapsed() < PATIENCE) {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = connection.closed() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}
