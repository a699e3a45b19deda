//! People and their browsers' logins. A login holds an ID token, so its record is sealed.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    ids::{ProviderName, UserId},
    invalidation::{Invalidation, Posted},
    principal::User,
    secret::TokenHash,
    signin::Login,
    store::{GrantsOf, LoginStore, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{database::Database, disabled::refuse, failure::Failure, invalidations::post_if};
use crate::record::{from_json, is_described_anew, key, open_json, seal_json, to_json};
use crate::seal::Place;

pub(super) struct SqliteLoginStore(pub(super) Arc<Database>);

pub(super) fn place(id: &TokenHash) -> Place<'_> {
    Place { table: "logins", column: "record", key: key(id) }
}

/// Keeps the user.
pub(super) fn write_user(db: &Connection, id: &str, record: &str) -> Result<(), Failure> {
    db.prepare_cached("INSERT INTO users (id, record) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET record = excluded.record")?
        .execute(params![id, record])?;
    Ok(())
}

/// Keeps the user, and posts an invalidation if tokens tell something else of them from now on.
fn upsert_user(db: &Connection, user: &User, record: &str) -> Result<Option<Posted>, Failure> {
    let earlier: Option<String> = db
        .prepare_cached("SELECT record FROM users WHERE id = ?1")?
        .query_row([user.id.as_str()], |row| row.get(0))
        .optional()?;
    write_user(db, user.id.as_str(), record)?;
    let changed = is_described_anew(earlier.as_deref(), user);
    post_if(changed, db, || Invalidation::Grants(GrantsOf::User(user.id.clone())))
}

#[async_trait]
impl LoginStore for SqliteLoginStore {
    async fn insert_login(&self, user: &User, login: &Login) -> Result<(), StoreError> {
        let user_record = to_json(user)?;
        let user = user.clone();
        let (id, login_user, expires_at) =
            (login.id, login.user.as_str().to_owned(), login.expires_at.as_millis());
        let login_record = seal_json(&self.0.sealer, place(&login.id), login)?;
        self.0
            .write_and_tell(move |db| {
                refuse(db, Some(&user.id), None)?;
                let posted = upsert_user(db, &user, &user_record)?;
                db.prepare_cached("INSERT INTO logins (hash, user_id, expires_at, record) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![key(&id), login_user, expires_at, login_record])?;
                Ok(((), posted))
            })
            .await
    }

    async fn find_login(
        &self,
        id: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(Login, User)>, StoreError> {
        let id = *id;
        let sealer = Arc::clone(&self.0.sealer);
        self.0
            .read(move |db| {
                let row: Option<(Vec<u8>, i64, Option<i64>, String)> = db
                    .prepare_cached(
                        "SELECT logins.record, logins.expires_at, logins.last_seen_at, users.record FROM logins JOIN users ON users.id = logins.user_id
                         WHERE logins.hash = ?1 AND logins.expires_at > ?2",
                    )?
                    .query_row(params![key(&id), now.as_millis()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                    .optional()?;
                row.map(|(login, expires_at, last_seen_at, user)| {
                    let login = Login {
                        expires_at: Timestamp::from_millis(expires_at),
                        last_seen_at: last_seen_at.map(Timestamp::from_millis),
                        ..open_json(&sealer, place(&id), &login)?
                    };
                    Ok((login, from_json("users", &user)?))
                })
                .transpose()
            })
            .await
    }

    async fn touch_login(
        &self,
        id: &TokenHash,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = *id;
        self.0
            .write(move |db| {
                let touched = db
                    .prepare_cached(
                        "UPDATE logins SET last_seen_at = max(coalesce(last_seen_at, ?2), ?2), expires_at = max(expires_at, ?3)
                         WHERE hash = ?1 AND expires_at > ?2",
                    )?
                    .execute(params![key(&id), last_seen.as_millis(), expires_at.as_millis()])?;
                Ok(touched > 0)
            })
            .await
    }

    async fn take_login(&self, id: &TokenHash) -> Result<Option<Login>, StoreError> {
        let id = *id;
        let sealer = Arc::clone(&self.0.sealer);
        self.0
            .write(move |db| {
                let ciphertext: Option<Vec<u8>> = db
                    .prepare_cached("DELETE FROM logins WHERE hash = ?1 RETURNING record")?
                    .query_row([key(&id)], |row| row.get(0))
                    .optional()?;
                Ok(ciphertext
                    .map(|ciphertext| open_json(&sealer, place(&id), &ciphertext))
                    .transpose()?)
            })
            .await
    }

    async fn take_logins(&self, user: &UserId) -> Result<u64, StoreError> {
        let user = user.as_str().to_owned();
        self.0
            .write(move |db| {
                Ok(db.prepare_cached("DELETE FROM logins WHERE user_id = ?1")?.execute([user])?
                    as u64)
            })
            .await
    }

    async fn insert_user(&self, user: &User) -> Result<(), StoreError> {
        let record = to_json(user)?;
        let user = user.clone();
        self.0.write_and_tell(move |db| Ok(((), upsert_user(db, &user, &record)?))).await
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let id = id.as_str().to_owned();
        self.0
            .read(move |db| {
                let record: Option<String> = db
                    .prepare_cached("SELECT record FROM users WHERE id = ?1")?
                    .query_row([id], |row| row.get(0))
                    .optional()?;
                Ok(record.map(|record| from_json("users", &record)).transpose()?)
            })
            .await
    }

    async fn find_users(&self, called: &str) -> Result<Vec<User>, StoreError> {
        let called = called.to_owned();
        self.0
            .read(move |db| {
                let mut found = Vec::new();
                each_user(db, |user| {
                    if user.is_called(&called) {
                        found.push(user);
                    }
                })?;
                Ok(found)
            })
            .await
    }

    async fn list_users(&self) -> Result<Vec<User>, StoreError> {
        self.0
            .read(move |db| {
                let mut found = Vec::new();
                each_user(db, |user| found.push(user))?;
                Ok(found)
            })
            .await
    }

    async fn latest_user(&self, provider: &ProviderName) -> Result<Option<User>, StoreError> {
        let provider = provider.clone();
        self.0
            .read(move |db| {
                let mut latest: Option<User> = None;
                each_user(db, |user| {
                    if user.provider == provider
                        && latest
                            .as_ref()
                            .is_none_or(|latest| latest.signed_in_at < user.signed_in_at)
                    {
                        latest = Some(user);
                    }
                })?;
                Ok(latest)
            })
            .await
    }
}

fn each_user(db: &Connection, mut look: impl FnMut(User)) -> Result<(), Failure> {
    let mut statement = db.prepare("SELECT record FROM users")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look(from_json("users", &row.get::<_, String>(0)?)?);
    }
    Ok(())
}
