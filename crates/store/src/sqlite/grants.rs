//! Grants with their codes and tokens: each step that guards a secret's single use is one job of
//! the one writer, in one immediate transaction. The rows are written and read in
//! [`super::tokens`].

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    grant::Grant,
    ids::{ClientId, GrantId, UserId},
    invalidation::Invalidation,
    refresh::{FoundRefresh, RefreshFamily, RefreshKey},
    secret::TokenHash,
    store::{FamilyChange, GrantStore, GrantsOf, Redeemed, StoreError},
    token::{AccessToken, AuthorizationCode, FoundAccess, FoundCode},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    database::Database,
    disabled::refuse,
    failure::Failure,
    families::{self, SealedFamily},
    grants_of,
    invalidations::{post, post_if},
    tokens::{AccessRow, insert_access, insert_grant, read_access, read_grant},
};
use crate::record::{from_json, key, remembered_until, to_json};

pub(super) struct SqliteGrantStore(pub(super) Arc<Database>);

#[async_trait]
impl GrantStore for SqliteGrantStore {
    async fn insert_code(&self, code: &AuthorizationCode) -> Result<(), StoreError> {
        let (hash, expires_at) = (code.hash, code.expires_at.as_millis());
        let record = to_json(code)?;
        let (user, client) = (code.user.clone(), code.client.clone());
        self.0
            .write(move |db| {
                refuse(db, Some(&user), Some(&client))?;
                db.prepare_cached(
                    "INSERT INTO codes (hash, expires_at, record) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![key(&hash), expires_at, record])?;
                Ok(())
            })
            .await
    }

    async fn find_code(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundCode>, StoreError> {
        let hash = *hash;
        self.0
            .read(move |db| {
                let row: Option<(String, Option<String>)> = db
                    .prepare_cached(
                        "SELECT record, grant_id FROM codes WHERE hash = ?1 AND expires_at > ?2",
                    )?
                    .query_row(params![key(&hash), now.as_millis()], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                row.map(|(record, grant)| {
                    Ok(FoundCode {
                        code: from_json("codes", &record)?,
                        redeemed: grant.map(GrantId::from_text),
                    })
                })
                .transpose()
            })
            .await
    }

    async fn redeem_code(
        &self,
        hash: &TokenHash,
        grant: &Grant,
        access: &AccessToken,
        refresh: Option<&RefreshFamily>,
        now: Timestamp,
    ) -> Result<Redeemed, StoreError> {
        let hash = *hash;
        let record = to_json(grant)?;
        let kept_until = remembered_until(grant, access, refresh).as_millis();
        let refresh = refresh.map(|family| SealedFamily::new(family, &self.0.sealer)).transpose();
        let refresh = refresh.map_err(|Failure(error)| error)?;
        let (grant, access) = (grant.clone(), access.clone());
        self.0
            .write(move |db| {
                let found: Option<Option<String>> = db
                    .prepare_cached("SELECT grant_id FROM codes WHERE hash = ?1 AND expires_at > ?2")?
                    .query_row(params![key(&hash), now.as_millis()], |row| row.get(0))
                    .optional()?;
                if let Some(Some(earlier)) = found {
                    return Ok(Redeemed::Already(GrantId::from_text(earlier)));
                }
                refuse(db, Some(&grant.user), Some(&grant.client))?;
                if found.is_none() {
                    return Ok(Redeemed::Unknown);
                }
                insert_grant(db, &grant, &record)?;
                insert_access(db, &access)?;
                if let Some(refresh) = &refresh {
                    refresh.insert(db)?;
                }
                db.prepare_cached("UPDATE codes SET grant_id = ?2, expires_at = max(expires_at, ?3) WHERE hash = ?1")?
                    .execute(params![key(&hash), grant.id.as_str(), kept_until])?;
                Ok(Redeemed::Fresh)
            })
            .await
    }

    async fn insert_grant(&self, grant: &Grant, access: &AccessToken) -> Result<(), StoreError> {
        let record = to_json(grant)?;
        let (grant, access) = (grant.clone(), access.clone());
        self.0
            .write(move |db| {
                refuse(db, Some(&grant.user), Some(&grant.client))?;
                insert_grant(db, &grant, &record)?;
                insert_access(db, &access)
            })
            .await
    }

    async fn find_access(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundAccess>, StoreError> {
        let hash = *hash;
        self.0.read(move |db| find_access(db, hash, now)).await
    }

    async fn find_owner(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(UserId, ClientId)>, StoreError> {
        let hash = *hash;
        self.0
            .read(move |db| {
                let owner: Option<(String, String)> = db
                    .prepare_cached(
                        "SELECT grants.user_id, grants.client_id FROM access_tokens
                         JOIN grants ON grants.id = access_tokens.grant_id
                         WHERE access_tokens.hash = ?1 AND access_tokens.expires_at > ?2",
                    )?
                    .query_row(params![key(&hash), now.as_millis()], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                Ok(owner
                    .map(|(user, client)| (UserId::from_text(user), ClientId::from_text(client))))
            })
            .await
    }

    async fn find_refresh(
        &self,
        key: &RefreshKey,
        now: Timestamp,
    ) -> Result<Option<FoundRefresh>, StoreError> {
        let (key, sealer) = (*key, Arc::clone(&self.0.sealer));
        self.0.read(move |db| families::find(db, &key, now, &sealer)).await
    }

    async fn change_family(&self, change: &FamilyChange) -> Result<bool, StoreError> {
        let after =
            SealedFamily::new(&change.after, &self.0.sealer).map_err(|Failure(error)| error)?;
        let change = change.clone();
        self.0.write(move |db| families::change(db, &change, &after)).await
    }

    async fn revoke_grant(&self, id: &GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        self.0
            .write_and_tell(move |db| {
                let revoked = db
                    .prepare_cached(
                        "UPDATE grants SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
                    )?
                    .execute(params![id.as_str(), now.as_millis()])?;
                Ok((revoked > 0, post_if(revoked > 0, db, || Invalidation::Grant(id))?))
            })
            .await
    }

    async fn revoke_grants(&self, of: &GrantsOf, now: Timestamp) -> Result<u64, StoreError> {
        let of = of.clone();
        self.0
            .write_and_tell(move |db| {
                let revoked = grants_of::revoke(db, &of, now)?;
                Ok((revoked, Some(post(db, Invalidation::Grants(of))?)))
            })
            .await
    }

    async fn revoke_access(&self, hash: &TokenHash) -> Result<bool, StoreError> {
        let hash = *hash;
        self.0
            .write_and_tell(move |db| {
                let deleted = db
                    .prepare_cached("DELETE FROM access_tokens WHERE hash = ?1")?
                    .execute([key(&hash)])?;
                Ok((deleted > 0, post_if(deleted > 0, db, || Invalidation::Access(hash))?))
            })
            .await
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let id = id.clone();
        self.0.read(move |db| find_grant(db, &id)).await
    }

    async fn find_family(&self, grant: &GrantId) -> Result<Option<FoundRefresh>, StoreError> {
        let (id, sealer) = (grant.clone(), Arc::clone(&self.0.sealer));
        self.0
            .read(move |db| {
                let Some(grant) = find_grant(db, &id)? else { return Ok(None) };
                let family = families::of_grant(db, &id, &sealer)?;
                Ok(Some(FoundRefresh { grant, family, earlier: None }))
            })
            .await
    }

    async fn list_grants(&self, of: &GrantsOf, limit: u32) -> Result<Vec<Grant>, StoreError> {
        let of = of.clone();
        self.0.read(move |db| grants_of::list(db, &of, limit)).await
    }
}

fn find_grant(db: &Connection, id: &GrantId) -> Result<Option<Grant>, Failure> {
    let row: Option<(String, Option<i64>)> = db
        .prepare_cached("SELECT record, revoked_at FROM grants WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(record, revoked_at)| read_grant(&record, revoked_at)).transpose()
}

fn find_access(
    db: &Connection,
    hash: TokenHash,
    now: Timestamp,
) -> Result<Option<FoundAccess>, Failure> {
    let row: Option<(AccessRow, String, String)> = db
        .prepare_cached(
            "SELECT access_tokens.expires_at, access_tokens.scopes, access_tokens.resource, grants.record, users.record
             FROM access_tokens
             JOIN grants ON grants.id = access_tokens.grant_id
             JOIN users ON users.id = grants.user_id
             WHERE access_tokens.hash = ?1 AND access_tokens.expires_at > ?2 AND grants.revoked_at IS NULL",
        )?
        .query_row(params![key(&hash), now.as_millis()], |row| {
            let access = AccessRow { expires_at: row.get(0)?, scopes: row.get(1)?, resource: row.get(2)? };
            Ok((access, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    row.map(|(access, grant, user)| {
        let grant = read_grant(&grant, None)?;
        let token = read_access(hash, &grant, access)?;
        Ok(FoundAccess { token, grant, user: from_json("users", &user)? })
    })
    .transpose()
}
