//! Remembered consents: one hash for each user, in which a field is a client and a set of
//! resources. A value is the epochs it was given in, a line break, and the record.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    grant::Consent,
    ids::{ClientId, UserId},
    resource::ResourceSet,
    secret::TokenHash,
    store::{ConsentStore, StoreError},
};

use super::{
    database::{Database, answer},
    epochs::hget,
    failure::corrupt,
    script::{self, Call},
};
use crate::record::{from_json, to_json};

pub(super) struct RedisConsentStore(pub(super) Arc<Database>);

/// How the fields of one client begin: a hash, for ids of clients may be any text.
fn of_client(client: &ClientId) -> String {
    format!("{}:", TokenHash::of(client.as_str()))
}

fn field(client: &ClientId, resources: &ResourceSet) -> String {
    format!("{}{resources}", of_client(client))
}

#[async_trait]
impl ConsentStore for RedisConsentStore {
    async fn save_consent(&self, consent: &Consent) -> Result<(), StoreError> {
        // Before the write: a revocation in between ends this one too.
        let epochs = self.0.consent_epochs(&consent.client).await?;
        let (key, record) = (self.0.keys.consents(&consent.user), to_json(consent)?);
        let mut command = redis::cmd("HSET");
        command
            .arg(&key)
            .arg(field(&consent.client, &consent.resources))
            .arg(format!("{epochs}\n{record}"));
        self.0.connection.write(&key, command).await?;
        Ok(())
    }

    async fn find_consent(
        &self,
        user: &UserId,
        client: &ClientId,
        resources: &ResourceSet,
    ) -> Result<Option<Consent>, StoreError> {
        let key = self.0.keys.consents(user);
        let found = self.0.connection.read(&key, [hget(&key, &field(client, resources))]);
        let ([found], epochs) = tokio::try_join!(found, self.0.consent_epochs(client))?;
        let Some(found) = answer::<Option<String>>(found)? else { return Ok(None) };
        let (then, record) = found.split_once('\n').ok_or_else(|| corrupt("consents.record"))?;
        if then == epochs { from_json("consents", record).map(Some) } else { Ok(None) }
    }

    async fn delete_consents(&self, user: &UserId, client: &ClientId) -> Result<(), StoreError> {
        let call = Call::new(&script::DELETE_CONSENTS)
            .key(self.0.keys.consents(user))
            .arg(of_client(client));
        self.0.run(&call).await
    }
}
