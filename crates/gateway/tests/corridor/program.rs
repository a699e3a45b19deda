//! The program itself, started as an administrator would, for what only a process has: signals, files that change, an end. Everything else is
//! tested at a gateway in this process, [`crate::world`].

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output},
    time::Duration,
};

use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient},
    mcp_servers::{FixtureServer, HttpOptions},
    okta::{FakeOkta, Options},
    port::ReservedPort,
    wait::eventually,
};
use serde_json::json;
use tempfile::TempDir;

/// Nothing takes that long, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, started as an administrator would.
pub(crate) struct Program {
    process: Process,
    pub(crate) url: String,
    okta: FakeOkta,
    pub(crate) server: FixtureServer,
    /// Its working directory: `mcp.json`, `log`, the records.
    pub(crate) folder: TempDir,
    env: Vec<(String, String)>,
    _reserved: ReservedPort,
}

impl Program {
    /// With these variables beside those that everybody needs.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_with(variables, &[]).await
    }

    /// The same, with these files in its folder.
    pub(crate) async fn start_with(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().unwrap(), &By::default(), variables, files).await
    }

    /// The same, in a folder that is there, and started in a certain way.
    pub(crate) async fn start_in(folder: TempDir, by: &By, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let okta = FakeOkta::start(Options::default()).await;
        let server = FixtureServer::start_with(HttpOptions { name: "uuid".to_owned(), ..HttpOptions::default() }).await;
        let servers = json!({"mcpServers": {"uuid": {"url": server.url().as_str()}}});
        fs::write(folder.path().join("mcp.json"), servers.to_string()).unwrap();
        let reserved = ReservedPort::any();
        let port = reserved.port();
        let scheme = if variables.iter().any(|(name, _)| name.starts_with("TLS_")) { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{port}");
        for (name, contents) in files {
            fs::write(folder.path().join(name), contents).unwrap();
        }
        okta.register_redirect(format!("{url}/auth/callback/okta"));
        okta.sign_in_as("alice");
        let port_text = port.to_string();
        let issuer = okta.custom_issuer("default");
        let everybody = [
            ("HOST", "127.0.0.1"),
            ("PORT", &port_text),
            ("BASE_URL", &url),
            ("AUTH_SECRET", "a-secret-of-the-program-that-is-long-enough-0"),
            ("AUTH_PROVIDER", "okta"),
            ("AUTH_OKTA_ID", okta.client_id()),
            ("AUTH_OKTA_SECRET", okta.client_secret()),
            ("AUTH_OKTA_ISSUER", &issuer),
        ];
        let env: Vec<_> =
            everybody.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        by.hand_over(folder.path());
        let mut command = by.program(folder.path(), &env);
        let child = command.stderr(fs::File::create(folder.path().join("log")).unwrap()).spawn().unwrap();
        let program = Self { process: Process(child), url, okta, server, folder, env, _reserved: reserved };
        until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        program
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) async fn connect(&self) -> (Agent, McpClient) {
        let browser = Agent::new();
        let client = OAuthClient::register(&browser, &self.at("/mcp")).await;
        let tokens = client.connect(&browser).await;
        let mcp = McpClient::connect(&browser, &self.at("/mcp"), &tokens.access).await;
        (browser, mcp)
    }

    /// What `portunus health` says of it.
    pub(crate) async fn health(&self) -> String {
        let mut asking = program(self.folder.path(), &self.env);
        let output = tokio::task::spawn_blocking(move || asking.arg("health").output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The program once more, in the same folder, with these arguments and variables.
    pub(crate) async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = program(self.folder.path(), &self.env);
        command.args(arguments).envs(variables.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.process.0.id())]).status().unwrap();
        assert!(kill.success());
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> ExitStatus {
        let waited = tokio::task::spawn_blocking(move || {
            let status = self.process.0.wait().unwrap();
            drop((self.okta, self.server, self.folder));
            status
        });
        tokio::time::timeout(PATIENCE, waited).await.expect("the program ends").unwrap()
    }
}

/// How the program is started: by itself, unless told otherwise.
#[derive(Default)]
pub(crate) struct By {
    /// A program, and its arguments, that then becomes or starts the program.
    pub(crate) way: Vec<String>,
    /// As a user that is not root, who owns its folder.
    pub(crate) as_nobody: bool,
}

impl By {
    /// The user `nobody`, on every Linux.
    pub(crate) const NOBODY: u32 = 65534;

    pub(crate) fn nobody() -> Self {
        Self { as_nobody: true, ..Self::default() }
    }

    pub(crate) fn way(words: &[&str]) -> Self {
        Self { way: words.iter().map(|&word| word.to_owned()).collect(), ..Self::default() }
    }

    /// Tests that are not root's run as such a user already.
    fn changes_user(&self) -> bool {
        self.as_nobody && portunus_mcp::child::is_root()
    }

    fn hand_over(&self, folder: &Path) {
        if self.changes_user() {
            hand_over(folder);
        }
    }

    pub(crate) fn program(&self, folder: &Path, env: &[(String, String)]) -> Command {
        let mut command = program(folder, env);
        if let Some((first, rest)) = self.way.split_first() {
            let (inner, mut outer) = (command, Command::new(first));
            outer.args(rest).arg(inner.get_program()).current_dir(folder).env_clear();
            outer.envs(env.iter().map(|(name, value)| (name, value))).env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command = outer;
        }
        if self.changes_user() {
            // It may not be allowed to where the program is built.
            let mut own = Command::new(folder.join("portunus"));
            fs::copy(env!("CARGO_BIN_EXE_portunus"), folder.join("portunus")).unwrap();
            own.current_dir(folder).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
            command = own;
            command.uid(Self::NOBODY).gid(Self::NOBODY);
        }
        command
    }
}

fn hand_over(path: &Path) {
    std::os::unix::fs::chown(path, Some(By::NOBODY), Some(By::NOBODY)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            hand_over(&entry.unwrap().path());
        }
    }
}

fn program(folder: &Path, env: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command.current_dir(folder).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// Waits until it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    eventually("it becomes so", async || is_so()).await;
}
