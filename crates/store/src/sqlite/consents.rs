//! Remembered consents.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    grant::Consent,
    ids::{ClientId, UserId},
    resource::ResourceSet,
    store::{ConsentStore, StoreError},
};
use rusqlite::{OptionalExtension as _, params};

use super::database::Database;
use crate::record::{from_json, to_json};

pub(super) struct SqliteConsentStore(pub(super) Arc<Database>);

#[async_trait]
impl ConsentStore for SqliteConsentStore {
    async fn save_consent(&self, consent: &Consent) -> Result<(), StoreError> {
        let (user, client) = (consent.user.as_str().to_owned(), consent.client.as_str().to_owned());
        let resources = consent.resources.to_string();
        let record = to_json(consent)?;
        self.0
            .write(move |db| {
                db.prepare_cached(
                    "INSERT INTO consents (user_id, client_id, resource, record) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (user_id, client_id, resource) DO UPDATE SET record = excluded.record",
                )?
                .execute(params![user, client, resources, record])?;
                Ok(())
            })
            .await
    }

    async fn find_consent(
        &self,
        user: &UserId,
        client: &ClientId,
        resources: &ResourceSet,
    ) -> Result<Option<Consent>, StoreError> {
        let (user, client) = (user.as_str().to_owned(), client.as_str().to_owned());
        let resources = resources.to_string();
        self.0
            .read(move |db| {
                let record: Option<String> = db
                    .prepare_cached("SELECT record FROM consents WHERE user_id = ?1 AND client_id = ?2 AND resource = ?3")?
                    .query_row(params![user, client, resources], |row| row.get(0))
                    .optional()?;
                Ok(record.map(|record| from_json("consents", &record)).transpose()?)
            })
            .await
    }

    async fn delete_consents(&self, user: &UserId, client: &ClientId) -> Result<(), StoreError> {
        let (user, client) = (user.as_str().to_owned(), client.as_str().to_owned());
        self.0
            .write(move |db| {
                db.prepare_cached("DELETE FROM consents WHERE user_id = ?1 AND client_id = ?2")?
                    .execute(params![user, client])?;
                Ok(())
            })
            .await
    }
}
