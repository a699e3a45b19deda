//! The one task that writes: takes what has queued up, makes records of it, and gives them to the
//! store in one step; the next batch is what came meanwhile. While the store does not take them,
//! the queue fills ([`super::log`]). What the store has, [`super::targets`] hand on.

use std::{sync::Arc, time::Duration};

use portunus_core::{
    Clock, Entropy,
    audit::{AuditKeys, Entry, Event},
    ids::NodeId,
    store::{AuditStore, StoreError},
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use super::{
    chain::{ChainEnd, Writing, own},
    expiry::{Expired, Retention, Verdict},
    log::{QueueEnd, Queued},
    targets::follow,
};
use crate::config::AuditConfig;

/// Events that are written in one step.
const BATCH: usize = 512;
/// A batch waits so long for more, unless it has so many events: few calls are not one write to the
/// disk each. A kill loses what waits.
const LINGER: Duration = Duration::from_millis(50);
const ENOUGH: usize = 256;
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
/// How long the end waits for targets to take what they have not yet: twice, before the last
/// records and behind them.
const HAND_ON: Duration = Duration::from_millis(1500);

/// What a writer works with.
pub struct WriterParts {
    pub store: Arc<dyn AuditStore>,
    pub keys: AuditKeys,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub node: NodeId,
    /// No other gateway writes to the store.
    pub is_alone: bool,
    /// The gateway's own name, for those who get records of several.
    pub host: String,
}

/// A writer with its chain open.
pub struct AuditWriter {
    queue: QueueEnd,
    end: ChainEnd,
    clock: Arc<dyn Clock>,
    retention: Option<Retention>,
    followers: JoinSet<()>,
}

impl AuditWriter {
    /// Takes up the chain of the last run, or begins one.
    pub async fn open(
        queue: QueueEnd,
        parts: WriterParts,
        config: &AuditConfig,
    ) -> Result<Self, StoreError> {
        let WriterParts { store, keys, clock, entropy, node, is_alone, host } = parts;
        let targets = queue.targets.clone();
        let writing = Writing { store, keys, entropy, node, writer: "gateway", is_alone, targets };
        let end = ChainEnd::open(writing, clock.now()).await?;
        let followers = follow(&queue.targets, &end.writing.store, config, &host);
        queue.level.came_to(end.position());
        let now = (clock.now(), Instant::now());
        let retention = config.keep.map(|keep| Retention::new(keep, end.newest, now));
        Ok(Self { queue, end, clock, retention, followers })
    }

    pub fn spawn(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(mut self) {
        let mut checkpoint =
            tokio::time::interval_at(Instant::now() + CHECKPOINT_AFTER, CHECKPOINT_AFTER);
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
                        self.queue.end();
                        let _ = done.send(());
                        return;
                    }
                }
                _ = checkpoint.tick() => self.checkpoint().await,
                _ = expire.tick() => {
                    if self.expire().await {
                        expire.reset_after(EXPIRE_NEXT);
                    }
                }
            }
        }
    }

    /// Waits a moment for more. Who waits for the end does not wait for that.
    async fn gather(&mut self, events: &mut Vec<Queued>) {
        let until = Instant::now() + LINGER;
        let mut looked_at = 0;
        loop {
            let is_last = |event: &Queued| matches!(event, Queued::Stop(_));
            if events.len() >= ENOUGH || events.iter().skip(looked_at).any(is_last) {
                return;
            }
            looked_at = events.len();
            let more = self.queue.queue.recv_many(events, BATCH - looked_at);
            if !matches!(tokio::time::timeout_at(until, more).await, Ok(taken) if taken > 0) {
                return;
            }
        }
    }

    /// Writes what was taken out of the queue; if it was told to stop, tells whom.
    async fn write(&mut self, events: &mut Vec<Queued>) -> Option<oneshot::Sender<()>> {
        let (mut entries, mut sizes, mut stop) = (Vec::with_capacity(events.len()), 0, None);
        let (mut keys, mut count) = (None, 0);
        for event in events.drain(..) {
            match event {
                Queued::Event { entry, size } => {
                    entries.push(*entry);
                    sizes += size;
                    count += 1;
                }
                Queued::Keys(new) => keys = Some(new),
                Queued::Stop(done) => stop = Some(done),
            }
        }
        let dropped = self.queue.level.take_dropped();
        if dropped > 0 {
            entries.push(own(self.clock.now(), Event::Dropped { count: dropped }));
        }
        entries.extend(self.lost());
        // What may be with the store already is known by its signature.
        self.settle().await;
        if let Some(keys) = keys {
            self.end.change_keys(keys);
        }
        self.append(entries).await;
        self.queue.level.written(count, sizes);
        stop
    }

    /// What targets never get.
    fn lost(&self) -> Vec<Entry> {
        let now = self.clock.now();
        let lost = self.queue.targets.take_lost().into_iter();
        lost.map(|(target, count)| own(now, Event::NotSent { target: target.to_owned(), count }))
            .collect()
    }

    /// Until the store has them.
    async fn append(&mut self, entries: Vec<Entry>) {
        self.settle().await;
        if !entries.is_empty() {
            self.end.push(entries, None);
            self.settle().await;
        }
    }

    /// Until it is known what the store has, and that is all that was pushed.
    async fn settle(&mut self) {
        let mut is_failing = false;
        while let Err(error) = self.end.settle(self.clock.now()).await {
            if !std::mem::replace(&mut is_failing, true) {
                tracing::error!(%error, "the store does not take audit records: they wait");
            }
            tokio::time::sleep(PAUSE).await;
        }
        if is_failing {
            tracing::info!("the store takes audit records again");
        }
        self.queue.level.came_to(self.end.position());
    }

    async fn checkpoint(&mut self) {
        if !self.end.is_settled() {
            return;
        }
        let lost = self.lost();
        if lost.is_empty() && !self.end.is_unvouched() {
            return;
        }
        self.end.push(lost, Some(self.clock.now()));
        match self.end.settle(self.clock.now()).await {
            Ok(()) => self.queue.level.came_to(self.end.position()),
            Err(error) => {
                tracing::warn!(%error, "a checkpoint of the audit records waits for the store");
            }
        }
    }

    async fn close(&mut self) {
        self.hand_on().await;
        let now = self.clock.now();
        let mut last = self.lost();
        last.push(own(now, Event::Stopped));
        self.end.push(last, Some(now));
        if let Err(error) = self.end.settle(now).await {
            tracing::warn!(%error, "the chain of audit records is left open");
            return;
        }
        if self.queue.targets.is_empty() {
            return;
        }
        self.queue.level.came_to(self.end.position());
        self.queue.targets.end();
        let ended = async { while self.followers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(HAND_ON, ended).await;
        // No record: how far the targets have come, for the next run.
        self.end.push(Vec::new(), None);
        if let Err(error) = self.end.settle(now).await {
            tracing::warn!(%error, "how far audit records were sent is not noted: some are sent again");
        }
    }

    /// Waits for targets, a moment.
    async fn hand_on(&self) {
        let targets = &self.queue.targets;
        let handing = async {
            while !targets.have_all() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(HAND_ON, handing).await;
    }

    /// Is there more to delete?
    async fn expire(&mut self) -> bool {
        let now = self.clock.now();
        let verdict = self.retention.as_mut().map(|retention| retention.judge(now, Instant::now()));
        let older_than = match verdict {
            None | Some(Verdict::Hold) => return false,
            Some(Verdict::Delete(older_than)) => older_than,
            Some(Verdict::ClockChanged(seconds)) => {
                tracing::warn!(
                    seconds,
                    "the clock was set, or was wrong before: no audit record is deleted for its age for a day; set the clock right until then if it is not"
                );
                self.append(vec![own(now, Event::ClockChanged { seconds })]).await;
                return false;
            }
        };
        let Expired { told, result } = self.end.expire(older_than, now, EXPIRE_STEPS).await;
        self.append(told).await;
        result.unwrap_or_else(|error| {
            tracing::warn!(%error, "old audit records could not be deleted");
            false
        })
    }
}
