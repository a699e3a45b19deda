//! A grant with its tokens, as they were at one moment. Which tokens it has is known from a list
//! that is a little older, so the answer may name a family that was not asked about; then it is
//! asked again. An access token that was issued meanwhile is out.

use std::collections::BTreeMap;

use portunus_core::{
    Timestamp,
    refresh::FamilyId,
    secret::TokenHash,
    store::{GrantWithTokens, StoreError, StoredRefresh, UsedRefresh},
    token::RefreshToken,
};
use redis::Value;

use super::super::{
    database::{Database, answer},
    epochs::{Owners, hget},
    failure::corrupt,
    keys::{Expiring, GrantPlace, Shard},
    script::{self, Call},
    tokens::{access_record, family_record, read_access, read_grant, read_refresh, refresh_record},
};

/// Tokens whose grants are asked for at once.
const AT_ONCE: usize = 500;
/// Before any token expires.
const EVER: Timestamp = Timestamp::from_millis(i64::MIN);

/// A grant and what is known of its tokens.
pub(super) struct Group {
    pub(super) place: GrantPlace,
    access: Vec<TokenHash>,
    refresh: Vec<TokenHash>,
    family: Option<FamilyId>,
}

/// The grants among these, each with those tokens among these that say they are its.
pub(super) async fn group(
    database: &Database,
    shard: Shard,
    names: &[Expiring],
) -> Result<Vec<Group>, StoreError> {
    let new = |id: &String| Group {
        place: GrantPlace::in_shard(id, shard),
        access: Vec::new(),
        refresh: Vec::new(),
        family: None,
    };
    let grants = names.iter().filter_map(|name| {
        if let Expiring::Grant(id) = name { Some((id.clone(), new(id))) } else { None }
    });
    let mut groups: BTreeMap<String, Group> = grants.collect();
    let tokens: Vec<_> = names
        .iter()
        .filter(|name| {
            matches!(name, Expiring::Access(_) | Expiring::Refresh(_) | Expiring::Family(_))
        })
        .collect();
    let list = database.keys.expiry(shard);
    for tokens in tokens.chunks(AT_ONCE) {
        let commands =
            tokens.iter().map(|token| hget(&database.keys.record(shard, token), "grant"));
        let owners = database.connection.read_all(&list, commands).await?;
        for (token, owner) in tokens.iter().zip(owners) {
            let Some(group) =
                answer::<Option<String>>(owner)?.and_then(|owner| groups.get_mut(&owner))
            else {
                continue;
            };
            match token {
                Expiring::Access(hash) => group.access.extend(TokenHash::parse(hash)),
                Expiring::Refresh(hash) => group.refresh.extend(TokenHash::parse(hash)),
                Expiring::Family(id) => group.family = FamilyId::parse(id),
                _ => {}
            }
        }
    }
    Ok(groups.into_values().collect())
}

type Taken = (Value, Option<i64>, Option<String>, Value, Vec<Value>, Vec<Value>);

/// `None` if it went away meanwhile.
pub(super) async fn take(
    database: &Database,
    mut group: Group,
) -> Result<Option<GrantWithTokens>, StoreError> {
    let (grant, tokens_until, family, refresh, access) = loop {
        let (grant, tokens_until, id, family, refresh, access): Taken =
            database.run(&call(database, &group)).await?;
        let id = id
            .map(|id| FamilyId::parse(&id).ok_or_else(|| corrupt("grants.family")))
            .transpose()?;
        if id == group.family {
            break (grant, tokens_until, family, refresh, access);
        }
        group.family = id;
    };
    let Some(found) = read_grant(grant)? else { return Ok(None) };
    // After the grant was read: a revocation in between counts.
    let present = database.present(&Owners::from(&found.grant)).await?;
    let grant = found.now(&present.epochs);
    let place = &group.place;
    let tokens_until = tokens_until.map_or(grant.created_at, Timestamp::from_millis);
    let family = match group.family {
        Some(id) => database.read_family(id, family, &grant.id)?,
        None => None,
    };
    let mut with_tokens =
        GrantWithTokens { grant, tokens_until, access: Vec::new(), family, refresh: Vec::new() };
    for (hash, fields) in group.access.iter().zip(access) {
        with_tokens.access.extend(read_access(*hash, fields, place, EVER)?);
    }
    for (hash, fields) in group.refresh.iter().zip(refresh) {
        let Some(earlier) = read_refresh(fields, place)? else { continue };
        let token =
            RefreshToken { hash: *hash, grant: place.id.clone(), expires_at: earlier.expires_at };
        with_tokens
            .refresh
            .push(StoredRefresh { token, used: earlier.used_at.map(|at| UsedRefresh { at }) });
    }
    Ok(Some(with_tokens))
}

fn call(database: &Database, group: &Group) -> Call {
    let (keys, shard, grant) =
        (&database.keys, group.place.shard, database.grant_key(&group.place));
    let family =
        group.family.map_or_else(|| grant.clone(), |id| keys.record(shard, &family_record(&id)));
    let call = Call::new(&script::EXPORT_GRANT).key(grant).key(family).arg(group.refresh.len());
    let call = group
        .refresh
        .iter()
        .fold(call, |call, hash| call.key(keys.record(shard, &refresh_record(hash))));
    group.access.iter().fold(call, |call, hash| call.key(keys.record(shard, &access_record(hash))))
}
