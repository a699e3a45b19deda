//! A client of one era, built with the official SDK, that goes through a named exercise: here is how it connects; what it does is
//! in [`exercises`] and [`listening`], how it answers what a server asks of it in [`answering`]. The program around it is `era-client`.

mod answering;
mod exercises;
mod listening;

use std::{error::Error, fmt, str::FromStr, time::Duration};

use rmcp::{
    RoleClient,
    model::{JsonObject, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt, RunningService},
    transport::{IntoTransport, StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

use answering::{Answering, Heard};
pub use exercises::Script;

/// The era of a client. It speaks no other: one that does not find a server of its era fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEra {
    /// 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl ClientEra {
    fn version(self) -> ProtocolVersion {
        match self {
            Self::Legacy => ProtocolVersion::V_2025_11_25,
            Self::Modern => ProtocolVersion::V_2026_07_28,
        }
    }

    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Legacy => ClientLifecycleMode::Initialize,
            Self::Modern => ClientLifecycleMode::Discover { preferred_versions: vec![self.version()] },
        }
    }
}

impl FromStr for ClientEra {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "legacy" => Ok(Self::Legacy),
            "modern" => Ok(Self::Modern),
            other => Err(format!("{other:?} is no era: expected legacy or modern")),
        }
    }
}

impl fmt::Display for ClientEra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        })
    }
}

/// What to do, and with what. Where a tool, its arguments or a URI are missing, the exercise takes those of the conformance
/// server.
#[derive(Clone, Debug)]
pub struct Exercise {
    pub script: Script,
    pub tool: Option<String>,
    pub arguments: Option<JsonObject>,
    /// The resource to subscribe to.
    pub uri: Option<String>,
    /// The level from which on log messages are wanted.
    pub level: Option<String>,
    /// The arguments of a call that logs below that level.
    pub unheard: Option<JsonObject>,
    /// The tool to call after one has failed.
    pub next: Option<String>,
}

impl Exercise {
    pub fn new(script: Script) -> Self {
        Self { script, tool: None, arguments: None, uri: None, level: None, unheard: None, next: None }
    }
}

/// What went wrong, in words.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How long an exercise may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connected client.
struct Client {
    era: ClientEra,
    running: RunningService<RoleClient, Answering>,
    heard: Heard,
}

/// Goes through an exercise at a server that speaks Streamable HTTP; what came of it, as a JSON object.
pub async fn exercise_at(url: &str, token: Option<&str>, era: ClientEra, exercise: &Exercise) -> Result<Value, Failure> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    #[expect(clippy::disallowed_methods, reason = "test-only: a client from outside brings its own HTTP client")]
    let http = reqwest::Client::builder().no_proxy().build()?;
    exercise_over(StreamableHttpClientTransport::with_client(http, config), era, exercise).await
}

/// The same over any connection, such as the pipes of a child process.
pub async fn exercise_over<T, E, A>(connection: T, era: ClientEra, exercise: &Exercise) -> Result<Value, Failure>
where
    T: IntoTransport<RoleClient, E, A>,
    E: Error + Send + Sync + 'static,
{
    let whole = async {
        let (answering, heard) = Answering::new(&era.version(), exercise.script != Script::AskInVain);
        let running = answering.serve_with_lifecycle(connection, era.lifecycle()).await?;
        let version = running.peer_info().map(|info| info.protocol_version.clone());
        if version.as_ref() != Some(&era.version()) {
            return Err(format!("wanted {}, got {version:?}", era.version()).into());
        }
        let mut client = Client { era, running, heard };
        let outcome = exercises::run(&mut client, exercise).await;
        // Whatever came of it, the session is given back.
        client.running.close_with_timeout(Duration::from_secs(2)).await?;
        outcome
    };
    let outcome = tokio::time::timeout(PATIENCE, whole).await;
    let mut outcome = outcome.map_err(|_| format!("not done after {} seconds", PATIENCE.as_secs()))??;
    outcome["version"] = json!(era.version());
    Ok(outcome)
}
