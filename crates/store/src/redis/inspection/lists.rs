//! From a list to what it names: what should be there and is not was lost, for whatever deletes a
//! record takes it out of its lists in the same step. The lists of grants by whose they are may
//! name what is gone; they are read with that in mind.

use std::collections::{BTreeSet, HashMap};

use portunus_core::{
    Timestamp,
    ids::ClientId,
    store::{RecordKind, StoreError},
};

use super::{
    super::{
        database::{Database, answer, zrange},
        epochs::hget,
        keys::{DisabledGroup, Expiring, Shard},
        pins::hgetall,
    },
    Seen, records,
};

const EVICTED: &str = "Redis deleted it before its time: is maxmemory-policy noeviction? Restore a backup, or let people sign in again";
const LISTED: &str =
    "restore a backup, or delete and register the client again: portunus clients remove ID";
const PINNED: &str =
    "forget it, which pins it anew: portunus tools forget SERVER NAME (--kind, if it is no tool)";
const DISABLED: &str = "disable it again: portunus disable";
const PORTION: usize = 500;

const fn kind(name: &Expiring) -> RecordKind {
    match name {
        Expiring::Transaction(_) => RecordKind::Transaction,
        Expiring::ProviderRequest(_) => RecordKind::ProviderRequest,
        Expiring::Code(_) => RecordKind::Code,
        Expiring::Assertion(_) => RecordKind::Assertion,
        Expiring::Session(_) => RecordKind::Session,
        Expiring::Task(_) => RecordKind::Task,
        Expiring::ProviderToken(_) => RecordKind::ProviderToken,
        Expiring::Login(..) => RecordKind::Login,
        Expiring::Access(_) => RecordKind::AccessToken,
        Expiring::Refresh(_) | Expiring::Successor(_) | Expiring::Family(_) => {
            RecordKind::RefreshToken
        }
        Expiring::Grant(_) => RecordKind::Grant,
    }
}

/// What expires later than now is there.
pub(super) async fn expiry(
    database: &Database,
    shard: Shard,
    now: Timestamp,
) -> Result<Seen, StoreError> {
    let list = database.keys.expiry(shard);
    let mut command = redis::cmd("ZRANGEBYSCORE");
    command.arg(&list).arg(format!("({}", now.as_millis())).arg("+inf");
    let [names] = database.connection.read(&list, [command]).await?;
    let names: Vec<Expiring> =
        answer::<Vec<String>>(names)?.iter().filter_map(|name| Expiring::parse(name)).collect();
    let mut seen = Seen::default();
    for names in names.chunks(PORTION) {
        let keys: Vec<_> = names.iter().map(|name| database.keys.record(shard, name)).collect();
        for (name, is_there) in names.iter().zip(database.are_there(&list, &keys).await?) {
            if !is_there {
                seen.wrong(kind(name), &name.name(), "gone before it expired", EVICTED);
            }
        }
    }
    Ok(seen)
}

/// Clients and their two lists, and the epochs beside them.
pub(super) async fn clients(database: &Database, key: &str, end: &str) -> Result<Seen, StoreError> {
    let keys = &database.keys;
    let mut seen = Seen::default();
    if let Some(id) = end.strip_prefix("client:") {
        let used = database.connection.read(key, [hget(key, "last_used_at")]).await?;
        let [used] = used;
        let (is_used, is_there) =
            (answer::<Option<i64>>(used)?.is_some(), database.is_there(key).await?);
        if is_there && !database.is_listed(&keys.clients(), id).await? {
            seen.wrong(RecordKind::Client, id, "not in the list of clients", LISTED);
        }
        if is_there && database.is_listed(&keys.unused_clients(), id).await? == is_used {
            seen.wrong(
                RecordKind::Client,
                id,
                "in the list of unused clients though used, or the other way round",
                LISTED,
            );
        }
    } else if end == "all" || end == "unused" {
        listed_clients(database, key, &mut seen).await?;
    } else if end == "epoch" || end.starts_with("epoch-of-client:") {
        return records::epoch(database, key, end).await;
    }
    Ok(seen)
}

/// Portion by portion: there may be as many as there are people.
async fn listed_clients(
    database: &Database,
    list: &str,
    seen: &mut Seen,
) -> Result<(), StoreError> {
    let mut cursor = 0;
    loop {
        let mut command = redis::cmd("ZSCAN");
        command.arg(list).arg(cursor).arg("COUNT").arg(PORTION);
        let [found] = database.connection.read(list, [command]).await?;
        let (next, ids): (u64, Vec<(String, f64)>) = answer(found)?;
        let keys: Vec<_> =
            ids.iter().map(|(id, _)| database.keys.client(&ClientId::from_text(id))).collect();
        for ((id, _), is_there) in ids.iter().zip(database.are_there(list, &keys).await?) {
            if !is_there {
                seen.wrong(RecordKind::Client, id, "listed, and not there", EVICTED);
            }
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// Each pin has what it stands for beside it, and its server is listed.
pub(super) async fn pins(database: &Database, key: &str, end: &str) -> Result<Seen, StoreError> {
    let mut seen = Seen::default();
    let Some(server) = end.strip_prefix("pins:") else { return Ok(seen) };
    let (definitions, servers) =
        (key.replacen("}:pins:", "}:definitions:", 1), database.keys.pinned_servers());
    let mut is_member = redis::cmd("SISMEMBER");
    is_member.arg(&servers).arg(server);
    let [pins, definitions, listed] =
        database.connection.read(key, [hgetall(key), hgetall(&definitions), is_member]).await?;
    let (pins, definitions): (HashMap<String, String>, HashMap<String, String>) =
        (answer(pins)?, answer(definitions)?);
    if !pins.is_empty() && !answer::<bool>(listed)? {
        seen.wrong(
            RecordKind::Pin,
            server,
            "of a server that is not in the list of servers",
            PINNED,
        );
    }
    let (pins, definitions): (BTreeSet<_>, BTreeSet<_>) =
        (pins.into_keys().collect(), definitions.into_keys().collect());
    for field in pins.difference(&definitions) {
        seen.wrong(
            RecordKind::Pin,
            &format!("{server} {field}"),
            "without what it stands for",
            PINNED,
        );
    }
    Ok(seen)
}

/// What is disabled stands in a list by time too: by it gateways read it.
pub(super) async fn disabled(
    database: &Database,
    key: &str,
    end: &str,
) -> Result<Seen, StoreError> {
    let mut seen = Seen::default();
    let Some(group) = end.split_once(':').map(|(_, group)| group) else { return Ok(seen) };
    let Some(group) = DisabledGroup::ALL.into_iter().find(|known| known.word() == group) else {
        return Ok(seen);
    };
    let keys = database.keys.disabled(group);
    let [records, listed] =
        database.connection.read(key, [hgetall(&keys.records), zrange(&keys.by_time)]).await?;
    let records: HashMap<String, String> = answer(records)?;
    let listed: BTreeSet<String> = answer::<Vec<String>>(listed)?.into_iter().collect();
    // Each key is looked at once, from either side.
    if key == keys.records {
        for field in records.keys().filter(|field| !listed.contains(*field)) {
            seen.wrong(RecordKind::Disabled, field, "not in the list by time", DISABLED);
        }
    } else {
        for field in listed.iter().filter(|field| !records.contains_key(*field)) {
            seen.wrong(RecordKind::Disabled, field, "listed, and not there", DISABLED);
        }
    }
    Ok(seen)
}
