//! Where everything that happens is told. Telling costs an atomic addition and a push: the records
//! are made, hashed and written by [`super::writer`]. The queue is bounded in bytes; what is done
//! when it is full is [`OnFull`]'s.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portunus_core::{
    Clock,
    audit::{AuditKeys, Entry, Event, Origin, Person},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::targets::{TargetCounts, Targets};
use crate::{
    config::{AuditConfig, OnFull},
    metrics::Metrics,
};

/// Bytes of events that may wait for the store. Requests under way when it is reached may tell as
/// much again.
pub(super) const QUEUE: usize = 8 * 1024 * 1024;
/// How long a request waits for room before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// There is no room for what a request would have to record.
#[derive(Clone, Copy, Debug)]
pub struct Full;

/// What the writer takes.
pub(super) enum Queued {
    Event {
        entry: Box<Entry>,
        size: usize,
    },
    /// These sign from now on.
    Keys(AuditKeys),
    /// Everything before is written, then the chain is closed; the sender hears of it.
    Stop(oneshot::Sender<()>),
}

/// The log. All clones share it.
#[derive(Clone)]
pub struct AuditLog {
    /// `None`: nothing is recorded.
    shared: Option<Arc<Shared>>,
    /// Counts what is told, recorded or not.
    metrics: Option<Metrics>,
    /// What goes on without who asked for it, and may tell something until it ends.
    tasks: TaskTracker,
}

struct Shared {
    queue: mpsc::UnboundedSender<Queued>,
    level: Arc<Level>,
    targets: Targets,
    clock: Arc<dyn Clock>,
}

/// Figures of the trail since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCounts {
    /// Bytes of events that wait for the store.
    pub waiting_bytes: usize,
    /// Events that the store has.
    pub written: u64,
    /// Events that found no room.
    pub dropped: u64,
    /// Requests that were refused, since what they do could not be recorded.
    pub refused: u64,
    /// The number of the newest record that the store has in this gateway's chain.
    pub position: u64,
    pub targets: Vec<TargetCounts>,
}

/// How full the queue is, as both ends know it.
pub(super) struct Level {
    waiting: AtomicUsize,
    /// Since this was last recorded.
    dropped: AtomicU64,
    dropped_ever: AtomicU64,
    written_ever: AtomicU64,
    refused_ever: AtomicU64,
    position: AtomicU64,
    room: Notify,
    refuses: bool,
    bound: usize,
}

impl Level {
    fn new(on_full: OnFull, bound: usize) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            dropped_ever: AtomicU64::new(0),
            written_ever: AtomicU64::new(0),
            refused_ever: AtomicU64::new(0),
            position: AtomicU64::new(0),
            room: Notify::new(),
            refuses: on_full == OnFull::Refuse,
            bound,
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= self.bound
    }

    /// So many events are written: they need no room any more.
    pub(super) fn written(&self, count: u64, size: usize) {
        self.written_ever.fetch_add(count, Ordering::Relaxed);
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        if !self.is_full() {
            self.room.notify_waiters();
        }
    }

    /// The store has the chain up to this record.
    pub(super) fn came_to(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }

    /// The writer has ended, and so does the gateway.
    fn came_too_late(&self, size: usize) {
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        self.dropped_ever.fetch_add(1, Ordering::Relaxed);
        tracing::error!("an audit event came when the trail had ended, and is not recorded");
    }

    /// How many were dropped since the last time.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// The other end of the queue.
pub struct QueueEnd {
    pub(super) queue: mpsc::UnboundedReceiver<Queued>,
    pub(super) level: Arc<Level>,
    pub(super) targets: Targets,
}

impl QueueEnd {
    /// Takes nothing more.
    pub(super) fn end(&mut self) {
        self.queue.close();
        while let Ok(queued) = self.queue.try_recv() {
            if let Queued::Event { size, .. } = queued {
                self.level.came_too_late(size);
            }
        }
    }
}

impl AuditLog {
    /// A log, and the end for its writer. `None` if nothing is recorded.
    pub fn new(config: &AuditConfig, clock: Arc<dyn Clock>) -> (Self, Option<QueueEnd>) {
        Self::with_bound(config, clock, QUEUE)
    }

    pub(super) fn with_bound(
        config: &AuditConfig,
        clock: Arc<dyn Clock>,
        bound: usize,
    ) -> (Self, Option<QueueEnd>) {
        if !config.enabled {
            return (Self::off(), None);
        }
        let (sender, queue) = mpsc::unbounded_channel();
        let level = Arc::new(Level::new(config.on_full, bound));
        let targets = Targets::new(config);
        let shared =
            Shared { queue: sender, level: Arc::clone(&level), targets: targets.clone(), clock };
        let log = Self { shared: Some(Arc::new(shared)), ..Self::off() };
        (log, Some(QueueEnd { queue, level, targets }))
    }

    /// The same log; `metrics` counts what it is told.
    #[must_use]
    pub fn counted_by(self, metrics: Metrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// Records nothing.
    pub fn off() -> Self {
        Self { shared: None, metrics: None, tasks: TaskTracker::new() }
    }

    pub const fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Bytes of events that wait for the store.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.level.waiting.load(Ordering::Relaxed))
    }

    /// How many found no room since the gateway began.
    pub fn dropped(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.level.dropped_ever.load(Ordering::Relaxed))
    }

    /// What can be counted, for metrics.
    pub fn counts(&self) -> AuditCounts {
        let Some(Shared { targets, level, .. }) = self.shared.as_deref() else {
            return AuditCounts::default();
        };
        AuditCounts {
            waiting_bytes: self.waiting_bytes(),
            written: level.written_ever.load(Ordering::Relaxed),
            dropped: self.dropped(),
            refused: level.refused_ever.load(Ordering::Relaxed),
            position: level.position.load(Ordering::Relaxed),
            targets: targets.counts(),
        }
    }

    /// These keys sign from now on.
    pub fn change_keys(&self, keys: AuditKeys) {
        if let Some(shared) = &self.shared {
            // Without a writer there is nothing to sign.
            let _ = shared.queue.send(Queued::Keys(keys));
        }
    }

    /// May a request begin that will have to record something? Waits for room first.
    pub async fn admit(&self) -> Result<(), Full> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let level = &shared.level;
        if !level.is_full() || !level.refuses {
            return Ok(());
        }
        let room = async {
            loop {
                let told = level.room.notified();
                if !level.is_full() {
                    return;
                }
                told.await;
            }
        };
        tokio::time::timeout(PATIENCE, room).await.map_err(|_| {
            level.refused_ever.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                "a request is refused: the store does not take the audit records (audit.on_full)"
            );
            Full
        })
    }

    pub fn record(&self, person: Person, origin: Origin, event: Event) {
        if let Some(metrics) = &self.metrics {
            metrics.event(&event);
        }
        let Some(Shared { queue, level, clock, .. }) = self.shared.as_deref() else { return };
        // Bounded first: what waits is what is counted.
        let mut entry = Entry { at: clock.now(), person, origin, event }.bounded();
        let size = entry.size();
        let most = if level.refuses { 2 * level.bound } else { level.bound };
        if level.waiting.fetch_add(size, Ordering::Relaxed) + size > most {
            level.waiting.fetch_sub(size, Ordering::Relaxed);
            level.dropped_ever.fetch_add(1, Ordering::Relaxed);
            if level.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!(
                    "audit events are dropped: the store does not take them; how many is recorded when it does"
                );
            }
            return;
        }
        if queue.send(Queued::Event { entry: Box::new(entry), size }).is_err() {
            level.came_too_late(size);
        }
    }

    /// Does this in a task of its own, which goes on when who asked for it is gone: what it tells
    /// is waited for by [`Self::all_told`].
    pub fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn(work.in_current_span())
    }

    /// Until what is seen through has ended, or `patience` is over. Goes before [`Self::stop`]:
    /// what is told after that is lost.
    pub async fn all_told(&self, patience: Duration) {
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len(),
                "what requests began did not end in time: what it does after this is not in the audit trail"
            );
        }
    }

    /// Has everything written and the chain closed; gives up when `patience` is over.
    pub async fn stop(&self, patience: Duration) {
        let Some(shared) = &self.shared else { return };
        let (done, is_done) = oneshot::channel();
        if shared.queue.send(Queued::Stop(done)).is_ok()
            && tokio::time::timeout(patience, is_done).await.is_err()
        {
            tracing::error!("the last audit records could not be written in time");
        }
    }
}
