//! The connections: one small type over a single server, Sentinel and Cluster. Many calls share a
//! connection; one that broke is made anew by the next call. No call waits longer than
//! [`PATIENCE`], so that a Redis that hangs is an unavailable store and not a hanging gateway. How
//! one is made is [`super::dial`]'s, what is sent [`super::script`]'s and the ports'.

use std::{
    sync::{
        self, Arc, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portunus_core::store::{StoreError, StoreLatency};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    address::RedisAddress,
    dial::{CONNECT_PATIENCE, Dial, Master, PATIENCE, Wire},
    failure::{told, unavailable},
    script::Call,
};

/// How long replicas have to confirm a write: less, so that their number is told before patience
/// ends.
const REPLICA_PATIENCE_MILLIS: u32 = 1100;
/// After a connection could not be made, calls fail at once for this long: a flood of them must not
/// queue up for one try each.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to Redis.
pub(super) struct Connection {
    link: Link,
    /// Waiting for replicas holds up whatever is behind it on its connection: reads go on another.
    waiting: Option<Waiting>,
    pub(super) latency: Arc<StoreLatency>,
}

struct Waiting {
    link: Link,
    replicas: u32,
}

impl Connection {
    pub(super) fn new(address: &RedisAddress, replicas: u32) -> RedisResult<Self> {
        let breaks = Breaks::default();
        let waiting = (replicas > 0)
            .then(|| Ok(Waiting { link: Link::new(Dial::new(address)?, &breaks, true), replicas }));
        let link = Link::new(Dial::new(address)?, &breaks, false);
        let waiting = waiting.transpose().map_err(|error: RedisError| error)?;
        Ok(Self { link, waiting, latency: Arc::default() })
    }

    /// Runs a script on its slot; answers when as many replicas have it as were asked for.
    pub(super) async fn run(&self, call: &Call) -> Result<Value, StoreError> {
        let began = Instant::now();
        let outcome = self.guarded(call.slot(), call.by_hash()).await;
        let answer = match outcome {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                self.guarded(call.slot(), call.by_text()).await
            }
            outcome => outcome,
        }
        .map_err(|error| told(&error));
        self.latency.note_write(began.elapsed(), &answer);
        answer
    }

    /// Runs one command that writes, in the same way.
    pub(super) async fn write(&self, key: &str, command: Cmd) -> Result<Value, StoreError> {
        let began = Instant::now();
        let answer = self.guarded(key, command).await.map_err(|error| told(&error));
        self.latency.note_write(began.elapsed(), &answer);
        answer
    }

    async fn guarded(&self, key: &str, command: Cmd) -> RedisResult<Value> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(command);
        let Some(Waiting { link, replicas }) = &self.waiting else {
            return one(self.link.send(key, pipeline).await?);
        };
        pipeline.cmd("WAIT").arg(*replicas).arg(REPLICA_PATIENCE_MILLIS);
        let mut values = link.send(key, pipeline).await?.into_iter();
        let (Some(answer), Some(confirmed)) = (values.next(), values.next()) else {
            return one(Vec::new());
        };
        let answer = answer.extract_error()?;
        let confirmed: u32 = redis::from_redis_value(confirmed.extract_error()?)?;
        if confirmed < *replicas {
            let missing = format!("{confirmed} of {replicas}");
            return Err(RedisError::from((
                ErrorKind::Client,
                "too few replicas confirmed the write in time",
                missing,
            )));
        }
        Ok(answer)
    }

    /// Runs commands that only read, all on the slot of `key`: one answer each.
    pub(super) async fn read<const N: usize>(
        &self,
        key: &str,
        commands: [Cmd; N],
    ) -> Result<[Value; N], StoreError> {
        let values = self.read_all(key, commands).await?;
        values.try_into().map_err(|_| unavailable("it gave too few answers"))
    }

    /// The same for any number of commands.
    pub(super) async fn read_all(
        &self,
        key: &str,
        commands: impl IntoIterator<Item = Cmd>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut pipeline = Pipeline::new();
        for command in commands {
            pipeline.add_command(command);
        }
        let began = Instant::now();
        let answer = self.link.send(key, pipeline).await.map_err(|error| told(&error));
        self.latency.note_read(began.elapsed(), &answer);
        answer?
            .into_iter()
            .map(|value| value.extract_error().map_err(|error| told(&error)))
            .collect()
    }

    /// The servers that keep keys, for what is asked of each by itself.
    pub(super) async fn masters(&self) -> Result<Vec<Master>, StoreError> {
        self.link.masters().await.map_err(|error| told(&error))
    }

    pub(super) async fn ask(&self, master: &Master, command: Cmd) -> Result<Value, StoreError> {
        self.link.ask(master, command).await.map_err(|error| told(&error))
    }

    /// Asks every master; one answer of each.
    pub(super) async fn ask_masters(&self, command: Cmd) -> RedisResult<Vec<Value>> {
        self.link.ask_masters(command).await
    }
}

fn one(values: Vec<Value>) -> RedisResult<Value> {
    let value = values.into_iter().next();
    value
        .ok_or_else(|| RedisError::from((ErrorKind::UnexpectedReturnType, "no answer")))?
        .extract_error()
}

/// How often a connection broke, of all that lead to one Redis. When one breaks the others are
/// likely to lead nowhere either, and each would take another [`PATIENCE`] to find that out: a
/// fail-over costs it once.
#[derive(Clone, Default)]
struct Breaks(Arc<AtomicU64>);

impl Breaks {
    fn number(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// A connection that was made after so many breaks has broken: that says something unless
    /// another one was, since.
    fn count(&self, made_after: u64) {
        let _ =
            self.0.compare_exchange(made_after, made_after + 1, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// A connection that is made when it is needed and dropped when it broke.
struct Link {
    dial: Dial,
    breaks: Breaks,
    /// Does what it sends wait for replicas? That may take long on a connection that is fine.
    waits: bool,
    current: sync::Mutex<Current>,
    /// Held while a connection is made; says when that failed last.
    dialling: Mutex<Option<(Instant, RedisError)>>,
}

#[derive(Default)]
struct Current {
    wire: Option<Wire>,
    /// Which connection this is: a request that saw an older one break must not drop this one.
    number: u64,
    /// How often one had broken when this one was begun.
    made_after: u64,
}

impl Link {
    fn new(dial: Dial, breaks: &Breaks, waits: bool) -> Self {
        Self {
            dial,
            breaks: breaks.clone(),
            waits,
            current: sync::Mutex::default(),
            dialling: Mutex::default(),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, key: &str, pipeline: Pipeline) -> RedisResult<Vec<Value>> {
        let mut number = 0;
        let outcome = timeout(PATIENCE, async {
            let mut wire = self.wire(&mut number).await?;
            wire.send(key, pipeline).await
        });
        let outcome = outcome.await.unwrap_or_else(|_| Err(late()));
        self.judge(number, &outcome);
        outcome
    }

    async fn ask_masters(&self, command: Cmd) -> RedisResult<Vec<Value>> {
        let mut number = 0;
        let asked = async { self.wire(&mut number).await?.ask_masters(command).await };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn masters(&self) -> RedisResult<Vec<Master>> {
        let mut number = 0;
        let asked = async { self.wire(&mut number).await?.masters().await };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn ask(&self, master: &Master, command: Cmd) -> RedisResult<Value> {
        let mut number = 0;
        let asked = async { self.wire(&mut number).await?.ask(master, command).await };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn wire(&self, number: &mut u64) -> RedisResult<Wire> {
        if let Some(wire) = self.standing(number) {
            return Ok(wire);
        }
        let mut failed = self.dialling.lock().await;
        if let Some(wire) = self.standing(number) {
            return Ok(wire);
        }
        if let Some((at, error)) = &*failed
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        let made_after = self.breaks.number();
        match timeout(CONNECT_PATIENCE, self.dial.connect()).await.unwrap_or_else(|_| Err(late())) {
            Ok(wire) => {
                *failed = None;
                let mut current = self.current();
                current.number += 1;
                current.made_after = made_after;
                *number = current.number;
                Ok(current.wire.insert(wire).clone())
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn standing(&self, number: &mut u64) -> Option<Wire> {
        let mut current = self.current();
        *number = current.number;
        if current.made_after != self.breaks.number() {
            current.wire = None;
        }
        current.wire.clone()
    }

    /// Drops the connection if the outcome says that it is of no more use.
    fn judge(&self, number: u64, outcome: &RedisResult<Vec<Value>>) {
        let error = match outcome {
            Err(error) => Some(error.clone()),
            Ok(values) => values.iter().find_map(|value| match value {
                Value::ServerError(_) => value.clone().extract_error().err(),
                _ => None,
            }),
        };
        let Some(error) = error else { return };
        let mut current = self.current();
        if current.number == number
            && current.wire.as_ref().is_some_and(|wire| wire.ends_with(&error))
        {
            current.wire = None;
            // That a write was not confirmed in time says nothing of the connection that reads go
            // on.
            if !(self.waits && error.is_timeout()) {
                self.breaks.count(current.made_after);
            }
        }
    }
}

fn late() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}
