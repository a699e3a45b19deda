//! Opening what the gateway keeps: for the gateway itself, and for commands beside it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use portunus_core::store::Stores;
use portunus_mcp::hub;
use portunus_store::{
    redis,
    seal::{Place, Sealer},
    sqlite::{self, OpenError},
};

use crate::{
    config::{Config, StoreConfig},
    os::OsEntropy,
};

/// Opens the records of a gateway from beside it; they must be there.
pub async fn open_records(config: &Config) -> anyhow::Result<Stores> {
    if let StoreConfig::Sqlite { path } = &config.store {
        ensure!(
            path.exists(),
            "there are no records at {}: is this the gateway's folder and configuration?",
            path.display()
        );
    }
    open_store(&config.store, &Sealer::new(&config.auth_secrets, Arc::new(OsEntropy))?).await
}

/// Opens the records; a new file is made if there is none.
pub async fn open_store(store: &StoreConfig, sealer: &Sealer) -> anyhow::Result<Stores> {
    match store {
        StoreConfig::Sqlite { path } => match sqlite::open(path, sealer.clone()) {
            Err(OpenError::Foreign { .. }) => Ok(sqlite::open(&beside(path), sealer.clone())?),
            opened => Ok(opened?),
        },
        StoreConfig::Redis(options) => Ok(redis::open(options.clone(), sealer.clone()).await?),
    }
}

/// The gateway that many move from has the same default for `DB_PATH`: its file is left alone, ours
/// stands beside it (`docs/decisions/0010-database-of-the-old-gateway.md`).
pub fn beside(path: &Path) -> PathBuf {
    let beside = path.with_extension("portunus.sqlite");
    tracing::warn!(
        db_path = %path.display(), using = %beside.display(),
        "DB_PATH names a database of another program: it is left alone, and records are kept beside it"
    );
    beside
}

/// What goes to clients and comes back with their retries is sealed as records are.
pub(super) struct RequestStates(pub(super) Sealer);

impl RequestStates {
    const fn place(bound_to: &[u8]) -> Place<'_> {
        Place { table: "mcp", column: "request_state", key: bound_to }
    }
}

impl hub::Seal for RequestStates {
    fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(Self::place(bound_to), plain).ok()
    }

    fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open(Self::place(bound_to), sealed).ok().map(|plain| plain.to_vec())
    }
}
