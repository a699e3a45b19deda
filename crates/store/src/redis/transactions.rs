//! Sign-ins in flight. An authorization request at a provider holds a nonce and a PKCE verifier, so
//! its record is sealed.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    address_block::AddressTag,
    ids::TransactionId,
    secret::TokenHash,
    signin::{ProviderRequest, Transaction},
    store::{StoreError, TransactionStore},
};

use super::{
    database::Database,
    keys,
    script::{self, Call},
};
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
        self.0
            .insert(
                &keys::transaction(&transaction.id),
                transaction.expires_at,
                &[("record", record.as_bytes())],
            )
            .await?;
        let Some(address) = &transaction.begun_from else { return Ok(()) };
        let list = Call::new(&script::BEGIN_TRANSACTION).key(self.0.keys.begun_from(address));
        let list = list
            .arg(transaction.created_at.as_millis())
            .arg(transaction.id.as_str())
            .arg(transaction.expires_at.as_millis());
        self.0.run::<Vec<String>>(&list.arg(u32::MAX)).await.map(drop)
    }

    async fn trim_transactions(
        &self,
        begun_from: &AddressTag,
        most: u64,
    ) -> Result<u64, StoreError> {
        let list = Call::new(&script::BEGIN_TRANSACTION)
            .key(self.0.keys.begun_from(begun_from))
            .arg(0)
            .arg("")
            .arg(0)
            .arg(most);
        let ids: Vec<String> = self.0.run(&list).await?;
        let mut deleted = 0;
        for id in ids {
            // Whether it has expired or not.
            let taken = self
                .0
                .take(
                    &keys::transaction(&TransactionId::from_text(&id)),
                    Timestamp::from_millis(i64::MIN),
                )
                .await?;
            deleted += u64::from(taken.is_some());
        }
        Ok(deleted)
    }

    async fn find_transaction(
        &self,
        id: &TransactionId,
        now: Timestamp,
    ) -> Result<Option<Transaction>, StoreError> {
        let (shard, what) = keys::transaction(id);
        let found: (Option<i64>, Option<String>) =
            self.0.fields(&self.0.keys.record(shard, &what), &["expires_at", "record"]).await?;
        match found {
            (Some(end), Some(record)) if end > now.as_millis() => {
                from_json("transactions", &record).map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn update_transaction(&self, transaction: &Transaction) -> Result<bool, StoreError> {
        let record = to_json(transaction)?;
        let call = self.0.on_record(&script::UPDATE, &keys::transaction(&transaction.id));
        self.0.run(&call.arg(transaction.expires_at.as_millis()).arg("record").arg(record)).await
    }

    async fn take_transaction(
        &self,
        id: &TransactionId,
        now: Timestamp,
    ) -> Result<Option<Transaction>, StoreError> {
        let taken = self.0.take(&keys::transaction(id), now).await?;
        let taken: Option<Transaction> =
            taken.map(|record| from_json_bytes("transactions", &record)).transpose()?;
        if let Some(address) = taken.as_ref().and_then(|taken| taken.begun_from.as_ref()) {
            let list = self.0.keys.begun_from(address);
            let mut command = redis::cmd("ZREM");
            command.arg(&list).arg(id.as_str());
            // It is taken, whether it still counts for a while or not.
            if let Err(error) = self.0.connection.write(&list, command).await {
                tracing::debug!(%error, "a transaction that is over could not be taken out of the list of its address");
            }
        }
        Ok(taken)
    }

    async fn insert_provider_request(
        &self,
        provider_request: &ProviderRequest,
    ) -> Result<(), StoreError> {
        let record = seal_json(&self.0.sealer, place(&provider_request.state), provider_request)?;
        self.0
            .insert(
                &keys::provider_request(&provider_request.state),
                provider_request.expires_at,
                &[("record", &record)],
            )
            .await
    }

    async fn find_provider_request(
        &self,
        state: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ProviderRequest>, StoreError> {
        let (shard, what) = keys::provider_request(state);
        let found: (Option<i64>, Option<Vec<u8>>) =
            self.0.fields(&self.0.keys.record(shard, &what), &["expires_at", "record"]).await?;
        match found {
            (Some(end), Some(ciphertext)) if end > now.as_millis() => {
                open_json(&self.0.sealer, place(state), &ciphertext).map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn take_provider_request(
        &self,
        state: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ProviderRequest>, StoreError> {
        let taken = self.0.take(&keys::provider_request(state), now).await?;
        taken.map(|ciphertext| open_json(&self.0.sealer, place(state), &ciphertext)).transpose()
    }
}
