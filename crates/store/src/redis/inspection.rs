//! Looks through what is in Redis and changes nothing: every record read as a gateway would, and
//! then key by key, whether what leads to it is there, and whether what it belongs to is.
//! [`records`] knows what is right for each; [`lists`] looks the other way, from a list to what it
//! names.
//!
//! Gateways may be at work meanwhile. What looks wrong is looked at again: what was in motion has
//! arrived by then. A pointer to nothing is nothing wrong, see
//! `docs/decisions/0035-the-redis-store.md`.

mod lists;
mod records;

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    store::{ArchiveError, RecordKind, StoreError},
};
use tokio::time::sleep;

use super::{
    archive::export,
    connection::Connection,
    database::Database,
    failure::told,
    key_check,
    keys::{Keys, Shard},
    open::RedisOptions,
    open_error::OpenError,
    scan::Scan,
};
use crate::{
    inspection::{Findings, Inspection},
    seal::Sealer,
};

/// Keys looked at at once.
const AT_ONCE: usize = 64;
/// Longer than any step of a gateway that goes well.
const MOTION: Duration = Duration::from_millis(300);

/// Is it there, and ours to use? Changes nothing, and does not try again.
pub async fn look(options: RedisOptions, sealer: Sealer) -> Result<(), OpenError> {
    let address = options.address.to_string();
    let database = reach(options, sealer, &address)?;
    if key_check::look(&database, &address).await? {
        Err(OpenError::HalfRestored { address })
    } else {
        Ok(())
    }
}

fn reach(options: RedisOptions, sealer: Sealer, address: &str) -> Result<Database, OpenError> {
    let connection = Connection::new(&options.address, options.replicas)
        .map_err(|error| OpenError::store(address, told(&error)))?;
    Ok(Database { connection, keys: Keys::new(options.prefix, options.address.database), sealer })
}

/// Reads everything; `now` tells what should be there still. A store of a newer layout, or sealed
/// with another secret, is refused.
pub async fn inspect(
    options: RedisOptions,
    sealer: Sealer,
    now: Timestamp,
) -> Result<Inspection, OpenError> {
    let address = options.address.to_string();
    let failed = |error| OpenError::store(&address, error);
    let database = reach(options, sealer, &address)?;
    let mut findings = Findings::default();
    if key_check::look(&database, &address).await? {
        const ADVICE: &str = "no gateway starts on it: run `portunus restore --replace` again";
        findings.of_store(&address, "a restore is under way, or broke off", ADVICE);
    }
    match Box::pin(export::run(&database, &mut findings)).await {
        Ok(()) => {}
        Err(ArchiveError::Store(error)) => return Err(failed(error)),
        Err(ArchiveError::Elsewhere(error)) => {
            return Err(failed(StoreError::Corrupt(error.to_string())));
        }
    }
    Box::pin(look_through(&database, &mut findings, now)).await.map_err(failed)?;
    Ok(findings.finish())
}

/// Something wrong with one record: its kind and id, what it is, what to do.
struct Wrong {
    kind: RecordKind,
    id: String,
    what: &'static str,
    advice: &'static str,
}

/// What was seen under a key.
#[derive(Default)]
struct Seen {
    wrong: Vec<Wrong>,
    /// The value that is sealed, if there is one.
    ciphertext: Option<Vec<u8>>,
}

impl Seen {
    fn wrong(&mut self, kind: RecordKind, id: &str, what: &'static str, advice: &'static str) {
        self.wrong.push(Wrong { kind, id: id.to_owned(), what, advice });
    }
}

async fn look_through(
    database: &Database,
    findings: &mut Findings,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut scan = Scan::begin(database, "*").await?;
    while let Some(keys) = scan.next(database).await? {
        let looks = stream::iter(keys).map(|key| async move {
            let seen = look_at(database, &key, now).await?;
            if seen.wrong.is_empty() {
                return Ok(seen);
            }
            sleep(MOTION).await;
            look_at(database, &key, now).await
        });
        let seen: Vec<Seen> = looks.buffer_unordered(AT_ONCE).try_collect().await?;
        for Seen { wrong, ciphertext } in seen {
            if let Some(ciphertext) = ciphertext {
                findings.sealed(database.sealer.generation(&ciphertext));
            }
            for Wrong { kind, id, what, advice } in wrong {
                findings.problem(kind, id, what, advice);
            }
        }
    }
    Ok(())
}

/// What this build does not know is of a newer one, and nothing is said about it.
async fn look_at(database: &Database, key: &str, now: Timestamp) -> Result<Seen, StoreError> {
    match database.keys.parse(key) {
        Some(("clients", end)) => lists::clients(database, key, end).await,
        Some(("pins", end)) => lists::pins(database, key, end).await,
        Some(("disabled", end)) => lists::disabled(database, key, end).await,
        Some((tag, "expiry")) => match Shard::parse(tag) {
            Some(shard) => lists::expiry(database, shard, now).await,
            None => Ok(Seen::default()),
        },
        Some((tag, end)) => match (Shard::parse(tag), end.split_once(':')) {
            (Some(shard), Some((kind, id))) => {
                records::look_at(database, key, shard, kind, id).await
            }
            _ => Ok(Seen::default()),
        },
        None => Ok(Seen::default()),
    }
}
