//! What is recorded: a closed set. Nothing here holds a token, a secret, an argument of a call or
//! anything of an answer; texts that strangers choose are cut by [`super::entry`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::position::{ChainId, Position, RecordHash};
use crate::{clock::Timestamp, pins::PinKind};

/// What happened. Its name in a record is the member `event`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A process writes this chain from here on. `beside` are the newest positions of other chains
    /// then: one that disappears as a whole is missed by them.
    Started {
        version: String,
        beside: Vec<Position>,
    },
    /// It ended in order.
    Stopped,
    /// The chain had come so far: a signature over the position of the record before this one.
    Checkpoint {
        through: u64,
        hash: RecordHash,
        key: String,
        signature: String,
    },
    /// Records of a chain up to this one were deleted: they were older than `audit.keep`.
    Expired {
        of: ChainId,
        through: u64,
    },
    /// There was no room for so many events.
    Dropped {
        count: u64,
    },
    /// A target beside the store never got so many records: they were deleted before it took them,
    /// or it refused them.
    NotSent {
        target: String,
        count: u64,
    },
    /// The clock was set ahead by so many seconds, or back. Nothing is deleted for its age for a
    /// while then.
    ClockChanged {
        seconds: i64,
    },

    SignedIn {
        provider: String,
    },
    SignedOut {
        provider: String,
    },
    /// A request was not let through, a person not admitted, a client refused.
    Refused {
        reason: RefusalReason,
        /// What it was about: a resource, a provider, scopes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<String>,
    },
    ClientRegistered {
        name: String,
    },
    /// By its own hand (RFC 7592).
    ClientChanged {
        name: String,
    },
    ClientDeleted,
    ConsentGiven {
        scopes: String,
        resources: String,
    },
    /// The grant ends with it.
    ConsentWithdrawn {
        grant: String,
    },
    CodeRedeemed {
        grant: String,
        scopes: String,
        resources: String,
    },
    /// A second use of a code; its grant is revoked.
    CodeReused {
        grant: String,
    },
    /// A client of the configuration got a token for itself.
    ClientTokenIssued {
        grant: String,
        scopes: String,
        resources: String,
    },
    /// An agent key was made; its id and its owner's are the record's.
    KeyCreated {
        name: String,
        scopes: String,
        resources: String,
        expires_at: Timestamp,
    },
    /// By its owner or an administrator.
    KeyRevoked,
    TokenRefreshed {
        grant: String,
        /// The refresh token had been used before, within its grace.
        again: bool,
    },
    /// A refresh token was used again where or when it may not be; its grant is revoked.
    RefreshReused {
        grant: String,
    },
    /// By the client (RFC 7009). Without a grant: one access token alone.
    TokenRevoked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<String>,
    },

    /// The provider says of a person that they are in other groups than before.
    GroupsChanged {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<String>,
        /// Groups that changed and are not named here, for their number.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: u64,
    },
    /// The groups of a person could not be read anew: what was known of them goes on to count for
    /// a while.
    GroupsNotRead {
        why: String,
    },
    /// The provider does not know the person's sign-in any more: their grants and logins are
    /// ended.
    EndedByProvider {
        provider: String,
        why: String,
        grants: u64,
    },

    Call(Call),

    ConfigurationReloaded {
        changes: String,
    },
    ConfigurationRefused {
        why: String,
    },
    /// An administrator let a tool out of quarantine.
    PinApproved {
        /// Records of before prompts and others were pinned have none.
        #[serde(default)]
        kind: PinKind,
        server: String,
        /// The server's own; of its instructions, nothing.
        #[serde(alias = "tool")]
        name: String,
        fingerprint: String,
    },
    /// An administrator disabled this; it was so before if `again`. What it had has ended: so many
    /// grants, logins, sessions and tasks.
    Disabled {
        kind: String,
        what: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        again: bool,
        grants: u64,
        logins: u64,
        sessions: u64,
        tasks: u64,
    },
    /// An administrator lifted it.
    Enabled {
        kind: String,
        what: String,
    },
    /// What an administrator did at the command line.
    Command {
        command: String,
        about: String,
    },
}

/// A call of a tool, a prompt, a resource read, or a request on a proxied route: one record for
/// each, when it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub kind: CallKind,
    /// `None`: no server has what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Of the tool or prompt, as its server calls it; of a resource its URI without the query; of a
    /// proxied request its method.
    pub name: String,
    pub outcome: CallOutcome,
    /// The error's code (JSON-RPC), or the HTTP status of a proxied request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    pub ms: u64,
    /// Of the parameters, and of the result or error.
    pub request_bytes: u64,
    pub answer_bytes: u64,
    /// Of calls that a limit refused: for how many this record stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Of one that passed: the access rules in shadow that would have refused it, or that no rule
    /// would have allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_refuse: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    Tool,
    Prompt,
    Resource,
    Proxy,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    Ok,
    /// A result that says of itself that it is an error (MCP, `isError`).
    ToolError,
    /// The server answered with an error.
    ServerError,
    /// The server could not be asked, or did not answer.
    Unavailable,
    /// The token's scopes do not cover it.
    InsufficientScope,
    /// A rule about who may use what does not allow it.
    PolicyRefused,
    /// An administrator disabled the server or the tool.
    Disabled,
    /// The gateway refused it: there is no such thing, it is in quarantine, it cannot be read.
    Refused,
    /// A limit of the configuration was met.
    Limited,
    Cancelled,
}

impl CallOutcome {
    /// Did the gateway let it go on to its server?
    pub const fn has_passed(self) -> bool {
        match self {
            Self::Ok
            | Self::ToolError
            | Self::ServerError
            | Self::Unavailable
            | Self::Cancelled => true,
            Self::InsufficientScope
            | Self::PolicyRefused
            | Self::Disabled
            | Self::Refused
            | Self::Limited => false,
        }
    }
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// There was a token, and it is unknown, expired or revoked.
    UnknownToken,
    /// The token is for another resource.
    WrongResource,
    /// The header cannot be read, or the token came in the query.
    MalformedToken,
    InsufficientScope,
    /// An agent key is live, but what is known of its owner is too old to be believed.
    OwnerMustSignIn,
    /// A rule about who may use what does not allow the server, or the proxied path.
    PolicyRefused,
    /// An administrator disabled the person, the client, the server or the proxied path.
    Disabled,
    SignInNotAllowed,
    /// The provider could not be asked what the rules about sign-in depend on.
    SignInNotChecked,
    SignInFailed,
    ConsentDenied,
    RegistrationRefused,
    /// The client could not prove itself, or what it presented is not good.
    TokenRequestRefused,
}

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As it stands in records, and in filters.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words!(CallKind { Tool => "tool", Prompt => "prompt", Resource => "resource", Proxy => "proxy" });
words!(CallOutcome {
    Ok => "ok",
    ToolError => "tool_error",
    ServerError => "server_error",
    Unavailable => "unavailable",
    InsufficientScope => "insufficient_scope",
    PolicyRefused => "policy_refused",
    Disabled => "disabled",
    Refused => "refused",
    Limited => "limited",
    Cancelled => "cancelled",
});
words!(RefusalReason {
    OwnerMustSignIn => "owner_must_sign_in",
    UnknownToken => "unknown_token",
    WrongResource => "wrong_resource",
    MalformedToken => "malformed_token",
    InsufficientScope => "insufficient_scope",
    PolicyRefused => "policy_refused",
    Disabled => "disabled",
    SignInNotAllowed => "sign_in_not_allowed",
    SignInNotChecked => "sign_in_not_checked",
    SignInFailed => "sign_in_failed",
    ConsentDenied => "consent_denied",
    RegistrationRefused => "registration_refused",
    TokenRequestRefused => "token_request_refused",
});

macro_rules! event_words {
    ($($pattern:pat => $word:literal),+ $(,)?) => {
        impl Event {
            /// What [`Self::word`] may be.
            pub const WORDS: &[&'static str] = &[$($word),+];

            /// As it stands in records, and in filters.
            pub const fn word(&self) -> &'static str {
                match self { $($pattern => $word),+ }
            }
        }
    };
}

event_words! {
    Event::Started { .. } => "started",
    Event::Stopped => "stopped",
    Event::Checkpoint { .. } => "checkpoint",
    Event::Expired { .. } => "expired",
    Event::Dropped { .. } => "dropped",
    Event::NotSent { .. } => "not_sent",
    Event::ClockChanged { .. } => "clock_changed",
    Event::SignedIn { .. } => "signed_in",
    Event::SignedOut { .. } => "signed_out",
    Event::Refused { .. } => "refused",
    Event::ClientRegistered { .. } => "client_registered",
    Event::ClientChanged { .. } => "client_changed",
    Event::ClientDeleted => "client_deleted",
    Event::ConsentGiven { .. } => "consent_given",
    Event::ConsentWithdrawn { .. } => "consent_withdrawn",
    Event::CodeRedeemed { .. } => "code_redeemed",
    Event::CodeReused { .. } => "code_reused",
    Event::ClientTokenIssued { .. } => "client_token_issued",
    Event::KeyCreated { .. } => "key_created",
    Event::KeyRevoked => "key_revoked",
    Event::TokenRefreshed { .. } => "token_refreshed",
    Event::RefreshReused { .. } => "refresh_reused",
    Event::TokenRevoked { .. } => "token_revoked",
    Event::GroupsChanged { .. } => "groups_changed",
    Event::GroupsNotRead { .. } => "groups_not_read",
    Event::EndedByProvider { .. } => "ended_by_provider",
    Event::Call(_) => "call",
    Event::ConfigurationReloaded { .. } => "configuration_reloaded",
    Event::ConfigurationRefused { .. } => "configuration_refused",
    Event::PinApproved { .. } => "pin_approved",
    Event::Disabled { .. } => "disabled",
    Event::Enabled { .. } => "enabled",
    Event::Command { .. } => "command",
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Groups that one record names, of those added and of those removed.
const MOST_GROUPS: usize = 20;

impl Event {
    /// What changed between the groups of a person then and now; `None` if nothing did.
    pub fn groups_changed(then: &[String], now: &[String]) -> Option<Self> {
        let missing = |of: &[String], among: &[String]| -> Vec<String> {
            let known: BTreeSet<&String> = among.iter().collect();
            of.iter().filter(|group| !known.contains(group)).cloned().collect()
        };
        let (mut added, mut removed) = (missing(now, then), missing(then, now));
        let all = added.len() + removed.len();
        added.truncate(MOST_GROUPS);
        removed.truncate(MOST_GROUPS);
        let more = (all - added.len() - removed.len()) as u64;
        (all > 0).then_some(Self::GroupsChanged { added, removed, more })
    }

    /// How it ended, for those that end in one way or another.
    pub const fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Refused { reason, .. } => Some(reason.word()),
            Self::Call(call) => Some(call.outcome.word()),
            _ => None,
        }
    }

    /// The texts that others than the gateway choose.
    pub(super) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Refused { about, .. } => about.iter_mut().collect(),
            Self::ClientRegistered { name }
            | Self::ClientChanged { name }
            | Self::PinApproved { name, .. } => vec![name],
            Self::ConsentGiven { scopes, resources }
            | Self::CodeRedeemed { scopes, resources, .. }
            | Self::ClientTokenIssued { scopes, resources, .. } => vec![scopes, resources],
            Self::KeyCreated { name, scopes, resources, .. } => vec![name, scopes, resources],
            Self::GroupsChanged { added, removed, .. } => added.iter_mut().chain(removed).collect(),
            Self::Call(call) => {
                [&mut call.name].into_iter().chain(&mut call.would_refuse).collect()
            }
            Self::ConfigurationReloaded { changes } => vec![changes],
            Self::Disabled { what, reason, .. } => {
                std::iter::once(what).chain(reason.as_mut()).collect()
            }
            Self::Enabled { what, .. } => vec![what],
            Self::ConfigurationRefused { why }
            | Self::GroupsNotRead { why }
            | Self::EndedByProvider { why, .. } => vec![why],
            Self::Command { about, .. } => vec![about],
            _ => Vec::new(),
        }
    }
}
