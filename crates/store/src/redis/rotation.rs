//! The exchange of a refresh token for its successor (threats 17 and 18). The step that decides is `scripts/rotate.lua`.

use portunus_core::{
    secret::{SecretText, TokenHash},
    store::{Rotated, Rotation, StoreError},
};
use redis::Value;

use super::{
    database::{Database, answer},
    epochs::Owners,
    failure::corrupt,
    keys::GrantPlace,
    script::{self, Call},
    tokens::{
        REFRESH_FIELDS, Signposts, access_arguments, access_record, grant_record, read_refresh, refresh_record, successor_record,
    },
};
use crate::{
    record::{key, not_opened},
    seal::Place,
};

/// Where the successor of the refresh token under `used` stands.
pub(super) fn place(used: &TokenHash) -> Place<'_> {
    Place { table: "refresh_tokens", column: "successor_secret", key: key(used) }
}

pub(super) async fn rotate(database: &Database, used: &TokenHash, rotation: &Rotation) -> Result<Rotated, StoreError> {
    let keys = &database.keys;
    let Some(at) = database.place_of(&keys.refresh_pointer(used)).await? else { return Ok(Rotated::Unknown) };
    let (token, grant) = database.token_at(&at, &refresh_record(used), &REFRESH_FIELDS).await?;
    let (Some((_, used_at)), Some(grant)) = (read_refresh(*used, token, &at, rotation.now)?, grant) else {
        return Ok(Rotated::Unknown);
    };
    let present = database.present(&Owners::from(&grant.grant)).await?;
    let grant = grant.now(&present.epochs);
    if grant.revoked_at.is_some() {
        return Ok(Rotated::Unknown);
    }
    // A token is used once and stays used, so this much may be decided here.
    if used_at.is_some_and(|used_at| rotation.now.since(used_at) >= rotation.grace) {
        return Ok(Rotated::Reused(grant.id));
    }
    let (access, successor) = (&rotation.access, &rotation.successor);
    let until = successor.expires_at.max(access.expires_at);
    let mut signposts = Signposts::new(database, &at, &grant, until).to(keys.access_pointer(&access.hash), access.expires_at);
    if used_at.is_none() {
        signposts = signposts.to(keys.refresh_pointer(&successor.hash), successor.expires_at);
    }
    let outcome = match signposts.put_up(database).await {
        Ok(()) => read_outcome(database, used, &at, database.run(&call(database, used, &at, rotation)?).await?),
        Err(StoreError::Conflict) => Err(StoreError::Conflict),
        // What was not answered may have been done: what leads to it stays.
        Err(error) => return Err(error),
    };
    match outcome {
        Ok(Rotated::Fresh) => {}
        Ok(Rotated::Repeated { .. }) => signposts.take_down_all_but(&keys.access_pointer(&access.hash), database).await,
        _ => signposts.take_down(database).await,
    }
    outcome
}

fn call(database: &Database, used: &TokenHash, at: &GrantPlace, rotation: &Rotation) -> Result<Call, StoreError> {
    let keys = &database.keys;
    let (access, successor) = (&rotation.access, &rotation.successor);
    let sealed = database.sealer.seal(place(used), rotation.successor_secret.expose().as_bytes()).map_err(not_opened)?;
    let (next, secret) = (refresh_record(&successor.hash), successor_record(used));
    let call = Call::new(&script::ROTATE)
        .key(keys.record(at.shard, &refresh_record(used)))
        .key(keys.record(at.shard, &secret))
        .key(keys.record(at.shard, &next))
        .key(keys.record(at.shard, &access_record(&access.hash)))
        .key(database.grant_key(at))
        .key(keys.expiry(at.shard))
        .key(keys.grants(at.shard))
        .arg(rotation.now.as_millis())
        .arg(u64::try_from(rotation.grace.as_millis()).unwrap_or(u64::MAX))
        .arg(at.id.as_str())
        .arg(grant_record(at).name())
        .arg(successor.hash.to_string())
        .arg(next.name())
        .arg(successor.expires_at.as_millis())
        .arg(secret.name())
        .arg(sealed)
        .arg((rotation.now + rotation.grace).as_millis());
    Ok(access_arguments(call, access))
}

fn read_outcome(database: &Database, used: &TokenHash, at: &GrantPlace, reply: Vec<Value>) -> Result<Rotated, StoreError> {
    let mut reply = reply.into_iter();
    let word: String = answer(reply.next().unwrap_or(Value::Nil))?;
    match word.as_str() {
        "fresh" => Ok(Rotated::Fresh),
        "reused" => Ok(Rotated::Reused(at.id.clone())),
        "unknown" => Ok(Rotated::Unknown),
        "conflict" => Err(StoreError::Conflict),
        "repeated" => {
            let sealed: Vec<u8> = answer(reply.next().unwrap_or(Value::Nil))?;
            let secret = database.sealer.open(place(used), &sealed).map_err(not_opened)?;
            let secret = std::str::from_utf8(&secret).map_err(|_| corrupt("a successor is not text"))?;
            Ok(Rotated::Repeated { successor_secret: SecretText::new(secret) })
        }
        _ => Err(corrupt("a reply of the script that rotates")),
    }
}
