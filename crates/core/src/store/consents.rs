//! Port for remembered consents.

use async_trait::async_trait;

use super::error::StoreError;
use crate::{
    grant::Consent,
    ids::{ClientId, UserId},
    resource::ResourceSet,
};

#[async_trait]
pub trait ConsentStore: Send + Sync {
    /// Keeps a consent in place of an earlier one for the same user, client and resources.
    async fn save_consent(&self, consent: &Consent) -> Result<(), StoreError>;

    async fn find_consent(
        &self,
        user: &UserId,
        client: &ClientId,
        resources: &ResourceSet,
    ) -> Result<Option<Consent>, StoreError>;

    /// Forgets every consent the user gave the client.
    async fn delete_consents(&self, user: &UserId, client: &ClientId) -> Result<(), StoreError>;
}
