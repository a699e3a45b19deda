//! Records in order: each has a hash over the hash before it and its own bytes, so that none can be
//! changed, left out or moved without all that follow. How far a chain has come says
//! [`super::head`]; [`super::verify`] reads it all again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;

use super::{
    entry::{AuditRecord, Entry, Origin, Person},
    event::Event,
    head::{ChainHead, checkpoint_text},
    key::AuditKeys,
    position::{ChainId, RecordHash},
    text::record_text,
};
use crate::{clock::Timestamp, ids::NodeId, text::escaped_json};

/// A checkpoint follows so many records at the latest.
pub const CHECKPOINT_EVERY: u64 = 1_000;

/// A record as it is kept: its exact text, and what is known of it without reading that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedRecord {
    pub chain: ChainId,
    /// The first is 1.
    pub seq: u64,
    pub at: Timestamp,
    pub text: String,
    pub hash: RecordHash,
}

const HASH_MEMBER: &str = ",\"hash\":\"";

impl ChainedRecord {
    /// What the text says; `None` if it is no record.
    pub fn read(&self) -> Option<AuditRecord> {
        serde_json::from_str(&self.text).ok()
    }

    /// One line of JSON: the text, with its hash as the last member. A text that no gateway wrote
    /// is shown as a string, if it is no object or would break the line.
    pub fn line(&self) -> String {
        let body = self.text.strip_suffix('}').filter(|body| {
            body.starts_with("{\"") && !body.bytes().any(|byte| byte < b' ') && self.is_json()
        });
        let text = body.map(|body| [body, HASH_MEMBER, &self.hash.to_string(), "\"}"].concat());
        escaped_json(text.unwrap_or_else(|| self.described()))
    }

    /// Where it stands, and its text as a string.
    fn described(&self) -> String {
        let Self { chain, seq, at, text, hash } = self;
        json!({"chain": chain, "seq": seq, "at": at, "no_record": text, "hash": hash}).to_string()
    }

    /// Without reading it: its shape alone.
    fn is_json(&self) -> bool {
        serde_json::from_str::<IgnoredAny>(&self.text).is_ok()
    }

    /// A line as [`Self::line`] writes it.
    pub fn from_line(line: &str) -> Option<Self> {
        let (body, hash) = line.trim_end().strip_suffix("\"}")?.rsplit_once(HASH_MEMBER)?;
        let (text, hash) = (format!("{body}}}"), RecordHash::parse(hash)?);
        let AuditRecord { chain, seq, at, .. } = serde_json::from_str(&text).ok()?;
        Some(Self { chain, seq, at, text, hash })
    }
}

/// A chain at its end: makes records of entries.
#[derive(Clone, Debug)]
pub struct Chain {
    head: ChainHead,
    node: NodeId,
}

impl Chain {
    /// A new chain, empty.
    pub fn begin(id: ChainId, node: NodeId) -> Self {
        let beginning = id.beginning();
        let head = ChainHead {
            chain: id,
            deleted: 0,
            deleted_hash: beginning,
            last: 0,
            last_hash: beginning,
            last_at: Timestamp::from_millis(0),
            is_closed: false,
            sent: BTreeMap::new(),
            key: String::new(),
            signature: String::new(),
        };
        Self { head, node }
    }

    /// Goes on where another has ended.
    pub const fn resume(head: ChainHead, node: NodeId) -> Self {
        Self { head, node }
    }

    /// Appends one record. It is part of the chain once the store has it together with
    /// [`Self::head`].
    pub fn append(&mut self, entry: Entry) -> ChainedRecord {
        let (at, entry) = (entry.at, entry.bounded());
        self.head.is_closed = matches!(entry.event, Event::Stopped);
        let (chain, seq) = (self.head.chain.clone(), self.head.last + 1);
        let text = record_text(chain.as_str(), seq, self.node.as_str(), &entry);
        let hash = self.head.last_hash.follow(&text);
        self.head.last = seq;
        self.head.last_hash = hash;
        self.head.last_at = at;
        ChainedRecord { chain, seq, at, text, hash }
    }

    /// Signs how far the chain has come, in a record of its own.
    pub fn checkpoint(&mut self, at: Timestamp, keys: &AuditKeys) -> ChainedRecord {
        let (through, hash) = (self.head.last, self.head.last_hash);
        let (key, signature) = keys.tag(&checkpoint_text(&self.head.chain, through, &hash));
        let is_closed = self.head.is_closed;
        let record = self.append(Entry {
            at,
            person: Person::default(),
            origin: Origin::default(),
            event: Event::Checkpoint { through, hash, key, signature },
        });
        self.head.is_closed = is_closed;
        record
    }

    /// Notes through which record each target has it, in place of what was noted.
    pub fn note_sent(&mut self, sent: BTreeMap<String, u64>) {
        self.head.sent = sent;
    }

    /// How far it has come, signed.
    pub fn head(&self, keys: &AuditKeys) -> ChainHead {
        keys.sign(self.head.clone())
    }

    pub const fn id(&self) -> &ChainId {
        &self.head.chain
    }

    pub const fn last(&self) -> u64 {
        self.head.last
    }
}
