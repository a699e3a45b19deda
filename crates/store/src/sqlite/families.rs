//! Families of refresh tokens: how a row is read and written, and the one step that exchanges a
//! token. Grants and their other tokens are next door, in [`super::grants`] and [`super::tokens`].

use portunus_core::{
    Timestamp,
    ids::GrantId,
    refresh::{EarlierRefresh, FamilyId, FamilyState, FoundRefresh, RefreshFamily, RefreshKey},
    secret::SecretText,
    store::FamilyChange,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    failure::Failure,
    tokens::{insert_access, prolong, read_grant},
};
use crate::{
    record::{key, read_family_secret},
    seal::{Place, Sealer},
};

/// Where the secret of a family stands.
pub(super) fn place(id: &FamilyId) -> Place<'_> {
    Place { table: "refresh_families", column: "secret", key: id.as_bytes() }
}

const COLUMNS: &str = "refresh_families.id, refresh_families.expires_at, refresh_families.secret, refresh_families.state";

/// A family from its columns, the first of which is at `first`; `None` if there are none.
fn read(
    row: &Row<'_>,
    first: usize,
    grant: &GrantId,
    sealer: &Sealer,
) -> Result<Option<RefreshFamily>, Failure> {
    let Some(id) = row.get::<_, Option<[u8; 16]>>(first)?.map(FamilyId::from_bytes) else {
        return Ok(None);
    };
    let (expires_at, ciphertext, state): (i64, Vec<u8>, Vec<u8>) =
        (row.get(first + 1)?, row.get(first + 2)?, row.get(first + 3)?);
    let secret = read_family_secret(&sealer.open(place(&id), &ciphertext)?)?;
    let state = FamilyState::from_bytes(&state)
        .ok_or_else(|| Failure::corrupt("refresh_families.state"))?;
    Ok(Some(RefreshFamily {
        id,
        grant: grant.clone(),
        secret,
        expires_at: Timestamp::from_millis(expires_at),
        state,
    }))
}

/// The family of a grant.
pub(super) fn of_grant(
    db: &Connection,
    grant: &GrantId,
    sealer: &Sealer,
) -> Result<Option<RefreshFamily>, Failure> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM refresh_families WHERE grant_id = ?1"))?;
    let mut rows = statement.query([grant.as_str()])?;
    rows.next()?.map_or(Ok(None), |row| read(row, 0, grant, sealer))
}

pub(super) fn find(
    db: &Connection,
    by: &RefreshKey,
    now: Timestamp,
    sealer: &Sealer,
) -> Result<Option<FoundRefresh>, Failure> {
    match by {
        RefreshKey::Family(id) => {
            let mut statement = db.prepare_cached(&format!(
                "SELECT grants.record, grants.revoked_at, {COLUMNS} FROM refresh_families
                 JOIN grants ON grants.id = refresh_families.grant_id
                 WHERE refresh_families.id = ?1 AND refresh_families.expires_at > ?2"
            ))?;
            let mut rows = statement.query(params![id.as_bytes(), now.as_millis()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let grant = read_grant(&row.get::<_, String>(0)?, row.get(1)?)?;
            let family = read(row, 2, &grant.id, sealer)?;
            Ok(Some(FoundRefresh { grant, family, earlier: None }))
        }
        RefreshKey::Earlier(hash) => {
            let row: Option<(String, Option<i64>, i64, Option<i64>)> = db
                .prepare_cached(
                    "SELECT grants.record, grants.revoked_at, refresh_tokens.expires_at, refresh_tokens.used_at
                     FROM refresh_tokens JOIN grants ON grants.id = refresh_tokens.grant_id
                     WHERE refresh_tokens.hash = ?1 AND refresh_tokens.expires_at > ?2",
                )?
                .query_row(params![key(hash), now.as_millis()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .optional()?;
            let Some((record, revoked_at, expires_at, used_at)) = row else { return Ok(None) };
            let grant = read_grant(&record, revoked_at)?;
            let family = of_grant(db, &grant.id, sealer)?;
            let (expires_at, used_at) =
                (Timestamp::from_millis(expires_at), used_at.map(Timestamp::from_millis));
            Ok(Some(FoundRefresh {
                grant,
                family,
                earlier: Some(EarlierRefresh { expires_at, used_at }),
            }))
        }
    }
}

/// A family on its way to the writer, its secret sealed.
pub(super) struct SealedFamily {
    family: RefreshFamily,
    ciphertext: Vec<u8>,
}

impl SealedFamily {
    pub(super) fn new(family: &RefreshFamily, sealer: &Sealer) -> Result<Self, Failure> {
        let secret: &SecretText = &family.secret;
        let ciphertext = sealer.seal(place(&family.id), secret.expose().as_bytes())?;
        Ok(Self { family: family.clone(), ciphertext })
    }

    pub(super) fn insert(&self, db: &Connection) -> Result<(), Failure> {
        let family = &self.family;
        db.prepare_cached("INSERT INTO refresh_families (id, grant_id, expires_at, secret, state) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                family.id.as_bytes(),
                family.grant.as_str(),
                family.expires_at.as_millis(),
                self.ciphertext,
                family.state.to_bytes()
            ])?;
        prolong(db, family.grant.as_str(), family.expires_at)
    }
}

/// Guards the single use of a refresh token (threats 17 and 18): the family changes only if it is
/// as it was found.
pub(super) fn change(
    db: &Connection,
    change: &FamilyChange,
    after: &SealedFamily,
) -> Result<bool, Failure> {
    let FamilyChange { before, access, .. } = change;
    let family = &after.family;
    let is_live: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM grants WHERE id = ?1 AND revoked_at IS NULL)",
        )?
        .query_row([family.grant.as_str()], |row| row.get(0))?;
    if !is_live {
        return Ok(false);
    }
    if let Some(before) = before {
        let changed =
            db.prepare_cached("UPDATE refresh_families SET expires_at = ?3, state = ?4 WHERE id = ?1 AND state = ?2")?.execute(
                params![family.id.as_bytes(), before.state.to_bytes(), family.expires_at.as_millis(), family.state.to_bytes()],
            )?;
        if changed == 0 {
            return Ok(false);
        }
        prolong(db, family.grant.as_str(), family.expires_at)?;
    } else {
        let has_one: bool = db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM refresh_families WHERE grant_id = ?1)")?
            .query_row([family.grant.as_str()], |row| row.get(0))?;
        if has_one {
            return Ok(false);
        }
        after.insert(db)?;
    }
    insert_access(db, access)?;
    Ok(true)
}
