//! The store of one machine: a file. [`connection`] opens it, [`migrations`] and [`sentinel`] make
//! it ready, [`database`] runs work on it off the async runtime, and one file for each port says
//! what that work is.

mod archive;
mod assertions;
mod audit;
mod clients;
mod connection;
mod consents;
mod database;
mod disabled;
mod failure;
mod families;
mod grants;
mod grants_of;
mod inspection;
mod invalidations;
mod key_check;
mod logins;
mod migrations;
mod nodes;
mod open_error;
mod pins;
mod provider_tokens;
mod sessions;
mod tasks;
#[cfg(test)]
mod tests;
mod tokens;
mod transactions;
mod upkeep;

use std::{path::Path, sync::Arc};

use portunus_core::store::Stores;

use self::database::Database;
pub use self::{
    connection::{Place, is_in_use, place},
    inspection::inspect,
    open_error::OpenError,
};
use crate::seal::Sealer;

/// Opens the database at `path`, creating the file (never its directory) if it is missing, and
/// brings its schema up to date.
///
/// Does its work on the calling thread and needs no runtime; the stores it gives need one with its
/// timer on. They may be cloned freely. The file closes when the last of them is dropped.
pub fn open(path: &Path, sealer: Sealer) -> Result<Stores, OpenError> {
    Ok(bundle(&Arc::new(Database::open(path, sealer)?)))
}

fn bundle(database: &Arc<Database>) -> Stores {
    Stores {
        clients: Arc::new(clients::SqliteClientStore(Arc::clone(database))),
        logins: Arc::new(logins::SqliteLoginStore(Arc::clone(database))),
        transactions: Arc::new(transactions::SqliteTransactionStore(Arc::clone(database))),
        consents: Arc::new(consents::SqliteConsentStore(Arc::clone(database))),
        grants: Arc::new(grants::SqliteGrantStore(Arc::clone(database))),
        assertions: Arc::new(assertions::SqliteAssertionStore(Arc::clone(database))),
        pins: Arc::new(pins::SqlitePinStore(Arc::clone(database))),
        disabled: Arc::new(disabled::SqliteDisabledStore(Arc::clone(database))),
        provider_tokens: Arc::new(provider_tokens::SqliteProviderTokenStore(Arc::clone(database))),
        nodes: Arc::new(nodes::SqliteNodeStore(Arc::clone(database))),
        sessions: Arc::new(sessions::SqliteSessionStore(Arc::clone(database))),
        tasks: Arc::new(tasks::SqliteTaskStore(Arc::clone(database))),
        invalidations: Arc::new(invalidations::SqliteInvalidationStore(Arc::clone(database))),
        audit: Arc::new(audit::SqliteAuditStore(Arc::clone(database))),
        upkeep: Arc::new(upkeep::SqliteUpkeep(Arc::clone(database))),
        archive: Arc::new(archive::SqliteArchive(Arc::clone(database))),
        latency: Arc::clone(&database.latency),
    }
}
