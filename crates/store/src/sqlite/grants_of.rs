//! Grants by whose they are: a user's, a client's, a login's; listed, and revoked together. One
//! grant at a time is [`super::grants`]' business.

use portunus_core::{Timestamp, grant::Grant, store::GrantsOf};
use rusqlite::{Connection, params};

use super::{failure::Failure, tokens::read_grant};

/// Where [`GrantsOf`] says whose they are: the column of `grants`, the member of a code's record,
/// the column of `consents`.
struct Owner {
    grants: &'static str,
    codes: &'static str,
    consents: Option<&'static str>,
    id: Option<String>,
}

fn owner(of: &GrantsOf) -> Owner {
    match of {
        GrantsOf::User(id) => Owner {
            grants: "user_id = ?1",
            codes: "record ->> '$.user' = ?1",
            consents: Some("user_id = ?1"),
            id: Some(id.to_string()),
        },
        GrantsOf::Client(id) => Owner {
            grants: "client_id = ?1",
            codes: "record ->> '$.client' = ?1",
            consents: Some("client_id = ?1"),
            id: Some(id.to_string()),
        },
        GrantsOf::Login(id) => Owner {
            grants: "login = ?1",
            codes: "record ->> '$.login' = ?1",
            consents: None,
            id: Some(id.to_string()),
        },
        GrantsOf::Everyone => Owner {
            grants: "?1 IS NULL",
            codes: "?1 IS NULL",
            consents: Some("?1 IS NULL"),
            id: None,
        },
    }
}

pub(super) fn list(db: &Connection, of: &GrantsOf, limit: u32) -> Result<Vec<Grant>, Failure> {
    let owner = owner(of);
    let mut statement = db.prepare_cached(&format!(
        "SELECT record FROM grants WHERE {} AND revoked_at IS NULL ORDER BY created_at DESC, id LIMIT ?2",
        owner.grants
    ))?;
    let records = statement.query_map(params![owner.id, limit], |row| row.get::<_, String>(0))?;
    records.map(|record| read_grant(&record?, None)).collect()
}

pub(super) fn revoke(db: &Connection, of: &GrantsOf, now: Timestamp) -> Result<u64, Failure> {
    let owner = owner(of);
    if let Some(condition) = owner.consents {
        db.prepare_cached(&format!("DELETE FROM consents WHERE {condition}"))?
            .execute([&owner.id])?;
    }
    end(db, of, now)
}

/// The same, consents left as they are.
pub(super) fn end(db: &Connection, of: &GrantsOf, now: Timestamp) -> Result<u64, Failure> {
    let owner = owner(of);
    db.prepare_cached(&format!("DELETE FROM codes WHERE grant_id IS NULL AND {}", owner.codes))?
        .execute([&owner.id])?;
    let revoked = db
        .prepare_cached(&format!(
            "UPDATE grants SET revoked_at = ?2 WHERE {} AND revoked_at IS NULL",
            owner.grants
        ))?
        .execute(params![owner.id, now.as_millis()])?;
    Ok(revoked as u64)
}
