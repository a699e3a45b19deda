//! Is this store ours to use: laid by a Portunus that this one understands, and sealed with this
//! `AUTH_SECRET`? Told at start, before any login or refresh fails for a reason that its error does
//! not show. When the secret was rotated, everything sealed is sealed anew, so that the earlier
//! secret can be dropped at the next start.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{refresh::FamilyId, secret::TokenHash, store::StoreError};
use redis::Value;

use super::{
    database::{Database, answer, get, zrange},
    epochs::hget,
    families,
    keys::{Expiring, Shard},
    logins,
    open_error::OpenError,
    provider_tokens, script,
    script::Call,
    sessions, transactions,
};
use crate::{
    record::not_opened,
    seal::{Place, SealError},
};

/// The layout this build knows. It moves on when an older build could not live with what a newer
/// one wrote.
const KNOWN: i64 = 2;
const PLACE: Place<'static> = Place { table: "meta", column: "value", key: b"sentinel" };
const TEXT: &[u8] = b"portunus";
const AT_ONCE: usize = 16;

/// What it is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Use,
    /// Then everything in it will be replaced.
    Import,
}

pub(super) async fn check(
    database: &Database,
    address: &str,
    purpose: Purpose,
) -> Result<(), OpenError> {
    let (layout, sentinel) = (database.keys.meta("layout"), database.keys.meta("sentinel"));
    let unfinished = database.keys.unfinished_import();
    let fresh =
        database.sealer.seal(PLACE, TEXT).map_err(|error| OpenError::seal(address, error))?;
    let step = async {
        // Of two gateways that start at once, the second finds what the first wrote.
        database
            .connection
            .write(&layout, set_if_absent(&layout, KNOWN.to_string().as_bytes()))
            .await?;
        database.connection.write(&sentinel, set_if_absent(&sentinel, &fresh)).await?;
        let [found, kept, half] = database
            .connection
            .read(&layout, [get(&layout), get(&sentinel), get(&unfinished)])
            .await?;
        Ok::<_, StoreError>((answer::<i64>(found)?, answer::<Vec<u8>>(kept)?, half != Value::Nil))
    };
    let (found, kept, is_half) = step.await.map_err(|error| OpenError::store(address, error))?;
    if found > KNOWN {
        return Err(OpenError::Newer { address: address.to_owned(), found, known: KNOWN });
    }
    if is_half && purpose == Purpose::Use {
        return Err(OpenError::HalfRestored { address: address.to_owned() });
    }
    match database.sealer.open(PLACE, &kept) {
        Ok(_) => {}
        Err(SealError::UnknownKey) => {
            return Err(OpenError::WrongSecret { address: address.to_owned() });
        }
        Err(error) => return Err(OpenError::seal(address, error)),
    }
    if found < KNOWN {
        // An older one would not know the tokens that this one issues.
        let raise = async {
            let mut command = redis::cmd("SET");
            command.arg(&layout).arg(KNOWN);
            database.connection.write(&layout, command).await
        };
        raise.await.map_err(|error| OpenError::store(address, error))?;
    }
    // A current sentinel does not say that all else is: other gateways may have gone on with the
    // earlier secret for a while.
    if database.sealer.has_earlier() || !database.sealer.is_current(&kept) {
        renew(database, fresh).await.map_err(|error| OpenError::store(address, error))?;
    }
    Ok(())
}

/// The same while the store is open: the secrets were changed.
pub(super) async fn renew_open(database: &Database) -> Result<(), StoreError> {
    let fresh = database.sealer.seal(PLACE, TEXT).map_err(not_opened)?;
    renew(database, fresh).await
}

/// Seals anew what was sealed with an earlier secret; last the sentinel, which becomes `fresh`.
async fn renew(database: &Database, fresh: Vec<u8>) -> Result<(), StoreError> {
    reseal_all(database).await?;
    let sentinel = database.keys.meta("sentinel");
    let mut command = redis::cmd("SET");
    command.arg(&sentinel).arg(fresh);
    database.connection.write(&sentinel, command).await.map(drop)
}

/// Is it ours to read? Changes nothing. Gives whether an import into it is unfinished.
pub(super) async fn look(database: &Database, address: &str) -> Result<bool, OpenError> {
    let (layout, sentinel) = (database.keys.meta("layout"), database.keys.meta("sentinel"));
    let unfinished = database.keys.unfinished_import();
    let read = async {
        let commands = [get(&layout), get(&sentinel), get(&unfinished)];
        let [found, kept, half] = database.connection.read(&layout, commands).await?;
        Ok::<_, StoreError>((
            answer::<Option<i64>>(found)?,
            answer::<Option<Vec<u8>>>(kept)?,
            half != Value::Nil,
        ))
    };
    let (found, kept, is_half) = read.await.map_err(|error| OpenError::store(address, error))?;
    if let Some(found) = found.filter(|found| *found > KNOWN) {
        return Err(OpenError::Newer { address: address.to_owned(), found, known: KNOWN });
    }
    match kept.map(|kept| database.sealer.open(PLACE, &kept)) {
        None | Some(Ok(_)) => Ok(is_half),
        Some(Err(SealError::UnknownKey)) => {
            Err(OpenError::WrongSecret { address: address.to_owned() })
        }
        Some(Err(error)) => Err(OpenError::seal(address, error)),
    }
}

fn set_if_absent(key: &str, value: &[u8]) -> redis::Cmd {
    let mut command = redis::cmd("SET");
    command.arg(key).arg(value).arg("NX");
    command
}

async fn reseal_all(database: &Database) -> Result<(), StoreError> {
    let shards = stream::iter(Shard::all()).map(|shard| reseal_shard(database, shard));
    shards.buffer_unordered(AT_ONCE).try_collect().await
}

/// Everything sealed expires, so the shard's list names it.
async fn reseal_shard(database: &Database, shard: Shard) -> Result<(), StoreError> {
    let list = database.keys.expiry(shard);
    let [names] = database.connection.read(&list, [zrange(&list)]).await?;
    for name in answer::<Vec<String>>(names)? {
        let Some(what) = Expiring::parse(&name) else { continue };
        // Every kind that has something sealed, the field it is in, and the place it was sealed
        // for.
        let by_hash: (&String, &str, fn(&TokenHash) -> Place<'_>) = match &what {
            Expiring::Login(hash, _) => (hash, "record", logins::place),
            Expiring::ProviderRequest(hash) => (hash, "record", transactions::place),
            Expiring::Session(id) => (id, "state", sessions::place),
            Expiring::ProviderToken(id) => (id, "record", provider_tokens::place),
            Expiring::Family(id) => {
                if let Some(id) = FamilyId::parse(id) {
                    reseal(
                        database,
                        &database.keys.record(shard, &what),
                        "secret",
                        families::place(&id),
                    )
                    .await?;
                }
                continue;
            }
            _ => continue,
        };
        let (hash, field, place) = by_hash;
        if let Some(hash) = TokenHash::parse(hash) {
            reseal(database, &database.keys.record(shard, &what), field, place(&hash)).await?;
        }
    }
    Ok(())
}

async fn reseal(
    database: &Database,
    key: &str,
    field: &str,
    place: Place<'_>,
) -> Result<(), StoreError> {
    let [found] = database.connection.read(key, [hget(key, field)]).await?;
    if found == Value::Nil {
        return Ok(());
    }
    let ciphertext: Vec<u8> = answer(found)?;
    if database.sealer.is_current(&ciphertext) {
        return Ok(());
    }
    match database
        .sealer
        .open(place, &ciphertext)
        .and_then(|plaintext| database.sealer.seal(place, &plaintext))
    {
        Ok(anew) => {
            let call =
                Call::new(&script::RESEAL).key(key.to_owned()).arg(field).arg(ciphertext).arg(anew);
            database.run::<bool>(&call).await.map(drop)
        }
        // Lost already; a look-up of it says so.
        Err(error) => {
            let (table, column) = (place.table, place.column);
            tracing::warn!(table, column, %error, "a sealed value cannot be opened and was left as it is");
            Ok(())
        }
    }
}
