//! Grants by whose they are: a user's, a client's, a login's; listed, and revoked together. One
//! grant at a time is [`super::grants`]' business.
//!
//! A revocation is one step: the epoch moves on, and everything made in an earlier one is dead
//! ([`super::epochs`]). The sweep after it says so in the records of the grants, and counts them;
//! if it does not get to its end, nothing comes back to life.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    grant::Grant,
    invalidation::Invalidation,
    store::{GrantsOf, StoreError},
};

use super::{
    database::{Database, answer},
    epochs::{EPOCH_MILLIS, Epoch, FIELDS, Owners},
    keys::{GrantPlace, Shard},
    script::{self, Call},
};

/// Calls in flight at once, so that a long list does not fill the connection's queue.
const AT_ONCE: usize = 64;

pub(super) async fn revoke(
    database: &Database,
    of: &GrantsOf,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let epoch = begin_epoch(database, of, now, true).await?;
    swept(database, of, &epoch, now).await
}

/// Everything in earlier epochs is dead. A user's consents stand in the slot of the user's epoch:
/// they go in the same step, if they are to go. Those given to a client go with its epoch.
pub(super) async fn begin_epoch(
    database: &Database,
    of: &GrantsOf,
    now: Timestamp,
    with_consents: bool,
) -> Result<Epoch, StoreError> {
    let keys = &database.keys;
    let call = match of {
        GrantsOf::User(id) if with_consents => {
            Call::new(&script::BEGIN_EPOCH).key(keys.user_epoch(id)).key(keys.consents(id))
        }
        GrantsOf::User(id) => Call::new(&script::BEGIN_EPOCH).key(keys.user_epoch(id)),
        GrantsOf::Client(id) => Call::new(&script::BEGIN_EPOCH).key(keys.client_epoch(id)),
        GrantsOf::Login(hash) => Call::new(&script::BEGIN_EPOCH).key(keys.login_epoch(hash)),
        GrantsOf::Everyone => Call::new(&script::BEGIN_EPOCH).key(keys.everyones_epoch()),
    };
    let remembered = if matches!(of, GrantsOf::Login(_)) { EPOCH_MILLIS } else { 0 };
    let epoch: String = database.run(&call.arg(now.as_millis()).arg(remembered)).await?;
    Ok(Epoch::read(Some(epoch)))
}

/// Tells that everything in earlier epochs is dead, and then says so in each grant's record.
pub(super) async fn swept(
    database: &Database,
    of: &GrantsOf,
    epoch: &Epoch,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let told = database.post(&Invalidation::Grants(of.clone())).await;
    let revoked = sweep(database, of, epoch, now).await?;
    told.map(|()| revoked)
}

/// Says in each grant's record that it is revoked, unless it is of this epoch or a later one. Gives
/// how many were live until now.
pub(super) async fn sweep(
    database: &Database,
    of: &GrantsOf,
    epoch: &Epoch,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let [everyone, client, user, login] = FIELDS;
    let field = match of {
        GrantsOf::User(_) => user,
        GrantsOf::Client(_) => client,
        GrantsOf::Login(_) => login,
        GrantsOf::Everyone => everyone,
    };
    let places = places(database, of).await?;
    let revoked = stream::iter(places).map(|place| {
        let call = Call::new(&script::REVOKE_GRANT).key(database.grant_key(&place));
        let call = call.arg(now.as_millis()).arg(field).arg(epoch.as_str());
        async move { database.run::<u64>(&call).await }
    });
    revoked
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |sum, revoked| async move { Ok(sum + revoked) })
        .await
}

pub(super) async fn list(
    database: &Database,
    of: &GrantsOf,
    limit: u32,
) -> Result<Vec<Grant>, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut grants = Vec::new();
    if limit == 0 {
        return Ok(grants);
    }
    let found = stream::iter(places(database, of).await?).map(|place| async move {
        let Some(found) = database.grant_at(&place).await? else {
            return Ok::<_, StoreError>(None);
        };
        let present = database.present(&Owners::from(&found.grant)).await?;
        Ok(Some(found.now(&present.epochs)).filter(|grant| grant.revoked_at.is_none()))
    });
    let mut found = std::pin::pin!(found.buffered(AT_ONCE));
    while let Some(grant) = found.try_next().await? {
        grants.extend(grant);
        if grants.len() == limit {
            break;
        }
    }
    Ok(grants)
}

/// Where they are, newest first.
async fn places(database: &Database, of: &GrantsOf) -> Result<Vec<GrantPlace>, StoreError> {
    let keys = &database.keys;
    let key = match of {
        GrantsOf::User(id) => keys.user_grants(id),
        GrantsOf::Client(id) => keys.client_grants(id),
        GrantsOf::Login(hash) => keys.login_grants(hash),
        GrantsOf::Everyone => return everyones_places(database).await,
    };
    let ranked = ranked(database, &key).await?;
    ranked.into_iter().map(|(place, _)| GrantPlace::parse(&place)).collect()
}

/// Each shard lists its own.
async fn everyones_places(database: &Database) -> Result<Vec<GrantPlace>, StoreError> {
    let shards = stream::iter(Shard::all()).map(|shard| async move {
        let ranked = ranked(database, &database.keys.grants(shard)).await?;
        let placed = ranked.into_iter().map(|(id, rank)| (rank, GrantPlace::in_shard(id, shard)));
        Ok::<_, StoreError>(placed.collect::<Vec<_>>())
    });
    let shards: Vec<Vec<_>> = shards.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut places: Vec<_> = shards.into_iter().flatten().collect();
    places.sort_by(|(rank, place), (other_rank, other)| {
        (rank, &place.id).cmp(&(other_rank, &other.id))
    });
    Ok(places.into_iter().map(|(_, place)| place).collect())
}

async fn ranked(database: &Database, key: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(key).arg(0).arg(-1).arg("WITHSCORES");
    let [found] = database.connection.read(key, [command]).await?;
    answer(found)
}
