//! Every key there is, portion by portion, for what is done to the store as a whole. What belongs
//! to one user is found by its own key and never so.
//!
//! Redis promises that a key which is there from beginning to end is named at least once, as long
//! as one and the same server answers. So each server's connection is looked at before and after:
//! if it is another, or there are other servers, the whole is of no use.

use portunus_core::store::StoreError;

use super::{
    database::{Database, answer},
    dial::Master,
    failure::unavailable,
};

/// How many keys Redis looks at before it answers.
const LOOKED_AT: u32 = 1000;

pub(super) struct Scan {
    pattern: String,
    masters: Vec<(Master, u64)>,
    at: usize,
    cursor: u64,
}

impl Scan {
    /// Of the keys with this end, which may hold `*`.
    pub(super) async fn begin(database: &Database, end: &str) -> Result<Self, StoreError> {
        let masters = connections(database).await?;
        Ok(Self { pattern: format!("{}{end}", database.keys.pattern()), masters, at: 0, cursor: 0 })
    }

    /// Some keys, maybe none and maybe some of them again; `None` when all have been named.
    pub(super) async fn next(
        &mut self,
        database: &Database,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let Some((master, _)) = self.masters.get(self.at) else {
            if connections(database).await? == self.masters {
                return Ok(None);
            }
            return Err(unavailable(
                "a server went away or came while its keys were listed; begin again",
            ));
        };
        let mut command = redis::cmd("SCAN");
        command.arg(self.cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(LOOKED_AT);
        let (cursor, keys): (u64, Vec<String>) =
            answer(database.connection.ask(master, command).await?)?;
        self.cursor = cursor;
        if cursor == 0 {
            self.at += 1;
        }
        Ok(Some(keys))
    }
}

/// The masters, each with the number of our connection to it: another one after a break.
async fn connections(database: &Database) -> Result<Vec<(Master, u64)>, StoreError> {
    let mut masters = Vec::new();
    for master in database.connection.masters().await? {
        let mut command = redis::cmd("CLIENT");
        command.arg("ID");
        let id = answer(database.connection.ask(&master, command).await?)?;
        masters.push((master, id));
    }
    Ok(masters)
}
