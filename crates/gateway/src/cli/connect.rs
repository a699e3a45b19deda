//! `portunus connect` and `portunus install`: MCP over stdio for a client that speaks no HTTP or no
//! OAuth, and the configuration of such clients. What they do is [`crate::connect`].

use std::{
    env, fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use http::HeaderMap;
use portunus_core::{clock::SystemClock, secret::SecretText};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::signals::stop_signals;
use crate::{
    config::LogSettings,
    connect::{
        self, Credentials, SignInMeans, TokenStore, browser,
        client_files::{Entry, McpClient, file},
        options::{self, ConfiguredClient, Options},
    },
    os::OsEntropy,
    telemetry,
};

const SECRET: &str = "PORTUNUS_CONNECT_CLIENT_SECRET";

/// Where, and how to sign in there.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// The MCP server, such as https://mcp.acme.com/mcp [default: BASE_URL with /mcp]
    url: Option<String>,
    /// Send this header with each request, as `Name: value`; ${VARIABLE} in the value is taken from
    /// the environment
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Sign in as this client, which an administrator has registered with the redirect URI
    /// http://127.0.0.1/callback
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// A file with that client's secret [default: PORTUNUS_CONNECT_CLIENT_SECRET, if it has one]
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// Sign in as the client that this document describes, where the server reads such documents
    #[arg(long, value_name = "URL", conflicts_with = "client_id")]
    client_metadata_url: Option<Url>,
    /// Ask for these scopes, separated by spaces [default: those that the server names]
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// The port of 127.0.0.1 where the sign-in ends [default: a free one]
    #[arg(long, value_name = "PORT")]
    callback_port: Option<u16>,
    /// Open no browser: only print the address (on standard error)
    #[arg(long)]
    no_browser: bool,
    /// Speak plain http to a server that is not on this machine: anybody on the way can read tokens
    #[arg(long)]
    allow_http: bool,
    /// Say more (on standard error)
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConnectArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Sign in now, at this terminal, and end: clients then find the sign-in
    #[arg(long, conflicts_with_all = ["logout", "print_config"])]
    login: bool,
    /// Forget the sign-in at this server, and end
    #[arg(long, conflicts_with = "print_config")]
    logout: bool,
    /// Print what stands in the configuration of this client, and end
    #[arg(long, value_name = "CLIENT")]
    print_config: Option<McpClient>,
    /// How the client calls this server
    #[arg(long, default_value = "portunus", requires = "print_config")]
    name: String,
}

const EXAMPLES: &str = "\
A client starts this command as an MCP server and speaks to it on standard input and output; it
carries each message to the server over HTTP, and back. The first time a browser opens for a sign-in;
its tokens are kept in $XDG_DATA_HOME/portunus/connect (~/.local/share/portunus/connect), in files
that only you can read, and shared by all clients that you start.

Examples:
  portunus connect https://mcp.acme.com/mcp            what a client starts
  portunus connect --login https://mcp.acme.com/mcp    sign in beforehand, or on a machine without a browser
  portunus connect --logout https://mcp.acme.com/mcp   forget that
  portunus connect --print-config cursor https://mcp.acme.com/mcp
  portunus install vscode https://mcp.acme.com/mcp     put it into that client's file
  BASE_URL=https://mcp.acme.com portunus connect

Each client, and what to do when it does not work: docs/connect.md";

#[derive(Args, Debug)]
pub struct InstallArgs {
    /// The client whose configuration gets the server
    client: McpClient,
    #[command(flatten)]
    server: ServerArgs,
    /// How the client calls this server
    #[arg(long, default_value = "portunus")]
    name: String,
    /// The client's file [default: the user's own]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write without asking
    #[arg(long)]
    yes: bool,
}

/// Serves a client until it ends, or does what was asked for instead.
pub fn run(args: ConnectArgs) -> anyhow::Result<ExitCode> {
    let options = args.server.options()?;
    if let Some(client) = args.print_config {
        let entry = args.server.entry(&options, args.name)?;
        io::stdout().write_all(client.snippet(&entry).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let level = if args.server.verbose { LevelFilter::DEBUG } else { LevelFilter::WARN };
    telemetry::init(LogSettings { level, ..LogSettings::text() });
    let store = TokenStore::of_this_user(variable)?;
    if args.logout {
        let text = if store.forget(&options.key())? {
            "The sign-in is forgotten."
        } else {
            "There was no sign-in."
        };
        writeln!(io::stdout(), "{text}")?;
        return Ok(ExitCode::SUCCESS);
    }
    // What waits for a person, or for a line of a client, must not hold up the end.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(async {
        let means = SignInMeans {
            store,
            opener: browser::for_people(!args.server.no_browser),
            may_paste: args.login && io::stdin().is_terminal(),
            registers_anew: args.login,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        };
        if args.login { login(options, means).await } else { serve(&options, means).await }
    });
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(options: &Options, means: SignInMeans) -> anyhow::Result<()> {
    if io::stdin().is_terminal() {
        writeln!(
            io::stderr(),
            "This speaks MCP on standard input and output, for an MCP client to start: see portunus connect --help"
        )?;
    }
    let credentials = if options.has_credentials() {
        None
    } else {
        Some(Arc::new(Credentials::open(options.clone(), means)?))
    };
    let stop = CancellationToken::new();
    let (mut signals, stopped) = (stop_signals()?, stop.clone());
    tokio::spawn(async move {
        signals.recv().await;
        stopped.cancel();
    });
    Ok(connect::run(options, credentials, tokio::io::stdin(), Box::new(tokio::io::stdout()), stop)
        .await?)
}

async fn login(options: Options, means: SignInMeans) -> anyhow::Result<()> {
    ensure!(!options.has_credentials(), "with a header Authorization there is no sign-in");
    means.store.remove_sign_in(&options.key())?;
    let credentials = Credentials::open(options.clone(), means)?;
    let text = if connect::sign_in(&options, credentials).await? {
        format!("You are signed in at {}.", options.server)
    } else {
        format!("{} wants no sign-in.", options.server)
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

/// Puts the server into a client's file, once a person has seen what changes.
pub fn install(args: InstallArgs) -> anyhow::Result<ExitCode> {
    let options = args.server.options()?;
    let entry = args.server.entry(&options, args.name)?;
    let path = args.file.map_or_else(|| args.client.path(variable), Ok)?;
    let (at, old) = file::read(&path)?;
    let by_hand = || {
        format!(
            "{} was not changed; put this into it yourself:\n\n{}",
            at.display(),
            args.client.snippet(&entry)
        )
    };
    let new = args.client.with_entry(&old, &entry).with_context(by_hand)?;
    let mut out = io::stdout();
    if new == old {
        writeln!(out, "{} has this server already.", at.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}:\n{}", at.display(), file::difference(&old, &new))?;
    if !args.yes && !confirmed(&mut out)? {
        writeln!(out, "Nothing was written.")?;
        return Ok(ExitCode::from(1));
    }
    match file::replace(&path, &old, &new)? {
        Some(copy) => writeln!(out, "Written. What it was before is in {}.", copy.display())?,
        None => writeln!(out, "Written.")?,
    }
    writeln!(out, "Start the client anew.")?;
    if !options.has_credentials() {
        let args: Vec<_> = entry.args.iter().skip(1).map(|arg| typed(arg)).collect();
        writeln!(
            out,
            "To sign in now: {} connect --login {}",
            typed(&entry.command),
            args.join(" ")
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// As it is typed in a shell.
fn typed(arg: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !arg.is_empty() && arg.chars().all(is_plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', "'\\''"))
    }
}

fn confirmed(out: &mut impl io::Write) -> anyhow::Result<bool> {
    ensure!(
        io::stdin().is_terminal(),
        "nobody is at a terminal to be asked: --yes writes without asking"
    );
    write!(out, "Write this? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

impl ServerArgs {
    fn options(&self) -> anyhow::Result<Options> {
        let base_url = variable("BASE_URL");
        let server =
            options::server_url(self.url.as_deref(), base_url.as_deref(), self.allow_http)?;
        let mut headers = HeaderMap::new();
        for text in &self.header {
            let (name, value) = options::header(text, variable)?;
            headers.append(name, value);
        }
        if let Some(url) = &self.client_metadata_url
            && (url.scheme() != "https" || url.path() == "/")
        {
            bail!(
                "--client-metadata-url: a client is described at an https URL with a path, such as https://acme.com/client.json"
            );
        }
        let secret = match (&self.client_secret_file, &self.client_id) {
            (Some(path), _) => Some(secret_in(path)?),
            (None, Some(_)) => {
                variable(SECRET).filter(|text| !text.is_empty()).map(SecretText::new)
            }
            (None, None) => None,
        };
        let client = ConfiguredClient {
            id: self.client_id.clone(),
            secret,
            metadata_url: self.client_metadata_url.clone(),
        };
        Ok(Options {
            server,
            headers,
            client,
            scope: self.scope.clone(),
            callback_port: self.callback_port,
            allow_http: self.allow_http,
        })
    }

    /// This program, as a client starts it.
    fn entry(&self, options: &Options, name: String) -> anyhow::Result<Entry> {
        let program = env::current_exe().context("the program's own path is unknown")?;
        let mut args = vec!["connect".to_owned(), options.server.to_string()];
        let mut add = |flag: &str, value: Option<String>| {
            args.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
        };
        for header in &self.header {
            add("--header", Some(header.clone()));
        }
        add("--client-id", self.client_id.clone());
        add("--client-secret-file", self.client_secret_file.as_ref().map(|path| absolute(path)));
        add("--client-metadata-url", self.client_metadata_url.as_ref().map(Url::to_string));
        add("--scope", self.scope.clone());
        add("--callback-port", self.callback_port.map(|port| port.to_string()));
        for (flag, is_set) in [("--no-browser", self.no_browser), ("--allow-http", self.allow_http)]
        {
            args.extend(is_set.then(|| flag.to_owned()));
        }
        Ok(Entry { name, command: program.to_string_lossy().into_owned(), args })
    }
}

fn absolute(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn secret_in(path: &Path) -> anyhow::Result<SecretText> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let text = SecretText::new(text);
    ensure!(!text.expose().trim().is_empty(), "{} is empty", path.display());
    Ok(SecretText::new(text.expose().trim()))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}
