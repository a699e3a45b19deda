//! What the tests of upstream servers share: specs of fixture servers, pools, calls.
#![expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its own part, and may stop where it stands"
)]

pub(crate) mod nodes;
pub(crate) mod scripted;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use portunus_core::{
    ids::{ClientId, ServerName, UserId},
    secret::SecretText,
};
use portunus_mcp::{
    client_capabilities::ClientCapabilities,
    era::Era,
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
    upstream::{
        Call, Connection, ConnectionUser, HttpClient, Options, Person, UpstreamError, Upstreams,
    },
    wire::{Outcome, Payload},
};
use portunus_testkit::mcp_servers::fixture_binary;
#[allow(unused_imports, reason = "each test file uses its own part")]
pub(crate) use portunus_testkit::wait::eventually;
use serde_json::{Value, json};
use url::Url;

/// Longer than anything here takes on the busiest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

pub(crate) fn spec(server: &str, transport: Transport) -> ServerSpec {
    ServerSpec {
        isolation: Isolation::Shared,
        request_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        idle_timeout: Duration::from_secs(600),
        ..ServerSpec::with_defaults(name(server), transport)
    }
}

pub(crate) fn program(command: &str, args: &[&str]) -> Transport {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    Transport::Stdio {
        command: command.to_owned(),
        args,
        env: BTreeMap::new(),
        cwd: None,
        sandbox: Sandbox::default(),
    }
}

pub(crate) fn fixture() -> ServerSpec {
    spec("fixture", program(fixture_binary().to_str().unwrap(), &["--stdio"]))
}

pub(crate) fn http(url: &Url) -> ServerSpec {
    let headers = vec![(http::HeaderName::from_static("x-key"), SecretText::new("the-key"))];
    spec("fixture", Transport::Http { url: url.clone(), headers })
}

#[expect(clippy::disallowed_methods, reason = "tests make their own client")]
pub(crate) fn client() -> HttpClient {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let tls = HttpsConnectorBuilder::new().with_provider_and_platform_verifier(provider).unwrap();
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(tls.https_or_http().enable_http1().build())
}

pub(crate) fn quick() -> Options {
    Options { close_grace: Duration::from_millis(500), ..Options::default() }
}

pub(crate) fn pool(spec: ServerSpec) -> Arc<Upstreams> {
    pool_with(spec, quick())
}

pub(crate) fn pool_with(spec: ServerSpec, options: Options) -> Arc<Upstreams> {
    Arc::new(Upstreams::new(vec![spec], client(), options))
}

pub(crate) fn connection_user(user: &str, session: &str) -> ConnectionUser {
    ConnectionUser {
        user: UserId::of("https://issuer.example", user),
        client: ClientId::from_text("ptn_client_test"),
        session: Some(session.to_owned()),
        client_capabilities: ClientCapabilities::default(),
        person: Person::default(),
        lane: 0,
        era: Era::Legacy,
    }
}

pub(crate) async fn connect(pool: &Upstreams) -> Result<Arc<Connection>, UpstreamError> {
    pool.connection(&name("fixture"), &connection_user("ada", "1")).await
}

/// Makes a request on the client's connection; once more on a new one if the server has forgotten
/// the session, as the hub does.
pub(crate) async fn request(
    pool: &Upstreams,
    connection_user: &ConnectionUser,
    method: &str,
    params: Option<Payload>,
) -> Result<Outcome, UpstreamError> {
    let ask = async || {
        pool.connection(&name("fixture"), connection_user)
            .await?
            .request(method, params.clone(), Call::default())
            .await
    };
    match ask().await {
        Err(UpstreamError::SessionExpired) => ask().await,
        answer => answer,
    }
}

pub(crate) fn payload(value: &Value) -> Payload {
    Payload::from_value(value)
}

pub(crate) fn tool(tool: &str, arguments: &Value) -> Payload {
    payload(&json!({"name": tool, "arguments": arguments}))
}

pub(crate) async fn try_call(
    connection: &Connection,
    name: &str,
    arguments: Value,
) -> Result<Value, UpstreamError> {
    match connection.request("tools/call", Some(tool(name, &arguments)), Call::default()).await? {
        Outcome::Result(result) | Outcome::Error(result) => Ok(result.read().unwrap()),
    }
}

/// The text that a tool answers with.
pub(crate) async fn call(connection: &Connection, name: &str, arguments: Value) -> String {
    let result = try_call(connection, name, arguments).await.unwrap();
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {result}"))
        .to_owned()
}

/// Is there such a process, not counting dead ones that were not waited for?
pub(crate) fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
