//! Hosts of strangers, for tests of the guarded fetcher (threats 26, 27). Names resolve to what the
//! test says, and every address leads to one https server on loopback ([`server`]) that answers at
//! each URL with the [`Behaviour`] that is set there. Its certificate is for `*.hosts.example`.

mod behaviour;
mod server;
mod state;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::task::JoinHandle;
use url::Url;

pub use self::behaviour::{Behaviour, Headers};

use self::state::SharedState;

/// Where names lead to if the test says nothing: a public address that no test ever reaches.
pub const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

/// Running hosts. They end when this is dropped.
pub struct HostileHosts {
    address: SocketAddr,
    shared: Arc<SharedState>,
    server: JoinHandle<()>,
}

impl HostileHosts {
    /// # Panics
    /// If there is no port left.
    pub async fn start() -> Self {
        let shared = Arc::new(SharedState::default());
        let (address, server) = server::start(Arc::clone(&shared)).await;
        Self { address, shared, server }
    }

    /// The certificate to trust, as PEM.
    pub const fn root() -> &'static [u8] {
        include_bytes!("../../fixtures/hostile-hosts-root.pem")
    }

    /// The address of the server: what every public address stands for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers at an https URL with this behaviour from now on.
    pub fn serve(&self, url: &str, behaviour: Behaviour) {
        self.shared.state().behaviours.insert(host_and_path(url), behaviour);
    }

    /// The name resolves to each of the answers in turn, and to the last one from then on.
    ///
    /// # Panics
    /// If an address is none.
    pub fn resolve<const N: usize>(&self, host: &str, answers: [&[&str]; N]) {
        let parse = |addresses: &[&str]| {
            addresses.iter().map(|text| text.parse().expect("an IP address")).collect()
        };
        self.shared.state().names.insert(host.to_owned(), answers.into_iter().map(parse).collect());
    }

    /// What a resolver says of the name.
    pub fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut state = self.shared.state();
        state.lookups.push(host.to_owned());
        match state.names.get_mut(host) {
            Some(answers) if answers.len() > 1 => Ok(answers.pop_front().unwrap_or_default()),
            Some(answers) => Ok(answers.front().cloned().unwrap_or_default()),
            None if host.ends_with("hosts.example") => Ok(vec![PUBLIC]),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }

    /// The names that were looked up, in order.
    pub fn lookups(&self) -> Vec<String> {
        self.shared.state().lookups.clone()
    }

    /// The URLs that were asked, in order.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }

    /// How many connections were opened, those without a request included.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }
}

impl Drop for HostileHosts {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The key of a behaviour. Without the port: all ports lead to one server.
fn host_and_path(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    format!("{}{}", url.host_str().unwrap_or_default(), &url[url::Position::BeforePath..])
}
