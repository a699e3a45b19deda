//! One writer and a few readers, each a thread with a connection of its own, so that no task of the
//! runtime ever waits for the disk. Both take their work from bounded queues. What the work is, the
//! ports' files say.
//!
//! The writer takes what has queued up meanwhile and commits it together: one flush to the disk for
//! many tokens. Each of several jobs runs in a savepoint, so that one that fails undoes itself
//! alone, and hears of its success only after the commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use portunus_core::{
    invalidation::Posted,
    store::{StoreError, StoreLatency},
};
use rusqlite::{Connection, TransactionBehavior};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::timeout,
};

use super::{connection, failure::Failure, key_check, migrations, open_error::OpenError};
use crate::seal::Sealer;

/// Jobs that may wait for the writer, and for the readers; beyond that, callers wait their turn to
/// queue.
const QUEUE: usize = 256;
/// Jobs committed together at most.
const BATCH: usize = 64;
const READERS: usize = 3;
/// After this long a caller is told that the store is unavailable, and a job that has not begun by
/// then never does.
const PATIENCE: Duration = Duration::from_secs(15);
const STATEMENTS_CACHED: usize = 64;
/// Invalidations that a slow listener may be behind by.
const INVALIDATIONS: usize = 256;

/// The open database. Its threads end when it is dropped.
pub(super) struct Database {
    writer: mpsc::Sender<Box<dyn Job>>,
    readers: mpsc::Sender<Box<dyn Job>>,
    /// Where invalidations are told once they are committed, in the order of their marks.
    pub(super) invalidations: broadcast::Sender<Posted>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) path: PathBuf,
    pub(super) latency: Arc<StoreLatency>,
}

impl Database {
    pub(super) fn open(path: &Path, sealer: Sealer) -> Result<Self, OpenError> {
        connection::prepare_file(path)?;
        let mut writer = connection::connect(path)?;
        migrations::check(&writer, path)?;
        connection::set_up_writer(&writer, path)?;
        migrations::apply(&mut writer, path)?;
        key_check::check(&mut writer, &sealer, path)?;
        let readers = (0..READERS)
            .map(|_| connection::connect_reader(path))
            .collect::<Result<Vec<_>, _>>()?;

        let (write_sender, mut write_queue) = mpsc::channel(QUEUE);
        spawn("store-writer", writer, move |mut connection| {
            while let Some(job) = write_queue.blocking_recv() {
                let mut batch = vec![job];
                while batch.len() < BATCH
                    && let Ok(job) = write_queue.try_recv()
                {
                    batch.push(job);
                }
                commit_together(&mut connection, batch);
            }
        })?;

        let (read_sender, read_queue) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        let read_queue = Arc::new(Mutex::new(read_queue));
        for reader in readers {
            let queue = Arc::clone(&read_queue);
            spawn("store-reader", reader, move |connection| {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                while let Some(mut job) = next() {
                    job.run(&connection);
                    job.finish(Ok(()));
                }
            })?;
        }
        let invalidations = broadcast::channel(INVALIDATIONS).0;
        Ok(Self {
            writer: write_sender,
            readers: read_sender,
            invalidations,
            sealer: Arc::new(sealer),
            path: path.to_owned(),
            latency: Arc::default(),
        })
    }

    /// Runs `work` in an immediate transaction, and answers when what it wrote is on disk.
    ///
    /// [`StoreError::Unavailable`] does not always mean that nothing was written: a disk that
    /// stalls may finish after we gave up waiting. A caller that goes away does not stop work that
    /// has queued: a revocation must not depend on the patience of the client that caused it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.written(None, |connection| Ok((work(connection)?, None))).await
    }

    /// The same for work that may come with an invalidation: it is told when both are on disk.
    pub(super) async fn write_and_tell<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<(T, Option<Posted>), Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.written(Some(self.invalidations.clone()), work).await
    }

    async fn written<T: Send + 'static>(
        &self,
        listeners: Option<broadcast::Sender<Posted>>,
        work: impl FnOnce(&Connection) -> Result<(T, Option<Posted>), Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = run_on(&self.writer, listeners, work).await;
        self.latency.note_write(began.elapsed(), &answer);
        answer
    }

    /// Runs `work` on a reader: one statement, one consistent view.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = run_on(&self.readers, None, |connection| Ok((work(connection)?, None))).await;
        self.latency.note_read(began.elapsed(), &answer);
        answer
    }

    /// As if its threads had died.
    #[cfg(test)]
    pub(super) fn lose_threads(&mut self) {
        self.writer = mpsc::channel(1).0;
        self.readers = mpsc::channel(1).0;
    }
}

fn spawn(
    name: &str,
    connection: Connection,
    body: impl FnOnce(Connection) + Send + 'static,
) -> Result<(), OpenError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || body(connection))
        .map_err(OpenError::Thread)?;
    Ok(())
}

async fn run_on<T: Send + 'static>(
    queue: &mpsc::Sender<Box<dyn Job>>,
    listeners: Option<broadcast::Sender<Posted>>,
    work: impl FnOnce(&Connection) -> Result<(T, Option<Posted>), Failure> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    let task = Task { work: Some(work), outcome: None, listeners, reply, queued: Instant::now() };
    let answered = timeout(PATIENCE, async {
        queue.send(Box::new(task)).await.map_err(|_| unavailable("its thread has ended"))?;
        answer.await.map_err(|_| unavailable("its thread gave no answer"))?
    });
    answered.await.unwrap_or_else(|_| Err(unavailable("it did not answer in time")))
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// Work in a queue, its types erased.
trait Job: Send {
    /// Does the work; `false` if what it wrote must be undone.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Tells the caller how it ended; `committed` carries why the commit failed.
    fn finish(self: Box<Self>, committed: Result<(), &str>);
}

struct Task<T, F> {
    work: Option<F>,
    outcome: Option<Result<(T, Option<Posted>), StoreError>>,
    listeners: Option<broadcast::Sender<Posted>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    queued: Instant,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<(T, Option<Posted>), Failure> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let outcome = match self.work.take() {
            Some(work) if self.queued.elapsed() < PATIENCE => {
                // A bug in one job must not take the thread, and with it the store, from all
                // others.
                catch_unwind(AssertUnwindSafe(|| work(connection).map_err(StoreError::from)))
                    .unwrap_or_else(|_| Err(unavailable("its work panicked")))
            }
            _ => Err(unavailable("it is too busy")),
        };
        self.outcome.insert(outcome).is_ok()
    }

    fn finish(self: Box<Self>, committed: Result<(), &str>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok((value, posted))), Ok(())) => {
                if let (Some(posted), Some(listeners)) = (posted, &self.listeners) {
                    // A store that no gateway listens to works all the same.
                    let _alone = listeners.send(posted);
                }
                Ok(value)
            }
            (_, Err(why)) => Err(unavailable(why)),
            (None, Ok(())) => Err(unavailable("it did not run")),
        };
        // A caller that has gone away does not want to know.
        let _gone = self.reply.send(outcome);
    }
}

fn commit_together(connection: &mut Connection, mut batch: Vec<Box<dyn Job>>) {
    let committed = try_commit(connection, &mut batch).map_err(|error| error.to_string());
    if let Err(error) = &committed {
        tracing::warn!(jobs = batch.len(), error, "the store could not commit");
    }
    for job in batch {
        job.finish(committed.as_ref().copied().map_err(String::as_str));
    }
}

/// An error is the whole batch's: nothing of it is kept. That includes the roll-back which SQLite
/// does by itself when the disk fails, for then the savepoint is gone and cannot be finished.
fn try_commit(connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let [job] = batch {
        // The transaction is its own.
        return if job.run(&transaction) { transaction.commit() } else { transaction.rollback() };
    }
    for job in batch {
        let savepoint = transaction.savepoint()?;
        if job.run(&savepoint) {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
    }
    transaction.commit()
}
