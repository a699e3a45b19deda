//! Rows of grants and tokens: how one is written and read. The atomic steps made of them are in
//! [`super::grants`].

use portunus_core::{
    Timestamp,
    grant::Grant,
    resource::Resource,
    scope::ScopeSet,
    secret::TokenHash,
    token::{AccessToken, RefreshToken},
};
use rusqlite::{Connection, params};

use super::failure::Failure;
use crate::record::{from_json, key};

pub(super) fn insert_grant(db: &Connection, grant: &Grant, record: &str) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO grants (id, user_id, client_id, created_at, revoked_at, tokens_until, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?6)",
    )?
    .execute(params![
        grant.id.as_str(),
        grant.user.as_str(),
        grant.client.as_str(),
        grant.created_at.as_millis(),
        grant.revoked_at.map(Timestamp::as_millis),
        record
    ])?;
    Ok(())
}

pub(super) fn insert_access(db: &Connection, token: &AccessToken) -> Result<(), Failure> {
    db.prepare_cached("INSERT INTO access_tokens (hash, grant_id, expires_at, scopes, resource) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            key(&token.hash),
            token.grant.as_str(),
            token.expires_at.as_millis(),
            token.scopes.to_string(),
            token.resource.as_str()
        ])?;
    prolong(db, token.grant.as_str(), token.expires_at)
}

/// One of before there were families: out of a backup.
pub(super) fn insert_refresh(db: &Connection, token: &RefreshToken) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO refresh_tokens (hash, grant_id, expires_at) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![key(&token.hash), token.grant.as_str(), token.expires_at.as_millis()])?;
    prolong(db, token.grant.as_str(), token.expires_at)
}

/// A grant is of use for as long as its longest-lived token.
pub(super) fn prolong(db: &Connection, grant: &str, until: Timestamp) -> Result<(), Failure> {
    db.prepare_cached("UPDATE grants SET tokens_until = ?2 WHERE id = ?1 AND tokens_until < ?2")?
        .execute(params![grant, until.as_millis()])?;
    Ok(())
}

/// A grant from its record and the one column that changes.
pub(super) fn read_grant(record: &str, revoked_at: Option<i64>) -> Result<Grant, Failure> {
    let grant: Grant = from_json("grants", record)?;
    Ok(Grant { revoked_at: revoked_at.map(Timestamp::from_millis), ..grant })
}

pub(super) struct AccessRow {
    pub(super) expires_at: i64,
    pub(super) scopes: String,
    pub(super) resource: Option<String>,
}

pub(super) fn read_access(
    hash: TokenHash,
    grant: &Grant,
    row: AccessRow,
) -> Result<AccessToken, Failure> {
    let scopes = ScopeSet::parse(&row.scopes)
        .map_err(|error| Failure::corrupt(format!("access_tokens.scopes: {error}")))?;
    let resource =
        row.resource.map(Resource::from_stored).or_else(|| grant.resources.only().cloned());
    let resource = resource.ok_or_else(|| Failure::corrupt("access_tokens.resource: missing"))?;
    Ok(AccessToken {
        hash,
        grant: grant.id.clone(),
        resource,
        scopes,
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}
