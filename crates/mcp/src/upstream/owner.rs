//! Whom a connection is for, whom it belongs to, and whose call is made on it. Connections are next
//! door, in [`super::connection`]; the pool that has one for each key, in [`super::pool`].

use std::{collections::BTreeMap, fmt, sync::Arc};

use portunus_core::{
    ids::{ClientId, ServerName, UserId},
    secret::SecretText,
};

use super::error::UpstreamError;
use crate::{
    client_capabilities::ClientCapabilities,
    era::Era,
    spec::{EnvPart, EnvValue, Isolation, ServerSpec, Transport},
};

/// The person, client and session that want a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionUser {
    pub user: UserId,
    /// The application: the OAuth client.
    pub client: ClientId,
    /// The session of a legacy client. A modern client has none.
    pub session: Option<String>,
    /// What is declared to the server on the client's behalf.
    pub client_capabilities: ClientCapabilities,
    /// The person, for the variables of a child of their own.
    pub person: Person,
    /// Which of the client's connections: see [`ConnectionKey::lane`].
    pub lane: u8,
    /// The era that the client speaks.
    pub era: Era,
}

/// What a server's configured variables may contain of the person it works for.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Person {
    /// The subject, as the identity provider calls the person.
    pub subject: String,
    /// The e-mail address, if the provider vouches for it.
    pub email: Option<String>,
}

impl Person {
    /// Fills in the person in the variables of a child.
    ///
    /// A value reaches no shell and is not expanded again. A person without an e-mail address gets
    /// no child whose variables contain one: an empty address could stand for any person.
    pub(super) fn fill_in(
        &self,
        env: &BTreeMap<String, EnvValue>,
    ) -> Result<BTreeMap<String, SecretText>, UpstreamError> {
        let part = |part: &EnvPart| match part {
            EnvPart::Text(text) => Some(text.expose().to_owned()),
            EnvPart::Subject => Some(self.subject.clone()),
            EnvPart::Email => self.email.clone(),
        };
        let fill = |(name, EnvValue(parts)): (&String, &EnvValue)| {
            let text: Option<String> = parts.iter().map(part).collect();
            let text = text.ok_or_else(|| UpstreamError::Spawn {
                detail: format!(
                    "`{name}` in `env` has ${{user.email}}, and the provider vouches for no e-mail address of this person"
                ),
            })?;
            Ok((name.clone(), SecretText::new(text)))
        };
        env.iter().map(fill).collect()
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person")
    }
}

/// The identity of a connection: the pool has one connection for each key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    pub server: ServerName,
    pub owner: Owner,
    /// The client capabilities that the server was told of.
    pub client_capabilities: ClientCapabilities,
    /// Where a server's questions do not name their call, concurrent calls of a modern client have
    /// a connection each, from 0 on. All other connections are lane 0.
    pub lane: u8,
    /// The era that the callers speak. A server of both eras is spoken to in this one: it may offer
    /// something in one era alone (FB41).
    pub era: Era,
}

impl ConnectionKey {
    /// The key of the connection that `connection_user` shares or owns.
    ///
    /// Most messages of a server do not name the call that they are about, so a connection belongs
    /// to one person and one client (threat 49). If that client can be asked anything, it belongs
    /// to one of its sessions: a question that names no call is for that session. A connection that
    /// all users share, on a transport where no message names its call, declares no client
    /// capabilities.
    pub fn of(spec: &ServerSpec, connection_user: &ConnectionUser) -> Self {
        let is_apart = spec.isolation == Isolation::Session
            || connection_user.client_capabilities.can_be_asked();
        let owner = match (spec.isolation, &connection_user.session) {
            (Isolation::Shared, _) => Owner::AllUsers,
            (_, Some(session)) if is_apart => Owner::Session(
                connection_user.user.clone(),
                connection_user.client.clone(),
                session.clone(),
            ),
            _ => Owner::Client(connection_user.user.clone(), connection_user.client.clone()),
        };
        let is_shared = owner == Owner::AllUsers;
        let is_unnamed = is_shared && !matches!(spec.transport, Transport::Http { .. });
        let client_capabilities = if is_unnamed {
            ClientCapabilities::default()
        } else {
            connection_user.client_capabilities.clone()
        };
        let lane = if is_shared { 0 } else { connection_user.lane };
        Self {
            server: spec.name.clone(),
            owner,
            client_capabilities,
            lane,
            era: spec.era_for(connection_user.era),
        }
    }
}

/// Whom a connection belongs to: all users together, or one person with one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    AllUsers,
    Client(UserId, ClientId),
    /// One session of the client.
    Session(UserId, ClientId, String),
}

impl Owner {
    /// The person; `None` for a connection that all users share.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::AllUsers => None,
            Self::Client(user, _) | Self::Session(user, ..) => Some(user),
        }
    }

    /// The client; `None` for a connection that all users share.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::AllUsers => None,
            Self::Client(_, client) | Self::Session(_, client, _) => Some(client),
        }
    }
}

/// Which connections end: those that are this user's or this client's alone, or all to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    User(UserId),
    Client(ClientId),
    Server(ServerName),
}

impl Ending {
    pub(super) fn concerns(&self, key: &ConnectionKey) -> bool {
        match self {
            Self::User(user) => key.owner.user() == Some(user),
            Self::Client(client) => {
                key.owner.client().is_some_and(|owner| owner.is_meant_by(client))
            }
            Self::Server(server) => key.server == *server,
        }
    }
}

/// On whose behalf a call is made. A message that names no call goes to the only origin that it
/// can be about, or to none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CallOrigin {
    /// The gateway itself, not a client.
    #[default]
    Gateway,
    /// A session of a legacy client.
    Session(Arc<str>),
    /// One request of a modern client. Each request is an origin of its own.
    Request,
}
