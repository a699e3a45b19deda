//! The program `portunus serve` as a process of its own, that may be killed and started again on
//! the same records; with the provider and the upstream server around it.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use http::StatusCode;
use portunus::os::OsEntropy;
use portunus_core::{secret::SecretText, store::Stores};
use portunus_store::{
    redis::{self, RedisAddress, RedisOptions},
    seal::Sealer,
    sqlite,
};
use portunus_testkit::{
    agent::{Agent, Request},
    fault_proxy::FaultProxy,
    okta::{FakeOkta, Options},
    port::ReservedPort,
    wait::eventually,
};
use tempfile::TempDir;

const SECRET: &str = "pmZEZV1qfWuzDLgsx+OyvQ3UXD/ko3t0nY7mUgsCuCJl";
/// Nothing here takes that long, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Where the records are.
#[derive(Clone)]
pub(crate) enum Records {
    Sqlite,
    Redis { address: String, replicas: u32 },
}

/// What gateways share: provider, upstream server, records, and the name they are called by: the
/// only one's address, or that of a proxy in front of several, which knows nothing but whose turn
/// it is.
pub(crate) struct Surroundings {
    pub(crate) url: String,
    _front: Option<FaultProxy>,
    pub(crate) okta: FakeOkta,
    folder: TempDir,
    records: Records,
    ports: Vec<ReservedPort>,
}

impl Surroundings {
    /// For so many gateways; none of them is started.
    pub(crate) async fn prepare(records: Records, gateways: usize) -> Self {
        let ports: Vec<_> = (0..gateways).map(|_| ReservedPort::any()).collect();
        let all = ports.iter().map(ReservedPort::address).collect();
        let front = if gateways > 1 { Some(FaultProxy::before(all).await) } else { None };
        let url = format!(
            "http://localhost:{}",
            front.as_ref().map_or(ports[0].port(), |front| front.address().port())
        );
        let okta = FakeOkta::start(Options::default()).await;
        okta.register_redirect(format!("{url}/auth/callback/okta"));
        okta.sign_in_as("alice");
        let folder = tempfile::tempdir().unwrap();
        let upstream = start_upstream().await;
        fs::write(folder.path().join("mcp.json"), r#"{"mcpServers": {}}"#).unwrap();
        let store = match &records {
            Records::Sqlite => String::from("sqlite: {path: ./records.sqlite}"),
            Records::Redis { address, replicas: 0 } => format!("redis: {{url: '{address}'}}"),
            Records::Redis { address, replicas } => {
                format!("redis: {{url: '{address}', replicas: {replicas}}}")
            }
        };
        // The grace window is the longest there is, and nothing else expires while a test runs or
        // is counted against an address.
        let hosts: Vec<_> = ports.iter().map(|port| format!("'{}'", port.address())).collect();
        let config = format!(
            "allowed_hosts: [{}]\n\
             proxies: [{{pattern: /guarded/, target_url: 'http://{upstream}'}}]\n\
             store: {{{store}}}\n\
             lifetimes: {{refresh_grace: 5m, authorization_code: 10m, access_token: 12h}}\n\
             limits: {{registration: unlimited, authorize: unlimited, token: unlimited, token_client: unlimited, failures: unlimited}}\n",
            hosts.join(", ")
        );
        fs::write(folder.path().join("config.yaml"), config).unwrap();
        Self { url, _front: front, okta, folder, records, ports }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The records, opened beside the gateways.
    pub(crate) async fn stores(&self) -> Stores {
        let sealer = Sealer::new(&[SecretText::new(SECRET)], Arc::new(OsEntropy)).unwrap();
        match &self.records {
            Records::Sqlite => sqlite::open(&self.database(), sealer).unwrap(),
            Records::Redis { address, .. } => {
                redis::open(RedisOptions::new(RedisAddress::parse(address).unwrap()), sealer)
                    .await
                    .unwrap()
            }
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("records.sqlite")
    }

    /// What SQLite says of the file and its journal, both copied, for only the gateway may repair
    /// them.
    pub(crate) fn integrity(&self) -> String {
        let copy = tempfile::tempdir().unwrap();
        let name = |end: &str| format!("records.sqlite{end}");
        for end in ["", "-wal"] {
            let from = self.folder.path().join(name(end));
            if from.exists() {
                fs::copy(from, copy.path().join(name(end))).unwrap();
            }
        }
        let database = rusqlite::Connection::open(copy.path().join(name(""))).unwrap();
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
    }
}

/// A running gateway. It is killed when it is dropped.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts one of the gateways, and gives it with the time until it said that it was ready.
    pub(crate) async fn start(surroundings: &Surroundings, n: usize) -> (Self, Duration) {
        let began = Instant::now();
        let mut program = Self::spawn(surroundings, n);
        let ready = program.wait_until_ready(began).await;
        (program, ready)
    }

    fn spawn(surroundings: &Surroundings, n: usize) -> Self {
        let port = surroundings.ports[n].port();
        let path = surroundings.folder.path().join("gateway.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        // A file that may not grow is an error to it, as a full disk is; by itself such a signal is
        // the end of a process.
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(r#"trap '' XFSZ; exec "$@""#)
            .arg("sh")
            .arg(env!("CARGO_BIN_EXE_portunus"))
            .arg("serve");
        command
            .current_dir(surroundings.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.envs([
            ("AUTH_SECRET", SECRET),
            ("AUTH_PROVIDER", "okta"),
            ("AUTH_OKTA_ID", surroundings.okta.client_id()),
            ("AUTH_OKTA_SECRET", surroundings.okta.client_secret()),
            ("AUTH_OKTA_ISSUER", &surroundings.okta.custom_issuer("default")),
            ("BASE_URL", &surroundings.url),
            ("HOST", "127.0.0.1"),
            ("PORT", &port.to_string()),
            ("STOP_DELAY", "0s"),
            ("LOG_LEVEL", "warn"),
        ]);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("the program does not start: {error}"));
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), child, log: path }
    }

    async fn wait_until_ready(&mut self, began: Instant) -> Duration {
        while !is_ready(self.address).await {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the program ended: {status}: {}", fs::read_to_string(&self.log).unwrap());
            }
            assert!(began.elapsed() < PATIENCE, "the program does not become ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a power cut would: SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets none of its files grow beyond so many bytes, as if the disk were full; `None` makes
    /// room again.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let soft = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let limit = [format!("--fsize={soft}:"), format!("--pid={}", self.child.id())];
        assert!(
            Command::new("prlimit").args(limit).status().unwrap().success(),
            "the limit of its files stays"
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does a gateway say that it can do its work?
pub(crate) async fn is_ready(address: SocketAddr) -> bool {
    let ready = Agent::new().try_send(Request::get(&format!("http://{address}/ready"))).await;
    ready.is_ok_and(|page| page.status == StatusCode::OK)
}

/// How long it takes from now on until a gateway says so.
pub(crate) async fn until_ready(address: SocketAddr) -> Duration {
    let began = Instant::now();
    eventually("the gateway becomes ready", async || is_ready(address).await).await;
    began.elapsed()
}

/// A service that says yes to each request that gets through.
async fn start_upstream() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(|| async { StatusCode::NO_CONTENT });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
