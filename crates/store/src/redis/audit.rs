//! The audit trail: of each chain a stream of its records, by their numbers, and beside it its
//! signed head. Nothing here expires; what is old is deleted by the gateway.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use portunus_core::{
    Timestamp,
    audit::{AuditFilter, ChainHead, ChainId, ChainedRecord, RecordHash, merge_by_time},
    store::{AuditStore, StoreError, StoredChain},
};

use super::{
    database::{Database, answer, get},
    failure::corrupt,
    script::{self, Call},
};
use crate::record::{from_json, to_json};

/// Records read at once.
const PORTION: usize = 500;

pub(super) struct RedisAuditStore(pub(super) Arc<Database>);

type Entry = (String, Vec<(String, String)>);

#[async_trait]
impl AuditStore for RedisAuditStore {
    async fn list_chains(&self) -> Result<Vec<StoredChain>, StoreError> {
        self.0.audit_chains().await
    }

    async fn append(
        &self,
        before: Option<&ChainHead>,
        after: &ChainHead,
        records: &[ChainedRecord],
    ) -> Result<(), StoreError> {
        if before.is_none() {
            self.0.note_chain(&after.chain).await?;
        }
        let mut call = self.0.on_chain(&script::APPEND_AUDIT, before, after)?;
        for record in records {
            call = record_arguments(call, record);
        }
        match self.0.run::<u8>(&call).await? {
            1 => Ok(()),
            0 => Err(StoreError::Conflict),
            _ => Err(corrupt("audit_records: something stands where records belong")),
        }
    }

    async fn read_records(
        &self,
        chain: &ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        self.0.audit_records(chain, from, limit).await
    }

    async fn find_records(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let mut chains = Vec::new();
        for StoredChain { id, .. } in self.0.audit_chains().await? {
            chains.push(self.newest_of(&id, filter, limit).await?);
        }
        let mut merged = merge_by_time(chains);
        merged.drain(..merged.len().saturating_sub(limit));
        Ok(merged)
    }

    async fn delete_records(
        &self,
        before: &ChainHead,
        after: &ChainHead,
    ) -> Result<(), StoreError> {
        let call = self.0.on_chain(&script::DELETE_AUDIT, Some(before), after)?;
        let call = call.arg(after.deleted + 1);
        if self.0.run::<bool>(&call).await? { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

impl RedisAuditStore {
    /// Oldest first.
    async fn newest_of(
        &self,
        chain: &ChainId,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let key = self.0.keys.audit_records(chain);
        let (mut found, mut before) = (Vec::new(), "+".to_owned());
        'chain: while found.len() < limit {
            let mut command = redis::cmd("XREVRANGE");
            command.arg(&key).arg(&before).arg("-").arg("COUNT").arg(PORTION);
            let [entries] = self.0.connection.read(&key, [command]).await?;
            let entries: Vec<Entry> = answer(entries)?;
            let Some((oldest, _)) = entries.last() else { break };
            before = format!("({oldest}");
            for entry in entries {
                let record = read_record(chain, entry)?;
                if filter.is_over(record.at) {
                    break 'chain;
                }
                if found.len() < limit && record.read().is_some_and(|read| filter.matches(&read)) {
                    found.push(record);
                }
            }
        }
        found.reverse();
        Ok(found)
    }
}

fn record_arguments(call: Call, record: &ChainedRecord) -> Call {
    call.arg(record.seq).arg(record.at.as_millis()).arg(record.hash.to_string()).arg(&record.text)
}

fn read_record(chain: &ChainId, (id, fields): Entry) -> Result<ChainedRecord, StoreError> {
    let (seq, part) = id.split_once('-').unwrap_or((&id, ""));
    let seq = seq.parse().ok();
    let mut record = ChainedRecord {
        chain: chain.clone(),
        seq: seq.ok_or_else(|| corrupt("audit_records.seq"))?,
        at: Timestamp::from_millis(0),
        text: String::new(),
        // A hash that cannot be read is one that does not fit.
        hash: RecordHash::from_bytes([0; 32]),
    };
    for (field, value) in fields {
        match field.as_str() {
            "at" => record.at = Timestamp::from_millis(value.parse().unwrap_or_default()),
            "hash" => record.hash = RecordHash::parse(&value).unwrap_or(record.hash),
            "record" => record.text = value,
            _ => {}
        }
    }
    if part != "0" {
        // A gateway writes no such entry: it stands beside its place, and so beside its time.
        record.at = record.at + Duration::from_millis(1);
    }
    Ok(record)
}

impl Database {
    pub(super) async fn audit_chains(&self) -> Result<Vec<StoredChain>, StoreError> {
        let key = self.keys.audit_chains();
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        let [found] = self.connection.read(&key, [command]).await?;
        let mut ids: Vec<String> = answer(found)?;
        ids.sort();
        let mut chains = Vec::new();
        for id in ids.into_iter().map(ChainId::from_text) {
            let head = self.audit_head(&id).await;
            // One that was never appended to has only its name. What is of another type than it
            // should be is there.
            let is_there = match &head {
                Ok(Some(_)) | Err(StoreError::Corrupt(_)) => true,
                _ => match self.audit_records(&id, 0, 1).await {
                    Err(StoreError::Corrupt(_)) => true,
                    records => !records?.is_empty(),
                },
            };
            let head = match head {
                Err(StoreError::Corrupt(_)) => None,
                head => head?.and_then(|head| from_json("audit_chains", &head).ok()),
            };
            if is_there {
                chains.push(StoredChain { id, head });
            }
        }
        Ok(chains)
    }

    pub(super) async fn audit_records(
        &self,
        chain: &ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ChainedRecord>, StoreError> {
        let key = self.keys.audit_records(chain);
        let mut command = redis::cmd("XRANGE");
        command.arg(&key).arg(format!("{from}-0")).arg("+").arg("COUNT").arg(limit);
        let [found] = self.connection.read(&key, [command]).await?;
        let mut entries: Vec<Entry> = answer(found)?;
        // A gateway writes one entry under each number. Others under the last number are read with
        // it, for the next portion begins behind that.
        if entries.len() == limit
            && let Some((last, _)) = entries.last()
            && let Some((number, _)) = last.split_once('-')
            && number.parse().is_ok_and(|number: u64| number < u64::MAX)
        {
            let mut command = redis::cmd("XRANGE");
            command.arg(&key).arg(format!("({last}")).arg(number).arg("COUNT").arg(limit);
            let [found] = self.connection.read(&key, [command]).await?;
            entries.extend(answer::<Vec<Entry>>(found)?);
        }
        entries.into_iter().map(|entry| read_record(chain, entry)).collect()
    }

    async fn audit_head(&self, chain: &ChainId) -> Result<Option<String>, StoreError> {
        let key = self.keys.audit_head(chain);
        let [head] = self.connection.read(&key, [get(&key)]).await?;
        answer(head)
    }

    /// Before the chain itself: what is in no list is not found.
    async fn note_chain(&self, chain: &ChainId) -> Result<(), StoreError> {
        let key = self.keys.audit_chains();
        let mut command = redis::cmd("SADD");
        command.arg(&key).arg(chain.as_str());
        self.connection.write(&key, command).await.map(drop)
    }

    fn on_chain(
        &self,
        script: &'static script::Script,
        before: Option<&ChainHead>,
        after: &ChainHead,
    ) -> Result<Call, StoreError> {
        let before = before.map(to_json).transpose()?.unwrap_or_default();
        Ok(Call::new(script)
            .key(self.keys.audit_head(&after.chain))
            .key(self.keys.audit_records(&after.chain))
            .arg(before)
            .arg(to_json(after)?))
    }

    /// As it was elsewhere.
    pub(super) async fn import_audit_head(&self, head: &ChainHead) -> Result<(), StoreError> {
        self.note_chain(&head.chain).await?;
        let key = self.keys.audit_head(&head.chain);
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(to_json(head)?);
        self.connection.write(&key, command).await.map(drop)
    }

    /// The next of its chain, as it was elsewhere.
    pub(super) async fn import_audit_record(
        &self,
        record: &ChainedRecord,
    ) -> Result<(), StoreError> {
        let key = self.keys.audit_records(&record.chain);
        let mut command = redis::cmd("XADD");
        command.arg(&key).arg(format!("{}-0", record.seq));
        command.arg("at").arg(record.at.as_millis());
        command.arg("hash").arg(record.hash.to_string()).arg("record").arg(&record.text);
        self.connection.write(&key, command).await.map(drop)
    }
}
