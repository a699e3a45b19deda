//! What has to be right about each record: it is listed with its end, it goes away some day, what
//! it belongs to is there, and a look-up by its hash or id finds it.

use std::collections::HashMap;

use portunus_core::{
    grant::Grant,
    ids::{ClientId, GENERATED_CLIENT, UserId},
    refresh::FamilyId,
    secret::TokenHash,
    store::{RecordKind, StoreError},
};
use redis::{Cmd, Value};

use super::{
    super::{
        database::{Database, answer},
        epochs::{Epoch, Epochs, Owners},
        keys::{Expiring, GrantPlace, Shard},
        pins::hgetall,
        tokens::{FoundGrant, GRANT_FIELDS, read_grant},
    },
    Seen,
};

const DAMAGED: &str = "Redis lost or changed a part of what it was given: see what its settings may lose (docs/configuration.md), and \
                       restore a backup if there are many";
const GOES_ON: &str = "nothing for those it belongs to; it stays until Redis deletes it by itself";
const REVOKE: &str = "revoke it: portunus grants revoke ID";

type Fields = HashMap<String, Vec<u8>>;

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

pub(super) async fn look_at(
    database: &Database,
    key: &str,
    shard: Shard,
    kind: &str,
    id: &str,
) -> Result<Seen, StoreError> {
    let (what, of, ciphertext) = match kind {
        "transaction" => (Expiring::Transaction(id.to_owned()), RecordKind::Transaction, ""),
        "leg" => (Expiring::ProviderRequest(id.to_owned()), RecordKind::ProviderRequest, "record"),
        "code" => (Expiring::Code(id.to_owned()), RecordKind::Code, ""),
        "assertion" => (Expiring::Assertion(id.to_owned()), RecordKind::Assertion, ""),
        "session" => (Expiring::Session(id.to_owned()), RecordKind::Session, "state"),
        "provider-token" => {
            (Expiring::ProviderToken(id.to_owned()), RecordKind::ProviderToken, "record")
        }
        "task" => (Expiring::Task(id.to_owned()), RecordKind::Task, ""),
        "access" => (Expiring::Access(id.to_owned()), RecordKind::AccessToken, ""),
        "refresh" => (Expiring::Refresh(id.to_owned()), RecordKind::RefreshToken, ""),
        "family" => (Expiring::Family(id.to_owned()), RecordKind::RefreshToken, "secret"),
        "grant" => (Expiring::Grant(id.to_owned()), RecordKind::Grant, ""),
        "login" => match login_name(database, id).await? {
            Some(name) => (name, RecordKind::Login, "record"),
            None => return lost_login(database, key, id).await,
        },
        "epoch-of-user" | "epoch-of-login" => return epoch(database, key, id).await,
        _ => return Ok(Seen::default()),
    };
    let list = database.keys.expiry(shard);
    let found = database
        .connection
        .read(key, [hgetall(key), zscore(&list, &what.name()), pttl(key)])
        .await?;
    let [fields, listed, left] = found;
    let (fields, listed, left): (Fields, Option<i64>, i64) =
        (answer(fields)?, answer(listed)?, answer(left)?);
    let mut seen = Seen { ciphertext: fields.get(ciphertext).cloned(), ..Seen::default() };
    if fields.is_empty() {
        return Ok(seen);
    }
    let end = text(&fields, if of == RecordKind::Grant { "tokens_until" } else { "expires_at" });
    match (listed, end) {
        (None, _) => seen.wrong(of, id, "no list says when it expires", GOES_ON),
        (Some(listed), Some(end)) if end != listed.to_string() => {
            seen.wrong(of, id, "its list says that it expires at another time", GOES_ON);
        }
        _ => {}
    }
    if left == -1 {
        seen.wrong(of, id, "Redis would never delete it by itself", GOES_ON);
    }
    match &what {
        Expiring::Access(_) | Expiring::Refresh(_) | Expiring::Family(_) => {
            token(database, &mut seen, shard, &what, of, &fields).await?;
        }
        Expiring::Grant(_) => {
            grant(database, &mut seen, &GrantPlace::in_shard(id, shard), fields).await?;
        }
        Expiring::Login(hash, user) => {
            login(database, &mut seen, hash, &UserId::from_text(user)).await?;
        }
        _ => {}
    }
    Ok(seen)
}

async fn token(
    database: &Database,
    seen: &mut Seen,
    shard: Shard,
    what: &Expiring,
    of: RecordKind,
    fields: &Fields,
) -> Result<(), StoreError> {
    let keys = &database.keys;
    let (id, pointer) = match what {
        Expiring::Access(id) => (id, TokenHash::parse(id).map(|hash| keys.access_pointer(&hash))),
        Expiring::Refresh(id) => (id, TokenHash::parse(id).map(|hash| keys.refresh_pointer(&hash))),
        Expiring::Family(id) => (id, FamilyId::parse(id).map(|id| keys.family_pointer(&id))),
        _ => return Ok(()),
    };
    let place = GrantPlace::in_shard(text(fields, "grant").unwrap_or_default(), shard);
    if !database.is_there(&database.grant_key(&place)).await? {
        seen.wrong(of, id, "of a grant that is not there", DAMAGED);
    }
    let Some(pointer) = pointer else {
        seen.wrong(of, id, "under no hash", DAMAGED);
        return Ok(());
    };
    if database.pointer(&pointer).await? != Some(place.to_string()) {
        seen.wrong(of, id, "no pointer leads to it", DAMAGED);
    }
    Ok(())
}

async fn grant(
    database: &Database,
    seen: &mut Seen,
    place: &GrantPlace,
    mut fields: Fields,
) -> Result<(), StoreError> {
    let (keys, id) = (&database.keys, place.id.as_str());
    let values =
        GRANT_FIELDS.map(|field| fields.remove(field).map_or(Value::Nil, Value::BulkString));
    // One that cannot be read was told already.
    let Ok(Some(FoundGrant { grant, epochs })) = read_grant(Value::Array(values.to_vec())) else {
        return Ok(());
    };
    if database.pointer(&keys.grant_pointer(&place.id)).await? != Some(place.to_string()) {
        seen.wrong(RecordKind::Grant, id, "no pointer leads to it", DAMAGED);
    }
    let mut lists = vec![
        (keys.grants(place.shard), place.id.to_string(), "not in the list of its shard"),
        (keys.user_grants(&grant.user), place.to_string(), "not in the list of its user"),
        (keys.client_grants(&grant.client), place.to_string(), "not in the list of its client"),
    ];
    if let Some(login) = &grant.login {
        lists.push((keys.login_grants(login), place.to_string(), "not in the list of its login"));
    }
    for (list, member, what) in lists {
        if !database.is_listed(&list, &member).await? {
            seen.wrong(
                RecordKind::Grant,
                id,
                what,
                "`portunus grants` may not show it; restore a backup, or let people sign in again",
            );
        }
    }
    let present = database.present(&Owners::from(&grant)).await?;
    if present.user.is_none() {
        seen.wrong(RecordKind::Grant, id, "of a user who is not there", DAMAGED);
    }
    if is_of_the_future(&epochs, &present.epochs) {
        const ADVICE: &str = "Redis lost an epoch, and with it maybe a revocation: revoke again what was revoked of late";
        seen.wrong(RecordKind::Grant, id, "of an epoch that has not come", ADVICE);
    }
    let is_live = grant.revoked_at.is_none() && epochs.ended(&present.epochs).is_none();
    if is_live && !client_is_there(database, &grant).await? {
        seen.wrong(RecordKind::Grant, id, "live, of a registered client that is not there", REVOKE);
    }
    Ok(())
}

/// Clients with other ids stand in the configuration or in a document.
async fn client_is_there(database: &Database, grant: &Grant) -> Result<bool, StoreError> {
    let client: &ClientId = &grant.client;
    Ok(!client.as_str().starts_with(GENERATED_CLIENT)
        || database.is_there(&database.keys.client(client)).await?)
}

fn is_of_the_future(then: &Epochs, now: &Epochs) -> bool {
    let number = |epoch: &str| {
        epoch.split(':').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
    };
    then.parts().into_iter().zip(now.parts()).any(|(then, now)| number(then) > number(now))
}

async fn login_name(database: &Database, id: &str) -> Result<Option<Expiring>, StoreError> {
    let Some(hash) = TokenHash::parse(id) else { return Ok(None) };
    let user = database.pointer(&database.keys.login_pointer(&hash)).await?;
    Ok(user.map(|user| Expiring::Login(id.to_owned(), user)))
}

async fn lost_login(database: &Database, key: &str, id: &str) -> Result<Seen, StoreError> {
    let mut seen = Seen::default();
    if database.is_there(key).await? {
        seen.wrong(RecordKind::Login, id, "no pointer leads to it", DAMAGED);
    }
    Ok(seen)
}

async fn login(
    database: &Database,
    seen: &mut Seen,
    hash: &str,
    user: &UserId,
) -> Result<(), StoreError> {
    if !database.is_listed(&database.keys.user_logins(user), hash).await? {
        seen.wrong(
            RecordKind::Login,
            hash,
            "not in the list of its user",
            "signing the user out everywhere would miss it; restore a backup",
        );
    }
    if !database.is_there(&database.keys.user(user)).await? {
        seen.wrong(RecordKind::Login, hash, "of a user who is not there", DAMAGED);
    }
    Ok(())
}

pub(super) async fn epoch(database: &Database, key: &str, id: &str) -> Result<Seen, StoreError> {
    let mut seen = Seen::default();
    let kept = database.pointer(key).await?;
    let is_epoch = |text: &str| {
        text.split_once(':')
            .is_some_and(|(number, at)| number.parse::<u64>().is_ok() && at.parse::<i64>().is_ok())
    };
    if kept.as_deref().is_some_and(|kept| !is_epoch(Epoch::read(Some(kept.to_owned())).as_str())) {
        seen.wrong(
            RecordKind::Grant,
            id,
            "its epoch is no epoch",
            "what it revoked may live: revoke it again, and restore a backup",
        );
    }
    Ok(seen)
}

fn zscore(list: &str, member: &str) -> Cmd {
    let mut command = redis::cmd("ZSCORE");
    command.arg(list).arg(member);
    command
}

fn pttl(key: &str) -> Cmd {
    let mut command = redis::cmd("PTTL");
    command.arg(key);
    command
}

impl Database {
    pub(super) async fn is_there(&self, key: &str) -> Result<bool, StoreError> {
        let mut command = redis::cmd("EXISTS");
        command.arg(key);
        let [found] = self.connection.read(key, [command]).await?;
        answer(found)
    }

    pub(super) async fn is_listed(&self, list: &str, member: &str) -> Result<bool, StoreError> {
        let [found] = self.connection.read(list, [zscore(list, member)]).await?;
        Ok(found != Value::Nil)
    }

    /// Who is there of these, all in one slot.
    pub(super) async fn are_there(
        &self,
        slot: &str,
        keys: &[String],
    ) -> Result<Vec<bool>, StoreError> {
        let commands = keys.iter().map(|key| {
            let mut command = redis::cmd("EXISTS");
            command.arg(key);
            command
        });
        self.connection.read_all(slot, commands).await?.into_iter().map(answer).collect()
    }
}
