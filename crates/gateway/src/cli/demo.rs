//! `portunus demo`: the real gateway with a built-in sign-in page and two built-in MCP servers, on
//! loopback only.

use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use portunus_core::{
    Clock, Entropy,
    clock::SystemClock,
    ids::ServerName,
    oauth::registration_policy::RegistrationPolicy,
    resource::PublicUrl,
    secret::{SecretText, TokenKind, TokenSecret},
};
use portunus_identity::provider::Provider;
use portunus_mcp::{
    child::Launcher,
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
};
use tokio::{net::TcpListener, sync::mpsc};
use tracing_subscriber::filter::LevelFilter;

use super::signals::stop_signals;
use crate::{
    config::{ClientsConfig, Config, LogSettings, StoreConfig},
    demo::{
        people::PEOPLE,
        provider::{self, DemoProvider},
        servers::{DemoMcp, DemoServer, http},
    },
    edge::pages::ConnectHelp,
    gateway::{Gateway, Orders},
    os::OsEntropy,
    telemetry,
};

/// What the demo can be told.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Port on 127.0.0.1
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub port: u16,
    /// Log every request (to standard error)
    #[arg(long, short)]
    pub verbose: bool,
}

/// Runs the demo until it is told to stop. Its records live in a directory of their own, which goes
/// with it.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let level = if args.verbose { LevelFilter::INFO } else { LevelFilter::WARN };
    let log = LogSettings { level, ..LogSettings::text() };
    telemetry::init(log);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let stop = stop_signals()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.with_context(|| {
        format!("port {} of 127.0.0.1 cannot be used: is another program on it? Choose one with --port or PORT", args.port)
    })?;
    let uuid = http_server(&clock, &entropy).await?;
    let directory = Scratch::create(&*entropy)?;
    let config = config(listener.local_addr()?, uuid, &directory.0, &*entropy, log)?;
    let people = Arc::new(DemoProvider::new(config.public_url.clone(), clock, entropy));
    let mut gateway =
        Gateway::build(&config, vec![(Arc::clone(&people) as Arc<dyn Provider>).into()], true)
            .await?;
    if let Some(launcher) = Launcher::of_this_process()? {
        gateway = gateway.supervised_by(launcher);
    }
    std::io::stdout().write_all(welcome(&config.public_url).as_bytes())?;
    // Its configuration is no file.
    let (_none, configurations) = mpsc::channel(1);
    gateway.run(listener, provider::routes(people), Orders { stop, configurations }).await
}

/// The uuid server, reached over HTTP on a port of its own; dice is a child process on stdio.
async fn http_server(
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<SocketAddr> {
    let server =
        DemoMcp { kind: DemoServer::Uuid, entropy: Arc::clone(entropy), clock: Arc::clone(clock) };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = http::serve_http(server, listener).await {
            tracing::error!(%error, "the uuid server ended");
        }
    });
    Ok(address)
}

fn config(
    address: SocketAddr,
    uuid: SocketAddr,
    directory: &Path,
    entropy: &dyn Entropy,
    log: LogSettings,
) -> anyhow::Result<Config> {
    let program = env::current_exe().context("the program's own path is unknown")?;
    let dice = Transport::Stdio {
        command: program.to_string_lossy().into_owned(),
        args: vec!["demo-server".to_owned(), "dice".to_owned()],
        env: BTreeMap::new(),
        cwd: None,
        sandbox: Sandbox::default(),
    };
    let uuid = Transport::Http { url: format!("http://{uuid}/mcp").parse()?, headers: Vec::new() };
    let public_url = PublicUrl::parse(&format!("http://localhost:{}", address.port()))?;
    let secret = SecretText::new(TokenSecret::generate(TokenKind::ClientSecret, entropy).expose());
    let store = StoreConfig::Sqlite { path: directory.join("demo.sqlite") };
    let servers = vec![server("dice", dice)?, server("uuid", uuid)?];
    let bare = Config::bare(public_url, address, secret, store);
    // It needs no Internet: applications register.
    let registration_policy =
        RegistrationPolicy { metadata_documents: false, ..bare.clients.registration_policy };
    let clients = ClientsConfig { registration_policy, ..bare.clients };
    Ok(Config { servers, clients, log, ..bare })
}

fn server(name: &str, transport: Transport) -> anyhow::Result<ServerSpec> {
    Ok(ServerSpec {
        isolation: Isolation::User,
        request_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(10 * 60),
        ..ServerSpec::with_defaults(ServerName::parse(name)?, transport)
    })
}

/// A directory that only this user can enter, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn create(entropy: &dyn Entropy) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let path = env::temp_dir().join(format!(
            "portunus-demo-{}-{:016x}",
            process::id(),
            u64::from_be_bytes(bytes)
        ));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the demo's directory could not be removed");
        }
    }
}

/// What is printed once everything stands.
fn welcome(public_url: &PublicUrl) -> String {
    let help = ConnectHelp::for_url(&public_url.at("/mcp"));
    let people =
        PEOPLE.map(|person| format!("  {:<8}{}", person.name, person.groups.join(", "))).join("\n");
    format!(
        "Portunus demo: the real gateway, with a built-in sign-in page in place of Okta. On this machine only.

  Open     {public_url}
  Connect  {mcp}       (servers: dice, uuid)

People you can sign in as:
{people}

Claude Code
  {claude}

Cursor (~/.cursor/mcp.json)
{cursor}

VS Code (.vscode/mcp.json)
{vscode}

Clients that speak stdio only (mcp-remote)
{remote}

Stop with Ctrl-C. Records are kept in a temporary directory and removed at the end.
",
        mcp = help.url,
        claude = help.claude_code,
        cursor = indent(&help.cursor),
        vscode = indent(&help.vscode),
        remote = indent(&help.mcp_remote),
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
