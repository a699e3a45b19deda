//! What an administrator disabled, in one slot: persons in one hash, all else in another, each
//! with a list by time.
//!
//! The record is written first, then the epoch of the person or the client moves on. Whatever keeps
//! a grant or a code reads the epochs first, and then asks here: it finds the record, or what it
//! keeps is of an epoch that ends. A login, which has no epoch, is asked about once more when it is
//! kept. So no race leaves anything behind.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    disabled::{Disableable, DisabledRecord, Disabling, Ended},
    ids::{ClientId, UserId},
    invalidation::Invalidation,
    store::{
        DisabledStore, GrantsOf, LoginStore as _, MOST_BUT_PERSONS, ProviderTokenStore as _,
        StoreError,
    },
    task::TaskOwnership,
};
use redis::Cmd;

use super::{
    database::{Database, answer, hmget},
    epochs::hget,
    failure::corrupt,
    grants_of,
    keys::{DisabledGroup, Expiring, Shard},
    logins::RedisLoginStore,
    provider_tokens::RedisProviderTokenStore,
    scan::Scan,
    script::{self, Call},
};
use crate::record::{disabled_from_json, from_json, to_json};

/// Records in a portion, and keys looked at at once.
const PORTION: usize = 500;
const AT_ONCE: usize = 32;

pub(super) struct RedisDisabledStore(pub(super) Arc<Database>);

pub(super) const fn group(what: &Disableable) -> DisabledGroup {
    if what.is_person() { DisabledGroup::Persons } else { DisabledGroup::Others }
}

pub(super) fn field(what: &Disableable) -> String {
    format!("{}:{}", what.kind(), what.id())
}

/// Reads a record by the field that it stands in.
pub(super) fn read(field: &str, record: &str) -> Result<DisabledRecord, StoreError> {
    let (kind, id) = field.split_once(':').ok_or_else(|| corrupt("disabled.field"))?;
    disabled_from_json(kind, id, record)
}

#[async_trait]
impl DisabledStore for RedisDisabledStore {
    async fn disable(
        &self,
        record: &DisabledRecord,
        now: Timestamp,
    ) -> Result<Disabling, StoreError> {
        let record = record.clone();
        let work = move |database: Arc<Database>| async move {
            let most = if record.what.is_person() { 0 } else { MOST_BUT_PERSONS };
            let was_disabled = database.keep_disabled(&record, most).await?;
            let ended = end(&database, &record.what, now).await?;
            Ok(Disabling { was_disabled, ended })
        };
        self.0.see_through(work).await
    }

    async fn enable(&self, what: &Disableable) -> Result<bool, StoreError> {
        let what = what.clone();
        let work = |database: Arc<Database>| async move {
            let keys = database.keys.disabled(group(&what));
            let call = Call::new(&script::ENABLE).key(keys.records).key(keys.by_time);
            let lifted = database.run::<bool>(&call.arg(field(&what))).await?;
            // Also if it was lifted before: the call that did so may not have come this far.
            database.post(&Invalidation::Enabled(what)).await?;
            Ok(lifted)
        };
        self.0.see_through(work).await
    }

    async fn find_disabled(
        &self,
        what: &Disableable,
    ) -> Result<Option<DisabledRecord>, StoreError> {
        let key = self.0.keys.disabled(group(what)).records;
        let [found] = self.0.connection.read(&key, [hget(&key, &field(what))]).await?;
        let record: Option<String> = answer(found)?;
        record.map(|record| disabled_from_json(what.kind(), &what.id(), &record)).transpose()
    }

    async fn list_disabled(&self, most: u32) -> Result<Vec<DisabledRecord>, StoreError> {
        let mut records = Vec::new();
        for (group, most) in
            [(DisabledGroup::Persons, i64::from(most)), (DisabledGroup::Others, -1)]
        {
            for (field, record) in self.0.disabled(group, most).await? {
                records.push(read(&field, &record)?);
            }
        }
        records.sort_by(|one, other| {
            (other.at, one.what.kind(), one.what.id()).cmp(&(
                one.at,
                other.what.kind(),
                other.what.id(),
            ))
        });
        Ok(records)
    }
}

impl Database {
    /// [`StoreError::Disabled`] if either is. To be asked after the epochs were read that something
    /// is kept with.
    pub(super) async fn refuse_disabled(
        &self,
        user: Option<&UserId>,
        client: Option<&ClientId>,
    ) -> Result<(), StoreError> {
        let user = user.map(|user| Disableable::Person(user.clone()));
        let client = client.map(|client| Disableable::Client(client.clone()));
        let exists = |what: Disableable| {
            let mut command = Cmd::new();
            command.arg("HEXISTS").arg(self.keys.disabled(group(&what)).records).arg(field(&what));
            command
        };
        // Both groups are in one slot.
        let slot = self.keys.disabled(DisabledGroup::Persons).records;
        let asked = [user, client].into_iter().flatten().map(exists);
        for found in self.connection.read_all(&slot, asked).await? {
            if answer::<bool>(found)? {
                return Err(StoreError::Disabled);
            }
        }
        Ok(())
    }

    /// Was it disabled before?
    pub(super) async fn keep_disabled(
        &self,
        record: &DisabledRecord,
        most: u32,
    ) -> Result<bool, StoreError> {
        let keys = self.keys.disabled(group(&record.what));
        let call = Call::new(&script::DISABLE).key(keys.records).key(keys.by_time);
        let call = call.arg(field(&record.what)).arg(to_json(record)?);
        let kept: String = self.run(&call.arg(record.at.as_millis()).arg(most)).await?;
        match kept.as_str() {
            "full" => Err(StoreError::Full(most)),
            kept => Ok(kept == "again"),
        }
    }

    /// The newest of them, each with its field; of a negative number all.
    pub(super) async fn disabled(
        &self,
        group: DisabledGroup,
        most: i64,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let keys = self.keys.disabled(group);
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("ZREVRANGE");
        command.arg(&keys.by_time).arg(0).arg(if most < 0 { -1 } else { most - 1 });
        let [fields] = self.connection.read(&keys.by_time, [command]).await?;
        let fields: Vec<String> = answer(fields)?;
        let mut found = Vec::with_capacity(fields.len());
        for fields in fields.chunks(PORTION) {
            let names: Vec<&str> = fields.iter().map(String::as_str).collect();
            let [records] =
                self.connection.read(&keys.records, [hmget(&keys.records, &names)]).await?;
            let records: Vec<Option<String>> = answer(records)?;
            // Enabled in between: it is gone.
            found.extend(
                fields
                    .iter()
                    .cloned()
                    .zip(records)
                    .filter_map(|(field, record)| record.map(|record| (field, record))),
            );
        }
        Ok(found)
    }
}

/// Ends what it has in the store. Gateways are told as soon as nothing of it is of use any more;
/// what is counted and cleared away comes after that.
async fn end(
    database: &Arc<Database>,
    what: &Disableable,
    now: Timestamp,
) -> Result<Ended, StoreError> {
    let of = match what {
        Disableable::Person(user) => GrantsOf::User(user.clone()),
        Disableable::Client(client) => GrantsOf::Client(client.clone()),
        Disableable::Server(_) | Disableable::Proxy(_) | Disableable::Tool { .. } => {
            database.post(&Invalidation::Disabled(what.clone())).await?;
            return Ok(Ended::default());
        }
    };
    let epoch = grants_of::begin_epoch(database, &of, now, false).await?;
    database.post(&Invalidation::Disabled(what.clone())).await?;
    let logins = match what {
        Disableable::Person(user) => {
            RedisProviderTokenStore(Arc::clone(database)).delete_provider_token(user).await?;
            RedisLoginStore(Arc::clone(database)).take_logins(user).await?
        }
        _ => 0,
    };
    let grants = grants_of::sweep(database, &of, &epoch, now).await?;
    let (sessions, tasks) = clear_away(database, what).await?;
    Ok(Ended { grants, logins, sessions, tasks })
}

/// Sessions of a person, and tasks of a person or a client. They stand in the slots of their ids,
/// so every one is looked at; no request could use them any more.
async fn clear_away(database: &Database, what: &Disableable) -> Result<(u64, u64), StoreError> {
    let (mut sessions, mut tasks) = (0, 0);
    let mut scan = Scan::begin(database, "??}:[st][ea]s*").await?;
    while let Some(keys) = scan.next(database).await? {
        let looked =
            stream::iter(keys).map(|key| async move { cleared(database, what, &key).await });
        let cleared: Vec<Option<Expiring>> = looked.buffer_unordered(AT_ONCE).try_collect().await?;
        for cleared in cleared.into_iter().flatten() {
            match cleared {
                Expiring::Session(_) => sessions += 1,
                _ => tasks += 1,
            }
        }
    }
    Ok((sessions, tasks))
}

/// What was under the key, if it was theirs.
async fn cleared(
    database: &Database,
    what: &Disableable,
    key: &str,
) -> Result<Option<Expiring>, StoreError> {
    let Some((shard, named)) = database
        .keys
        .parse(key)
        .and_then(|(tag, end)| Some((Shard::parse(tag)?, Expiring::parse(end)?)))
    else {
        return Ok(None);
    };
    let of = |name: &'static str| async move {
        let [found] = database.connection.read(key, [hget(key, name)]).await?;
        answer::<Option<String>>(found)
    };
    let is_theirs = match (&named, what) {
        (Expiring::Session(_), Disableable::Person(user)) => {
            of("user").await?.is_some_and(|owner| owner == user.as_str())
        }
        (Expiring::Task(_), _) => {
            // One that cannot be read has no owner, and `store check` names it.
            let task: Option<TaskOwnership> =
                of("record").await?.and_then(|record| from_json("tasks", &record).ok());
            task.is_some_and(|task| match what {
                Disableable::Person(user) => task.user == *user,
                Disableable::Client(client) => task.client.is_meant_by(client),
                _ => false,
            })
        }
        _ => false,
    };
    if !is_theirs {
        return Ok(None);
    }
    let call = database.on_record(&script::DELETE_ENTRY, &(shard, named.clone()));
    Ok(database.run::<bool>(&call).await?.then_some(named))
}
