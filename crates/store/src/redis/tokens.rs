//! Grants and tokens as they are kept: how one is read and written, and the pointers that lead to
//! them. The atomic steps made of them are in [`super::grants`].

use portunus_core::{
    Timestamp,
    grant::Grant,
    refresh::{EarlierRefresh, FamilyId, RefreshFamily},
    resource::Resource,
    scope::ScopeSet,
    secret::TokenHash,
    store::StoreError,
    token::AccessToken,
};
use redis::Value;

use super::{
    clients::newest_first,
    database::{Database, answer, hmget},
    epochs::{Epochs, FIELDS, Owners},
    failure::corrupt,
    keys::{Expiring, GrantPlace, Shard},
    script::{self, Call},
};
use crate::record::{from_json, to_json};

pub(super) fn access_record(hash: &TokenHash) -> Expiring {
    Expiring::Access(hash.to_string())
}

pub(super) fn refresh_record(hash: &TokenHash) -> Expiring {
    Expiring::Refresh(hash.to_string())
}

pub(super) fn family_record(id: &FamilyId) -> Expiring {
    Expiring::Family(id.to_string())
}

pub(super) fn grant_record(place: &GrantPlace) -> Expiring {
    Expiring::Grant(place.id.to_string())
}

/// A grant as it was found, before it is known whether its epochs are over.
pub(super) struct FoundGrant {
    pub(super) grant: Grant,
    pub(super) epochs: Epochs,
}

pub(super) const GRANT_FIELDS: [&str; 6] =
    ["record", "revoked_at", FIELDS[0], FIELDS[1], FIELDS[2], FIELDS[3]];

pub(super) fn read_grant(fields: Value) -> Result<Option<FoundGrant>, StoreError> {
    let fields: [Option<String>; 6] = answer(fields)?;
    let [record, revoked_at, everyone, client, user, login] = fields;
    let Some(record) = record else { return Ok(None) };
    let revoked_at = revoked_at.map(|at| at.parse().map(Timestamp::from_millis)).transpose();
    let revoked_at = revoked_at.map_err(|_| corrupt("grants.revoked_at"))?;
    let grant = Grant { revoked_at, ..from_json("grants", &record)? };
    Ok(Some(FoundGrant { grant, epochs: Epochs::from_parts([everyone, client, user, login]) }))
}

impl FoundGrant {
    /// The grant as it is now: one whose epochs are over is revoked, though its record does not say
    /// so yet.
    pub(super) fn now(self, now: &Epochs) -> Grant {
        let revoked_at = self.grant.revoked_at.or_else(|| self.epochs.ended(now));
        Grant { revoked_at, ..self.grant }
    }
}

/// The fields of a new grant, as arguments after their number.
pub(super) fn grant_arguments(
    mut call: Call,
    grant: &Grant,
    epochs: &Epochs,
    family: Option<&RefreshFamily>,
) -> Result<Call, StoreError> {
    let mut fields = vec![
        ("record", to_json(grant)?),
        ("tokens_until", grant.created_at.as_millis().to_string()),
    ];
    if let Some(at) = grant.revoked_at {
        fields.push(("revoked_at", at.as_millis().to_string()));
    }
    fields.extend(family.map(|family| ("family", family.id.to_string())));
    fields.extend(FIELDS.into_iter().zip(epochs.parts().map(str::to_owned)));
    call = call.arg(fields.len() * 2);
    for (field, value) in fields {
        call = call.arg(field).arg(value);
    }
    Ok(call)
}

pub(super) fn access_arguments(call: Call, access: &AccessToken) -> Call {
    let call = call.arg(access_record(&access.hash).name()).arg(access.expires_at.as_millis());
    call.arg(access.scopes.to_string()).arg(access.resource.as_str())
}

pub(super) const ACCESS_FIELDS: [&str; 4] = ["grant", "expires_at", "scopes", "resource"];

/// `None` if it is not there, has expired, or belongs to another grant than its pointer said.
pub(super) fn read_access(
    hash: TokenHash,
    fields: Value,
    place: &GrantPlace,
    now: Timestamp,
) -> Result<Option<AccessToken>, StoreError> {
    let (grant, expires_at, scopes, resource): (
        Option<String>,
        Option<i64>,
        Option<String>,
        Option<String>,
    ) = answer(fields)?;
    let (Some(grant), Some(expires_at), Some(scopes), Some(resource)) =
        (grant, expires_at, scopes, resource)
    else {
        return Ok(None);
    };
    if expires_at <= now.as_millis() || grant != place.id.as_str() {
        return Ok(None);
    }
    let scopes =
        ScopeSet::parse(&scopes).map_err(|error| corrupt(&format!("access.scopes: {error}")))?;
    let expires_at = Timestamp::from_millis(expires_at);
    Ok(Some(AccessToken {
        hash,
        grant: place.id.clone(),
        resource: Resource::from_stored(resource),
        scopes,
        expires_at,
    }))
}

pub(super) const REFRESH_FIELDS: [&str; 3] = ["grant", "expires_at", "used_at"];

/// In the same way, a refresh token of before there were families.
pub(super) fn read_refresh(
    fields: Value,
    place: &GrantPlace,
) -> Result<Option<EarlierRefresh>, StoreError> {
    let (grant, expires_at, used_at): (Option<String>, Option<i64>, Option<i64>) = answer(fields)?;
    let (Some(grant), Some(expires_at)) = (grant, expires_at) else { return Ok(None) };
    let (expires_at, used_at) =
        (Timestamp::from_millis(expires_at), used_at.map(Timestamp::from_millis));
    Ok((grant == place.id.as_str()).then_some(EarlierRefresh { expires_at, used_at }))
}

/// What leads to a grant and to its tokens from other slots. Written before the one step that
/// decides, and harmless without it; what was new is taken back if that step comes to nothing.
pub(super) struct Signposts {
    place: GrantPlace,
    pointers: Vec<(String, Timestamp)>,
    lists: Vec<String>,
    rank: i64,
    until: Timestamp,
    added_pointers: Vec<String>,
    added_lists: Vec<String>,
}

impl Signposts {
    pub(super) fn new(
        database: &Database,
        place: &GrantPlace,
        grant: &Grant,
        until: Timestamp,
    ) -> Self {
        let keys = &database.keys;
        let owners = Owners::from(grant);
        let mut lists = vec![keys.user_grants(&owners.user), keys.client_grants(&owners.client)];
        lists.extend(owners.login.as_ref().map(|login| keys.login_grants(login)));
        Self {
            place: place.clone(),
            pointers: vec![(keys.grant_pointer(&place.id), until)],
            lists,
            rank: newest_first(grant.created_at),
            until,
            added_pointers: Vec::new(),
            added_lists: Vec::new(),
        }
    }

    pub(super) fn to(mut self, pointer: String, until: Timestamp) -> Self {
        self.pointers.push((pointer, until));
        self
    }

    /// [`StoreError::Conflict`] if one of them leads elsewhere already.
    pub(super) async fn put_up(&mut self, database: &Database) -> Result<(), StoreError> {
        let place = self.place.to_string();
        let pointing = self.pointers.iter().map(|(key, until)| {
            let call =
                Call::new(&script::POINT).key(key.clone()).arg(&place).arg(until.as_millis());
            async move { database.run::<u8>(&call).await }
        });
        let listing = self.lists.iter().map(|key| {
            let call = Call::new(&script::LIST_GRANT)
                .key(key.clone())
                .arg(&place)
                .arg(self.rank)
                .arg(self.until.as_millis());
            async move { database.run::<bool>(&call).await }
        });
        let (pointed, listed) =
            tokio::join!(futures::future::join_all(pointing), futures::future::join_all(listing));
        let mut outcome = Ok(());
        for ((key, _), pointed) in self.pointers.iter().zip(pointed) {
            match pointed {
                Ok(1) => self.added_pointers.push(key.clone()),
                Ok(0) => outcome = outcome.and(Err(StoreError::Conflict)),
                Ok(_) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        for (key, listed) in self.lists.iter().zip(listed) {
            match listed {
                Ok(true) => self.added_lists.push(key.clone()),
                Ok(false) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// After a step that is known to have written nothing. Never after one whose outcome is not
    /// known.
    pub(super) async fn take_down(&self, database: &Database) {
        let place = self.place.to_string();
        let pointers = self.added_pointers.iter().map(|key| {
            let call = Call::new(&script::UNPOINT).key(key.clone()).arg(&place);
            async move { database.run::<u8>(&call).await.map(drop) }
        });
        let lists = self.added_lists.iter().map(|key| {
            let mut command = redis::cmd("ZREM");
            command.arg(key).arg(&place);
            async move { database.connection.write(key, command).await.map(drop) }
        });
        let (pointers, lists) =
            tokio::join!(futures::future::join_all(pointers), futures::future::join_all(lists));
        // They lead to nothing, and go by themselves when the tokens would have expired.
        if let Some(Err(error)) = pointers.into_iter().chain(lists).find(Result::is_err) {
            tracing::debug!(%error, "pointers to nothing were left behind");
        }
    }
}

impl Database {
    pub(super) async fn place_of(&self, pointer: &str) -> Result<Option<GrantPlace>, StoreError> {
        self.pointer(pointer).await?.map(|text| GrantPlace::parse(&text)).transpose()
    }

    pub(super) fn grant_key(&self, place: &GrantPlace) -> String {
        self.keys.record(place.shard, &grant_record(place))
    }

    pub(super) async fn grant_at(
        &self,
        place: &GrantPlace,
    ) -> Result<Option<FoundGrant>, StoreError> {
        let key = self.grant_key(place);
        let [found] = self.connection.read(&key, [hmget(&key, &GRANT_FIELDS)]).await?;
        read_grant(found)
    }

    /// A token's record and its grant's, which stand in one slot.
    pub(super) async fn token_at(
        &self,
        place: &GrantPlace,
        token: &Expiring,
        fields: &[&str],
    ) -> Result<(Value, Option<FoundGrant>), StoreError> {
        let (token, grant) = (self.keys.record(place.shard, token), self.grant_key(place));
        let [token, grant] = self
            .connection
            .read(&grant, [hmget(&token, fields), hmget(&grant, &GRANT_FIELDS)])
            .await?;
        Ok((token, read_grant(grant)?))
    }
}

/// In which shard a grant is kept that comes from this secret.
pub(super) fn place_from(secret: &TokenHash, grant: &Grant) -> GrantPlace {
    GrantPlace { id: grant.id.clone(), shard: Shard::of_hash(secret) }
}
