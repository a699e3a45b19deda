//! Opening the store: the first connection, the checks, and why it may not be used. What follows is
//! in the files of the ports.

use std::{sync::Arc, time::Duration};

use portunus_core::store::{StoreError, Stores};
use tokio::time::{Instant, sleep};

use super::{
    address::RedisAddress,
    archive::RedisArchive,
    assertions::RedisAssertionStore,
    audit::RedisAuditStore,
    clients::RedisClientStore,
    connection::Connection,
    consents::RedisConsentStore,
    database::Database,
    disabled::RedisDisabledStore,
    durability,
    grants::RedisGrantStore,
    invalidations::RedisInvalidationStore,
    key_check::{self, Purpose},
    keys::Keys,
    logins::RedisLoginStore,
    nodes::RedisNodeStore,
    open_error::OpenError,
    pins::RedisPinStore,
    provider_tokens::RedisProviderTokenStore,
    sessions::RedisSessionStore,
    tasks::RedisTaskStore,
    transactions::RedisTransactionStore,
    upkeep::RedisUpkeep,
};
use crate::seal::Sealer;

/// For how long a Redis that cannot be reached is tried: both may have been started at the same
/// time.
const START_PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// How to use Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    pub address: RedisAddress,
    /// What the name of every key begins with, so that several gateways may share one Redis and
    /// keep apart.
    pub prefix: String,
    /// How many replicas must confirm a write before it counts. With none, a write counts when the
    /// master has it.
    pub replicas: u32,
}

impl RedisOptions {
    pub const PREFIX: &'static str = "portunus";

    pub fn new(address: RedisAddress) -> Self {
        Self { address, prefix: Self::PREFIX.to_owned(), replicas: 0 }
    }
}

/// Opens the store: reaches Redis, checks the layout and the secret, and warns about settings that
/// lose what was acknowledged. The stores may be cloned freely; they need this runtime.
pub async fn open(options: RedisOptions, sealer: Sealer) -> Result<Stores, OpenError> {
    open_for(options, sealer, Purpose::Use).await
}

/// The same for an import alone, which may come after one that broke off.
pub async fn open_to_import(options: RedisOptions, sealer: Sealer) -> Result<Stores, OpenError> {
    open_for(options, sealer, Purpose::Import).await
}

async fn open_for(
    options: RedisOptions,
    sealer: Sealer,
    purpose: Purpose,
) -> Result<Stores, OpenError> {
    let address = options.address.to_string();
    let connection = Connection::new(&options.address, options.replicas)
        .map_err(|error| OpenError::store(&address, super::failure::told(&error)))?;
    let database =
        Database { connection, keys: Keys::new(options.prefix, options.address.database), sealer };
    let begun = Instant::now();
    loop {
        match key_check::check(&database, &address, purpose).await {
            Err(OpenError::Store { cause: StoreError::Unavailable(why), .. })
                if begun.elapsed() < START_PATIENCE && !is_refusal(&why) =>
            {
                tracing::debug!(%address, why, "Redis cannot be reached yet");
                sleep(BETWEEN_TRIES).await;
            }
            outcome => break outcome?,
        }
    }
    durability::check(&database.connection).await;
    Ok(bundle(&Arc::new(database), options.address))
}

/// What trying again does not mend.
fn is_refusal(why: &str) -> bool {
    [
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "AuthenticationFailed",
        "InvalidClientConfig",
        "peer certificate",
    ]
    .iter()
    .any(|word| why.contains(word))
}

fn bundle(database: &Arc<Database>, address: RedisAddress) -> Stores {
    Stores {
        clients: Arc::new(RedisClientStore(Arc::clone(database))),
        logins: Arc::new(RedisLoginStore(Arc::clone(database))),
        transactions: Arc::new(RedisTransactionStore(Arc::clone(database))),
        consents: Arc::new(RedisConsentStore(Arc::clone(database))),
        grants: Arc::new(RedisGrantStore(Arc::clone(database))),
        assertions: Arc::new(RedisAssertionStore(Arc::clone(database))),
        pins: Arc::new(RedisPinStore(Arc::clone(database))),
        disabled: Arc::new(RedisDisabledStore(Arc::clone(database))),
        provider_tokens: Arc::new(RedisProviderTokenStore(Arc::clone(database))),
        nodes: Arc::new(RedisNodeStore(Arc::clone(database))),
        sessions: Arc::new(RedisSessionStore(Arc::clone(database))),
        tasks: Arc::new(RedisTaskStore(Arc::clone(database))),
        invalidations: Arc::new(RedisInvalidationStore { database: Arc::clone(database), address }),
        audit: Arc::new(RedisAuditStore(Arc::clone(database))),
        upkeep: Arc::new(RedisUpkeep(Arc::clone(database))),
        archive: Arc::new(RedisArchive(Arc::clone(database))),
        latency: Arc::clone(&database.connection.latency),
    }
}
