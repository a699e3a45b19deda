//! One MCP server as the configuration describes it, with the declaration of its settings. How it
//! is reached lives in `upstream`; how an entry of `mcp.json` is read, in the gateway's `config`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use http::HeaderName;
use portunus_core::{
    ids::ServerName,
    pins::PINNING,
    secret::SecretText,
    settings,
    settings::{Choice, ValueType, choice, seconds},
};
use url::Url;

use crate::{
    era::Era,
    sandbox::{CONFINE, Sandbox},
};

/// The values of `type`.
pub const TYPES: &[&str] = &["stdio", "http", "streamable-http", "sse"];

/// The longest timeout, in seconds.
const DAY: u64 = 86_400;

const ERAS: Choice<Era> = choice(&["legacy", "modern"], &[Era::Legacy, Era::Modern]);

const ISOLATIONS: Choice<Isolation> = choice(
    &["user", "shared", "session"],
    &[Isolation::User, Isolation::Shared, Isolation::Session],
);

settings! {
    /// An MCP server behind the gateway: an entry of `mcp.json`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ServerSpec: "An MCP server: a program to start (`command`), or an address (`url`)",
        one_of(&["command", "url"])
    {
        given {
            name: ServerName,
            transport: Transport,
        }

        key command: ValueType::Text,
            "The program to start; it speaks MCP on standard input and output. No shell is involved";
        key args: ValueType::List(&ValueType::Text), "Its arguments";
        key env: ValueType::Map(&ValueType::Personal),
            "Its environment, beside PATH, HOME and a few others. `${user.sub}` and `${user.email}` are the person whose process it is",
            details("Nothing else of the gateway's environment reaches it; see below");
        key cwd: ValueType::Text, "The directory it is started in";
        key run_as: ValueType::Text,
            "The user it runs as: user or user:group, by names or numbers. The gateway needs the right to change users",
            default("the gateway's own"),
            details("See [What a server may do](#what-a-server-may-do)");
        key confine: ValueType::Section(&CONFINE),
            "A Landlock sandbox: beside the system's programs and libraries it may open what is named here, and nothing else",
            details("`read`, `write`, `connect`: the same");
        key confine_if_possible: ValueType::Flag,
            "On a kernel that cannot do all that `confine` asks for: start it with what the kernel can do, with a warning",
            default("false, an error");
        key url: ValueType::Text, "The address of a server that speaks HTTP";
        key type: ValueType::Choice(TYPES),
            "With url: http (Streamable HTTP, the default) or sse. With command: stdio",
            details("`http` and `streamable-http` are the same; `sse` is HTTP+SSE");
        key headers: ValueType::Map(&ValueType::Secret),
            "Headers to send with every request to the url",
            details("`Authorization`, for example");
        key disabled: ValueType::Flag, "Leave this server out",
            details("Its entry is checked all the same");

        isolation: Isolation = "user", ISOLATIONS,
            "Who shares a connection to it. Default: {default}, one for each user",
            details("See [below](#isolation)");
        /// The one that it speaks; `None`: that is found out.
        era: Option<Era> = "that is found out and remembered", ERAS.optional(),
            "How it is greeted: legacy by `initialize`, modern by `server/discover` (MCP 2026-07-28)",
            details("`legacy` are revisions up to 2025-11-25. What is found out is so on behalf of each client in its own era first; a server that ends or falls silent at a first message it does not know is started once more without it");
        key pinning: PINNING.value_type(), "What happens to its tools when they change",
            default("that of config.yaml"),
            details("See [Tools that change](#tools-that-change)");
        /// How long a request may take before its caller gets an error.
        request_timeout: Duration = "300", seconds(DAY), "Seconds a request may take";
        /// How long connecting and the handshake may take together.
        connect_timeout: Duration = "60", seconds(DAY),
            "Seconds that starting or connecting may take";
        /// A connection that was not used for this long is closed, its child ended.
        idle_timeout: Duration = "600", seconds(DAY),
            "Seconds after which an unused connection is closed",
            details("Its process is ended");
    }
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
