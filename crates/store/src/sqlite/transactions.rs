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
use rusqlite::{OptionalExtension as _, params};

use super::database::Database;
use crate::record::{from_json, key, open_json, seal_json, to_json};
use crate::seal::Place;

pub(super) struct SqliteTransactionStore(pub(super) Arc<Database>);

pub(super) fn place(state: &TokenHash) -> Place<'_> {
    Place { table: "legs", column: "record", key: key(state) }
}

#[async_trait]
impl TransactionStore for SqliteTransactionStore {
    async fn insert_transaction(&self, transaction: &Transaction) -> Result<(), StoreError> {
        let (id, expires_at) =
            (transaction.id.as_str().to_owned(), transaction.expires_at.as_millis());
        let record = to_json(transaction)?;
        self.0
            .write(move |db| {
                db.prepare_cached(
                    "INSERT INTO transactions (id, expires_at, record) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id, expires_at, record])?;
                Ok(())
            })
            .await
    }

    async fn trim_transactions(
        &self,
        begun_from: &AddressTag,
        most: u64,
    ) -> Result<u64, StoreError> {
        let (begun_from, most) =
            (begun_from.as_str().to_owned(), i64::try_from(most).unwrap_or(i64::MAX));
        self.0
            .write(move |db| {
                // By the order of insertion: a transaction's end moves.
                let deleted = db
                    .prepare_cached(
                        "DELETE FROM transactions WHERE id IN (
                             SELECT id FROM transactions WHERE begun_from = ?1 ORDER BY rowid DESC LIMIT -1 OFFSET ?2)",
                    )?
                    .execute(params![begun_from, most])?;
                Ok(deleted as u64)
            })
            .await
    }

    async fn find_transaction(
        &self,
        id: &TransactionId,
        now: Timestamp,
    ) -> Result<Option<Transaction>, StoreError> {
        let id = id.as_str().to_owned();
        self.0
            .read(move |db| {
                let record: Option<String> = db
                    .prepare_cached(
                        "SELECT record FROM transactions WHERE id = ?1 AND expires_at > ?2",
                    )?
                    .query_row(params![id, now.as_millis()], |row| row.get(0))
                    .optional()?;
                Ok(record.map(|record| from_json("transactions", &record)).transpose()?)
            })
            .await
    }

    async fn update_transaction(&self, transaction: &Transaction) -> Result<bool, StoreError> {
        let (id, expires_at) =
            (transaction.id.as_str().to_owned(), transaction.expires_at.as_millis());
        let record = to_json(transaction)?;
        self.0
            .write(move |db| {
                let updated = db
                    .prepare_cached(
                        "UPDATE transactions SET expires_at = ?2, record = ?3 WHERE id = ?1",
                    )?
                    .execute(params![id, expires_at, record])?;
                Ok(updated > 0)
            })
            .await
    }

    async fn take_transaction(
        &self,
        id: &TransactionId,
        now: Timestamp,
    ) -> Result<Option<Transaction>, StoreError> {
        let id = id.as_str().to_owned();
        self.0
            .write(move |db| {
                let record: Option<String> = db
                    .prepare_cached("DELETE FROM transactions WHERE id = ?1 AND expires_at > ?2 RETURNING record")?
                    .query_row(params![id, now.as_millis()], |row| row.get(0))
                    .optional()?;
                Ok(record.map(|record| from_json("transactions", &record)).transpose()?)
            })
            .await
    }

    async fn insert_provider_request(
        &self,
        provider_request: &ProviderRequest,
    ) -> Result<(), StoreError> {
        let (state, expires_at) = (provider_request.state, provider_request.expires_at.as_millis());
        let record = seal_json(&self.0.sealer, place(&provider_request.state), provider_request)?;
        self.0
            .write(move |db| {
                db.prepare_cached(
                    "INSERT INTO legs (state, expires_at, record) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![key(&state), expires_at, record])?;
                Ok(())
            })
            .await
    }

    async fn find_provider_request(
        &self,
        state: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ProviderRequest>, StoreError> {
        let state = *state;
        let sealer = Arc::clone(&self.0.sealer);
        self.0
            .read(move |db| {
                let ciphertext: Option<Vec<u8>> = db
                    .prepare_cached("SELECT record FROM legs WHERE state = ?1 AND expires_at > ?2")?
                    .query_row(params![key(&state), now.as_millis()], |row| row.get(0))
                    .optional()?;
                Ok(ciphertext
                    .map(|ciphertext| open_json(&sealer, place(&state), &ciphertext))
                    .transpose()?)
            })
            .await
    }

    async fn take_provider_request(
        &self,
        state: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<ProviderRequest>, StoreError> {
        let state = *state;
        let sealer = Arc::clone(&self.0.sealer);
        self.0
            .write(move |db| {
                let ciphertext: Option<Vec<u8>> = db
                    .prepare_cached(
                        "DELETE FROM legs WHERE state = ?1 AND expires_at > ?2 RETURNING record",
                    )?
                    .query_row(params![key(&state), now.as_millis()], |row| row.get(0))
                    .optional()?;
                Ok(ciphertext
                    .map(|ciphertext| open_json(&sealer, place(&state), &ciphertext))
                    .transpose()?)
            })
            .await
    }
}
