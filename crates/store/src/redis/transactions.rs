//! Sign-ins in flight. A trip to a provider holds a nonce and a PKCE verifier, so its record is sealed.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::TransactionId,
    secret::TokenHash,
    signin::{ProviderLeg, Transaction},
    store::{StoreError, TransactionStore},
};

use super::{database::Database, keys, script};
use crate::{
    record::{from_json, from_json_bytes, key, open_json, seal_json, to_json},
    seal::Place,
};

pub(super) struct RedisTransactionStore(pub(super) Arc<Database>);

pub(super) fn place(state: &TokenHash) -> Place<'_> {
    Place { table: "legs", column: "record", key: key(state) }
}

#[async_trait]
impl TransactionStore for RedisTransactionStore {
    async fn insert_transaction(&self, transaction: &Transaction) -> Result<(), StoreError> {
        let record = to_json(transaction)?;
        self.0.insert(&keys::transaction(&transaction.id), transaction.expires_at, &[("record", record.as_bytes())]).await
    }

    async fn find_transaction(&self, id: &TransactionId, now: Timestamp) -> Result<Option<Transaction>, StoreError> {
        let (shard, what) = keys::transaction(id);
        let found: (Option<i64>, Option<String>) =
            self.0.fields(&self.0.keys.record(shard, &what), &["expires_at", "record"]).await?;
        match found {
            (Some(end), Some(record)) if end > now.as_millis() => from_json("transactions", &record).map(Some),
            _ => Ok(None),
        }
    }

    async fn update_transaction(&self, transaction: &Transaction) -> Result<bool, StoreError> {
        let record = to_json(transaction)?;
        let call = self.0.on_record(&script::UPDATE, &keys::transaction(&transaction.id));
        self.0.run(&call.arg(transaction.expires_at.as_millis()).arg("record").arg(record)).await
    }

    async fn take_transaction(&self, id: &TransactionId, now: Timestamp) -> Result<Option<Transaction>, StoreError> {
        let taken = self.0.take(&keys::transaction(id), now).await?;
        taken.map(|record| from_json_bytes("transactions", &record)).transpose()
    }

    async fn insert_leg(&self, leg: &ProviderLeg) -> Result<(), StoreError> {
        let record = seal_json(&self.0.sealer, place(&leg.state), leg)?;
        self.0.insert(&keys::leg(&leg.state), leg.expires_at, &[("record", &record)]).await
    }

    async fn find_leg(&self, state: &TokenHash, now: Timestamp) -> Result<Option<ProviderLeg>, StoreError> {
        let (shard, what) = keys::leg(state);
        let found: (Option<i64>, Option<Vec<u8>>) =
            self.0.fields(&self.0.keys.record(shard, &what), &["expires_at", "record"]).await?;
        match found {
            (Some(end), Some(ciphertext)) if end > now.as_millis() => {
                open_json(&self.0.sealer, place(state), &ciphertext).map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn take_leg(&self, state: &TokenHash, now: Timestamp) -> Result<Option<ProviderLeg>, StoreError> {
        let taken = self.0.take(&keys::leg(state), now).await?;
        taken.map(|ciphertext| open_json(&self.0.sealer, place(state), &ciphertext)).transpose()
    }
}
