//! One MCP server as the configuration describes it. How it is reached lives in `upstream`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use http::HeaderName;
use portunus_core::{ids::ServerName, secret::SecretText};
use url::Url;

use crate::{era::Era, sandbox::Sandbox};

/// An MCP server behind the gateway: an entry of `mcp.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    pub name: ServerName,
    pub transport: Transport,
    pub isolation: Isolation,
    /// The one that it speaks; `None`: that is found out.
    pub era: Option<Era>,
    /// How long a request may take before its caller gets an error.
    pub request_timeout: Duration,
    /// How long connecting and the handshake may take together.
    pub connect_timeout: Duration,
    /// A connection that was not used for this long is closed, its child ended.
    pub idle_timeout: Duration,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A child process: argv only, never a shell (threat 43).
    Stdio {
        command: String,
        args: Vec<String>,
        /// The server's own variables, added to a short allow-list (threat 44).
        env: BTreeMap<String, EnvValue>,
        cwd: Option<PathBuf>,
        sandbox: Sandbox,
    },
    /// Streamable HTTP.
    Http { url: Url, headers: Vec<(HeaderName, SecretText)> },
    /// The HTTP+SSE transport of revision 2024-11-05.
    Sse { url: Url, headers: Vec<(HeaderName, SecretText)> },
}

/// The value of a child's variable: text, and what is filled in of the person whose child it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvValue(pub Vec<EnvPart>);

/// A piece of an [`EnvValue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvPart {
    Text(SecretText),
    /// `${user.sub}`: the subject, as the identity provider calls the person.
    Subject,
    /// `${user.email}`: the e-mail address that the identity provider vouches for.
    Email,
}

impl ServerSpec {
    /// Can a message that names no call arrive after the answer of the call that it is about? On
    /// Streamable HTTP it comes on another stream than the answer; elsewhere both come on one, in
    /// order.
    pub fn speaks_late(&self) -> bool {
        matches!(self.transport, Transport::Http { .. })
    }

    /// The era that the server is met in, if it has it, on behalf of a client of this era.
    pub fn era_for(&self, client: Era) -> Era {
        match (&self.transport, self.era) {
            // That transport belongs to a legacy revision.
            (Transport::Sse { .. }, _) => Era::Legacy,
            (_, Some(era)) => era,
            // One process for all users, whatever they speak.
            _ if self.is_shared_child() => Era::Modern,
            _ => client,
        }
    }

    /// One child for all users: among several nodes it runs on one of them.
    pub fn is_shared_child(&self) -> bool {
        self.isolation == Isolation::Shared && matches!(self.transport, Transport::Stdio { .. })
    }
}

impl EnvValue {
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![EnvPart::Text(SecretText::new(text))])
    }

    /// Does it say something else for each person?
    pub fn is_personal(&self) -> bool {
        self.0.iter().any(|part| !matches!(part, EnvPart::Text(_)))
    }
}

/// Who shares one connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// All users.
    Shared,
    /// One for each user: the default.
    #[default]
    User,
    /// One for each session.
    Session,
}
