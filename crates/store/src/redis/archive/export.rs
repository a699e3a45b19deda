//! Shard by shard, each by its list of what expires; what is in no such list by a list of its own,
//! or by its key.
//!
//! The order makes a whole of it while the store is in use: what says that something was used is
//! read after what it became, and users after everything that belongs to them.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    ids::{ClientId, GrantId, UserId},
    secret::TokenHash,
    signin::Login,
    store::{ArchiveError, Record, RecordKind, RecordSink, StoreError, StoredChain, Unreadable},
    token::AuthorizationCode,
};
use redis::Value;

use super::{
    super::{
        clients,
        database::{Database, answer, get, hmget, zrange},
        disabled,
        epochs::{Epochs, Owners},
        failure::corrupt,
        keys::{DisabledGroup, Expiring, Shard},
        logins,
        pins::hgetall,
        provider_tokens,
        scan::Scan,
        sessions, transactions,
    },
    grants,
};
use crate::{
    record::{from_json, not_opened, open_json},
    seal::Sealer,
};

/// Records in a portion, and read at once.
const PORTION: usize = 200;
/// Grants in flight at once: each takes several round trips.
const AT_ONCE: usize = 32;

pub(in super::super) async fn run(
    database: &Database,
    sink: &mut dyn RecordSink,
) -> Result<(), ArchiveError> {
    let mut export = Export { database, sink };
    export.clients().await?;
    export.pins().await?;
    export.disabled().await?;
    export.audit().await?;
    export.consents().await?;
    for shard in Shard::all() {
        export.shard(shard).await?;
    }
    export.users().await
}

struct Export<'a> {
    database: &'a Database,
    sink: &'a mut dyn RecordSink,
}

/// What was read under an id; `None` if it went away meanwhile.
type Read = (String, Result<Option<Record>, StoreError>);

impl Export<'_> {
    async fn give(
        &mut self,
        kind: RecordKind,
        read: impl IntoIterator<Item = Read>,
    ) -> Result<(), ArchiveError> {
        let mut records = Vec::new();
        for (id, record) in read {
            match record {
                Ok(record) => records.extend(record),
                Err(StoreError::Corrupt(why)) => {
                    self.sink.leave_out(Unreadable { kind, id, why }).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if records.is_empty() { Ok(()) } else { self.sink.put(records).await }
    }

    /// Oldest first, so that those who register meanwhile come at the end.
    async fn clients(&mut self) -> Result<(), ArchiveError> {
        let (list, connection) = (self.database.keys.clients(), &self.database.connection);
        let (mut from, mut seen) = ("+inf".to_owned(), BTreeSet::new());
        loop {
            let mut command = redis::cmd("ZREVRANGEBYSCORE");
            command
                .arg(&list)
                .arg(&from)
                .arg("-inf")
                .arg("WITHSCORES")
                .arg("LIMIT")
                .arg(0)
                .arg(PORTION + seen.len());
            let [found] = connection.read(&list, [command]).await?;
            let mut found: Vec<(String, i64)> = answer(found)?;
            found.retain(|(id, _)| !seen.contains(id));
            let Some((_, rank)) = found.last().cloned() else { return Ok(()) };
            if from != rank.to_string() {
                seen.clear();
            }
            from = rank.to_string();
            seen.extend(found.iter().filter(|(_, its)| *its == rank).map(|(id, _)| id.clone()));
            let commands = found.iter().map(|(id, _)| {
                hmget(&self.database.keys.client(&ClientId::from_text(id)), &clients::FIELDS)
            });
            let fields = connection.read_all(&list, commands).await?;
            let read = |fields| Ok(clients::read_client(answer(fields)?)?.map(Record::Client));
            self.give(
                RecordKind::Client,
                found.into_iter().zip(fields).map(|((id, _), fields)| (id, read(fields))),
            )
            .await?;
        }
    }

    async fn pins(&mut self) -> Result<(), ArchiveError> {
        for server in self.database.pinned_servers().await? {
            let records = self.database.pin_records(&server).await?;
            let read: Vec<Read> = records
                .into_iter()
                .map(|pin| (pin.subject.to_stored().into_owned(), Ok(Some(Record::Pin(pin)))))
                .collect();
            self.give(RecordKind::Pin, read).await?;
        }
        Ok(())
    }

    async fn disabled(&mut self) -> Result<(), ArchiveError> {
        for group in DisabledGroup::ALL {
            for found in self.database.disabled(group, -1).await?.chunks(PORTION) {
                let read = found.iter().map(|(field, record)| {
                    (
                        field.clone(),
                        disabled::read(field, record).map(|it| Some(Record::Disabled(it))),
                    )
                });
                self.give(RecordKind::Disabled, read.collect::<Vec<Read>>()).await?;
            }
        }
        Ok(())
    }

    /// Of each chain as far as its head says: what is appended meanwhile is left for the next time.
    async fn audit(&mut self) -> Result<(), ArchiveError> {
        for StoredChain { id, head } in self.database.audit_chains().await? {
            let last = head.as_ref().map_or(u64::MAX, |head| head.last);
            let read = match head {
                Some(head) => Ok(Some(Record::AuditHead(head))),
                None => Err(corrupt("audit_chains.head")),
            };
            self.give(RecordKind::AuditChain, [(id.to_string(), read)]).await?;
            let mut next = Some(0);
            while let Some(from) = next {
                let mut records = self.database.audit_records(&id, from, PORTION).await?;
                let Some(newest) = records.last() else { break };
                next = newest.seq.checked_add(1);
                records.retain(|record| record.seq <= last);
                let is_end = records.is_empty();
                let read = records
                    .into_iter()
                    .map(|record| (record.seq.to_string(), Ok(Some(Record::AuditRecord(record)))));
                self.give(RecordKind::AuditRecord, read.collect::<Vec<Read>>()).await?;
                if is_end {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn consents(&mut self) -> Result<(), ArchiveError> {
        let database = self.database;
        let mut scan = Scan::begin(database, "??}:consents-of-user:*").await?;
        while let Some(keys) = scan.next(database).await? {
            let read = stream::iter(keys)
                .map(|key| consents_of_user(database, key))
                .buffer_unordered(AT_ONCE);
            let read: Vec<Vec<Read>> = read.try_collect().await?;
            self.give(RecordKind::Consent, read.into_iter().flatten()).await?;
        }
        Ok(())
    }

    async fn users(&mut self) -> Result<(), ArchiveError> {
        let database = self.database;
        let mut scan = Scan::begin(database, "??}:user:*").await?;
        while let Some(keys) = scan.next(database).await? {
            let records = stream::iter(keys).map(|key| async move {
                let read = async {
                    let [record] = database.connection.read(&key, [get(&key)]).await?;
                    let record: Option<String> = answer(record)?;
                    record.map(|record| Ok(Record::User(from_json("users", &record)?))).transpose()
                };
                let read = read.await;
                (key, read)
            });
            let records: Vec<Read> = records.buffer_unordered(AT_ONCE).collect().await;
            self.give(RecordKind::User, records).await?;
        }
        Ok(())
    }

    async fn shard(&mut self, shard: Shard) -> Result<(), ArchiveError> {
        let list = self.database.keys.expiry(shard);
        let [names] = self.database.connection.read(&list, [zrange(&list)]).await?;
        let names: Vec<Expiring> =
            answer::<Vec<String>>(names)?.iter().filter_map(|name| Expiring::parse(name)).collect();
        let groups = grants::group(self.database, shard, &names).await?;
        let database = self.database;
        let mut taken = stream::iter(groups)
            .map(|group| async move {
                let id = group.place.id.to_string();
                (id, grants::take(database, group).await.map(|grant| grant.map(Record::Grant)))
            })
            .buffer_unordered(AT_ONCE)
            .chunks(PORTION);
        while let Some(read) = taken.next().await {
            self.give(RecordKind::Grant, read).await?;
        }
        drop(taken);
        // After the grants: a code that is told as not redeemed has no grant among them.
        for (kind, fields) in KINDS {
            let names: Vec<&Expiring> =
                names.iter().filter(|name| kind_of(name) == Some(kind)).collect();
            for names in names.chunks(PORTION) {
                let commands =
                    names.iter().map(|name| hmget(&self.database.keys.record(shard, name), fields));
                let found = self.database.connection.read_all(&list, commands).await?;
                let mut read: Vec<Read> = Vec::with_capacity(found.len());
                for (name, fields) in names.iter().zip(found) {
                    let record = match kind {
                        RecordKind::Code => code(self.database, fields).await,
                        _ => record(&self.database.sealer, name, fields),
                    };
                    read.push((name.name(), record));
                }
                self.give(kind, read).await?;
            }
        }
        Ok(())
    }
}

/// What stands alone in a shard's list, and its fields.
const KINDS: [(RecordKind, &[&str]); 8] = [
    (RecordKind::Code, &["record", "epochs", "grant", "expires_at"]),
    (RecordKind::Transaction, &["record"]),
    (RecordKind::ProviderRequest, &["record"]),
    (RecordKind::Assertion, &["expires_at"]),
    (RecordKind::Session, &["state", "user", "expires_at"]),
    (RecordKind::Task, &["record", "expires_at"]),
    (RecordKind::ProviderToken, &["record"]),
    (RecordKind::Login, &["record", "expires_at", "last_seen_at"]),
];

const fn kind_of(name: &Expiring) -> Option<RecordKind> {
    match name {
        Expiring::Code(_) => Some(RecordKind::Code),
        Expiring::Transaction(_) => Some(RecordKind::Transaction),
        Expiring::ProviderRequest(_) => Some(RecordKind::ProviderRequest),
        Expiring::Assertion(_) => Some(RecordKind::Assertion),
        Expiring::Session(_) => Some(RecordKind::Session),
        Expiring::Task(_) => Some(RecordKind::Task),
        Expiring::ProviderToken(_) => Some(RecordKind::ProviderToken),
        Expiring::Login(..) => Some(RecordKind::Login),
        Expiring::Access(_)
        | Expiring::Refresh(_)
        | Expiring::Successor(_)
        | Expiring::Family(_)
        | Expiring::Grant(_) => None,
    }
}

fn hash(text: &str) -> Result<TokenHash, StoreError> {
    TokenHash::parse(text).ok_or_else(|| corrupt("a hash"))
}

/// What is read from its fields alone.
pub(super) fn record(
    sealer: &Sealer,
    name: &Expiring,
    fields: Value,
) -> Result<Option<Record>, StoreError> {
    Ok(match name {
        Expiring::Transaction(_) => {
            let (record,): (Option<String>,) = answer(fields)?;
            record
                .map(|record| from_json("transactions", &record))
                .transpose()?
                .map(Record::Transaction)
        }
        Expiring::ProviderRequest(state) => {
            let (record,): (Option<Vec<u8>>,) = answer(fields)?;
            let state = hash(state)?;
            record
                .map(|record| open_json(sealer, transactions::place(&state), &record))
                .transpose()?
                .map(Record::ProviderRequest)
        }
        Expiring::Assertion(key) => {
            let (expires_at,): (Option<i64>,) = answer(fields)?;
            let key = hash(key)?;
            expires_at.map(|at| Record::Assertion { key, expires_at: Timestamp::from_millis(at) })
        }
        Expiring::Session(id) => {
            let (Some(state), Some(user), Some(at)): (
                Option<Vec<u8>>,
                Option<String>,
                Option<i64>,
            ) = answer(fields)?
            else {
                return Ok(None);
            };
            let id = hash(id)?;
            let state = sealer.open(sessions::place(&id), &state).map_err(not_opened)?.to_vec();
            Some(Record::Session {
                id,
                user: UserId::from_text(user),
                state,
                expires_at: Timestamp::from_millis(at),
            })
        }
        Expiring::Task(id) => {
            let (Some(record), Some(at)): (Option<String>, Option<i64>) = answer(fields)? else {
                return Ok(None);
            };
            let (id, task) = (hash(id)?, from_json("tasks", &record)?);
            Some(Record::Task { id, task, expires_at: Timestamp::from_millis(at) })
        }
        Expiring::ProviderToken(id) => {
            let (record,): (Option<Vec<u8>>,) = answer(fields)?;
            let id = hash(id)?;
            record
                .map(|record| open_json(sealer, provider_tokens::place(&id), &record))
                .transpose()?
                .map(Record::ProviderToken)
        }
        Expiring::Login(id, _) => {
            let (Some(record), Some(at), seen): (Option<Vec<u8>>, Option<i64>, Option<i64>) =
                answer(fields)?
            else {
                return Ok(None);
            };
            let id = hash(id)?;
            let login: Login = open_json(sealer, logins::place(&id), &record)?;
            let (expires_at, last_seen_at) =
                (Timestamp::from_millis(at), seen.map(Timestamp::from_millis));
            Some(Record::Login(Login { expires_at, last_seen_at, ..login }))
        }
        _ => None,
    })
}

/// One that is redeemed says so; one that is not, and whose epochs are over, is dead and is not
/// told.
async fn code(database: &Database, fields: Value) -> Result<Option<Record>, StoreError> {
    let (record, epochs, grant, kept_until): (
        Option<String>,
        Option<String>,
        Option<String>,
        Option<i64>,
    ) = answer(fields)?;
    let (Some(record), Some(epochs)) = (record, epochs) else { return Ok(None) };
    let code: AuthorizationCode = from_json("codes", &record)?;
    let redeemed = grant.map(GrantId::from_text);
    if redeemed.is_none()
        && database.present(&Owners::from(&code)).await?.epochs != Epochs::parse(&epochs)?
    {
        return Ok(None);
    }
    let kept_until = kept_until.map(Timestamp::from_millis).filter(|_| redeemed.is_some());
    Ok(Some(Record::Code { code, redeemed, kept_until }))
}

async fn consents_of_user(database: &Database, key: String) -> Result<Vec<Read>, StoreError> {
    let [found] = database.connection.read(&key, [hgetall(&key)]).await?;
    let mut read = Vec::new();
    for (_, value) in answer::<Vec<(String, String)>>(found)? {
        read.push((key.clone(), consent(database, &value).await));
    }
    Ok(read)
}

async fn consent(database: &Database, value: &str) -> Result<Option<Record>, StoreError> {
    let (then, record) = value.split_once('\n').ok_or_else(|| corrupt("consents.record"))?;
    let consent: portunus_core::grant::Consent = from_json("consents", record)?;
    Ok((then == database.consent_epochs(&consent.client).await?)
        .then_some(Record::Consent(consent)))
}
