//! A client of one era, built with the official SDK, that goes through a named exercise: here is
//! how it connects; what it does is in [`exercises`] and [`listening`], how it answers what a
//! server asks of it in [`answering`], and what an exercise is called in [`script`]. The program
//! around it is `era-client`.

mod answering;
mod calls;
mod client;
mod exercises;
mod listening;
mod script;

use std::{error::Error, time::Duration};

use rmcp::{
    RoleClient,
    service::ClientServiceExt,
    transport::{
        IntoTransport, StreamableHttpClientTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

pub use client::{ClientEra, Failure};
pub use script::{Exercise, Script};

use answering::Answering;
use client::Client;

/// How long an exercise may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes through an exercise at a server that speaks Streamable HTTP; what came of it, as a JSON
/// object.
pub async fn exercise_at(
    url: &str,
    token: Option<&str>,
    era: ClientEra,
    exercise: &Exercise,
) -> Result<Value, Failure> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "test-only: a client from outside brings its own HTTP client"
    )]
    let http = reqwest::Client::builder().no_proxy().build()?;
    exercise_over(StreamableHttpClientTransport::with_client(http, config), era, exercise).await
}

/// The same over any connection, such as the pipes of a child process.
pub async fn exercise_over<T, E, A>(
    connection: T,
    era: ClientEra,
    exercise: &Exercise,
) -> Result<Value, Failure>
where
    T: IntoTransport<RoleClient, E, A>,
    E: Error + Send + Sync + 'static,
{
    let whole = async {
        let (answering, heard) =
            Answering::new(&era.version(), exercise.script != Script::AskInVain);
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
    let mut outcome =
        outcome.map_err(|_| format!("not done after {} seconds", PATIENCE.as_secs()))??;
    outcome["version"] = json!(era.version());
    Ok(outcome)
}
