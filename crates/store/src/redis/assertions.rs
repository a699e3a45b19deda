//! Assertions that were used: only their keys, which are hashes.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    secret::TokenHash,
    store::{AssertionStore, StoreError},
};

use super::{database::Database, keys, script};

pub(super) struct RedisAssertionStore(pub(super) Arc<Database>);

#[async_trait]
impl AssertionStore for RedisAssertionStore {
    async fn use_once(
        &self,
        key: &TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let call = self.0.on_record(&script::USE_ONCE, &keys::assertion(key));
        self.0.run(&call.arg(expires_at.as_millis()).arg(now.as_millis())).await
    }
}
