//! A grant with its tokens, as they were at one moment. Which tokens it has is known from a list that is a little older, so the answer may
//! name a successor that was not asked about; then it is asked again. An access token that was issued meanwhile is out.

use std::collections::BTreeMap;

use portunus_core::{
    Timestamp,
    secret::{SecretText, TokenHash},
    store::{GrantWithTokens, KeptRefresh, KeptSuccessor, StoreError, UsedRefresh},
    token::RefreshToken,
};
use redis::Value;

use super::super::{
    database::{Database, answer},
    epochs::{Owners, hget},
    failure::corrupt,
    keys::{Expiring, GrantPlace, Shard},
    rotation,
    script::{self, Call},
    tokens::{access_record, read_access, read_grant, refresh_record, successor_record},
};
use crate::record::not_opened;

/// Tokens whose grants are asked for at once.
const AT_ONCE: usize = 500;
/// Before any token expires.
const EVER: Timestamp = Timestamp::from_millis(i64::MIN);

/// A grant and what is known of its tokens.
pub(super) struct Group {
    pub(super) place: GrantPlace,
    access: Vec<TokenHash>,
    refresh: Vec<TokenHash>,
}

/// The grants among these, each with those tokens among these that say they are its.
pub(super) async fn group(database: &Database, shard: Shard, names: &[Expiring]) -> Result<Vec<Group>, StoreError> {
    let new = |id: &String| Group { place: GrantPlace::in_shard(id, shard), access: Vec::new(), refresh: Vec::new() };
    let grants = names.iter().filter_map(|name| if let Expiring::Grant(id) = name { Some((id.clone(), new(id))) } else { None });
    let mut groups: BTreeMap<String, Group> = grants.collect();
    let tokens: Vec<_> = names.iter().filter(|name| matches!(name, Expiring::Access(_) | Expiring::Refresh(_))).collect();
    let list = database.keys.expiry(shard);
    for tokens in tokens.chunks(AT_ONCE) {
        let commands = tokens.iter().map(|token| hget(&database.keys.record(shard, token), "grant"));
        let owners = database.connection.read_all(&list, commands).await?;
        for (token, owner) in tokens.iter().zip(owners) {
            let Some(group) = answer::<Option<String>>(owner)?.and_then(|owner| groups.get_mut(&owner)) else { continue };
            match token {
                Expiring::Access(hash) => group.access.extend(TokenHash::parse(hash)),
                Expiring::Refresh(hash) => group.refresh.extend(TokenHash::parse(hash)),
                _ => {}
            }
        }
    }
    Ok(groups.into_values().collect())
}

type Taken = (Value, Option<i64>, Vec<(Value, Option<Vec<u8>>, Option<i64>)>, Vec<Value>);

/// `None` if it went away meanwhile.
pub(super) async fn take(database: &Database, mut group: Group) -> Result<Option<GrantWithTokens>, StoreError> {
    let taken = loop {
        let taken: Taken = database.run(&call(database, &group)).await?;
        let unasked = unasked(&group, &taken)?;
        if unasked.is_empty() {
            break taken;
        }
        group.refresh.extend(unasked);
    };
    let (grant, tokens_until, refresh, access) = taken;
    let Some(found) = read_grant(grant)? else { return Ok(None) };
    // After the grant was read: a revocation in between counts.
    let present = database.present(&Owners::from(&found.grant)).await?;
    let grant = found.now(&present.epochs);
    let place = &group.place;
    let tokens_until = tokens_until.map_or(grant.created_at, Timestamp::from_millis);
    let mut with_tokens = GrantWithTokens { grant, tokens_until, access: Vec::new(), refresh: Vec::new() };
    for (hash, fields) in group.access.iter().zip(access) {
        with_tokens.access.extend(read_access(*hash, fields, place, EVER)?);
    }
    for (hash, (fields, sealed, until)) in group.refresh.iter().zip(refresh) {
        with_tokens.refresh.extend(kept_refresh(database, *hash, fields, place, sealed.zip(until))?);
    }
    Ok(Some(with_tokens))
}

fn call(database: &Database, group: &Group) -> Call {
    let (keys, shard) = (&database.keys, group.place.shard);
    let mut call = Call::new(&script::EXPORT_GRANT).key(database.grant_key(&group.place)).key(keys.expiry(shard));
    for hash in &group.refresh {
        let successor = successor_record(hash);
        call = call.key(keys.record(shard, &refresh_record(hash))).key(keys.record(shard, &successor)).arg(successor.name());
    }
    group.access.iter().fold(call, |call, hash| call.key(keys.record(shard, &access_record(hash))))
}

type RefreshFields = (Option<String>, Option<i64>, Option<i64>, Option<String>);

fn unasked(group: &Group, (_, _, refresh, _): &Taken) -> Result<Vec<TokenHash>, StoreError> {
    let mut unasked = Vec::new();
    for (fields, _, _) in refresh {
        let (_, _, _, successor): RefreshFields = answer(fields.clone())?;
        let Some(successor) = successor else { continue };
        let hash = TokenHash::parse(&successor).ok_or_else(|| corrupt("refresh.successor"))?;
        if !group.refresh.contains(&hash) && !unasked.contains(&hash) {
            unasked.push(hash);
        }
    }
    Ok(unasked)
}

fn kept_refresh(
    database: &Database,
    hash: TokenHash,
    fields: Value,
    place: &GrantPlace,
    successor: Option<(Vec<u8>, i64)>,
) -> Result<Option<KeptRefresh>, StoreError> {
    let (grant, expires_at, used_at, _): RefreshFields = answer(fields)?;
    let (Some(grant), Some(expires_at)) = (grant, expires_at) else { return Ok(None) };
    if grant != place.id.as_str() {
        return Ok(None);
    }
    let token = RefreshToken { hash, grant: place.id.clone(), expires_at: Timestamp::from_millis(expires_at) };
    let successor = successor.map(|(sealed, until)| {
        let secret = database.sealer.open(rotation::place(&hash), &sealed).map_err(not_opened)?;
        let secret = std::str::from_utf8(&secret).map_err(|_| corrupt("a successor is not text"))?;
        Ok::<_, StoreError>(KeptSuccessor { secret: SecretText::new(secret), until: Timestamp::from_millis(until) })
    });
    let used = match used_at.map(Timestamp::from_millis) {
        Some(at) => Some(UsedRefresh { at, successor: successor.transpose()? }),
        None => None,
    };
    Ok(Some(KeptRefresh { token, used }))
}
