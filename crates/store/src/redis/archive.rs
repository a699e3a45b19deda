//! Everything there is, out of Redis and into it, while [`scan`](super::scan) names the keys that
//! no list names. [`export`] goes through the shards, [`grants`] takes a grant and its tokens at
//! one moment, [`import`] writes. An unfinished import has a key of its own, by which
//! [`super::key_check`] keeps a gateway from using what is half written.

pub(super) mod export;
mod grants;
mod import;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use portunus_core::store::{Archive, ArchiveError, RecordSink, RecordSource, StoreError};

use super::{database::Database, scan::Scan};

pub(super) struct RedisArchive(pub(super) Arc<Database>);

/// How the keys of records begin, behind the tag.
const RECORDS: [&str; 19] = [
    "client:",
    "user:",
    "consents-of-user:",
    "pins:",
    "disabled:",
    "transaction:",
    "leg:",
    "code:",
    "assertion:",
    "session:",
    "task:",
    "provider-token:",
    "login:",
    "access:",
    "refresh:",
    "family:",
    "grant:",
    "audit-head:",
    "audit-records:",
];

#[async_trait]
impl Archive for RedisArchive {
    async fn is_empty(&self) -> Result<bool, StoreError> {
        let mut scan = Scan::begin(&self.0, "*").await?;
        while let Some(keys) = scan.next(&self.0).await? {
            let ends = keys.iter().filter_map(|key| self.0.keys.parse(key));
            if ends.into_iter().any(|(_, end)| RECORDS.iter().any(|record| end.starts_with(record)))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn export(&self, sink: &mut dyn RecordSink) -> Result<(), ArchiveError> {
        export::run(&self.0, sink).await
    }

    async fn import(&self, source: &mut dyn RecordSource) -> Result<(), ArchiveError> {
        let unfinished = self.0.keys.unfinished_import();
        let mut command = redis::cmd("SET");
        command.arg(&unfinished).arg(1);
        self.0.connection.write(&unfinished, command).await?;
        self.clear().await?;
        import::run(&self.0, source).await?;
        let mut command = redis::cmd("DEL");
        command.arg(&unfinished);
        self.0.connection.write(&unfinished, command).await?;
        Ok(())
    }
}

impl RedisArchive {
    /// Deletes everything but what says whose store this is.
    async fn clear(&self) -> Result<(), StoreError> {
        let mut scan = Scan::begin(&self.0, "*").await?;
        while let Some(keys) = scan.next(&self.0).await? {
            let mut slots: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for key in &keys {
                match self.0.keys.parse(key) {
                    Some(("meta", _)) | None => {}
                    Some((tag, _)) => slots.entry(tag).or_default().push(key),
                }
            }
            for keys in slots.values() {
                let mut command = redis::cmd("UNLINK");
                command.arg(keys);
                self.0.connection.write(keys.first().copied().unwrap_or_default(), command).await?;
            }
        }
        Ok(())
    }
}
