//! The one task that writes: takes what has queued up, makes records of it, and gives them to the
//! store in one step; the next batch is what came meanwhile. While the store does not take them,
//! the queue fills ([`super::log`]).

use std::{sync::Arc, time::Duration};

use portunus_core::{
    Clock, Entropy,
    audit::{AuditKeys, ChainedRecord, Entry, Event},
    ids::NodeId,
    store::{AuditStore, StoreError},
};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::{
    chain::{ChainEnd, Expired, Writing, own},
    log::{QueueEnd, Queued},
    sink::Sink,
};
use crate::config::AuditConfig;

/// Events that are written in one step.
const BATCH: usize = 512;
/// How long a batch waits for more.
const LINGER: Duration = Duration::from_millis(10);
/// A checkpoint follows records after this long.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);
/// How often old records are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);
/// Steps of deleting at a time: what happens meanwhile is written between them.
const EXPIRE_STEPS: usize = 10;
/// How soon it is gone on with.
const EXPIRE_NEXT: Duration = Duration::from_millis(100);
/// How long the store is left alone after it failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What a writer works with.
pub struct WriterParts {
    pub store: Arc<dyn AuditStore>,
    pub keys: AuditKeys,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub node: NodeId,
    /// No other gateway writes to the store.
    pub is_alone: bool,
}

/// A writer with its chain open.
pub struct AuditWriter {
    queue: QueueEnd,
    end: ChainEnd,
    clock: Arc<dyn Clock>,
    sink: Option<Sink>,
    keep: Option<Duration>,
}

impl AuditWriter {
    /// Takes up the chain of the last run, or begins one.
    pub async fn open(
        queue: QueueEnd,
        parts: WriterParts,
        config: &AuditConfig,
    ) -> Result<Self, StoreError> {
        let WriterParts { store, keys, clock, entropy, node, is_alone } = parts;
        let writing = Writing { store, keys, entropy, node, writer: "gateway", is_alone };
        let (end, started) = ChainEnd::open(writing, clock.now()).await?;
        let mut opened = Self { queue, end, clock, sink: Sink::new(config), keep: config.keep };
        opened.copy(&started);
        Ok(opened)
    }

    pub fn spawn(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(mut self) {
        let mut checkpoint = tokio::time::interval(CHECKPOINT_AFTER);
        let mut expire = tokio::time::interval_at(Instant::now() + CHECKPOINT_AFTER, EXPIRE_EVERY);
        let mut events = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                taken = self.queue.queue.recv_many(&mut events, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    self.gather(&mut events).await;
                    if let Some(done) = self.write(&mut events).await {
                        self.close().await;
                        let _ = done.send(());
                        return;
                    }
                }
                _ = checkpoint.tick() => {
                    if self.end.is_unvouched() {
                        let now = self.clock.now();
                        match self.end.checkpoint(now).await {
                            Ok(records) => self.copy(&records),
                            Err(error) => tracing::warn!(%error, "no checkpoint of the audit records"),
                        }
                    }
                }
                _ = expire.tick() => {
                    if self.expire().await {
                        expire.reset_after(EXPIRE_NEXT);
                    }
                }
            }
        }
    }

    /// Waits a moment for more, so that few calls are not one write to the disk each.
    async fn gather(&mut self, events: &mut Vec<Queued>) {
        if events.len() >= BATCH {
            return;
        }
        tokio::time::sleep(LINGER).await;
        while events.len() < BATCH
            && let Ok(event) = self.queue.queue.try_recv()
        {
            events.push(event);
        }
    }

    /// Writes what was taken out of the queue; if it was told to stop, tells whom.
    async fn write(&mut self, events: &mut Vec<Queued>) -> Option<oneshot::Sender<()>> {
        let (mut entries, mut sizes, mut stop) = (Vec::with_capacity(events.len()), 0, None);
        for event in events.drain(..) {
            match event {
                Queued::Event { entry, size } => {
                    entries.push(*entry);
                    sizes += size;
                }
                Queued::Keys(keys) => self.end.change_keys(keys),
                Queued::Stop(done) => stop = Some(done),
            }
        }
        let dropped = self.queue.level.take_dropped();
        if dropped > 0 {
            entries.push(own(self.clock.now(), Event::Dropped { count: dropped }));
        }
        self.append(entries).await;
        self.queue.level.written(sizes);
        stop
    }

    /// Until the store has them.
    async fn append(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut is_failing = false;
        loop {
            match self.end.append(entries.clone()).await {
                Ok(records) => {
                    if is_failing {
                        tracing::info!("the store takes audit records again");
                    }
                    return self.copy(&records);
                }
                Err(StoreError::Conflict) => match self.end.make_up(self.clock.now()).await {
                    Ok(started) => self.copy(&started),
                    Err(error) => {
                        tracing::error!(%error, "the chain of audit records cannot be gone on with");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!(%error, "the store does not take audit records: they wait");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn copy(&mut self, records: &[ChainedRecord]) {
        if let Some(sink) = &mut self.sink {
            sink.write(records);
        }
    }

    async fn close(&mut self) {
        match self.end.close(self.clock.now()).await {
            Ok(records) => self.copy(&records),
            Err(error) => tracing::warn!(%error, "the chain of audit records is left open"),
        }
    }

    /// Is there more to delete?
    async fn expire(&mut self) -> bool {
        let (Some(keep), now) = (self.keep, self.clock.now()) else { return false };
        let Expired { told, result } = self.end.expire(now - keep, now, EXPIRE_STEPS).await;
        self.append(told).await;
        result.unwrap_or_else(|error| {
            tracing::warn!(%error, "old audit records could not be deleted");
            false
        })
    }
}
