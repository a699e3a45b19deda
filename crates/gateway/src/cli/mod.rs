//! The command line: what can be typed, and which file answers. Each command has a file of its own
//! next door.

pub mod access;
pub mod audit;
pub mod backup;
pub mod check;
pub mod clients;
pub mod connect;
pub mod demo;
pub mod demo_server;
pub mod disable;
pub mod grants;
pub mod health;
pub mod keys;
pub mod reload;
pub mod restore;
mod rules_told;
pub mod schema;
pub mod serve;
pub mod shell;
pub mod signals;
pub mod store;
pub mod summary;
pub mod tools;

use std::{
    collections::BTreeMap, env, ffi::OsString, io::Write as _, path::PathBuf, process::ExitCode,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use portunus_core::text::visible_lines;

use crate::{
    config::{Config, ConfigArgs, Disk, Inspected, Loaded, Mistakes, Sources, WatchedFiles},
    telemetry,
};

/// Single sign-on for MCP servers
///
/// People sign in at your identity provider (Okta, Google, Microsoft Entra ID, Keycloak, …); their
/// MCP clients then reach every server listed in mcp.json, and every route in config.yaml, under
/// one address.
#[derive(Debug, Parser)]
#[command(name = "portunus", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    files: ConfigFiles,
}

const EXAMPLES: &str = "\
Examples:
  portunus demo                                     try it: no identity provider, no configuration
  portunus check                                    what is configured, what is wrong, what to register at Okta
  portunus                                          serve with ./.env, ./mcp.json and ./config.yaml, as far as they exist
  portunus --mcp-config ./mcp.json --envfile ./.env.prod

At least these are needed to serve (in the environment or in .env):
  AUTH_SECRET        openssl rand -base64 33
  AUTH_PROVIDER      okta
  AUTH_OKTA_ID       the client ID of your Okta application
  AUTH_OKTA_SECRET   its client secret
  AUTH_OKTA_ISSUER   https://acme.okta.com, or https://acme.okta.com/oauth2/default
  BASE_URL           https://mcp.acme.com: where people and clients reach this gateway

Exit codes: 0 fine, 1 failed, 2 bad usage or configuration. Every setting: docs/configuration.md";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (this is also what happens without a command)
    Serve(ConfigFiles),
    /// Try Portunus on this machine: a built-in sign-in page and two built-in MCP servers, on
    /// loopback only
    Demo(demo::DemoArgs),
    /// One of the demo's MCP servers by itself: `dice` or `uuid`
    DemoServer(DemoServerArgs),
    /// Print the resolved configuration, the URLs to register at the provider, and every mistake
    Check(check::CheckArgs),
    /// Speak MCP on standard input and output for a client without HTTP or OAuth, and carry it to a
    /// server
    Connect(connect::ConnectArgs),
    /// Put a server into the configuration of an MCP client, by way of `connect`
    Install(connect::InstallArgs),
    /// Ask a running gateway whether it is ready
    Health(health::HealthArgs),
    /// List, show or remove OAuth clients
    Clients(clients::ClientsArgs),
    /// List or revoke what people allowed clients
    Grants(grants::GrantsArgs),
    /// Disable a person, a client, a server or a tool: what they have ends, on every gateway, and
    /// nothing new begins
    Disable(disable::DisableArgs),
    /// Enable again what was disabled. What was ended does not come back
    Enable(disable::EnableArgs),
    /// List what is disabled, since when and why
    Disabled(disable::DisabledArgs),
    /// Make, list or revoke keys for scripts and agents that have no browser
    Keys(keys::KeysArgs),
    /// List the tools of servers, show what changed, approve or forget it
    Tools(tools::ToolsArgs),
    /// Say who may use what by the access rules, and test them
    Access(access::AccessArgs),
    /// Show, search, verify or export the audit trail
    Audit(audit::AuditArgs),
    /// Write everything that is kept into one file, while the gateway runs
    Backup(backup::BackupArgs),
    /// Put what a backup holds into the configured store, which may be of another kind
    Restore(restore::RestoreArgs),
    /// Read everything that is kept, and say what is wrong with it (`store check`)
    Store(store::StoreArgs),
    /// Print the JSON Schema of config.yaml or mcp.json, for editors
    Schema(schema::SchemaArgs),
    /// Print what a shell needs to complete commands and options
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write one for each command into a folder
    Man(shell::ManArgs),
}

/// Where the configuration is read from.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigFiles {
    /// MCP servers behind the gateway [default: ./mcp.json, if it exists]
    #[arg(long, value_name = "FILE")]
    mcp_config: Option<PathBuf>,
    /// Everything else: providers, proxies, store, lifetimes, … [default: ./config.yaml, if it
    /// exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file of VARIABLE=value lines that override the environment [default: ./.env, if it exists,
    /// which does not override]
    #[arg(long, value_name = "FILE")]
    envfile: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct DemoServerArgs {
    /// Which one
    kind: demo_server::DemoServer,
    /// Speak Streamable HTTP on this port of 127.0.0.1, at /mcp, instead of stdio
    #[arg(long, value_name = "PORT")]
    http: Option<u16>,
}

impl ConfigFiles {
    /// Reads the whole configuration from these files and the process's environment.
    pub fn load(&self) -> Result<Loaded, Mistakes> {
        Config::load(&self.sources())
    }

    /// The same, and which files that were.
    pub fn load_with_trail(&self) -> (WatchedFiles, Result<Loaded, Mistakes>) {
        Config::load_with_trail(&self.sources())
    }

    /// The same, going on past mistakes.
    pub fn inspect(&self) -> Inspected {
        Config::inspect(&self.sources())
    }

    fn sources(&self) -> Sources<'static> {
        let args = ConfigArgs {
            mcp_config: self.mcp_config.clone(),
            config: self.config.clone(),
            envfile: self.envfile.clone(),
        };
        let env: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let cwd = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Sources { args, env, cwd, files: &Disk }
    }
}

/// Is this a command that opens a browser, and starts no servers?
pub fn opens_a_browser(args: impl IntoIterator<Item = OsString>) -> bool {
    args.into_iter().nth(1).is_some_and(|command| command == "connect")
}

/// Runs what was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.files)) {
        Command::Serve(files) => run_serve(&files),
        Command::Check(args) => check::run(&args),
        Command::Connect(args) => connect::run(args),
        Command::Install(args) => connect::install(args),
        Command::Health(args) => run_async(health::run(args)),
        Command::Clients(args) => clients::run(args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        Command::Grants(args) => grants::run(args),
        Command::Disable(args) => disable::disable(&args),
        Command::Enable(args) => disable::enable(&args),
        Command::Disabled(args) => disable::disabled(&args),
        Command::Keys(args) => keys::run(args),
        Command::Tools(args) => tools::run(args),
        Command::Access(args) => access::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Store(args) => store::run(args),
        Command::Demo(args) => run_async(demo::run(args)),
        Command::DemoServer(args) => {
            let transport = args.http.map_or(demo_server::DemoTransport::Stdio, |port| {
                demo_server::DemoTransport::Http { port }
            });
            run_async(demo_server::run(args.kind, transport))
        }
    };
    outcome.unwrap_or_else(|error| {
        // It may quote files and servers.
        let text = visible_lines(&format!("{error:#}"));
        let _ = writeln!(std::io::stderr(), "portunus: {text}");
        ExitCode::from(1)
    })
}

fn run_serve(files: &ConfigFiles) -> anyhow::Result<ExitCode> {
    let (watched_files, loaded) = files.load_with_trail();
    match loaded {
        Ok(Loaded { config, warnings }) => {
            telemetry::init(config.log);
            for warning in warnings {
                tracing::warn!(at = %warning.at, "{}", warning.text);
            }
            run_async(serve::run(config, files.clone(), watched_files))
        }
        Err(mistakes) => {
            write!(
                std::io::stderr(),
                "{mistakes}\nNothing was started. `portunus check` shows the whole configuration.\n"
            )?;
            Ok(ExitCode::from(2))
        }
    }
}

fn run_async(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

/// The definition of the command line, for tests and documentation.
pub fn command() -> clap::Command {
    Cli::command()
}
