//! Grants with their codes and tokens. A grant is kept in the shard of the code it came from, and
//! its tokens with it, so that each step that guards a secret's single use is one script on one
//! slot. How they are read and written is in [`super::tokens`]; that they can be revoked from other
//! slots is [`super::epochs`]'.

use std::sync::Arc;

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    grant::Grant,
    ids::{ClientId, GrantId, UserId},
    invalidation::Invalidation,
    refresh::{FoundRefresh, RefreshFamily, RefreshKey},
    secret::TokenHash,
    store::{FamilyChange, GrantStore, GrantsOf, Redeemed, StoreError},
    token::{AccessToken, AuthorizationCode, FoundAccess, FoundCode},
};

use super::{
    database::Database,
    epochs::{Epochs, Owners},
    failure::corrupt,
    families, grants_of, keys,
    keys::GrantPlace,
    script::{self, Call},
    tokens::{
        ACCESS_FIELDS, Signposts, access_arguments, access_record, family_record, grant_arguments,
        grant_record, place_from, read_access,
    },
};
use crate::record::{from_json, remembered_until, to_json};

pub(super) struct RedisGrantStore(pub(super) Arc<Database>);

#[async_trait]
impl GrantStore for RedisGrantStore {
    async fn insert_code(&self, code: &AuthorizationCode) -> Result<(), StoreError> {
        // Before the write: a revocation in between ends this code too.
        let epochs = self.0.present(&Owners::from(code)).await?.epochs.to_text();
        self.0.refuse_disabled(Some(&code.user), Some(&code.client)).await?;
        let record = to_json(code)?;
        let fields = [("record", record.as_bytes()), ("epochs", epochs.as_bytes())];
        self.0.insert(&keys::code(&code.hash), code.expires_at, &fields).await
    }

    async fn find_code(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundCode>, StoreError> {
        let Some(KeptCode { code, epochs, redeemed }) = self.0.code(hash, now).await? else {
            return Ok(None);
        };
        if redeemed.is_none() && self.0.present(&Owners::from(&code)).await?.epochs != epochs {
            return Ok(None);
        }
        Ok(Some(FoundCode { code, redeemed }))
    }

    async fn redeem_code(
        &self,
        hash: &TokenHash,
        grant: &Grant,
        access: &AccessToken,
        refresh: Option<&RefreshFamily>,
        now: Timestamp,
    ) -> Result<Redeemed, StoreError> {
        let step = Redemption {
            hash: *hash,
            grant: grant.clone(),
            access: access.clone(),
            refresh: refresh.cloned(),
            now,
        };
        self.0.see_through(|database| async move { step.run(&database).await }).await
    }

    async fn insert_grant(&self, grant: &Grant, access: &AccessToken) -> Result<(), StoreError> {
        let (grant, access) = (grant.clone(), access.clone());
        self.0
            .see_through(|database| async move { insert_grant(&database, &grant, &access).await })
            .await
    }

    async fn find_access(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<FoundAccess>, StoreError> {
        let Some(place) = self.0.place_of(&self.0.keys.access_pointer(hash)).await? else {
            return Ok(None);
        };
        let (token, grant) = self.0.token_at(&place, &access_record(hash), &ACCESS_FIELDS).await?;
        let (Some(token), Some(grant)) = (read_access(*hash, token, &place, now)?, grant) else {
            return Ok(None);
        };
        if grant.grant.revoked_at.is_some() {
            return Ok(None);
        }
        let present = self.0.present(&Owners::from(&grant.grant)).await?;
        let (Some(user), None) = (present.user, grant.epochs.ended(&present.epochs)) else {
            return Ok(None);
        };
        Ok(Some(FoundAccess { token, grant: grant.grant, user: from_json("users", &user)? }))
    }

    async fn find_owner(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(UserId, ClientId)>, StoreError> {
        let Some(place) = self.0.place_of(&self.0.keys.access_pointer(hash)).await? else {
            return Ok(None);
        };
        let (token, grant) = self.0.token_at(&place, &access_record(hash), &ACCESS_FIELDS).await?;
        let token = read_access(*hash, token, &place, now)?;
        Ok(token.and(grant).map(|found| (found.grant.user, found.grant.client)))
    }

    async fn find_refresh(
        &self,
        key: &RefreshKey,
        now: Timestamp,
    ) -> Result<Option<FoundRefresh>, StoreError> {
        families::find(&self.0, key, now).await
    }

    async fn change_family(&self, change: &FamilyChange) -> Result<bool, StoreError> {
        let change = change.clone();
        self.0
            .see_through(move |database| async move { families::change(&database, &change).await })
            .await
    }

    async fn revoke_grant(&self, id: &GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        let work = move |database: Arc<Database>| async move {
            let Some(place) = database.place_of(&database.keys.grant_pointer(&id)).await? else {
                return Ok(false);
            };
            let call = Call::new(&script::REVOKE_GRANT)
                .key(database.grant_key(&place))
                .arg(now.as_millis());
            let revoked = database.run(&call).await?;
            // Also if it was revoked before: the call that did so may not have come this far.
            database.post(&Invalidation::Grant(id)).await?;
            Ok(revoked)
        };
        self.0.see_through(work).await
    }

    async fn revoke_grants(&self, of: &GrantsOf, now: Timestamp) -> Result<u64, StoreError> {
        let of = of.clone();
        self.0
            .see_through(
                move |database| async move { grants_of::revoke(&database, &of, now).await },
            )
            .await
    }

    async fn revoke_access(&self, hash: &TokenHash) -> Result<bool, StoreError> {
        let hash = *hash;
        let work = move |database: Arc<Database>| async move {
            let Some(place) = database.place_of(&database.keys.access_pointer(&hash)).await? else {
                return Ok(false);
            };
            let ended = database
                .run(
                    &database
                        .on_record(&script::DELETE_ENTRY, &(place.shard, access_record(&hash))),
                )
                .await?;
            database.post(&Invalidation::Access(hash)).await?;
            Ok(ended)
        };
        self.0.see_through(work).await
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let Some(place) = self.0.place_of(&self.0.keys.grant_pointer(id)).await? else {
            return Ok(None);
        };
        let Some(found) = self.0.grant_at(&place).await? else { return Ok(None) };
        let present = self.0.present(&Owners::from(&found.grant)).await?;
        Ok(Some(found.now(&present.epochs)))
    }

    async fn find_family(&self, grant: &GrantId) -> Result<Option<FoundRefresh>, StoreError> {
        families::of_grant(&self.0, grant).await
    }

    async fn list_grants(&self, of: &GrantsOf, limit: u32) -> Result<Vec<Grant>, StoreError> {
        grants_of::list(&self.0, of, limit).await
    }
}

struct KeptCode {
    code: AuthorizationCode,
    epochs: Epochs,
    redeemed: Option<GrantId>,
}

impl Database {
    async fn code(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<KeptCode>, StoreError> {
        let (shard, what) = keys::code(hash);
        let found: (Option<i64>, Option<String>, Option<String>, Option<String>) = self
            .fields(&self.keys.record(shard, &what), &["expires_at", "record", "epochs", "grant"])
            .await?;
        let (Some(expires_at), Some(record), Some(epochs), grant) = found else { return Ok(None) };
        if expires_at <= now.as_millis() {
            return Ok(None);
        }
        let code = from_json("codes", &record)?;
        Ok(Some(KeptCode {
            code,
            epochs: Epochs::parse(&epochs)?,
            redeemed: grant.map(GrantId::from_text),
        }))
    }

    /// The epochs a new grant is made in. Its user must be there, and neither user nor client
    /// disabled.
    async fn epochs_for(&self, grant: &Grant) -> Result<Epochs, StoreError> {
        let present = self.present(&Owners::from(grant)).await?;
        if present.user.is_none() {
            return Err(corrupt("a grant of nobody"));
        }
        self.refuse_disabled(Some(&grant.user), Some(&grant.client)).await?;
        Ok(present.epochs)
    }

    fn signposts(
        &self,
        place: &GrantPlace,
        grant: &Grant,
        access: &AccessToken,
        refresh: Option<&RefreshFamily>,
    ) -> Signposts {
        let until =
            refresh.map_or(access.expires_at, |refresh| refresh.expires_at.max(access.expires_at));
        let signposts = Signposts::new(self, place, grant, until)
            .to(self.keys.access_pointer(&access.hash), access.expires_at);
        match refresh {
            Some(family) => signposts.to(self.keys.family_pointer(&family.id), family.expires_at),
            None => signposts,
        }
    }
}

/// A code on its way to become a grant.
struct Redemption {
    hash: TokenHash,
    grant: Grant,
    access: AccessToken,
    refresh: Option<RefreshFamily>,
    now: Timestamp,
}

impl Redemption {
    async fn run(&self, database: &Database) -> Result<Redeemed, StoreError> {
        let Some(kept) = database.code(&self.hash, self.now).await? else {
            return Ok(Redeemed::Unknown);
        };
        if let Some(earlier) = kept.redeemed.filter(|earlier| *earlier != self.grant.id) {
            return Ok(Redeemed::Already(earlier));
        }
        let epochs = database.epochs_for(&self.grant).await?;
        let of_code = Owners::from(&kept.code);
        let of_code = if of_code == Owners::from(&self.grant) {
            epochs.clone()
        } else {
            database.present(&of_code).await?.epochs
        };
        if of_code != kept.epochs {
            return Ok(Redeemed::Unknown);
        }
        let place = place_from(&self.hash, &self.grant);
        let mut signposts =
            database.signposts(&place, &self.grant, &self.access, self.refresh.as_ref());
        let outcome = match signposts.put_up(database).await {
            Ok(()) => {
                let reply: Vec<String> =
                    database.run(&self.call(database, &place, &epochs)?).await?;
                Ok(read_outcome(&reply))
            }
            Err(StoreError::Conflict) => Ok(Err(StoreError::Conflict)),
            Err(error) => Err(error),
        };
        // Only what is known: after an answer that never came, the grant may be there.
        let outcome = outcome?;
        if !matches!(outcome, Ok(Redeemed::Fresh)) {
            signposts.take_down(database).await;
        }
        outcome
    }

    fn call(
        &self,
        database: &Database,
        place: &GrantPlace,
        epochs: &Epochs,
    ) -> Result<Call, StoreError> {
        let keys = &database.keys;
        let (shard, code) = keys::code(&self.hash);
        let access = keys.record(shard, &access_record(&self.access.hash));
        let family = self.refresh.as_ref();
        let call = Call::new(&script::REDEEM)
            .key(keys.record(shard, &code))
            .key(keys.expiry(shard))
            .key(keys.grants(shard));
        let call = call.key(database.grant_key(place)).key(access.clone());
        let call = call
            .key(family.map_or(access, |family| keys.record(shard, &family_record(&family.id))));
        let call = call.arg(self.now.as_millis()).arg(self.grant.id.as_str());
        let call = call
            .arg(super::clients::newest_first(self.grant.created_at))
            .arg(grant_record(place).name());
        let kept_until = remembered_until(&self.grant, &self.access, family).as_millis();
        let call = call.arg(code.name()).arg(kept_until);
        let call =
            access_arguments(grant_arguments(call, &self.grant, epochs, family)?, &self.access);
        match family {
            Some(family) => families::arguments(call, family, database),
            None => Ok(call),
        }
    }
}

fn read_outcome(reply: &[String]) -> Result<Redeemed, StoreError> {
    match reply {
        [word] if word == "fresh" => Ok(Redeemed::Fresh),
        [word] if word == "unknown" => Ok(Redeemed::Unknown),
        [word] if word == "conflict" => Err(StoreError::Conflict),
        [word, grant] if word == "already" => {
            Ok(Redeemed::Already(GrantId::from_text(grant.as_str())))
        }
        _ => Err(corrupt("a reply of the script that redeems")),
    }
}

async fn insert_grant(
    database: &Database,
    grant: &Grant,
    access: &AccessToken,
) -> Result<(), StoreError> {
    let epochs = database.epochs_for(grant).await?;
    let place = place_from(&access.hash, grant);
    let keys = &database.keys;
    let call = Call::new(&script::INSERT_GRANT)
        .key(keys.expiry(place.shard))
        .key(keys.grants(place.shard));
    let call = call
        .key(database.grant_key(&place))
        .key(keys.record(place.shard, &access_record(&access.hash)));
    let call = call
        .arg(grant.id.as_str())
        .arg(super::clients::newest_first(grant.created_at))
        .arg(grant_record(&place).name());
    let call = access_arguments(grant_arguments(call, grant, &epochs, None)?, access);
    let mut signposts = database.signposts(&place, grant, access, None);
    let inserted = match signposts.put_up(database).await {
        Ok(()) => database.run::<bool>(&call).await?,
        Err(StoreError::Conflict) => false,
        Err(error) => return Err(error),
    };
    if inserted {
        return Ok(());
    }
    signposts.take_down(database).await;
    Err(StoreError::Conflict)
}
