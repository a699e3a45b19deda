//! Care of the store: is it well, and what can be thrown away. Redis deletes by itself what no
//! purge threw away in time; see `scripts/prelude.lua`.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    ids::{ClientId, GrantId, UserId},
    store::{StoreError, Upkeep},
};

use super::{
    database::{Database, answer, get},
    epochs::Owners,
    key_check,
    keys::{Expiring, GrantPlace, Shard},
    script::{self, Call},
};

/// Records deleted in one step, so that a long purge lets others in between.
const CHUNK: usize = 200;
/// Shards looked through at once.
const AT_ONCE: usize = 16;

pub(super) struct RedisUpkeep(pub(super) Arc<Database>);

#[async_trait]
impl Upkeep for RedisUpkeep {
    async fn ping(&self) -> Result<(), StoreError> {
        // A real write: a full or read-only server is seen here before a token is lost to it.
        // Beside the clients, which every request needs.
        let key = format!("{}:ping", self.0.keys.clients());
        let mut command = redis::cmd("INCR");
        command.arg(&key);
        self.0.connection.write(&key, command).await?;
        let [value] = self.0.connection.read(&key, [get(&key)]).await?;
        answer::<u64>(value).map(drop)
    }

    async fn purge(&self, now: Timestamp, unused_since: Timestamp) -> Result<u64, StoreError> {
        // Tokens before the grants they belong to: a shard's list is in the order of time, and a
        // grant is noted there by its last.
        let shards = stream::iter(Shard::all()).map(|shard| purge_shard(&self.0, shard, now));
        let purged: u64 = shards
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |sum, purged| async move { Ok(sum + purged) })
            .await?;
        Ok(purged + purge_clients(&self.0, unused_since).await?)
    }

    async fn reseal(&self) -> Result<(), StoreError> {
        key_check::renew_open(&self.0).await
    }
}

async fn purge_shard(database: &Database, shard: Shard, now: Timestamp) -> Result<u64, StoreError> {
    let list = database.keys.expiry(shard);
    let mut total = 0;
    loop {
        let names: Vec<String> = database.up_to(&list, &now.as_millis().to_string()).await?;
        if names.is_empty() {
            return Ok(total);
        }
        let mut call = Call::new(&script::PURGE).key(list.clone()).arg(now.as_millis());
        let mut grants = Vec::new();
        // A newer Portunus may have noted what this one does not know.
        let known: Vec<_> =
            names.iter().filter_map(|name| Some((name, Expiring::parse(name)?))).collect();
        if known.is_empty() {
            return Ok(total);
        }
        for (name, what) in known {
            let (other, member) = match &what {
                Expiring::Login(hash, user) => {
                    (database.keys.user_logins(&UserId::from_text(user)), hash.clone())
                }
                Expiring::Grant(id) => (database.keys.grants(shard), id.clone()),
                _ => (list.clone(), name.clone()),
            };
            if let Expiring::Grant(id) = &what {
                grants.push(GrantPlace { id: GrantId::from_text(id), shard });
            }
            let counts = u8::from(!matches!(what, Expiring::Successor(_)));
            call = call
                .key(database.keys.record(shard, &what))
                .key(other)
                .arg(name)
                .arg(member)
                .arg(counts);
        }
        let listed = listed_grants(database, grants).await?;
        total += database.run::<u64>(&call).await?;
        unlist(database, listed).await?;
        if names.len() < CHUNK {
            return Ok(total);
        }
    }
}

/// The grants that may go, and in whose lists they stand.
async fn listed_grants(
    database: &Database,
    places: Vec<GrantPlace>,
) -> Result<Vec<(GrantPlace, Owners)>, StoreError> {
    let mut listed = Vec::new();
    for place in places {
        if let Some(found) = database.grant_at(&place).await? {
            listed.push((place, Owners::from(&found.grant)));
        }
    }
    Ok(listed)
}

/// Takes those that went out of the lists of their users, clients and logins.
async fn unlist(database: &Database, grants: Vec<(GrantPlace, Owners)>) -> Result<(), StoreError> {
    for (place, owners) in grants {
        if database.grant_at(&place).await?.is_some() {
            continue;
        }
        let keys = &database.keys;
        let mut lists = vec![keys.user_grants(&owners.user), keys.client_grants(&owners.client)];
        lists.extend(owners.login.as_ref().map(|login| keys.login_grants(login)));
        for list in lists {
            let mut command = redis::cmd("ZREM");
            command.arg(&list).arg(place.to_string());
            database.connection.write(&list, command).await?;
        }
    }
    Ok(())
}

async fn purge_clients(database: &Database, unused_since: Timestamp) -> Result<u64, StoreError> {
    let (all, unused) = (database.keys.clients(), database.keys.unused_clients());
    let mut total = 0;
    loop {
        let ids: Vec<String> =
            database.up_to(&unused, &format!("({}", unused_since.as_millis())).await?;
        let mut call = Call::new(&script::PURGE_CLIENTS).key(all.clone()).key(unused.clone());
        call = call
            .key(database.keys.unused_by_address())
            .key(database.keys.unused_of_address())
            .arg(unused_since.as_millis());
        for id in &ids {
            call = call.key(database.keys.client(&ClientId::from_text(id))).arg(id);
        }
        if !ids.is_empty() {
            total += database.run::<u64>(&call).await?;
        }
        if ids.len() < CHUNK {
            return Ok(total);
        }
    }
}

impl Database {
    /// A portion of what a list has up to a score.
    async fn up_to(&self, list: &str, score: &str) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(list).arg("-inf").arg(score).arg("LIMIT").arg(0).arg(CHUNK);
        let [found] = self.connection.read(list, [command]).await?;
        answer(found)
    }
}
