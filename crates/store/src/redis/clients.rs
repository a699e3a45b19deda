//! Registered clients. They share one slot with the epochs of clients, so that deleting one and
//! revoking all it was given is one step.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    address_block::AddressTag,
    client::Client,
    ids::ClientId,
    store::{ClientDeletion, ClientStore, GrantsOf, StoreError},
};

use super::{
    database::{Database, answer, get, hmget},
    epochs::{EPOCH_MILLIS, Epoch},
    grants_of::swept,
    script::{self, Call},
};
use crate::record::{from_json, to_json};

pub(super) struct RedisClientStore(pub(super) Arc<Database>);

/// Longer than any code lives: all that a client can have been given that was never used.
const CODE_MILLIS: i64 = 24 * 3600 * 1000;

/// More than a registration adds, so that a smaller limit is reached soon.
const TRIMMED_AT_ONCE: u64 = 32;

pub(super) const FIELDS: [&str; 2] = ["record", "last_used_at"];
pub(super) type Fields = (Option<String>, Option<i64>);

#[async_trait]
impl ClientStore for RedisClientStore {
    async fn insert_client(&self, client: &Client) -> Result<(), StoreError> {
        let keys = &self.0.keys;
        let created_at = client.created_at.as_millis();
        let call = Call::new(&script::INSERT_CLIENT)
            .key(keys.client(&client.id))
            .key(keys.clients())
            .key(keys.unused_clients());
        let call = call.key(keys.unused_by_address()).key(keys.unused_of_address());
        let call = call
            .arg(client.id.as_str())
            .arg(to_json(client)?)
            .arg(created_at)
            .arg(newest_first(client.created_at));
        let call =
            call.arg(client.last_used_at.map_or_else(String::new, |at| at.as_millis().to_string()));
        let address = client.registered_from.as_ref().map_or("", AddressTag::as_str);
        // The time has as many digits as any has, so that texts are in its order.
        let call =
            call.arg(address).arg(format!("{address} {:016} {}", created_at.max(0), client.id));
        if self.0.run::<bool>(&call).await? { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        read_client(self.0.fields(&self.0.keys.client(id), &FIELDS).await?)
    }

    async fn list_clients(&self, limit: u32) -> Result<Vec<Client>, StoreError> {
        let Some(last) = limit.checked_sub(1) else { return Ok(Vec::new()) };
        let key = self.0.keys.clients();
        let mut command = redis::cmd("ZRANGE");
        command.arg(&key).arg(0).arg(last);
        let [ids] = self.0.connection.read(&key, [command]).await?;
        let ids: Vec<String> = answer(ids)?;
        let commands =
            ids.into_iter().map(|id| hmget(&self.0.keys.client(&ClientId::from_text(id)), &FIELDS));
        let found = self.0.connection.read_all(&key, commands).await?;
        // One that was deleted in between is left out.
        found
            .into_iter()
            .filter_map(|fields| answer(fields).and_then(read_client).transpose())
            .collect()
    }

    async fn update_client(&self, client: &Client) -> Result<bool, StoreError> {
        let call = Call::new(&script::UPDATE_CLIENT)
            .key(self.0.keys.client(&client.id))
            .arg(to_json(client)?);
        self.0.run(&call).await
    }

    async fn delete_client(
        &self,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<ClientDeletion, StoreError> {
        let id = id.clone();
        self.0.see_through(|database| delete(database, id, now)).await
    }

    async fn touch_client(&self, id: &ClientId, now: Timestamp) -> Result<(), StoreError> {
        let keys = &self.0.keys;
        let call = Call::new(&script::TOUCH_CLIENT).key(keys.client(id)).key(keys.unused_clients());
        let call = call.key(keys.unused_by_address()).key(keys.unused_of_address());
        self.0.run(&call.arg(id.as_str()).arg(now.as_millis())).await
    }

    async fn trim_unused_clients(&self, most: u64) -> Result<u64, StoreError> {
        let keys = &self.0.keys;
        let lists = [keys.unused_by_address(), keys.unused_of_address()];
        let mut deleted = 0;
        for _ in 0..TRIMMED_AT_ONCE {
            let find = Call::new(&script::OLDEST_UNUSED).key(keys.unused_clients());
            let find = lists.iter().cloned().fold(find, Call::key).arg(most);
            let Some(id) = self.0.run::<Option<String>>(&find).await? else { break };
            let delete =
                Call::new(&script::PURGE_CLIENTS).key(keys.clients()).key(keys.unused_clients());
            let delete = lists
                .iter()
                .cloned()
                .fold(delete, Call::key)
                .key(keys.client(&ClientId::from_text(&id)));
            // Whenever it registered: one that is used by now stays.
            deleted += self.0.run::<u64>(&delete.arg(i64::MAX).arg(id)).await?;
        }
        Ok(deleted)
    }

    async fn count_unused_clients(&self) -> Result<u64, StoreError> {
        let key = self.0.keys.unused_clients();
        let mut command = redis::cmd("ZCARD");
        command.arg(&key);
        let [count] = self.0.connection.read(&key, [command]).await?;
        answer(count)
    }

    async fn configured_clients(&self) -> Result<BTreeSet<ClientId>, StoreError> {
        let key = self.0.keys.configured_clients();
        let [kept] = self.0.connection.read(&key, [get(&key)]).await?;
        let kept: Option<String> = answer(kept)?;
        Ok(kept.map(|text| from_json("meta", &text)).transpose()?.unwrap_or_default())
    }

    async fn remember_configured(&self, ids: &BTreeSet<ClientId>) -> Result<(), StoreError> {
        let key = self.0.keys.configured_clients();
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(to_json(ids)?);
        self.0.connection.write(&key, command).await.map(drop)
    }
}

/// The rank by which a list is in order: sorted sets are sorted upwards, and equal ones by their
/// names.
pub(super) fn newest_first(at: Timestamp) -> i64 {
    at.as_millis().saturating_neg()
}

/// A client from its record and the one field that changes.
pub(super) fn read_client((record, last_used_at): Fields) -> Result<Option<Client>, StoreError> {
    let Some(record) = record else { return Ok(None) };
    let client: Client = from_json("clients", &record)?;
    Ok(Some(Client { last_used_at: last_used_at.map(Timestamp::from_millis), ..client }))
}

async fn delete(
    database: Arc<Database>,
    id: ClientId,
    now: Timestamp,
) -> Result<ClientDeletion, StoreError> {
    let keys = &database.keys;
    let call = Call::new(&script::DELETE_CLIENT)
        .key(keys.client(&id))
        .key(keys.clients())
        .key(keys.unused_clients());
    let call = call
        .key(keys.client_epoch(&id))
        .key(keys.unused_by_address())
        .key(keys.unused_of_address())
        .arg(id.as_str())
        .arg(now.as_millis());
    let call = call.arg(EPOCH_MILLIS).arg(CODE_MILLIS);
    let (was_there, epoch): (bool, String) = database.run(&call).await?;
    let grants_revoked =
        swept(&database, &GrantsOf::Client(id), &Epoch::read(Some(epoch)), now).await?;
    Ok(ClientDeletion { was_there, grants_revoked })
}
