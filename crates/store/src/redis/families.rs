//! Families of refresh tokens: how one is read, and the exchange of a token (threats 17 and 18).
//! The step that decides is `scripts/change_family.lua`. A family stands beside its grant; a token
//! of it finds the shard by a pointer.

use portunus_core::{
    Timestamp,
    ids::GrantId,
    refresh::{FamilyId, FamilyState, FoundRefresh, RefreshFamily, RefreshKey},
    store::{FamilyChange, StoreError},
};
use redis::Value;

use super::{
    database::{Database, answer, hmget},
    epochs::{Owners, hget},
    failure::corrupt,
    keys::GrantPlace,
    script::{self, Call},
    tokens::{
        FoundGrant, REFRESH_FIELDS, Signposts, access_arguments, access_record, family_record,
        grant_record, read_refresh, refresh_record,
    },
};
use crate::{
    record::{not_opened, read_family_secret},
    seal::Place,
};

/// Where the secret of a family stands.
pub(super) fn place(id: &FamilyId) -> Place<'_> {
    Place { table: "refresh_families", column: "secret", key: id.as_bytes() }
}

pub(super) const FAMILY_FIELDS: [&str; 4] = ["grant", "expires_at", "secret", "state"];
type FamilyFields = (Option<String>, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Database {
    /// `None` if it is not there, or belongs to another grant than its pointer said.
    pub(super) fn read_family(
        &self,
        id: FamilyId,
        fields: Value,
        of: &GrantId,
    ) -> Result<Option<RefreshFamily>, StoreError> {
        let (grant, expires_at, secret, state): FamilyFields = answer(fields)?;
        let (Some(grant), Some(expires_at), Some(secret), Some(state)) =
            (grant, expires_at, secret, state)
        else {
            return Ok(None);
        };
        if grant != of.as_str() {
            return Ok(None);
        }
        let secret =
            read_family_secret(&self.sealer.open(place(&id), &secret).map_err(not_opened)?)?;
        let state = FamilyState::from_bytes(&state).ok_or_else(|| corrupt("family.state"))?;
        let expires_at = Timestamp::from_millis(expires_at);
        Ok(Some(RefreshFamily { id, grant: of.clone(), secret, expires_at, state }))
    }

    /// The family of the grant at this place, if it has one.
    async fn family_at(&self, at: &GrantPlace) -> Result<Option<RefreshFamily>, StoreError> {
        let grant = self.grant_key(at);
        let [id] = self.connection.read(&grant, [hget(&grant, "family")]).await?;
        let Some(id) = answer::<Option<String>>(id)? else { return Ok(None) };
        let id = FamilyId::parse(&id).ok_or_else(|| corrupt("grants.family"))?;
        let key = self.keys.record(at.shard, &family_record(&id));
        let [fields] = self.connection.read(&key, [hmget(&key, &FAMILY_FIELDS)]).await?;
        self.read_family(id, fields, &at.id)
    }
}

pub(super) async fn find(
    database: &Database,
    by: &RefreshKey,
    now: Timestamp,
) -> Result<Option<FoundRefresh>, StoreError> {
    let keys = &database.keys;
    let (family, earlier, grant) = match by {
        RefreshKey::Family(id) => {
            let Some(at) = database.place_of(&keys.family_pointer(id)).await? else {
                return Ok(None);
            };
            let (fields, grant) =
                database.token_at(&at, &family_record(id), &FAMILY_FIELDS).await?;
            let family =
                database.read_family(*id, fields, &at.id)?.filter(|family| family.expires_at > now);
            let (Some(family), Some(grant)) = (family, grant) else { return Ok(None) };
            (Some(family), None, grant)
        }
        RefreshKey::Earlier(hash) => {
            let Some(at) = database.place_of(&keys.refresh_pointer(hash)).await? else {
                return Ok(None);
            };
            let (fields, grant) =
                database.token_at(&at, &refresh_record(hash), &REFRESH_FIELDS).await?;
            let earlier = read_refresh(fields, &at)?.filter(|earlier| earlier.expires_at > now);
            let (Some(earlier), Some(grant)) = (earlier, grant) else { return Ok(None) };
            (database.family_at(&at).await?, Some(earlier), grant)
        }
    };
    // After the family was read: a revocation in between counts.
    let present = database.present(&Owners::from(&grant.grant)).await?;
    Ok(Some(FoundRefresh { grant: grant.now(&present.epochs), family, earlier }))
}

pub(super) async fn of_grant(
    database: &Database,
    id: &GrantId,
) -> Result<Option<FoundRefresh>, StoreError> {
    let Some(at) = database.place_of(&database.keys.grant_pointer(id)).await? else {
        return Ok(None);
    };
    let family = database.family_at(&at).await?;
    let Some(grant) = database.grant_at(&at).await? else { return Ok(None) };
    // After the family was read: a revocation in between counts.
    let present = database.present(&Owners::from(&grant.grant)).await?;
    Ok(Some(FoundRefresh { grant: grant.now(&present.epochs), family, earlier: None }))
}

pub(super) async fn change(database: &Database, change: &FamilyChange) -> Result<bool, StoreError> {
    let FamilyChange { after, access, .. } = change;
    let keys = &database.keys;
    let Some(at) = database.place_of(&keys.grant_pointer(&after.grant)).await? else {
        return Ok(false);
    };
    let Some(found) = database.grant_at(&at).await? else { return Ok(false) };
    let present = database.present(&Owners::from(&found.grant)).await?;
    let grant = FoundGrant::now(found, &present.epochs);
    if grant.revoked_at.is_some() {
        return Ok(false);
    }
    let until = after.expires_at.max(access.expires_at);
    let signposts = Signposts::new(database, &at, &grant, until)
        .to(keys.access_pointer(&access.hash), access.expires_at);
    let mut signposts = signposts.to(keys.family_pointer(&after.id), after.expires_at);
    let outcome = match signposts.put_up(database).await {
        Ok(()) => {
            let word: String = database.run(&call(database, &at, change)?).await?;
            match word.as_str() {
                "done" => Ok(true),
                "changed" => Ok(false),
                "conflict" => Err(StoreError::Conflict),
                _ => Err(corrupt("a reply of the script that changes a family")),
            }
        }
        Err(StoreError::Conflict) => Err(StoreError::Conflict),
        // What was not answered may have been done: what leads to it stays.
        Err(error) => return Err(error),
    };
    if !matches!(outcome, Ok(true)) {
        signposts.take_down(database).await;
    }
    outcome
}

fn call(database: &Database, at: &GrantPlace, change: &FamilyChange) -> Result<Call, StoreError> {
    let FamilyChange { before, after, access, .. } = change;
    let keys = &database.keys;
    let before = before.as_ref().map(|before| before.state.to_bytes()).unwrap_or_default();
    let call = Call::new(&script::CHANGE_FAMILY)
        .key(keys.record(at.shard, &family_record(&after.id)))
        .key(keys.record(at.shard, &access_record(&access.hash)))
        .key(database.grant_key(at))
        .key(keys.expiry(at.shard))
        .key(keys.grants(at.shard))
        .arg(at.id.as_str())
        .arg(grant_record(at).name())
        .arg(before.as_slice());
    arguments(access_arguments(call, access), after, database)
}

/// A family for the scripts that keep one: its name in the expiry list, when it expires, its
/// secret, its state, its id.
pub(super) fn arguments(
    call: Call,
    family: &RefreshFamily,
    database: &Database,
) -> Result<Call, StoreError> {
    let sealed = database
        .sealer
        .seal(place(&family.id), family.secret.expose().as_bytes())
        .map_err(not_opened)?;
    let call = call.arg(family_record(&family.id).name()).arg(family.expires_at.as_millis());
    Ok(call
        .arg(sealed.as_slice())
        .arg(family.state.to_bytes().as_slice())
        .arg(family.id.to_string()))
}
