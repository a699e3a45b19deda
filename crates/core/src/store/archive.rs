//! Port for everything that is kept, taken out and put in as a whole: for backups, and for moving
//! to a store of another kind. The records here are those of no store in particular;
//! [`crate::store`] says what each port makes of them.
//!
//! Nodes and the ownership of users are left out: they are about processes that live. Epochs are
//! too: what they ended is exported as revoked, or not at all.

use std::{collections::BTreeMap, error::Error};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{error::StoreError, pins::PinRecord};
use crate::{
    audit::{ChainHead, ChainedRecord},
    client::Client,
    clock::Timestamp,
    disabled::DisabledRecord,
    grant::{Consent, Grant},
    ids::{GrantId, UserId},
    principal::User,
    provider_token::ProviderToken,
    refresh::RefreshFamily,
    secret::TokenHash,
    signin::{Login, ProviderRequest, Transaction},
    task::TaskOwnership,
    token::{AccessToken, AuthorizationCode, RefreshToken},
};

/// One stored thing. Some hold secrets in the clear: a caller that writes records down seals them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Client(Client),
    User(User),
    Login(Login),
    ProviderToken(ProviderToken),
    Transaction(Transaction),
    /// Its name in backups is that of older versions.
    #[serde(rename = "leg")]
    ProviderRequest(ProviderRequest),
    Consent(Consent),
    /// With the grant it became, if it was redeemed, and until when it is remembered then.
    Code {
        code: AuthorizationCode,
        redeemed: Option<GrantId>,
        #[serde(default)]
        kept_until: Option<Timestamp>,
    },
    Grant(GrantWithTokens),
    Assertion {
        key: TokenHash,
        expires_at: Timestamp,
    },
    /// Of one tool, older ones come first.
    Pin(PinRecord),
    Disabled(DisabledRecord),
    Session {
        id: TokenHash,
        user: UserId,
        #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
        state: Vec<u8>,
        expires_at: Timestamp,
    },
    /// Whose a task is.
    Task {
        id: TokenHash,
        task: TaskOwnership,
        expires_at: Timestamp,
    },
    /// How far a chain of the audit trail has come; its records follow.
    AuditHead(ChainHead),
    /// Of one chain, older ones come first.
    AuditRecord(ChainedRecord),
}

/// A grant and its tokens as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantWithTokens {
    pub grant: Grant,
    /// When the last token it ever had expires.
    pub tokens_until: Timestamp,
    pub access: Vec<AccessToken>,
    #[serde(default)]
    pub family: Option<RefreshFamily>,
    /// Tokens of before there were families.
    #[serde(default)]
    pub refresh: Vec<StoredRefresh>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefresh {
    pub token: RefreshToken,
    pub used: Option<UsedRefresh>,
}

/// A refresh token that was exchanged: it stays, so that its reuse is seen (threat 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedRefresh {
    pub at: Timestamp,
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(|_| serde::de::Error::custom("not base64"))
}

/// What there is, in the order it is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    Client,
    User,
    Login,
    ProviderToken,
    Consent,
    Grant,
    AccessToken,
    RefreshToken,
    Code,
    Transaction,
    #[serde(rename = "leg")]
    ProviderRequest,
    Assertion,
    Session,
    Task,
    Pin,
    Disabled,
    AuditChain,
    AuditRecord,
}

impl RecordKind {
    pub const ALL: [Self; 18] = [
        Self::Client,
        Self::User,
        Self::Login,
        Self::ProviderToken,
        Self::Consent,
        Self::Grant,
        Self::AccessToken,
        Self::RefreshToken,
        Self::Code,
        Self::Transaction,
        Self::ProviderRequest,
        Self::Assertion,
        Self::Session,
        Self::Task,
        Self::Pin,
        Self::Disabled,
        Self::AuditChain,
        Self::AuditRecord,
    ];

    /// What people call several of them.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Client => "clients",
            Self::User => "users",
            Self::Login => "logins",
            Self::ProviderToken => "provider tokens",
            Self::Consent => "consents",
            Self::Grant => "grants",
            Self::AccessToken => "access tokens",
            Self::RefreshToken => "refresh tokens",
            Self::Code => "codes",
            Self::Transaction => "sign-ins in flight",
            Self::ProviderRequest => "requests at a provider",
            Self::Assertion => "used assertions",
            Self::Session => "MCP sessions",
            Self::Task => "owners of tasks",
            Self::Pin => "pinned tools",
            Self::Disabled => "what is disabled",
            Self::AuditChain => "audit chains",
            Self::AuditRecord => "audit records",
        }
    }
}

/// How many there are of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Census(BTreeMap<RecordKind, u64>);

impl Census {
    pub fn of(&self, kind: RecordKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn add(&mut self, kind: RecordKind, count: u64) {
        *self.0.entry(kind).or_default() += count;
    }

    pub fn count(&mut self, record: &Record) {
        let kind = match record {
            Record::Client(_) => RecordKind::Client,
            Record::User(_) => RecordKind::User,
            Record::Login(_) => RecordKind::Login,
            Record::ProviderToken(_) => RecordKind::ProviderToken,
            Record::Transaction(_) => RecordKind::Transaction,
            Record::ProviderRequest(_) => RecordKind::ProviderRequest,
            Record::Consent(_) => RecordKind::Consent,
            Record::Code { .. } => RecordKind::Code,
            Record::Assertion { .. } => RecordKind::Assertion,
            Record::Pin(_) => RecordKind::Pin,
            Record::Disabled(_) => RecordKind::Disabled,
            Record::Session { .. } => RecordKind::Session,
            Record::Task { .. } => RecordKind::Task,
            Record::AuditHead(_) => RecordKind::AuditChain,
            Record::AuditRecord(_) => RecordKind::AuditRecord,
            Record::Grant(grant) => {
                self.add(RecordKind::AccessToken, grant.access.len() as u64);
                self.add(
                    RecordKind::RefreshToken,
                    grant.refresh.len() as u64 + u64::from(grant.family.is_some()),
                );
                RecordKind::Grant
            }
        };
        self.add(kind, 1);
    }
}

/// A record that is kept but cannot be read or unsealed: no gateway can use it either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub kind: RecordKind,
    /// Its id, or the hash it is kept under.
    pub id: String,
    pub why: String,
}

/// Why everything could not be taken out or put in.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The failure was not the store's, but that of the source or the sink of the records.
    #[error("{0}")]
    Elsewhere(Box<dyn Error + Send + Sync>),
}

/// Takes what comes out of a store.
#[async_trait]
pub trait RecordSink: Send {
    /// A portion, of bounded size.
    async fn put(&mut self, records: Vec<Record>) -> Result<(), ArchiveError>;

    async fn leave_out(&mut self, record: Unreadable) -> Result<(), ArchiveError>;
}

/// Gives what goes into a store.
#[async_trait]
pub trait RecordSource: Send {
    /// The next portion, of bounded size; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Vec<Record>>, ArchiveError>;
}

#[async_trait]
pub trait Archive: Send + Sync {
    /// Is nothing kept here that [`Archive::export`] would give?
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// Gives every record, while the store is in use. What is written meanwhile may be in or out, a
    /// grant with its tokens as a whole; a user to whom something else belongs is in. What was
    /// acknowledged before it began is in.
    async fn export(&self, sink: &mut dyn RecordSink) -> Result<(), ArchiveError>;

    /// Puts these records in place of everything that is here. No gateway may be using the store.
    /// If it fails, either nothing has changed or no gateway will open what is here until an import
    /// succeeds.
    async fn import(&self, source: &mut dyn RecordSource) -> Result<(), ArchiveError>;
}
