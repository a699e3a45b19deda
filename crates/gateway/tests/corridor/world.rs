//! A gateway with everything around it: [`World`]. It listens on a free port, keeps its records in a directory of its own, and its
//! clock stands still until it is moved.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use http::header;
use portunus::{
    cli::signals::StopSignal,
    config::{Cidr, ClientsConfig, Config, DEFAULT_CHILDREN_PER_USER, Limits, PinningRules, ProxyRoute, StoreConfig},
    gateway::{Changes, ConnectedProvider, Gateway, NewConfiguration, Orders, Refused},
    net::{self, NetSettings, guarded::Outside},
    os::OsEntropy,
};
use portunus_core::{
    Clock as _, Timestamp,
    admission::Allow,
    clock::FixedClock,
    grant::Grant,
    ids::{ProviderName, ServerName, UserId},
    lifetimes::Lifetimes,
    oauth::scopes::ScopeRule,
    resource::PublicUrl,
    secret::SecretText,
    store::{GrantsOf, Stores},
};
use portunus_identity::{Preset, ProviderSettings};
use portunus_mcp::{
    child::Launcher,
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
};
use portunus_store::redis::{RedisAddress, RedisOptions};
use portunus_testkit::{
    agent::{Agent, OAuthClient, Tokens},
    github::{self, FakeGithub},
    hostile_hosts::HostileHosts,
    log::Log,
    mcp_servers::{FixtureServer, HttpOptions},
    okta::{FakeOkta, Options},
    port::ReservedPort,
    redis::Server,
    wait::eventually,
};
use reqwest::Certificate;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// For how long gateways trust what they looked up, unless they hear otherwise: longer than any test, so that none passes because time does.
const TRUST: Duration = Duration::from_secs(3600);

/// The credential that the gateway, and nobody else, holds for the server `uuid`.
pub(crate) const UUID_CREDENTIAL: &str = "Bearer the-gateways-own-key-for-uuid";

/// What a world is made of; change it before [`World::of`].
pub(crate) struct Setup {
    pub(crate) okta: Options,
    /// Sign in at the org server in place of the custom one.
    pub(crate) org: bool,
    /// Which kind of provider the gateway takes that Okta for.
    pub(crate) preset: Preset,
    /// Sign in there, at the provider `github`, in place of Okta. The callback's path has to fit.
    pub(crate) github: Option<FakeGithub>,
    /// Whose accounts are admitted.
    pub(crate) allow: Allow,
    /// A second provider, `partner`, at the same Okta's org server.
    pub(crate) partner: bool,
    /// The callback's path in place of `/auth/callback/okta`.
    pub(crate) callback: &'static str,
    /// The callback's path in place of `/auth/callback/partner`.
    pub(crate) partner_callback: &'static str,
    /// `https://gw.example`: reached through a proxy that ends TLS.
    pub(crate) https: bool,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) proxies: Vec<ProxyRoute>,
    pub(crate) more_servers: Vec<ServerSpec>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) clients: ClientsConfig,
    /// What is on the Internet, as far as this gateway can tell.
    pub(crate) hostile_hosts: Option<Arc<HostileHosts>>,
    pub(crate) scopes: Vec<ScopeRule>,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) limits: Limits,
    pub(crate) pinning: PinningRules,
    /// Gateways on the same records; the first is the one that people sign in at.
    pub(crate) nodes: usize,
    /// Where the first node reaches the others, if not at their own addresses ([`World::node_listeners`]).
    pub(crate) node_url: Option<String>,
    /// How many seconds ahead of the world's the clocks of the nodes beside the first are (F7).
    pub(crate) others_ahead: i64,
    pub(crate) children_per_user: usize,
    /// How long connections are accepted once a gateway was told to stop.
    pub(crate) stop_delay: Duration,
    /// Where records are kept, if not in a file.
    pub(crate) store: Option<StoreConfig>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            okta: Options::default(),
            org: false,
            preset: Preset::Okta,
            github: None,
            allow: Allow::Anyone,
            partner: false,
            callback: "/auth/callback/okta",
            partner_callback: "/auth/callback/partner",
            https: false,
            // Tests move the clock by weeks and restart the gateway, and their clients have not always been used by then.
            lifetimes: Lifetimes { unused_client: Duration::from_secs(90 * 24 * 60 * 60), ..Lifetimes::default() },
            proxies: Vec::new(),
            more_servers: Vec::new(),
            allowed_origins: Vec::new(),
            clients: ClientsConfig::default(),
            hostile_hosts: None,
            scopes: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            pinning: PinningRules::default(),
            nodes: 1,
            node_url: None,
            others_ahead: 0,
            children_per_user: DEFAULT_CHILDREN_PER_USER,
            stop_delay: Duration::ZERO,
            store: None,
        }
    }
}

/// The gateway and its neighbours. End it with [`World::close`].
pub(crate) struct World {
    /// How the gateway is called, without a slash at the end.
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) okta: FakeOkta,
    /// The server `uuid`, reached over HTTP. The server `dice` is a child process.
    pub(crate) uuid: FixtureServer,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) log: Log,
    pub(crate) config: Config,
    /// The gateway's port stays its own between a stop and the next start.
    _reserved: ReservedPort,
    /// Counts from the next [`World::reload`] on.
    pub(crate) allow: Allow,
    pub(crate) github: Option<FakeGithub>,
    preset: Preset,
    /// Counts from the next [`World::reload`] on.
    pub(crate) org: bool,
    callback: &'static str,
    partner_callback: &'static str,
    partner: bool,
    hostile_hosts: Option<Arc<HostileHosts>>,
    directory: TempDir,
    running: Option<Running>,
    /// The nodes beside the first, with their addresses; `None` once stopped.
    others: Vec<(SocketAddr, Option<Running>)>,
    /// Where the nodes listen for one another.
    pub(crate) node_listeners: Vec<SocketAddr>,
    browsers: Mutex<Vec<Agent>>,
}

struct Running {
    stop: mpsc::Sender<StopSignal>,
    configurations: mpsc::Sender<NewConfiguration>,
    task: JoinHandle<anyhow::Result<()>>,
    stores: Stores,
    /// Changes when the gateway heard of a new configuration at another one.
    elsewhere: watch::Receiver<u64>,
}

impl Running {
    fn start(gateway: Gateway, listener: TcpListener) -> Self {
        let (stores, elsewhere) = (gateway.stores().clone(), gateway.new_elsewhere());
        let (stop, stops) = mpsc::channel(2);
        let (configurations, new) = mpsc::channel(1);
        let task = tokio::spawn(gateway.run(listener, Router::new(), Orders { stop: stops, configurations: new }));
        Self { stop, configurations, task, stores, elsewhere }
    }

    async fn stop(self) {
        let Self { stop, task, stores, .. } = self;
        // The first signal, or the second after `begin_to_stop`: neither is waited upon. It may even have ended by itself.
        let _ = stop.send(StopSignal::Interrupt).await;
        tokio::time::timeout(Duration::from_secs(60), task).await.expect("the gateway stops").unwrap().unwrap();
        drop(stores);
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::of(Setup::default()).await
    }

    /// With its records in this Redis, or in a file of its own.
    pub(crate) async fn over(redis: Option<&Server>, setup: Setup) -> Self {
        let store = redis.map(|server| StoreConfig::Redis(RedisOptions::new(RedisAddress::parse(&server.address()).unwrap())));
        Self::of(Setup { store, ..setup }).await
    }

    pub(crate) async fn of(setup: Setup) -> Self {
        let log = Log::capture();
        let reserved = ReservedPort::any();
        let address = reserved.address();
        let listener = TcpListener::bind(address).await.unwrap();
        let url = if setup.https { "https://gw.example".to_owned() } else { format!("http://localhost:{}", address.port()) };
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_790_000_000)));
        let okta = FakeOkta::start(Options { clock: clock.clone(), ..setup.okta }).await;
        for path in [setup.callback, setup.partner_callback] {
            okta.register_redirect(format!("{url}{path}"));
        }
        okta.register_sign_out(format!("{url}/auth/signout"));
        okta.sign_in_as("alice");
        let uuid = FixtureServer::start_with(HttpOptions { name: "uuid".to_owned(), ..HttpOptions::default() }).await;
        let directory = TempDir::new().unwrap();
        let mut servers =
            vec![stdio("dice", env!("CARGO_BIN_EXE_portunus"), &["demo-server", "dice"]), http_server("uuid", &uuid)];
        servers.extend(setup.more_servers);
        let secret = SecretText::new(format!("auth-secret-of-one-world-{:020}", next()));
        let file = || StoreConfig::Sqlite { path: directory.path().join("gateway.sqlite") };
        let store = setup.store.unwrap_or_else(file);
        let config = Config {
            servers,
            proxies: setup.proxies,
            lifetimes: setup.lifetimes,
            allowed_origins: setup.allowed_origins,
            clients: setup.clients,
            scopes: setup.scopes,
            trusted_proxies: setup.trusted_proxies,
            limits: setup.limits,
            pinning: setup.pinning,
            children_per_user: setup.children_per_user,
            stop_delay: setup.stop_delay,
            ..Config::bare(PublicUrl::parse(&url).unwrap(), address, secret, store)
        };
        let (org, callback, partner, hostile_hosts) = (setup.org, setup.callback, setup.partner, setup.hostile_hosts);
        let partner_callback = setup.partner_callback;
        let (allow, github, preset) = (setup.allow, setup.github, setup.preset);
        let browsers = Mutex::default();
        let mut world = Self {
            url,
            address,
            okta,
            uuid,
            clock,
            log,
            config,
            _reserved: reserved,
            allow,
            github,
            preset,
            org,
            callback,
            partner_callback,
            partner,
            hostile_hosts,
            directory,
            running: None,
            others: Vec::new(),
            node_listeners: Vec::new(),
            browsers,
        };
        if setup.nodes == 1 {
            world.run(listener).await;
            return world;
        }
        let mut listeners = vec![listener];
        for _ in 1..setup.nodes {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            world.config.allowed_hosts.push(listener.local_addr().unwrap().to_string());
            listeners.push(listener);
        }
        for listener in listeners {
            let address = listener.local_addr().unwrap();
            let clock = match world.running {
                Some(_) if setup.others_ahead != 0 => world.clock_ahead(setup.others_ahead),
                _ => world.clock.clone(),
            };
            let for_nodes = TcpListener::bind("127.0.0.1:0").await.unwrap();
            world.node_listeners.push(for_nodes.local_addr().unwrap());
            let url = setup.node_url.clone().filter(|_| world.running.is_some());
            let gateway = world.gateway(clock).await.join(for_nodes, url).await.unwrap();
            let running = Running::start(gateway, listener);
            match world.running {
                None => world.running = Some(running),
                Some(_) => world.others.push((address, Some(running))),
            }
        }
        world
    }

    async fn run(&mut self, listener: TcpListener) {
        self.running = Some(Running::start(self.gateway(self.clock.clone()).await, listener));
    }

    /// One that does not move with the world's.
    fn clock_ahead(&self, seconds: i64) -> Arc<FixedClock> {
        Arc::new(FixedClock::at(Timestamp::from_secs(self.clock.now().as_secs() + seconds)))
    }

    /// Starts one more gateway on the same records, whose clock is so many seconds ahead of the world's.
    pub(crate) async fn add_node_ahead(&mut self, seconds: i64) {
        let (listener, forwarded_requests) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let gateway = self.gateway(self.clock_ahead(seconds)).await.join(forwarded_requests, None).await.unwrap();
        self.others.push((listener.local_addr().unwrap(), Some(Running::start(gateway, listener))));
    }

    async fn gateway(&self, clock: Arc<FixedClock>) -> Gateway {
        let built = Box::pin(Gateway::build_with(&self.config, self.providers(), false, clock, Arc::new(OsEntropy)));
        let launcher = Launcher::of(env!("CARGO_BIN_EXE_portunus").into());
        let mut gateway = built.await.unwrap().that_trusts_for(TRUST).supervised_by(launcher);
        if let Some(hosts) = &self.hostile_hosts {
            gateway = gateway.with_outside(Arc::new(HostileInternet(Arc::clone(hosts)))).unwrap();
        }
        gateway
    }

    /// Has the gateway go on with what `self.config` is now.
    pub(crate) async fn reload(&self) -> Result<Changes, Refused> {
        let (answer, answered) = oneshot::channel();
        let new = NewConfiguration { config: self.config.clone(), providers: self.providers(), answer };
        self.running.as_ref().unwrap().configurations.send(new).await.unwrap();
        answered.await.unwrap()
    }

    /// Changes when a node beside the first heard of a new configuration at another node.
    pub(crate) fn new_elsewhere(&self, n: usize) -> watch::Receiver<u64> {
        self.others[n - 1].1.as_ref().unwrap().elsewhere.clone()
    }

    /// A path at a node beside the first.
    pub(crate) fn at_node(&self, n: usize, path: &str) -> String {
        format!("http://{}{path}", self.others[n - 1].0)
    }

    /// Tells a node beside the first to stop, and does not wait for it: [`World::stop_node`] is the second signal.
    pub(crate) async fn begin_to_stop_node(&self, n: usize) {
        let running = self.others[n - 1].1.as_ref().unwrap();
        running.stop.send(StopSignal::Terminate).await.unwrap();
    }

    /// Stops a node beside the first, as SIGINT does.
    pub(crate) async fn stop_node(&mut self, n: usize) {
        self.others[n - 1].1.take().unwrap().stop().await;
    }

    fn providers(&self) -> Vec<ConnectedProvider> {
        let settings = |name: &str, issuer: String| ProviderSettings {
            name: ProviderName::from_text(name),
            preset: self.preset,
            client_id: self.okta.client_id().to_owned(),
            client_secret: Some(SecretText::new(self.okta.client_secret())),
            issuer,
            scopes: None,
            groups_claim: None,
            internal_url: None,
            redirect_uri: None,
        };
        let http = net::client(NetSettings::identity()).unwrap();
        let connect = |settings, redirect_uri| {
            let label = Some(format!("Acme {}", ProviderSettings::clone(&settings).name));
            let provider = portunus_identity::connect(settings, http.clone());
            ConnectedProvider { provider, redirect_uri, label, allow: self.allow.clone() }
        };
        if let Some(github) = &self.github {
            let settings = ProviderSettings {
                preset: Preset::Github,
                client_id: github::CLIENT_ID.to_owned(),
                client_secret: Some(SecretText::new(github::CLIENT_SECRET)),
                ..settings("github", github.issuer().to_owned())
            };
            return vec![connect(settings, None)];
        }
        let issuer = if self.org { self.okta.org_issuer() } else { self.okta.custom_issuer("default") };
        let mut providers = vec![connect(settings("okta", issuer), Some(format!("{}{}", self.url, self.callback)))];
        if self.partner {
            let callback = format!("{}{}", self.url, self.partner_callback);
            providers.push(connect(settings("partner", self.okta.org_issuer()), Some(callback)));
        }
        providers
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The authorization endpoint of the Okta that people sign in at.
    pub(crate) fn okta_authorize(&self) -> String {
        if self.org {
            format!("{}/oauth2/v1/authorize", self.okta.org_issuer())
        } else {
            format!("{}/v1/authorize", self.okta.custom_issuer("default"))
        }
    }

    /// The gateway's records.
    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("gateway.sqlite")
    }

    pub(crate) fn stores(&self) -> &Stores {
        &self.running.as_ref().unwrap().stores
    }

    /// The person whom Okta calls `username`, as the gateway knows them.
    pub(crate) fn user(&self, username: &str) -> UserId {
        let issuer = if self.org { self.okta.org_issuer() } else { self.okta.custom_issuer("default") };
        UserId::of(&issuer, &format!("00u1{username}"))
    }

    /// The live grants of this person.
    pub(crate) async fn grants_of(&self, username: &str) -> Vec<Grant> {
        self.stores().grants.list_grants(&GrantsOf::User(self.user(username)), 1000).await.unwrap()
    }

    /// How many they are.
    pub(crate) async fn grants(&self, username: &str) -> usize {
        self.grants_of(username).await.len()
    }

    /// A new browser; what passes through it is looked for in the log at the end.
    pub(crate) fn browser(&self) -> Agent {
        let agent = Agent::with_doors([("https://gw.example", self.address)]);
        self.browsers.lock().unwrap().push(agent.clone());
        agent
    }

    /// The same client at another address: a thief with its tokens, or a copy of it.
    pub(crate) fn elsewhere(&self, client: &OAuthClient) -> OAuthClient {
        let address = IpAddr::from([127, 0, 0, 2]);
        let agent = Agent::at_address(Some(address), [("https://gw.example", self.address)]);
        self.browsers.lock().unwrap().push(agent.clone());
        OAuthClient { agent, ..client.clone() }
    }

    /// A new client that was registered for the resource at `path`.
    pub(crate) async fn client(&self, path: &str) -> OAuthClient {
        OAuthClient::register(&self.browser(), &self.at(path)).await
    }

    /// A new client with an address on the web, where a remembered consent is enough.
    pub(crate) async fn web_client(&self, path: &str) -> OAuthClient {
        let metadata = serde_json::json!({"client_name": "Acme Web", "redirect_uris": ["https://app.example/cb"]});
        OAuthClient::register_as(&self.browser(), &self.at(path), metadata).await
    }

    /// A new client and browser, and the tokens that whoever is signed in at Okta gave it.
    pub(crate) async fn connect(&self, path: &str) -> (OAuthClient, Agent, Tokens) {
        let (client, browser) = (self.client(path).await, self.browser());
        let tokens = client.connect(&browser).await;
        (client, browser, tokens)
    }

    /// Signs the browser in at the front page, as whoever is signed in at Okta.
    pub(crate) async fn sign_in(&self, browser: &Agent) {
        let page = browser.open(&self.at("/auth/signin")).await.page().expect(200);
        assert!(page.text().contains("Sign out"), "{page:?}");
    }

    /// Starts another gateway on the same records and port, after [`World::stop`].
    pub(crate) async fn restart(&mut self) {
        self.run(listen_again(self.address).await).await;
    }

    /// Tells the gateway to stop, and does not wait for it: [`World::stop`] is the second signal.
    pub(crate) async fn begin_to_stop(&self) {
        self.running.as_ref().unwrap().stop.send(StopSignal::Terminate).await.unwrap();
    }

    /// Waits until the gateway has ended by itself.
    pub(crate) async fn ended(&self) {
        eventually("the gateway ends", async || self.running.as_ref().unwrap().task.is_finished()).await;
    }

    /// Stops the gateway, as SIGINT does.
    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// Stops the gateway, and sees that no secret is in its log or on its disk (threats 22, 48).
    pub(crate) async fn close(mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        for (_, other) in &mut self.others {
            if let Some(running) = other.take() {
                running.stop().await;
            }
        }
        let mut secrets = vec![self.okta.client_secret().to_owned(), UUID_CREDENTIAL.to_owned()];
        secrets.extend(self.config.auth_secrets.iter().map(|secret| secret.expose().to_owned()));
        secrets.extend(self.browsers.lock().unwrap().iter().flat_map(Agent::secrets));
        let leaks = self.log.leaks(&secrets);
        assert!(leaks.is_empty(), "secrets in the log: {leaks:#?}");
        assert!(self.log.text().contains(r#""target":"portunus::"#), "the log is captured");
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            // The journal goes when the last connection closes, which may be just now.
            let Ok(bytes) = fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            for secret in secrets.iter().filter(|secret| secret.len() >= 20) {
                assert!(!text.contains(secret.as_str()), "a secret is on the disk: {} has {secret}", path.display());
            }
        }
    }

    /// The environment variable that every test has and no child may see (threat 44).
    pub(crate) const CANARY: &str = "CARGO_MANIFEST_DIR";
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.running.is_none() || std::thread::panicking(), "end a world with close(), which looks for leaks");
    }
}

/// The port is listened on for a moment after its listener is closed: by each process that another test starts just then, until it runs its program.
async fn listen_again(address: SocketAddr) -> TcpListener {
    for _ in 0..500 {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{address}: {error}"),
        }
    }
    panic!("{address} stays in use")
}

fn next() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Hostile hosts in place of the Internet.
struct HostileInternet(Arc<HostileHosts>);

#[async_trait]
impl Outside for HostileInternet {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lookup(host)
    }

    fn route(&self, _: IpAddr) -> SocketAddr {
        self.0.address()
    }

    fn roots(&self) -> Vec<Certificate> {
        vec![Certificate::from_pem(HostileHosts::root()).unwrap()]
    }
}

/// A server that is a child process.
pub(crate) fn stdio(name: &str, command: &str, args: &[&str]) -> ServerSpec {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    server(
        name,
        Transport::Stdio { command: command.to_owned(), args, env: BTreeMap::new(), cwd: None, sandbox: Sandbox::default() },
    )
}

fn http_server(name: &str, fixture: &FixtureServer) -> ServerSpec {
    let credential = (header::AUTHORIZATION, SecretText::new(UUID_CREDENTIAL));
    server(name, Transport::Http { url: fixture.url().clone(), headers: vec![credential] })
}

fn server(name: &str, transport: Transport) -> ServerSpec {
    ServerSpec {
        name: ServerName::parse(name).unwrap(),
        transport,
        isolation: Isolation::User,
        era: None,
        request_timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(600),
    }
}
