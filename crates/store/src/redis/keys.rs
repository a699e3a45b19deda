//! The name of every key, with its hash tag: what has to change in one step stands in one slot of a
//! Cluster, and nothing else does. One layout for a single server, Sentinel and Cluster alike.
//!
//! A tag is one of 256 shards, by the first byte of a hash, so that in each shard one list tells
//! what expires when. A grant and its tokens are in the shard of the code the grant came from; a
//! look-up that has only a token or a grant's id finds the shard by a pointer. A user's logins and
//! consents are in the user's shard. Clients share one slot, as do pinned tools, and what is
//! disabled. A chain of the audit trail is in the shard of its id.

use std::fmt::Display;

use portunus_core::{
    address_block::AddressTag,
    audit::ChainId,
    ids::{ClientId, GrantId, ServerName, TransactionId, UserId},
    refresh::FamilyId,
    secret::TokenHash,
    store::StoreError,
};

/// One byte: 256 shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shard(u8);

impl Shard {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// Reads a tag.
    pub(super) fn parse(tag: &str) -> Option<Self> {
        if tag.len() == 2 { u8::from_str_radix(tag, 16).ok().map(Self) } else { None }
    }

    pub(super) fn of_hash(hash: &TokenHash) -> Self {
        Self(hash.as_bytes()[0])
    }

    pub(super) fn of_text(text: &str) -> Self {
        Self::of_hash(&TokenHash::of(text))
    }
}

/// Where a grant is kept: in the lists of grants, and in pointers to it. Written `id shard`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GrantPlace {
    pub(super) id: GrantId,
    pub(super) shard: Shard,
}

impl GrantPlace {
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let place = text.rsplit_once(' ').and_then(|(id, shard)| {
            Some(Self {
                id: GrantId::from_text(id),
                shard: Shard(u8::from_str_radix(shard, 16).ok()?),
            })
        });
        place.ok_or_else(|| StoreError::Corrupt("a pointer to a grant".to_owned()))
    }

    pub(super) fn in_shard(id: impl Into<String>, shard: Shard) -> Self {
        Self { id: GrantId::from_text(id), shard }
    }
}

impl Display for GrantPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:02x}", self.id, self.shard.0)
    }
}

/// What can stand in a shard's list of what expires. Its text names it there, and is the end of its
/// key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expiring {
    Transaction(String),
    ProviderRequest(String),
    Code(String),
    Assertion(String),
    Session(String),
    Task(String),
    /// A provider's refresh token, by a hash of its person's id.
    ProviderToken(String),
    /// A login's hash, and whose it is.
    Login(String, String),
    Access(String),
    /// A refresh token of before there were families.
    Refresh(String),
    /// The sealed successor of such a one: nothing reads it any more.
    Successor(String),
    /// All refresh tokens of a grant.
    Family(String),
    Grant(String),
}

impl Expiring {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, id) = name.split_once(':')?;
        let id = id.to_owned();
        Some(match kind {
            "transaction" => Self::Transaction(id),
            "leg" => Self::ProviderRequest(id),
            "code" => Self::Code(id),
            "assertion" => Self::Assertion(id),
            "session" => Self::Session(id),
            "task" => Self::Task(id),
            "provider-token" => Self::ProviderToken(id),
            "login" => id
                .split_once(' ')
                .map(|(hash, user)| Self::Login(hash.to_owned(), user.to_owned()))?,
            "access" => Self::Access(id),
            "refresh" => Self::Refresh(id),
            "successor" => Self::Successor(id),
            "family" => Self::Family(id),
            "grant" => Self::Grant(id),
            _ => return None,
        })
    }

    /// How the list calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Login(hash, user) => format!("login:{hash} {user}"),
            other => other.key_end(),
        }
    }

    fn key_end(&self) -> String {
        match self {
            Self::Transaction(id) => format!("transaction:{id}"),
            Self::ProviderRequest(hash) => format!("leg:{hash}"),
            Self::Code(hash) => format!("code:{hash}"),
            Self::Assertion(hash) => format!("assertion:{hash}"),
            Self::Session(hash) => format!("session:{hash}"),
            Self::Task(hash) => format!("task:{hash}"),
            Self::ProviderToken(hash) => format!("provider-token:{hash}"),
            Self::Login(hash, _) => format!("login:{hash}"),
            Self::Access(hash) => format!("access:{hash}"),
            Self::Refresh(hash) => format!("refresh:{hash}"),
            Self::Successor(hash) => format!("successor:{hash}"),
            Self::Family(id) => format!("family:{id}"),
            Self::Grant(id) => format!("grant:{id}"),
        }
    }
}

/// What can be disabled: any number of persons, so many of all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisabledGroup {
    Persons,
    Others,
}

impl DisabledGroup {
    pub(super) const ALL: [Self; 2] = [Self::Persons, Self::Others];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Persons => "persons",
            Self::Others => "others",
        }
    }
}

/// Where a group stands: the records by kind and id, and the same names by time.
pub(super) struct DisabledKeys {
    pub(super) records: String,
    pub(super) by_time: String,
}

/// Makes keys; all of them begin with the prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    database: i64,
}

impl Keys {
    pub(super) fn new(prefix: impl Into<String>, database: i64) -> Self {
        Self { prefix: prefix.into(), database }
    }

    fn in_shard(&self, shard: Shard, end: impl Display) -> String {
        format!("{}:{{{:02x}}}:{end}", self.prefix, shard.0)
    }

    fn among(&self, tag: &str, end: impl Display) -> String {
        format!("{}:{{{tag}}}:{end}", self.prefix)
    }

    /// A record that expires.
    pub(super) fn record(&self, shard: Shard, what: &Expiring) -> String {
        self.in_shard(shard, what.key_end())
    }

    /// What expires in a shard, by when.
    pub(super) fn expiry(&self, shard: Shard) -> String {
        self.in_shard(shard, "expiry")
    }

    /// The grants of a shard, newest first.
    pub(super) fn grants(&self, shard: Shard) -> String {
        self.in_shard(shard, "grants")
    }

    /// From an access token's hash to its grant.
    pub(super) fn access_pointer(&self, hash: &TokenHash) -> String {
        self.in_shard(Shard::of_hash(hash), format_args!("to-access:{hash}"))
    }

    /// From a refresh token's hash to its grant.
    pub(super) fn refresh_pointer(&self, hash: &TokenHash) -> String {
        self.in_shard(Shard::of_hash(hash), format_args!("to-refresh:{hash}"))
    }

    /// From the id of a family of refresh tokens to its grant.
    pub(super) fn family_pointer(&self, id: &FamilyId) -> String {
        let id = id.to_string();
        self.in_shard(Shard::of_text(&id), format_args!("to-family:{id}"))
    }

    pub(super) fn grant_pointer(&self, id: &GrantId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("to-grant:{id}"))
    }

    /// From a login's hash to its user.
    pub(super) fn login_pointer(&self, hash: &TokenHash) -> String {
        self.in_shard(Shard::of_hash(hash), format_args!("to-login:{hash}"))
    }

    pub(super) fn user(&self, id: &UserId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("user:{id}"))
    }

    pub(super) fn user_epoch(&self, id: &UserId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("epoch-of-user:{id}"))
    }

    pub(super) fn user_logins(&self, id: &UserId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("logins-of-user:{id}"))
    }

    pub(super) fn user_grants(&self, id: &UserId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("grants-of-user:{id}"))
    }

    pub(super) fn consents(&self, id: &UserId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("consents-of-user:{id}"))
    }

    pub(super) fn login_epoch(&self, hash: &TokenHash) -> String {
        self.in_shard(Shard::of_hash(hash), format_args!("epoch-of-login:{hash}"))
    }

    pub(super) fn login_grants(&self, hash: &TokenHash) -> String {
        self.in_shard(Shard::of_hash(hash), format_args!("grants-of-login:{hash}"))
    }

    pub(super) fn client_grants(&self, id: &ClientId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("grants-of-client:{id}"))
    }

    pub(super) fn client(&self, id: &ClientId) -> String {
        self.among("clients", format_args!("client:{id}"))
    }

    pub(super) fn client_epoch(&self, id: &ClientId) -> String {
        self.among("clients", format_args!("epoch-of-client:{id}"))
    }

    /// The epoch of the whole store: beside the clients', so that both are read together.
    pub(super) fn everyones_epoch(&self) -> String {
        self.among("clients", "epoch")
    }

    pub(super) fn clients(&self) -> String {
        self.among("clients", "all")
    }

    pub(super) fn unused_clients(&self) -> String {
        self.among("clients", "unused")
    }

    /// The addresses that have unused clients, by how many.
    pub(super) fn unused_by_address(&self) -> String {
        self.among("clients", "unused-by-address")
    }

    /// The unused clients of each address, oldest first: `address time id`, in the order of the
    /// text.
    pub(super) fn unused_of_address(&self) -> String {
        self.among("clients", "unused-of-address")
    }

    /// The transactions that were begun from an address, by when.
    pub(super) fn begun_from(&self, address: &AddressTag) -> String {
        self.in_shard(
            Shard::of_text(address.as_str()),
            format_args!("begun-from:{}", address.as_str()),
        )
    }

    pub(super) fn pins(&self, server: &ServerName) -> String {
        self.among("pins", format_args!("pins:{server}"))
    }

    pub(super) fn pin_definitions(&self, server: &ServerName) -> String {
        self.among("pins", format_args!("definitions:{server}"))
    }

    pub(super) fn pinned_servers(&self) -> String {
        self.among("pins", "servers")
    }

    /// What is disabled of this group.
    pub(super) fn disabled(&self, group: DisabledGroup) -> DisabledKeys {
        let group = group.word();
        DisabledKeys {
            records: self.among("disabled", format_args!("disabled:{group}")),
            by_time: self.among("disabled", format_args!("by-time:{group}")),
        }
    }

    /// The user's home.
    pub(super) fn home(&self, id: &UserId) -> String {
        self.in_shard(Shard::of_text(id.as_str()), format_args!("home-of-user:{id}"))
    }

    /// The nodes by when they end, and next door their URLs.
    pub(super) fn nodes(&self) -> String {
        self.among("nodes", "alive")
    }

    pub(super) fn node_urls(&self) -> String {
        self.among("nodes", "urls")
    }

    /// How far the invalidations have come.
    pub(super) fn invalidations_revision(&self) -> String {
        self.among("bulletins", "mark")
    }

    /// The channel they are told on. Channels know no databases, so its name does.
    pub(super) fn invalidations(&self) -> String {
        self.among("bulletins", format_args!("database-{}", self.database))
    }

    /// The ids of the chains of the audit trail.
    pub(super) fn audit_chains(&self) -> String {
        self.among("audit", "chains")
    }

    /// How far a chain has come.
    pub(super) fn audit_head(&self, chain: &ChainId) -> String {
        self.in_shard(Shard::of_text(chain.as_str()), format_args!("audit-head:{chain}"))
    }

    /// Its records, a stream by their numbers.
    pub(super) fn audit_records(&self, chain: &ChainId) -> String {
        self.in_shard(Shard::of_text(chain.as_str()), format_args!("audit-records:{chain}"))
    }

    /// Is there while an import is under way, and after one that broke off.
    pub(super) fn unfinished_import(&self) -> String {
        self.meta("unfinished-import")
    }

    /// The ids of the clients that the configuration had.
    pub(super) fn configured_clients(&self) -> String {
        self.meta("configured-clients")
    }

    /// All keys of ours, for what looks for them: `*` may follow.
    pub(super) fn pattern(&self) -> String {
        format!("{}:{{", self.prefix)
    }

    /// The tag of a key of ours, and what follows it.
    pub(super) fn parse<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        key.strip_prefix(&self.prefix)?.strip_prefix(":{")?.split_once("}:")
    }

    /// Things about the store itself.
    pub(super) fn meta(&self, what: &str) -> String {
        self.among("meta", what)
    }
}

pub(super) fn transaction(id: &TransactionId) -> (Shard, Expiring) {
    (Shard::of_text(id.as_str()), Expiring::Transaction(id.to_string()))
}

pub(super) fn provider_request(state: &TokenHash) -> (Shard, Expiring) {
    (Shard::of_hash(state), Expiring::ProviderRequest(state.to_string()))
}

pub(super) fn code(hash: &TokenHash) -> (Shard, Expiring) {
    (Shard::of_hash(hash), Expiring::Code(hash.to_string()))
}

pub(super) fn assertion(key: &TokenHash) -> (Shard, Expiring) {
    (Shard::of_hash(key), Expiring::Assertion(key.to_string()))
}

pub(super) fn session(id: &TokenHash) -> (Shard, Expiring) {
    (Shard::of_hash(id), Expiring::Session(id.to_string()))
}

pub(super) fn task(id: &TokenHash) -> (Shard, Expiring) {
    (Shard::of_hash(id), Expiring::Task(id.to_string()))
}

pub(super) fn provider_token(id: &TokenHash) -> (Shard, Expiring) {
    (Shard::of_hash(id), Expiring::ProviderToken(id.to_string()))
}

pub(super) fn login(hash: &TokenHash, user: &UserId) -> (Shard, Expiring) {
    (Shard::of_text(user.as_str()), Expiring::Login(hash.to_string(), user.to_string()))
}
