//! Records written one by one, many at once, each by the script that its port writes it with, as
//! far as there is one. The store was emptied before, so there are no epochs: everything is of the
//! first.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use portunus_core::{
    Timestamp,
    ids::GrantId,
    node::SessionRecord,
    refresh::RefreshFamily,
    signin::Login,
    store::{
        ArchiveError, AssertionStore as _, ClientStore as _, ConsentStore as _, GrantWithTokens,
        LoginStore as _, PinRecord, ProviderTokenStore as _, Record, RecordSource,
        SessionStore as _, StoreError, StoredRefresh, TaskStore as _, TransactionStore as _,
    },
    token::{AccessToken, AuthorizationCode},
};

use super::super::{
    assertions::RedisAssertionStore,
    clients::{RedisClientStore, newest_first},
    consents::RedisConsentStore,
    database::Database,
    epochs::Epochs,
    families,
    keys::{self, GrantPlace, Shard},
    logins::{self, RedisLoginStore},
    pins,
    provider_tokens::RedisProviderTokenStore,
    script::{self, Call},
    sessions::RedisSessionStore,
    tasks::RedisTaskStore,
    tokens::{
        Signposts, access_record, family_record, grant_arguments, grant_record, refresh_record,
    },
    transactions::RedisTransactionStore,
};
use crate::record::{not_opened, seal_json, to_json};

/// Records in flight at once.
const AT_ONCE: usize = 64;

pub(super) async fn run(
    database: &Arc<Database>,
    source: &mut dyn RecordSource,
) -> Result<(), ArchiveError> {
    while let Some(records) = source.next().await? {
        let (in_order, others): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|record| matches!(record, Record::Pin(_) | Record::AuditRecord(_)));
        let kept =
            stream::iter(others).map(|record| keep(database, record)).buffer_unordered(AT_ONCE);
        kept.try_collect::<()>().await?;
        // Older ones first, as they come.
        for record in in_order {
            keep(database, record).await?;
        }
    }
    Ok(())
}

async fn keep(database: &Arc<Database>, record: Record) -> Result<(), StoreError> {
    let shared = || Arc::clone(database);
    let kept = match record {
        Record::Client(client) => RedisClientStore(shared()).insert_client(&client).await,
        Record::User(user) => RedisLoginStore(shared()).insert_user(&user).await,
        Record::Login(login) => keep_login(database, &login).await,
        Record::ProviderToken(token) => {
            RedisProviderTokenStore(shared()).keep_provider_token(&token).await
        }
        Record::Transaction(transaction) => {
            RedisTransactionStore(shared()).insert_transaction(&transaction).await
        }
        Record::ProviderRequest(provider_request) => {
            RedisTransactionStore(shared()).insert_provider_request(&provider_request).await
        }
        Record::Consent(consent) => RedisConsentStore(shared()).save_consent(&consent).await,
        Record::Code { code, redeemed, kept_until } => {
            keep_code(database, &code, redeemed.as_ref(), kept_until).await
        }
        Record::Grant(grant) => keep_grant(database, &grant).await,
        Record::Assertion { key, expires_at } => {
            let before = Timestamp::from_millis(i64::MIN);
            RedisAssertionStore(shared()).use_once(&key, expires_at, before).await.map(drop)
        }
        Record::Pin(pin) => keep_pin(database, &pin).await,
        Record::Disabled(record) => database.keep_disabled(&record, 0).await.map(drop),
        Record::Session { id, user, state, expires_at } => {
            RedisSessionStore(shared())
                .keep_session(&id, &SessionRecord { user, state }, expires_at)
                .await
        }
        Record::Task { id, task, expires_at } => {
            RedisTaskStore(shared()).keep_task(&id, &task, expires_at).await
        }
        Record::AuditHead(head) => database.import_audit_head(&head).await,
        Record::AuditRecord(record) => database.import_audit_record(&record).await,
    };
    match kept {
        // It came twice, because it was read while it changed.
        Err(StoreError::Conflict) => Ok(()),
        kept => kept,
    }
}

async fn keep_login(database: &Database, login: &Login) -> Result<(), StoreError> {
    let (keys, expires_at) = (&database.keys, login.expires_at.as_millis());
    let record = seal_json(&database.sealer, logins::place(&login.id), login)?;
    let pointer = Call::new(&script::POINT)
        .key(keys.login_pointer(&login.id))
        .arg(login.user.as_str())
        .arg(expires_at);
    database.run::<u8>(&pointer).await?;
    let list =
        Call::new(&script::LIST_GRANT).key(keys.user_logins(&login.user)).arg(login.id.to_string());
    database.run::<u8>(&list.arg(expires_at).arg(expires_at)).await?;
    let seen = login.last_seen_at.map(|at| at.as_millis().to_string());
    let mut fields = vec![("record", record.as_slice())];
    fields.extend(seen.as_ref().map(|seen| ("last_seen_at", seen.as_bytes())));
    database.insert(&keys::login(&login.id, &login.user), login.expires_at, &fields).await
}

/// Those of a store where nothing was ever revoked.
fn first_epochs() -> Epochs {
    Epochs::from_parts([None, None, None, None])
}

async fn keep_code(
    database: &Database,
    code: &AuthorizationCode,
    redeemed: Option<&GrantId>,
    kept_until: Option<Timestamp>,
) -> Result<(), StoreError> {
    let (record, epochs) = (to_json(code)?, first_epochs().to_text());
    let mut fields = vec![("record", record.as_bytes()), ("epochs", epochs.as_bytes())];
    fields.extend(redeemed.map(|grant| ("grant", grant.as_str().as_bytes())));
    let expires_at = kept_until.unwrap_or(code.expires_at).max(code.expires_at);
    database.insert(&keys::code(&code.hash), expires_at, &fields).await
}

/// In the shard of its own id: nothing depends on the code it came from any more.
async fn keep_grant(database: &Database, kept: &GrantWithTokens) -> Result<(), StoreError> {
    let GrantWithTokens { grant, tokens_until, access, family, refresh } = kept;
    let place = GrantPlace { id: grant.id.clone(), shard: Shard::of_text(grant.id.as_str()) };
    let keys = &database.keys;
    let mut signposts = Signposts::new(database, &place, grant, *tokens_until);
    for token in access {
        signposts = signposts.to(keys.access_pointer(&token.hash), token.expires_at);
    }
    for StoredRefresh { token, .. } in refresh {
        signposts = signposts.to(keys.refresh_pointer(&token.hash), token.expires_at);
    }
    if let Some(family) = family {
        signposts = signposts.to(keys.family_pointer(&family.id), family.expires_at);
    }
    signposts.put_up(database).await?;
    let call = Call::new(&script::IMPORT_GRANT)
        .key(database.grant_key(&place))
        .key(keys.expiry(place.shard));
    let call = call
        .key(keys.grants(place.shard))
        .arg(grant.id.as_str())
        .arg(newest_first(grant.created_at));
    let call = call.arg(grant_record(&place).name()).arg(tokens_until.as_millis());
    database.run::<u8>(&grant_arguments(call, grant, &first_epochs(), family.as_ref())?).await?;
    for token in access {
        keep_access(database, &place, token).await?;
    }
    if let Some(family) = family {
        keep_family(database, &place, family).await?;
    }
    for token in refresh {
        keep_refresh(database, &place, token).await?;
    }
    Ok(())
}

async fn keep_family(
    database: &Database,
    place: &GrantPlace,
    family: &RefreshFamily,
) -> Result<(), StoreError> {
    let sealed = database
        .sealer
        .seal(families::place(&family.id), family.secret.expose().as_bytes())
        .map_err(not_opened)?;
    let state = family.state.to_bytes();
    let fields = [
        ("grant", place.id.as_str().as_bytes()),
        ("secret", sealed.as_slice()),
        ("state", state.as_slice()),
    ];
    database.insert(&(place.shard, family_record(&family.id)), family.expires_at, &fields).await
}

async fn keep_access(
    database: &Database,
    place: &GrantPlace,
    token: &AccessToken,
) -> Result<(), StoreError> {
    let (scopes, what) = (token.scopes.to_string(), (place.shard, access_record(&token.hash)));
    let fields =
        [("grant", place.id.as_str()), ("scopes", &scopes), ("resource", token.resource.as_str())];
    database
        .insert(&what, token.expires_at, &fields.map(|(field, value)| (field, value.as_bytes())))
        .await
}

async fn keep_refresh(
    database: &Database,
    place: &GrantPlace,
    StoredRefresh { token, used }: &StoredRefresh,
) -> Result<(), StoreError> {
    let used_at = used.as_ref().map(|used| used.at.as_millis().to_string());
    let mut fields = vec![("grant", place.id.as_str().as_bytes())];
    fields.extend(used_at.as_ref().map(|at| ("used_at", at.as_bytes())));
    database.insert(&(place.shard, refresh_record(&token.hash)), token.expires_at, &fields).await
}

async fn keep_pin(database: &Database, pin: &PinRecord) -> Result<(), StoreError> {
    let approved_at =
        pin.approved_at.map_or_else(|| "-".to_owned(), |at| at.as_millis().to_string());
    let call = database.on_pins(&script::IMPORT_PIN, &pin.server).arg(pin.server.as_str());
    let call = call
        .arg(pins::field(&pin.fingerprint, &pin.subject))
        .arg(pin.seen_at.as_millis())
        .arg(approved_at);
    database.run::<u8>(&call.arg(pin.definition.as_str())).await.map(drop)
}
