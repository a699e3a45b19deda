//! The interface of the pool: connections are looked up, started on first use, and closed. How they
//! live is next door, in [`super::lifecycle`]; a new configuration of the servers, in
//! [`super::retire`].

use std::{
    sync::{Arc, Mutex, RwLock, atomic::AtomicUsize},
    time::Duration,
};

use arc_swap::ArcSwap;
use portunus_core::ids::{ServerName, UserId};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{lifecycle::Pool, limits::ConnectionLimits, options::Options, slot::Next};
use crate::{
    child::Launcher,
    spec::ServerSpec,
    upstream::{
        connect_options::ConnectOptions,
        connection::Connection,
        error::UpstreamError,
        http::HttpClient,
        owner::{ConnectionKey, ConnectionUser, Ending, Owner},
    },
};

/// The part of a shutdown's time that is left for ending children by force.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// All servers behind the gateway. Dropping it closes everything.
pub struct Upstreams {
    pub(super) pool: Arc<Pool>,
}

impl Upstreams {
    pub fn new(specs: Vec<ServerSpec>, http: HttpClient, options: Options) -> Self {
        let tasks = TaskTracker::new();
        let connect_options = ConnectOptions {
            tasks: tasks.clone(),
            on_request: Arc::clone(&options.on_request),
            records: options.records.clone(),
            launcher: Arc::default(),
            max_message: options.max_message,
            close_grace: options.close_grace,
            kill_now: CancellationToken::new(),
            plain_headers: Arc::default(),
        };
        let pool = Pool {
            specs: ArcSwap::from_pointee(specs.into_iter().map(Arc::new).collect()),
            http,
            connect_options,
            slots: RwLock::default(),
            limits: ConnectionLimits::new(&options),
            options,
            stopping: CancellationToken::new(),
            tasks,
            retiring: AtomicUsize::new(0),
            known_eras: Mutex::default(),
            counts: Mutex::default(),
        };
        Self { pool: Arc::new(pool) }
    }

    /// Sets the launcher of children. Called once, before the first child is started.
    pub fn supervise(&self, launcher: Launcher) {
        let _ = self.pool.connect_options.launcher.set(launcher);
    }

    /// The live connection that `connection_user` shares or owns, started if there is none. During
    /// a backoff this is an error at once.
    pub async fn connection(
        &self,
        server: &ServerName,
        connection_user: &ConnectionUser,
    ) -> Result<Arc<Connection>, UpstreamError> {
        loop {
            if self.pool.stopping.is_cancelled() {
                return Err(UpstreamError::closed("the gateway is stopping"));
            }
            let spec = self.pool.spec(server).ok_or(UpstreamError::NotFound)?;
            let key = ConnectionKey::of(&spec, connection_user);
            let slot = self.pool.slot(&key);
            let mut state = Arc::clone(&slot).lock_owned().await;
            // The server was configured anew meanwhile: `reconfigure` looks for slots of the old
            // configuration only once.
            if !self.pool.spec(server).is_some_and(|now| Arc::ptr_eq(&now, &spec)) {
                continue;
            }
            state.replace_spent().await;
            match state.next(&self.pool.options)? {
                Next::Use(connection) => return Ok(connection),
                Next::LookAgain => {}
                Next::Start => {
                    // On a task of its own, so that a caller that goes away does not cancel a start
                    // that others wait for.
                    let start = Arc::clone(&self.pool).start(
                        spec,
                        key,
                        slot,
                        state,
                        connection_user.person.clone(),
                    );
                    let started = self.pool.tasks.spawn(start).await;
                    return started.unwrap_or_else(|_| {
                        Err(UpstreamError::closed("the start was broken off"))
                    });
                }
            }
        }
    }

    /// Closes the connections of a session that is over.
    pub async fn close_session(&self, connection_user: &ConnectionUser) {
        let Some(session) = connection_user.session.clone() else { return };
        let owner =
            Owner::Session(connection_user.user.clone(), connection_user.client.clone(), session);
        self.take_out(
            |key| key.owner == owner,
            async |connection| connection.close("the session ended").await,
        )
        .await;
    }

    /// Closes the connections of a user who moved to another node. Their sessions go on there if
    /// they can.
    pub async fn close_user(&self, user: &UserId) {
        let is_theirs = |key: &ConnectionKey| key.owner.user() == Some(user);
        self.take_out(is_theirs, async |connection| {
            connection.hand_over("the user went to another node").await;
        })
        .await;
    }

    /// Closes the connection that all users share, because the server runs at another node now.
    pub async fn close_shared(&self, server: &ServerName) {
        let is_meant = |key: &ConnectionKey| key.owner == Owner::AllUsers && key.server == *server;
        self.take_out(is_meant, async |connection| connection.give_up().await).await;
    }

    /// Closes these connections and ends their sessions at the servers: calls in flight fail.
    pub async fn end(&self, which: &Ending) {
        self.take_out(
            |key| which.concerns(key),
            async |connection| connection.close("it was disabled").await,
        )
        .await;
    }

    /// The server, if it is one child that all users share.
    pub(crate) fn find_shared_child(&self, server: &ServerName) -> Option<Arc<ServerSpec>> {
        self.pool.spec(server).filter(|spec| spec.is_shared_child())
    }

    pub(crate) fn max_message(&self) -> usize {
        self.pool.options.max_message
    }

    async fn take_out(
        &self,
        which: impl Fn(&ConnectionKey) -> bool,
        end: impl AsyncFn(&Connection),
    ) {
        let keys: Vec<_> =
            self.pool.read_slots(|slots| slots.keys().filter(|key| which(key)).cloned().collect());
        let end = &end;
        let closing = keys.into_iter().map(|key| async move {
            let Some(slot) = self.pool.read_slots(|slots| slots.get(&key).cloned()) else { return };
            let taken = {
                let mut state = slot.lock().await;
                self.pool.remove(&key, &slot);
                state.vacate()
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
        if tokio::time::timeout(deadline.saturating_sub(last_moment), self.pool.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some servers have not ended in time: killing them");
            self.pool.connect_options.kill_now.cancel();
            let _ = tokio::time::timeout(last_moment, self.pool.tasks.wait()).await;
        }
        if let Some(launcher) = self.pool.connect_options.launcher.get() {
            launcher.children.settle(last_moment).await;
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.pool.stopping.cancel();
    }
}
