//! People and their browsers' logins, in the shard of the user. A login holds an ID token, so its
//! record is sealed. A look-up that has only a login's hash finds the user by a pointer, which is
//! written first and says nothing alone.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    ids::{ProviderName, UserId},
    invalidation::Invalidation,
    principal::User,
    secret::TokenHash,
    signin::Login,
    store::{GrantsOf, LoginStore, StoreError},
};
use redis::Value;

use super::{
    database::{Database, answer, get, hmget},
    failure::corrupt,
    keys,
    scan::Scan,
    script::{self, Call},
};
use crate::{
    record::{from_json, is_described_anew, key, open_json, seal_json, to_json},
    seal::Place,
};

/// Users read at once.
const AT_ONCE: usize = 16;

pub(super) struct RedisLoginStore(pub(super) Arc<Database>);

pub(super) fn place(id: &TokenHash) -> Place<'_> {
    Place { table: "logins", column: "record", key: key(id) }
}

#[async_trait]
impl LoginStore for RedisLoginStore {
    async fn insert_login(&self, user: &User, login: &Login) -> Result<(), StoreError> {
        if user.id != login.user {
            return Err(corrupt("a login of another user"));
        }
        self.0.refuse_disabled(Some(&user.id), None).await?;
        let keys = &self.0.keys;
        let (record, user_record) =
            (seal_json(&self.0.sealer, place(&login.id), login)?, to_json(user)?);
        let pointer =
            Call::new(&script::POINT).key(keys.login_pointer(&login.id)).arg(user.id.as_str());
        if self.0.run::<u8>(&pointer.arg(login.expires_at.as_millis())).await? == 0 {
            return Err(StoreError::Conflict);
        }
        let (shard, what) = keys::login(&login.id, &user.id);
        let call = Call::new(&script::INSERT_LOGIN)
            .key(keys.record(shard, &what))
            .key(keys.user(&user.id));
        let call = call.key(keys.user_logins(&user.id)).key(keys.expiry(shard));
        let call = call
            .arg(what.name())
            .arg(login.expires_at.as_millis())
            .arg(record)
            .arg(user_record)
            .arg(login.id.to_string());
        let (user, id) = (user.clone(), login.id);
        let work = |database: Arc<Database>| async move {
            let (inserted, earlier): (bool, Option<String>) =
                match database.run::<Vec<Value>>(&call).await?.as_slice() {
                    [inserted, earlier] => (answer(inserted.clone())?, answer(earlier.clone())?),
                    _ => (false, None),
                };
            if !inserted {
                return Err(StoreError::Conflict);
            }
            // Disabled in between: all logins may have been taken out before this one was there.
            if let Err(error) = database.refuse_disabled(Some(&user.id), None).await {
                database.take_logins(&user.id, &[id.to_string()]).await?;
                return Err(error);
            }
            database.tell_of_change(earlier.as_deref(), &user).await
        };
        self.0.see_through(work).await
    }

    async fn find_login(
        &self,
        id: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<(Login, User)>, StoreError> {
        let Some(user) = self.0.user_of(id).await? else { return Ok(None) };
        let (shard, what) = keys::login(id, &user);
        let (login, user) = (self.0.keys.record(shard, &what), self.0.keys.user(&user));
        let fields = hmget(&login, &["expires_at", "last_seen_at", "record"]);
        let [login, user] = self.0.connection.read(&login, [fields, get(&user)]).await?;
        let (expires_at, last_seen_at, ciphertext): (Option<i64>, Option<i64>, Option<Vec<u8>>) =
            answer(login)?;
        let (Some(expires_at), Some(ciphertext)) = (expires_at, ciphertext) else {
            return Ok(None);
        };
        if expires_at <= now.as_millis() {
            return Ok(None);
        }
        let Some(user) = answer::<Option<String>>(user)? else { return Ok(None) };
        let login = Login {
            expires_at: Timestamp::from_millis(expires_at),
            last_seen_at: last_seen_at.map(Timestamp::from_millis),
            ..open_json(&self.0.sealer, place(id), &ciphertext)?
        };
        Ok(Some((login, from_json("users", &user)?)))
    }

    async fn touch_login(
        &self,
        id: &TokenHash,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(user) = self.0.user_of(id).await? else { return Ok(false) };
        let keys = &self.0.keys;
        // The pointer has to last as long as the login; it leads nowhere else, so what it says is
        // not asked again.
        let pointer = Call::new(&script::POINT).key(keys.login_pointer(id)).arg(user.as_str());
        self.0.run::<u8>(&pointer.arg(expires_at.as_millis())).await?;
        let (shard, what) = keys::login(id, &user);
        let call = Call::new(&script::TOUCH_LOGIN)
            .key(keys.record(shard, &what))
            .key(keys.user_logins(&user));
        let call = call
            .key(keys.expiry(shard))
            .arg(what.name())
            .arg(last_seen.as_millis())
            .arg(expires_at.as_millis());
        self.0.run(&call).await
    }

    async fn take_login(&self, id: &TokenHash) -> Result<Option<Login>, StoreError> {
        let Some(user) = self.0.user_of(id).await? else { return Ok(None) };
        let taken = self.0.take_logins(&user, &[id.to_string()]).await?;
        taken
            .into_iter()
            .next()
            .map(|ciphertext| open_json(&self.0.sealer, place(id), &ciphertext))
            .transpose()
    }

    async fn take_logins(&self, user: &UserId) -> Result<u64, StoreError> {
        let key = self.0.keys.user_logins(user);
        let mut command = redis::cmd("ZRANGE");
        command.arg(&key).arg(0).arg(-1);
        let [hashes] = self.0.connection.read(&key, [command]).await?;
        Ok(self.0.take_logins(user, &answer::<Vec<String>>(hashes)?).await?.len() as u64)
    }

    async fn insert_user(&self, user: &User) -> Result<(), StoreError> {
        let key = self.0.keys.user(&user.id);
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(to_json(user)?).arg("GET");
        let user = user.clone();
        let work = |database: Arc<Database>| async move {
            let earlier: Option<String> = answer(database.connection.write(&key, command).await?)?;
            database.tell_of_change(earlier.as_deref(), &user).await
        };
        self.0.see_through(work).await
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let record = self.0.pointer(&self.0.keys.user(id)).await?;
        record.map(|record| from_json("users", &record)).transpose()
    }

    async fn find_users(&self, called: &str) -> Result<Vec<User>, StoreError> {
        // A key may be named more than once.
        let mut found: BTreeMap<UserId, User> = BTreeMap::new();
        let each = |user: User| {
            if user.is_called(called) {
                found.insert(user.id.clone(), user);
            }
        };
        self.0.each_user(each).await?;
        Ok(found.into_values().collect())
    }

    async fn list_users(&self) -> Result<Vec<User>, StoreError> {
        // A key may be named more than once.
        let mut found: BTreeMap<UserId, User> = BTreeMap::new();
        let each = |user: User| {
            found.insert(user.id.clone(), user);
        };
        self.0.each_user(each).await?;
        Ok(found.into_values().collect())
    }

    async fn latest_user(&self, provider: &ProviderName) -> Result<Option<User>, StoreError> {
        let mut latest: Option<User> = None;
        let each = |user: User| {
            if user.provider == *provider
                && latest.as_ref().is_none_or(|latest| latest.signed_in_at < user.signed_in_at)
            {
                latest = Some(user);
            }
        };
        self.0.each_user(each).await?;
        Ok(latest)
    }
}

impl Database {
    /// All users, in no order, some perhaps more than once.
    async fn each_user(&self, mut look: impl FnMut(User) + Send) -> Result<(), StoreError> {
        let mut scan = Scan::begin(self, "??}:user:*").await?;
        while let Some(keys) = scan.next(self).await? {
            let read = stream::iter(keys).map(|key| async move {
                let [record] = self.connection.read(&key, [get(&key)]).await?;
                let record: Option<String> = answer(record)?;
                record.map(|record| from_json::<User>("users", &record)).transpose()
            });
            let users: Vec<Option<User>> = read.buffer_unordered(AT_ONCE).try_collect().await?;
            users.into_iter().flatten().for_each(&mut look);
        }
        Ok(())
    }

    async fn user_of(&self, login: &TokenHash) -> Result<Option<UserId>, StoreError> {
        Ok(self.pointer(&self.keys.login_pointer(login)).await?.map(UserId::from_text))
    }

    /// Posts an invalidation if tokens tell something else of the user than what was kept of them.
    async fn tell_of_change(&self, earlier: Option<&str>, user: &User) -> Result<(), StoreError> {
        if is_described_anew(earlier, user) {
            self.post(&Invalidation::Grants(GrantsOf::User(user.id.clone()))).await
        } else {
            Ok(())
        }
    }

    /// Takes these logins of the user out, all in one step. Gives what was there of them.
    async fn take_logins(
        &self,
        user: &UserId,
        hashes: &[String],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        let shard = keys::Shard::of_text(user.as_str());
        let mut call = Call::new(&script::TAKE_LOGINS)
            .key(self.keys.expiry(shard))
            .key(self.keys.user_logins(user));
        for hash in hashes {
            let what = keys::Expiring::Login(hash.clone(), user.to_string());
            call = call.key(self.keys.record(shard, &what)).arg(what.name()).arg(hash.as_str());
        }
        self.run(&call).await
    }
}
