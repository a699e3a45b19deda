//! One consistent snapshot, row by row: a read transaction in the write-ahead log, which stops no
//! writer. The log cannot be cut back while it is open, and grows by what is written meanwhile.
//! (`VACUUM INTO` would be as consistent, and needs the room of a second database.)

use portunus_core::{
    Timestamp,
    ids::{GrantId, ServerName, UserId},
    pins::{Definition, Fingerprint, PinSubject},
    secret::TokenHash,
    signin::Login,
    store::{
        GrantWithTokens, PinRecord, Record, RecordKind, StoreError, StoredRefresh, Unreadable,
        UsedRefresh,
    },
    token::RefreshToken,
};
use rusqlite::{Connection, Row, types::ValueRef};
use tokio::sync::mpsc::Sender;

use super::super::{
    audit,
    clients::read_client,
    connection,
    database::Database,
    failure::Failure,
    families, logins, provider_tokens, sessions,
    tokens::{AccessRow, read_access, read_grant},
    transactions,
};
use crate::{
    record::{disabled_from_json, from_json, open_json},
    seal::Sealer,
};

/// Records in a portion.
const PORTION: usize = 100;

pub(in super::super) enum Portion {
    Records(Vec<Record>),
    LeftOut(Unreadable),
}

/// Gives every record; ends early, and well, when the receiver is gone.
pub(super) fn run(database: &Database, out: &Sender<Portion>) -> Result<(), Failure> {
    let mut db = connection::connect_reader(&database.path)
        .map_err(|error| Failure(StoreError::Unavailable(error.to_string())))?;
    // The first of its statements fixes what all of them see.
    let snapshot = db.transaction()?;
    everything(&snapshot, &database.sealer, &mut |portion| out.blocking_send(portion).is_ok())
}

/// Gives every record that this connection sees, as long as `take` says that it wants more.
pub(in super::super) fn everything(
    db: &Connection,
    sealer: &Sealer,
    take: &mut dyn FnMut(Portion) -> bool,
) -> Result<(), Failure> {
    let mut export = Export { db, sealer, records: Vec::new(), take };
    match export.everything() {
        Ok(()) | Err(Stop::NobodyListens) => Ok(()),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

enum Stop {
    NobodyListens,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Export<'a> {
    db: &'a Connection,
    sealer: &'a Sealer,
    records: Vec<Record>,
    take: &'a mut dyn FnMut(Portion) -> bool,
}

impl Export<'_> {
    // long: one table after the other.
    fn everything(&mut self) -> Result<(), Stop> {
        let sealer = self.sealer;
        self.each(RecordKind::Client, "SELECT id, record, last_used_at FROM clients", |row| {
            Ok(Record::Client(read_client(&row.get::<_, String>(1)?, row.get(2)?)?))
        })?;
        self.each(RecordKind::User, "SELECT id, record FROM users", |row| {
            Ok(Record::User(from_json("users", &row.get::<_, String>(1)?)?))
        })?;
        self.each(
            RecordKind::Login,
            "SELECT hash, record, expires_at, last_seen_at FROM logins",
            |row| login(row, sealer),
        )?;
        self.each(RecordKind::ProviderToken, "SELECT id, record FROM provider_tokens", |row| {
            let (id, record) = (hash(row, 0)?, row.get::<_, Vec<u8>>(1)?);
            Ok(Record::ProviderToken(open_json(sealer, provider_tokens::place(&id), &record)?))
        })?;
        self.each(
            RecordKind::Consent,
            "SELECT user_id || ' ' || client_id, record FROM consents",
            |row| Ok(Record::Consent(from_json("consents", &row.get::<_, String>(1)?)?)),
        )?;
        let db = self.db;
        self.each(
            RecordKind::Grant,
            "SELECT id, record, revoked_at, tokens_until FROM grants",
            |row| grant(row, db, sealer),
        )?;
        self.each(
            RecordKind::Code,
            "SELECT hash, record, grant_id, expires_at FROM codes",
            |row| {
                let redeemed = row.get::<_, Option<String>>(2)?.map(GrantId::from_text);
                let kept_until = redeemed.is_some().then(|| time(row, 3)).transpose()?;
                Ok(Record::Code {
                    code: from_json("codes", &row.get::<_, String>(1)?)?,
                    redeemed,
                    kept_until,
                })
            },
        )?;
        self.each(RecordKind::Transaction, "SELECT id, record FROM transactions", |row| {
            Ok(Record::Transaction(from_json("transactions", &row.get::<_, String>(1)?)?))
        })?;
        self.each(RecordKind::ProviderRequest, "SELECT state, record FROM legs", |row| {
            let state = hash(row, 0)?;
            Ok(Record::ProviderRequest(open_json(
                sealer,
                transactions::place(&state),
                &row.get::<_, Vec<u8>>(1)?,
            )?))
        })?;
        self.each(RecordKind::Assertion, "SELECT hash, expires_at FROM assertions", |row| {
            Ok(Record::Assertion { key: hash(row, 0)?, expires_at: time(row, 1)? })
        })?;
        self.each(
            RecordKind::Session,
            "SELECT id, user_id, state, expires_at FROM sessions",
            |row| session(row, sealer),
        )?;
        self.each(RecordKind::Task, "SELECT id, record, expires_at FROM tasks", |row| {
            let task = from_json("tasks", &row.get::<_, String>(1)?)?;
            Ok(Record::Task { id: hash(row, 0)?, task, expires_at: time(row, 2)? })
        })?;
        let pins = "SELECT server || ' ' || tool, server, tool, fingerprint, seen_at, approved_at, definition FROM pins
                    ORDER BY server, tool, id";
        self.each(RecordKind::Pin, pins, pin)?;
        let disabled = "SELECT kind || ' ' || id, kind, id, record FROM disabled";
        self.each(RecordKind::Disabled, disabled, |row| {
            let (kind, id, record): (String, String, String) =
                (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Record::Disabled(disabled_from_json(&kind, &id, &record)?))
        })?;
        self.each(RecordKind::AuditChain, "SELECT id, head FROM audit_chains", |row| {
            Ok(Record::AuditHead(from_json("audit_chains", &row.get::<_, String>(1)?)?))
        })?;
        let records = "SELECT chain, seq, at, hash, record FROM audit_records ORDER BY chain, seq";
        self.each(RecordKind::AuditRecord, records, |row| {
            Ok(Record::AuditRecord(audit::read_record(row)?))
        })?;
        self.send()
    }

    fn each(
        &mut self,
        kind: RecordKind,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<Record, Failure>,
    ) -> Result<(), Stop> {
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match read(row) {
                Ok(record) => self.records.push(record),
                Err(Failure(StoreError::Corrupt(why))) => {
                    let left_out = Unreadable { kind, id: shown(row.get_ref(0)?), why };
                    self.give(Portion::LeftOut(left_out))?;
                }
                Err(failure) => return Err(failure.into()),
            }
            if self.records.len() >= PORTION {
                self.send()?;
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Stop> {
        let records = std::mem::take(&mut self.records);
        self.give(Portion::Records(records))
    }

    fn give(&mut self, portion: Portion) -> Result<(), Stop> {
        if (self.take)(portion) { Ok(()) } else { Err(Stop::NobodyListens) }
    }
}

/// A key, for people.
pub(in super::super) fn shown(key: ValueRef<'_>) -> String {
    match key {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => <[u8; 32]>::try_from(bytes).map_or_else(
            |_| format!("a key of {} bytes", bytes.len()),
            |bytes| TokenHash::from_bytes(bytes).to_string(),
        ),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(_) | ValueRef::Null => "no key".to_owned(),
    }
}

fn hash(row: &Row<'_>, column: usize) -> Result<TokenHash, Failure> {
    Ok(TokenHash::from_bytes(row.get(column)?))
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

fn login(row: &Row<'_>, sealer: &Sealer) -> Result<Record, Failure> {
    let id = hash(row, 0)?;
    let (expires_at, last_seen_at) =
        (time(row, 2)?, row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis));
    let login: Login = open_json(sealer, logins::place(&id), &row.get::<_, Vec<u8>>(1)?)?;
    Ok(Record::Login(Login { expires_at, last_seen_at, ..login }))
}

fn session(row: &Row<'_>, sealer: &Sealer) -> Result<Record, Failure> {
    let id = hash(row, 0)?;
    let state = sealer.open(sessions::place(&id), &row.get::<_, Vec<u8>>(2)?)?.to_vec();
    Ok(Record::Session {
        id,
        user: UserId::from_text(row.get::<_, String>(1)?),
        state,
        expires_at: time(row, 3)?,
    })
}

fn pin(row: &Row<'_>) -> Result<Record, Failure> {
    let server: String = row.get(1)?;
    Ok(Record::Pin(PinRecord {
        server: ServerName::parse(&server)
            .map_err(|error| Failure::corrupt(format!("pins.server: {error}")))?,
        subject: PinSubject::from_stored(&row.get::<_, String>(2)?),
        fingerprint: Fingerprint::from_bytes(row.get(3)?),
        seen_at: time(row, 4)?,
        approved_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        definition: Definition::from_stored(row.get::<_, String>(6)?),
    }))
}

fn grant(row: &Row<'_>, db: &Connection, sealer: &Sealer) -> Result<Record, Failure> {
    let grant = read_grant(&row.get::<_, String>(1)?, row.get(2)?)?;
    let family = families::of_grant(db, &grant.id, sealer)?;
    let mut with_tokens = GrantWithTokens {
        tokens_until: time(row, 3)?,
        grant,
        access: Vec::new(),
        family,
        refresh: Vec::new(),
    };
    let GrantWithTokens { grant, access, refresh, .. } = &mut with_tokens;
    let mut statement = db.prepare_cached(
        "SELECT hash, expires_at, scopes, resource FROM access_tokens WHERE grant_id = ?1",
    )?;
    let mut rows = statement.query([grant.id.as_str()])?;
    while let Some(row) = rows.next()? {
        let kept =
            AccessRow { expires_at: row.get(1)?, scopes: row.get(2)?, resource: row.get(3)? };
        access.push(read_access(hash(row, 0)?, grant, kept)?);
    }
    let mut statement = db.prepare_cached(
        "SELECT hash, expires_at, used_at FROM refresh_tokens WHERE grant_id = ?1",
    )?;
    let mut rows = statement.query([grant.id.as_str()])?;
    while let Some(row) = rows.next()? {
        let token = RefreshToken {
            hash: hash(row, 0)?,
            grant: grant.id.clone(),
            expires_at: time(row, 1)?,
        };
        let used =
            row.get::<_, Option<i64>>(2)?.map(|at| UsedRefresh { at: Timestamp::from_millis(at) });
        refresh.push(StoredRefresh { token, used });
    }
    Ok(Record::Grant(with_tokens))
}
