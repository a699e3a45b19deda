//! Revocations by this node itself: what they concern is forgotten here at once, for look-ups under
//! way too (threats 19, 41). The ports that revoke are decorated, so that no caller can leave it
//! out. What other nodes revoke is heard by [`super::Invalidations`].

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    client::Client,
    disabled::{Disableable, DisabledRecord, Disabling},
    grant::Grant,
    ids::{ClientId, GrantId, UserId},
    invalidation::Invalidation,
    refresh::{FoundRefresh, RefreshFamily, RefreshKey},
    secret::TokenHash,
    store::{
        ClientDeletion, ClientStore, DisabledStore, FamilyChange, GrantStore, GrantsOf, Redeemed,
        StoreError, Stores,
    },
    token::{AccessToken, AuthorizationCode, FoundAccess, FoundCode},
};
use tracing::Instrument as _;

use crate::{disabled::Disabled, edge::resource_server::cache::TokenCache};

/// The same stores; what is revoked through them is forgotten by `cache`, and what is disabled
/// through them `disabled` knows.
pub fn forgetting(stores: Stores, cache: &TokenCache, disabled: &Disabled) -> Stores {
    let forgetting = ForgettingDisabledStore {
        store: stores.disabled,
        cache: cache.clone(),
        disabled: disabled.clone(),
    };
    let grants = Arc::new(ForgettingGrantStore { store: stores.grants, cache: cache.clone() });
    let clients = Arc::new(ForgettingClientStore { store: stores.clients, cache: cache.clone() });
    Stores { grants, clients, disabled: Arc::new(forgetting), ..stores }
}

struct ForgettingGrantStore {
    store: Arc<dyn GrantStore>,
    cache: TokenCache,
}

struct ForgettingClientStore {
    store: Arc<dyn ClientStore>,
    cache: TokenCache,
}

struct ForgettingDisabledStore {
    store: Arc<dyn DisabledStore>,
    cache: TokenCache,
    disabled: Disabled,
}

/// Sees a revocation in the store through, and then forgets what it concerns if `is_of_concern`
/// says so.
///
/// The task goes on when the request that wants it is given up meanwhile.
async fn see_through<T: Send + 'static>(
    cache: &TokenCache,
    what: Invalidation,
    in_store: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    is_of_concern: impl FnOnce(&TokenCache, &Result<T, StoreError>) -> bool + Send + 'static,
) -> Result<T, StoreError> {
    let cache = cache.clone();
    let work = async move {
        let outcome = in_store.await;
        if is_of_concern(&cache, &outcome) {
            cache.invalidation_log().hear(what);
        }
        outcome
    };
    tokio::spawn(work.in_current_span()).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable("a revocation panicked or was stopped".to_owned()))
    })
}

/// Also when the store fails, since it may have revoked before it did.
const fn always<T>(_: &TokenCache, _: &Result<T, StoreError>) -> bool {
    true
}

#[async_trait]
impl GrantStore for ForgettingGrantStore {
    async fn revoke_grant(&self, id: &GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let (store, id) = (Arc::clone(&self.store), id.clone());
        let what = Invalidation::Grant(id.clone());
        see_through(&self.cache, what, async move { store.revoke_grant(&id, now).await }, always)
            .await
    }

    async fn revoke_grants(&self, of: &GrantsOf, now: Timestamp) -> Result<u64, StoreError> {
        let (store, of) = (Arc::clone(&self.store), of.clone());
        let what = Invalidation::Grants(of.clone());
        see_through(&self.cache, what, async move { store.revoke_grants(&of, now).await }, always)
            .await
    }

    /// A token that neither the store nor the cache knows is nothing to forget: what was made up
    /// must not push out what matters. One that the cache alone knows may have been ended by an
    /// attempt that told no gateway.
    async fn revoke_access(&self, hash: &TokenHash) -> Result<bool, StoreError> {
        let (store, hash) = (Arc::clone(&self.store), *hash);
        let is_known = move |cache: &TokenCache, outcome: &Result<bool, StoreError>| {
            !matches!(outcome, Ok(false)) || cache.remembers(&hash)
        };
        see_through(
            &self.cache,
            Invalidation::Access(hash),
            async move { store.revoke_access(&hash).await },
            is_known,
        )
        .await
    }

    async fn insert_code(&self, code: &AuthorizationCode) -> Result<(), StoreError> {
        self.store.insert_code(code).await
    }

    async fn find_code(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundCode>, StoreError> {
        self.store.find_code(hash, now).await
    }

    async fn redeem_code(
        &self,
        hash: &TokenHash,
        grant: &Grant,
        access: &AccessToken,
        refresh: Option<&RefreshFamily>,
        now: Timestamp,
    ) -> Result<Redeemed, StoreError> {
        self.store.redeem_code(hash, grant, access, refresh, now).await
    }

    async fn insert_grant(&self, grant: &Grant, access: &AccessToken) -> Result<(), StoreError> {
        self.store.insert_grant(grant, access).await
    }

    async fn find_access(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundAccess>, StoreError> {
        self.store.find_access(hash, now).await
    }

    async fn find_owner(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(UserId, ClientId)>, StoreError> {
        self.store.find_owner(hash, now).await
    }

    async fn find_refresh(
        &self,
        key: &RefreshKey,
        now: Timestamp,
    ) -> Result<Option<FoundRefresh>, StoreError> {
        self.store.find_refresh(key, now).await
    }

    async fn change_family(&self, change: &FamilyChange) -> Result<bool, StoreError> {
        self.store.change_family(change).await
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.store.find_grant(id).await
    }

    async fn find_family(&self, grant: &GrantId) -> Result<Option<FoundRefresh>, StoreError> {
        self.store.find_family(grant).await
    }

    async fn list_grants(&self, of: &GrantsOf, limit: u32) -> Result<Vec<Grant>, StoreError> {
        self.store.list_grants(of, limit).await
    }
}

#[async_trait]
impl DisabledStore for ForgettingDisabledStore {
    async fn disable(
        &self,
        record: &DisabledRecord,
        now: Timestamp,
    ) -> Result<Disabling, StoreError> {
        let (store, record) = (Arc::clone(&self.store), record.clone());
        let (what, disabled) = (Invalidation::Disabled(record.what.clone()), self.disabled.clone());
        let told = what.clone();
        see_through(
            &self.cache,
            what,
            async move { store.disable(&record, now).await },
            move |_, outcome| {
                let may_be_done = !matches!(outcome, Err(StoreError::Full(_)));
                if may_be_done {
                    disabled.hear(&told);
                }
                // It may have been enabled again by now, and that was heard before.
                disabled.miss();
                may_be_done
            },
        )
        .await
    }

    async fn enable(&self, what: &Disableable) -> Result<bool, StoreError> {
        let outcome = self.store.enable(what).await;
        self.disabled.miss();
        outcome
    }

    async fn find_disabled(
        &self,
        what: &Disableable,
    ) -> Result<Option<DisabledRecord>, StoreError> {
        self.store.find_disabled(what).await
    }

    async fn list_disabled(&self, most: u32) -> Result<Vec<DisabledRecord>, StoreError> {
        self.store.list_disabled(most).await
    }
}

#[async_trait]
impl ClientStore for ForgettingClientStore {
    async fn delete_client(
        &self,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<ClientDeletion, StoreError> {
        let (store, id) = (Arc::clone(&self.store), id.clone());
        let what = Invalidation::Grants(GrantsOf::Client(id.clone()));
        see_through(&self.cache, what, async move { store.delete_client(&id, now).await }, always)
            .await
    }

    async fn insert_client(&self, client: &Client) -> Result<(), StoreError> {
        self.store.insert_client(client).await
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.store.find_client(id).await
    }

    async fn list_clients(&self, limit: u32) -> Result<Vec<Client>, StoreError> {
        self.store.list_clients(limit).await
    }

    async fn update_client(&self, client: &Client) -> Result<bool, StoreError> {
        self.store.update_client(client).await
    }

    async fn touch_client(&self, id: &ClientId, now: Timestamp) -> Result<(), StoreError> {
        self.store.touch_client(id, now).await
    }

    async fn trim_unused_clients(&self, most: u64) -> Result<u64, StoreError> {
        self.store.trim_unused_clients(most).await
    }

    async fn count_unused_clients(&self) -> Result<u64, StoreError> {
        self.store.count_unused_clients().await
    }

    async fn configured_clients(&self) -> Result<BTreeSet<ClientId>, StoreError> {
        self.store.configured_clients().await
    }

    async fn remember_configured(&self, ids: &BTreeSet<ClientId>) -> Result<(), StoreError> {
        self.store.remember_configured(ids).await
    }
}

#[cfg(test)]
mod tests;
