//! Refresh tokens of identity providers, one for each person. The whole record is sealed; beside it
//! stands its version, which is compared when it changes.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::UserId,
    provider_token::ProviderToken,
    secret::TokenHash,
    store::{ProviderTokenStore, StoreError},
};

use super::{database::Database, keys, script};
use crate::{
    record::{key, open_json, provider_token_id, seal_json, version_to_store},
    seal::Place,
};

pub(super) struct RedisProviderTokenStore(pub(super) Arc<Database>);

pub(super) fn place(id: &TokenHash) -> Place<'_> {
    Place { table: "provider_tokens", column: "record", key: key(id) }
}

#[async_trait]
impl ProviderTokenStore for RedisProviderTokenStore {
    async fn keep_provider_token(&self, token: &ProviderToken) -> Result<(), StoreError> {
        let id = provider_token_id(&token.user);
        let record = seal_json(&self.0.sealer, place(&id), token)?;
        let call = self
            .0
            .on_record(&script::KEEP, &keys::provider_token(&id))
            .arg(token.expires_at.as_millis())
            .arg("version")
            .arg(version_to_store(token.version))
            .arg("record")
            .arg(record);
        self.0.run::<u8>(&call).await.map(drop)
    }

    async fn find_provider_token(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<ProviderToken>, StoreError> {
        let id = provider_token_id(user);
        let (shard, what) = keys::provider_token(&id);
        let found: (Option<i64>, Option<Vec<u8>>) =
            self.0.fields(&self.0.keys.record(shard, &what), &["expires_at", "record"]).await?;
        let (Some(end), Some(record)) = found else { return Ok(None) };
        if end <= now.as_millis() {
            return Ok(None);
        }
        open_json(&self.0.sealer, place(&id), &record).map(Some)
    }

    async fn change_provider_token(
        &self,
        version: u64,
        after: &ProviderToken,
    ) -> Result<bool, StoreError> {
        let id = provider_token_id(&after.user);
        let record = seal_json(&self.0.sealer, place(&id), after)?;
        let call = self
            .0
            .on_record(&script::CHANGE_VERSION, &keys::provider_token(&id))
            .arg(version_to_store(version))
            .arg(after.expires_at.as_millis())
            .arg(version_to_store(after.version))
            .arg(record);
        self.0.run(&call).await
    }

    async fn delete_provider_token(&self, user: &UserId) -> Result<bool, StoreError> {
        let id = provider_token_id(user);
        self.0.run(&self.0.on_record(&script::DELETE_ENTRY, &keys::provider_token(&id))).await
    }
}
