//! What the files of the ports share: the connection, the keys, the sealer, and the small steps
//! that several of them take. The connection itself is [`super::connection`]'s.

use std::{future::Future, sync::Arc};

use portunus_core::{Timestamp, store::StoreError};
use redis::{Cmd, FromRedisValue, Value};

use super::{
    connection::Connection,
    failure::{corrupt, unavailable},
    keys::{Expiring, Keys, Shard},
    script::{self, Call},
};
use crate::seal::Sealer;

/// The opened store.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) keys: Keys,
    pub(super) sealer: Sealer,
}

impl Database {
    /// A call of a script on the record of something that expires, and its shard's list.
    pub(super) fn on_record(
        &self,
        script: &'static script::Script,
        (shard, what): &(Shard, Expiring),
    ) -> Call {
        Call::new(script)
            .key(self.keys.record(*shard, what))
            .key(self.keys.expiry(*shard))
            .arg(what.name())
    }

    /// Keeps a new record; [`StoreError::Conflict`] if its id is taken.
    pub(super) async fn insert(
        &self,
        place: &(Shard, Expiring),
        expires_at: Timestamp,
        fields: &[(&str, &[u8])],
    ) -> Result<(), StoreError> {
        let mut call = self.on_record(&script::INSERT, place).arg(expires_at.as_millis());
        for (field, value) in fields {
            call = call.arg(*field).arg(*value);
        }
        if self.run::<bool>(&call).await? { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// Takes a record out, if it has not expired at `now`: of many callers one gets it.
    pub(super) async fn take(
        &self,
        place: &(Shard, Expiring),
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(&self.on_record(&script::TAKE, place).arg(now.as_millis())).await
    }

    /// Runs a script and reads its answer.
    pub(super) async fn run<T: FromRedisValue>(&self, call: &Call) -> Result<T, StoreError> {
        answer(self.connection.run(call).await?)
    }

    /// Fields of a hash; `None` in each place that has none.
    pub(super) async fn fields<T: FromRedisValue>(
        &self,
        key: &str,
        fields: &[&str],
    ) -> Result<T, StoreError> {
        let [found] = self.connection.read(key, [hmget(key, fields)]).await?;
        answer(found)
    }

    /// What a pointer says.
    pub(super) async fn pointer(&self, key: &str) -> Result<Option<String>, StoreError> {
        let [found] = self.connection.read(key, [get(key)]).await?;
        answer(found)
    }

    /// Sees the work through to its end though the caller goes away: a revocation must not depend
    /// on the patience of the client that caused it, and several steps that belong together must
    /// not end in the middle.
    pub(super) async fn see_through<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        tokio::spawn(work(Arc::clone(self)))
            .await
            .unwrap_or_else(|_| Err(unavailable("its work panicked or was stopped")))
    }
}

pub(super) fn answer<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    redis::from_redis_value(value).map_err(|_| corrupt("a reply of another kind than was expected"))
}

pub(super) fn hmget(key: &str, fields: &[&str]) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(key).arg(fields);
    command
}

/// All of a sorted set, in its order.
pub(super) fn zrange(key: &str) -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(key).arg(0).arg(-1);
    command
}

pub(super) fn get(key: &str) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}
