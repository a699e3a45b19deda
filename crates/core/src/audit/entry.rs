//! One event with who, from where and when: [`Entry`] as it happens, [`AuditRecord`] as it is read.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{event::Event, position::ChainId};
use crate::{
    clock::Timestamp,
    ids::{AGENT_KEY, GrantId, UserId},
    principal::{Principal, User},
};

/// Bytes of a text that strangers choose: what is longer is cut.
const LONGEST: usize = 256;

/// Who, as far as it is known then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The OAuth client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The agent key that was used, or that it is about, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_key: Option<String>,
    /// Of the machine: who ran a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Person {
    pub fn user(user: &User) -> Self {
        Self {
            user: Some(user.id.as_str().to_owned()),
            subject: Some(user.subject.clone()),
            email: user.email.clone(),
            ..Self::default()
        }
    }

    /// Of whom nothing but the id is at hand.
    pub fn user_id(user: &UserId) -> Self {
        Self { user: Some(user.as_str().to_owned()), ..Self::default() }
    }

    pub fn client(client: impl Into<String>) -> Self {
        Self { client: Some(client.into()), ..Self::default() }
    }

    #[must_use]
    pub fn with_client(self, client: impl Into<String>) -> Self {
        Self { client: Some(client.into()), ..self }
    }

    /// The owner of this agent key.
    #[must_use]
    pub fn with_key(self, key: &GrantId) -> Self {
        Self { agent_key: Some(key.to_string()), ..self.with_client(AGENT_KEY) }
    }
}

impl From<&Principal> for Person {
    fn from(principal: &Principal) -> Self {
        Self {
            user: Some(principal.user.as_str().to_owned()),
            subject: Some(principal.subject.clone()),
            email: principal.email.clone(),
            client: Some(principal.client.named().to_owned()),
            agent_key: principal.client.key().map(str::to_owned),
            account: None,
        }
    }
}

/// Which request it was, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// An event that has no place in a chain yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub person: Person,
    pub origin: Origin,
    pub event: Event,
}

impl Entry {
    /// About how much of the memory it takes, in bytes.
    pub fn size(&mut self) -> usize {
        let Person { user, subject, email, client, agent_key, account } = &self.person;
        let texts = [user, subject, email, client, agent_key, account, &self.origin.request_id];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let own: usize = self.event.texts().into_iter().map(|text| text.len()).sum();
        size_of::<Self>() + texts + own
    }

    /// Cuts what is too long, so that no stranger makes a record large.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let Person { user, subject, email, client, agent_key, account } = &mut self.person;
        let own = [user, subject, email, client, agent_key, account].into_iter().flatten();
        for text in own.chain(self.event.texts()) {
            // What is cut off gives back its memory too.
            if text.capacity() > LONGEST {
                *text = shortened(text);
            }
        }
        self
    }
}

/// A copy of the text as far as a record has it. Cut once more it stays as it is.
pub fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
    [&text[..end.unwrap_or_default()], "…"].concat()
}

/// A record as its text says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    pub chain: ChainId,
    pub seq: u64,
    pub at: Timestamp,
    /// The process that wrote it.
    pub node: String,
    #[serde(flatten)]
    pub person: Person,
    #[serde(flatten)]
    pub origin: Origin,
    #[serde(flatten)]
    pub event: Event,
}
