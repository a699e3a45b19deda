//! The program `portunus serve` in a folder of its own. People and their tokens are written into
//! its records before it starts: so many cannot sign in one by one.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use portunus::os::OsEntropy;
use portunus_core::{
    Clock as _, Entropy, Timestamp,
    clock::SystemClock,
    grant::Grant,
    ids::{ClientId, GrantId, ProviderName, UserId},
    principal::User,
    resource::{Resource, ResourceSet},
    scope::ScopeSet,
    secret::{SecretText, TokenKind, TokenSecret},
    token::AccessToken,
};
use portunus_store::{seal::Sealer, sqlite};
use portunus_testkit::{port::ReservedPort, wait::eventually};
use tempfile::TempDir;
use tokio::net::TcpStream;

const SECRET: &str = "pmZEZV1qfWuzDLgsx+OyvQ3UXD/ko3t0nY7mUgsCuCJl";

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    /// Of one person each.
    pub(crate) tokens: Vec<String>,
    child: Child,
    _reserved: ReservedPort,
    _folder: TempDir,
}

impl Gateway {
    pub(crate) async fn start(people: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let reserved = ReservedPort::any();
        let address = reserved.address();
        let tokens = write_people(folder.path(), address, people).await;
        fs::write(
            folder.path().join("mcp.json"),
            r#"{"mcpServers": {"none": {"url": "http://127.0.0.1:9/mcp"}}}"#,
        )
        .unwrap();
        let listen = address.port().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
        command
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.envs([
            ("AUTH_SECRET", SECRET),
            ("AUTH_OKTA_ID", "0oa1b2c3"),
            ("AUTH_OKTA_SECRET", "not-used"),
            ("AUTH_OKTA_ISSUER", "https://acme.okta.com/oauth2/default"),
            ("HOST", "127.0.0.1"),
            ("PORT", &listen),
            ("LOG_LEVEL", "error"),
        ]);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("the program does not start: {error}"));
        let mut gateway = Self { address, tokens, child, _reserved: reserved, _folder: folder };
        gateway.wait_until_ready().await;
        gateway
    }

    async fn wait_until_ready(&mut self) {
        let (address, child) = (self.address, &mut self.child);
        eventually("the program listens", async || {
            assert!(child.try_wait().unwrap().is_none(), "the program ended");
            TcpStream::connect(address).await.is_ok()
        })
        .await;
    }

    /// The memory that the program has in use, as the kernel counts it.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As many open files as this process may have; the program that it starts inherits that.
pub(crate) fn lift_file_limit() {
    let own = std::process::id().to_string();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard = line.split_whitespace().nth(4).unwrap();
    let lifted = Command::new("prlimit")
        .args(["--pid", &own, &format!("--nofile={hard}:{hard}")])
        .status()
        .unwrap();
    assert!(lifted.success(), "the limit of open files stays");
}

async fn write_people(folder: &Path, address: SocketAddr, count: usize) -> Vec<String> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let sealer = Sealer::new(&[SecretText::new(SECRET)], Arc::clone(&entropy)).unwrap();
    let stores = sqlite::open(&folder.join("mcp.sqlite"), sealer).unwrap();
    let now = SystemClock.now();
    let resource = Resource::from_stored(format!("http://localhost:{}/mcp", address.port()));
    let scopes: ScopeSet = ScopeSet::parse("mcp").unwrap();
    let mut tokens = Vec::new();
    for n in 0..count {
        let user = person(n, now);
        stores.logins.insert_user(&user).await.unwrap();
        let grant = Grant {
            id: GrantId::from_text(format!("ptn_grant_{n}")),
            user: user.id,
            client: ClientId::from_text("ptn_client_crowd"),
            application: None,
            resources: ResourceSet::from(resource.clone()),
            scopes: scopes.clone(),
            login: None,
            created_at: now,
            expires_at: None,
            revoked_at: None,
            key: None,
        };
        let token = TokenSecret::generate(TokenKind::Access, &*entropy);
        let expires_at = now + Duration::from_secs(3600);
        let access = AccessToken {
            hash: token.hash(),
            grant: grant.id.clone(),
            resource: resource.clone(),
            scopes: scopes.clone(),
            expires_at,
        };
        stores.grants.insert_grant(&grant, &access).await.unwrap();
        tokens.push(token.expose().to_owned());
    }
    tokens
}

fn person(n: usize, signed_in_at: Timestamp) -> User {
    let (issuer, subject) =
        ("https://acme.okta.com/oauth2/default".to_owned(), format!("person-{n}"));
    User {
        id: UserId::of(&issuer, &subject),
        provider: ProviderName::from_text("okta"),
        issuer,
        subject,
        name: None,
        email: None,
        email_verified: false,
        groups: Vec::new(),
        hosted_domain: None,
        no_groups: None,
        signed_in_at,
        read_at: None,
    }
}
