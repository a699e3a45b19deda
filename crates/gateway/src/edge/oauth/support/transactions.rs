//! Sign-ins and authorizations in flight, as the browser that began them reaches them:
//! [`Transactions`]. Nothing else in the gateway goes to the store for one, and a
//! [`BrowserTransaction`] is made only where the browser's cookie was compared (threats 8, 72).
//! What comes next for one is decided by `portunus_core::oauth::authorize`.

use std::{net::IpAddr, sync::Arc, time::Duration};

use portunus_core::{
    Clock, Entropy,
    address_block::AddressBlock,
    ids::TransactionId,
    oauth::authorize,
    secret::TokenHash,
    signin::{BrowserTransaction, ProviderRequest, Purpose},
    store::{StoreError, TransactionStore},
};

use crate::edge::browser::Browser;

#[derive(Clone)]
pub struct Transactions {
    pub store: Arc<dyn TransactionStore>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// How long a person may take.
    pub lifetime: Duration,
    /// How many one address may have begun and not finished (threat 63).
    pub per_address: usize,
}

/// An answer of a provider, as far as the request with it shows.
#[derive(Clone, Copy, Debug)]
pub struct ProviderAnswer<'a> {
    /// The hash of its `state`.
    pub state: &'a TokenHash,
    /// The hash of the state cookie that came with it.
    pub cookie: &'a TokenHash,
    /// The redirect URI that it came to.
    pub callback: &'a str,
}

impl Transactions {
    /// A new one, of this browser. If its address has too many that were not finished, the oldest
    /// of them go.
    pub async fn begin(
        &self,
        browser: &Browser,
        purpose: Purpose,
        peer: IpAddr,
    ) -> Result<BrowserTransaction, StoreError> {
        let address = AddressBlock::of(peer).tag();
        let transaction = authorize::begin(
            purpose,
            browser.hash(),
            self.clock.now(),
            self.lifetime,
            &*self.entropy,
        );
        let transaction = transaction.begun_from(address.clone());
        self.store.insert_transaction(&transaction).await?;
        let dropped = self
            .store
            .trim_transactions(&address, u64::try_from(self.per_address).unwrap_or(u64::MAX))
            .await?;
        if dropped > 0 {
            tracing::warn!(%peer, dropped, "sign-ins of one address that nobody finished made room: limits.sign_ins_per_address");
        }
        Ok(transaction)
    }

    /// The transaction, if it is one of this browser's.
    pub async fn find(
        &self,
        browser: &Browser,
        id: &TransactionId,
    ) -> Result<Option<BrowserTransaction>, StoreError> {
        let found = self.store.find_transaction(id, self.clock.now()).await?;
        Ok(found.and_then(|found| browser.own(found)))
    }

    /// Keeps what has become of it; `false` if it was taken meanwhile.
    pub async fn update(&self, transaction: &BrowserTransaction) -> Result<bool, StoreError> {
        self.store.update_transaction(transaction).await
    }

    /// Takes it out: of many callers one is told `true`.
    pub async fn take(&self, transaction: &BrowserTransaction) -> Result<bool, StoreError> {
        Ok(self.store.take_transaction(&transaction.id, self.clock.now()).await?.is_some())
    }

    /// Keeps a request to a provider, made for a transaction of this browser; `false` if it was
    /// sent to one too often, or is over.
    pub async fn insert_request(
        &self,
        transaction: &BrowserTransaction,
        request: &ProviderRequest,
    ) -> Result<bool, StoreError> {
        let Some(departed) = transaction.departed() else {
            tracing::warn!("a sign-in was sent to a provider too often");
            return Ok(false);
        };
        if !self.store.update_transaction(&departed).await? {
            return Ok(false);
        }
        self.store.insert_provider_request(request).await.map(|()| true)
    }

    /// Is there a request of this state that was not answered yet?
    pub async fn awaits(&self, state: &TokenHash) -> Result<bool, StoreError> {
        Ok(self.store.find_provider_request(state, self.clock.now()).await?.is_some())
    }

    /// The request that the answer is to, taken out once, and its transaction. Everything is
    /// compared first, and `admits` asked: with another browser's cookies, at another callback or
    /// from another provider nothing is taken out of the store (threats 54, 72).
    pub async fn take_request(
        &self,
        browser: &Browser,
        answer: ProviderAnswer<'_>,
        admits: impl FnOnce(&ProviderRequest) -> bool,
    ) -> Result<Option<(ProviderRequest, BrowserTransaction)>, StoreError> {
        let now = self.clock.now();
        let found = self.store.find_provider_request(answer.state, now).await?;
        let Some(request) =
            found.filter(|found| found.is_answered_at(answer.callback, answer.cookie))
        else {
            return Ok(None);
        };
        let Some(transaction) = self.find(browser, &request.transaction).await? else {
            return Ok(None);
        };
        if !admits(&request) {
            return Ok(None);
        }
        Ok(self
            .store
            .take_provider_request(answer.state, now)
            .await?
            .map(|request| (request, transaction)))
    }
}
