//! Everything at once, or nothing: one transaction empties the tables and fills them. What is
//! secret is sealed with the key of now.

use portunus_core::{
    Timestamp,
    client::Client,
    ids::UserId,
    secret::TokenHash,
    signin::{Login, ProviderRequest},
    store::{GrantWithTokens, PinRecord, Record, StoreError, StoredRefresh},
};
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::mpsc::Receiver;

use super::{
    super::{
        audit, connection,
        database::Database,
        disabled,
        failure::Failure,
        families::SealedFamily,
        logins,
        open_error::OpenError,
        provider_tokens, sessions, tasks,
        tokens::{insert_access, insert_grant, insert_refresh},
        transactions,
    },
    tables::{MORE_TABLES, TABLES},
};
use crate::{
    record::{key, seal_json, to_json},
    seal::Sealer,
};

/// Tables and columns that name a user.
const NOBODYS: [(&str, &str); 2] = [("logins", "user_id"), ("grants", "user_id")];

pub(super) enum Order {
    Keep(Vec<Record>),
    Commit,
}

fn unusable(error: &OpenError) -> Failure {
    Failure(StoreError::Unavailable(error.to_string()))
}

/// Without the order to commit nothing has changed.
pub(super) fn run(database: &Database, mut orders: Receiver<Order>) -> Result<(), Failure> {
    let mut db = connection::connect(&database.path).map_err(|error| unusable(&error))?;
    connection::set_up_writer(&db, &database.path).map_err(|error| unusable(&error))?;
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Records come in any order; that they belong together is seen at the end.
    step.pragma_update(None, "defer_foreign_keys", true)?;
    for table in TABLES.into_iter().chain(MORE_TABLES) {
        step.execute(&format!("DELETE FROM {table}"), [])?;
    }
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Keep(records) => {
                for record in records {
                    keep(&step, &database.sealer, record)?;
                }
            }
            Order::Commit => {
                drop_what_is_nobodys(&step)?;
                return Ok(step.commit()?);
            }
        }
    }
    Ok(step.rollback()?)
}

/// A Redis can hold what belongs to a user who is not there. It is dead there too; here it may not
/// even stand.
fn drop_what_is_nobodys(db: &Connection) -> Result<(), Failure> {
    for table in ["access_tokens", "refresh_tokens", "refresh_families"] {
        let sql = "grant_id IN (SELECT id FROM grants WHERE user_id NOT IN (SELECT id FROM users))";
        db.execute(&format!("DELETE FROM {table} WHERE {sql}"), [])?;
    }
    for (table, column) in NOBODYS {
        let left_out = db.execute(
            &format!("DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM users)"),
            [],
        )?;
        if left_out > 0 {
            tracing::warn!(
                table,
                left_out,
                "records of users who are not there were left out: nobody could use them"
            );
        }
    }
    Ok(())
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}

/// A record that came twice, because it was read while it changed, is kept once.
fn keep(db: &Connection, sealer: &Sealer, record: Record) -> Result<(), Failure> {
    match record {
        Record::Client(client) => keep_client(db, &client),
        Record::User(user) => logins::write_user(db, user.id.as_str(), &to_json(&user)?),
        Record::Login(login) => keep_login(db, sealer, &login),
        Record::ProviderToken(token) => provider_tokens::keep(db, sealer, &token),
        Record::Transaction(transaction) => {
            let record = to_json(&transaction)?;
            db.prepare_cached(
                "INSERT OR REPLACE INTO transactions (id, expires_at, record) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                transaction.id.as_str(),
                transaction.expires_at.as_millis(),
                record
            ])?;
            Ok(())
        }
        Record::ProviderRequest(provider_request) => {
            keep_provider_request(db, sealer, &provider_request)
        }
        Record::Consent(consent) => {
            let record = to_json(&consent)?;
            let (client, resources) = (consent.client.as_str(), consent.resources.to_string());
            db.prepare_cached("INSERT OR REPLACE INTO consents (user_id, client_id, resource, record) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![consent.user.as_str(), client, resources, record])?;
            Ok(())
        }
        Record::Code { code, redeemed, kept_until } => {
            let record = to_json(&code)?;
            let kept_until = kept_until.unwrap_or(code.expires_at).max(code.expires_at);
            let grant = redeemed.as_ref().map(portunus_core::ids::GrantId::as_str);
            db.prepare_cached("INSERT OR REPLACE INTO codes (hash, grant_id, expires_at, record) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![key(&code.hash), grant, kept_until.as_millis(), record])?;
            Ok(())
        }
        Record::Grant(grant) => keep_grant(db, sealer, &grant),
        Record::Assertion { key: hash, expires_at } => {
            db.prepare_cached(
                "INSERT OR REPLACE INTO assertions (hash, expires_at) VALUES (?1, ?2)",
            )?
            .execute(params![key(&hash), expires_at.as_millis()])?;
            Ok(())
        }
        Record::Pin(pin) => keep_pin(db, &pin),
        Record::Disabled(record) => disabled::keep(db, &record),
        Record::Session { id, user, state, expires_at } => {
            keep_session(db, sealer, &id, &user, &state, expires_at)
        }
        Record::Task { id, task, expires_at } => tasks::keep(db, &id, &task, expires_at),
        Record::AuditHead(head) => audit::insert_head(db, &head),
        Record::AuditRecord(record) => audit::insert_record(db, &record),
    }
}

fn keep_client(db: &Connection, client: &Client) -> Result<(), Failure> {
    db.prepare_cached("INSERT OR REPLACE INTO clients (id, created_at, last_used_at, record) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![client.id.as_str(), client.created_at.as_millis(), millis(client.last_used_at), to_json(client)?])?;
    Ok(())
}

fn keep_login(db: &Connection, sealer: &Sealer, login: &Login) -> Result<(), Failure> {
    let record = seal_json(sealer, logins::place(&login.id), login)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO logins (hash, user_id, expires_at, last_seen_at, record) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        key(&login.id),
        login.user.as_str(),
        login.expires_at.as_millis(),
        millis(login.last_seen_at),
        record
    ])?;
    Ok(())
}

fn keep_provider_request(
    db: &Connection,
    sealer: &Sealer,
    provider_request: &ProviderRequest,
) -> Result<(), Failure> {
    let record = seal_json(sealer, transactions::place(&provider_request.state), provider_request)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO legs (state, expires_at, record) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![
        key(&provider_request.state),
        provider_request.expires_at.as_millis(),
        record
    ])?;
    Ok(())
}

fn keep_session(
    db: &Connection,
    sealer: &Sealer,
    id: &TokenHash,
    user: &UserId,
    state: &[u8],
    expires_at: Timestamp,
) -> Result<(), Failure> {
    let state = sealer.seal(sessions::place(id), state)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO sessions (id, user_id, expires_at, state) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![key(id), user.as_str(), expires_at.as_millis(), state])?;
    Ok(())
}

fn keep_pin(db: &Connection, pin: &PinRecord) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO pins (server, tool, fingerprint, seen_at, approved_at, definition) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        pin.server.as_str(),
        pin.subject.to_stored(),
        pin.fingerprint.as_bytes(),
        pin.seen_at.as_millis(),
        millis(pin.approved_at),
        pin.definition.as_str()
    ])?;
    Ok(())
}

fn keep_grant(db: &Connection, sealer: &Sealer, kept: &GrantWithTokens) -> Result<(), Failure> {
    let GrantWithTokens { grant, tokens_until, access, family, refresh } = kept;
    insert_grant(db, grant, &to_json(grant)?)?;
    for token in access {
        insert_access(db, token)?;
    }
    if let Some(family) = family {
        SealedFamily::new(family, sealer)?.insert(db)?;
    }
    for StoredRefresh { token, used } in refresh {
        insert_refresh(db, token)?;
        let Some(used) = used else { continue };
        db.prepare_cached("UPDATE refresh_tokens SET used_at = ?2 WHERE hash = ?1")?
            .execute(params![key(&token.hash), used.at.as_millis()])?;
    }
    db.prepare_cached("UPDATE grants SET tokens_until = max(tokens_until, ?2) WHERE id = ?1")?
        .execute(params![grant.id.as_str(), tokens_until.as_millis()])?;
    Ok(())
}
