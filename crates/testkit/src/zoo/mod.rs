//! The zoo: hosts of strangers, for tests of the guarded fetcher (threats 26, 27). Names resolve to what the test says, and every
//! address leads to one https server on loopback ([`server`]) that does at each URL what the [`Animal`] there does. Its certificate
//! is for `*.zoo.example`.

mod animal;
mod server;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinHandle;
use url::Url;

pub use self::animal::{Animal, Headers};

/// Where names lead to if the test says nothing: a public address that nobody in a test ever reaches.
pub const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

/// A running zoo. Ends when it is dropped.
pub struct Zoo {
    address: SocketAddr,
    grounds: Arc<Grounds>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Grounds {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    animals: HashMap<String, Animal>,
    names: HashMap<String, VecDeque<Vec<IpAddr>>>,
    lookups: Vec<String>,
    visits: Vec<String>,
    connections: usize,
}

impl Grounds {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Zoo {
    /// # Panics
    /// If there is no port left.
    pub async fn open() -> Self {
        let grounds = Arc::new(Grounds::default());
        let (address, server) = server::start(Arc::clone(&grounds)).await;
        Self { address, grounds, server }
    }

    /// The certificate to trust, as PEM.
    pub const fn root() -> &'static [u8] {
        include_bytes!("../../fixtures/zoo-root.pem")
    }

    /// The address of the server: what every public address stands for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an animal at an https URL, in place of the one that was there.
    pub fn keep(&self, url: &str, animal: Animal) {
        self.grounds.state().animals.insert(place(url), animal);
    }

    /// The name resolves to each of the answers in turn, and to the last one from then on.
    ///
    /// # Panics
    /// If an address is none.
    pub fn name<const N: usize>(&self, host: &str, answers: [&[&str]; N]) {
        let parse = |addresses: &[&str]| addresses.iter().map(|text| text.parse().expect("an IP address")).collect();
        self.grounds.state().names.insert(host.to_owned(), answers.into_iter().map(parse).collect());
    }

    /// What a resolver says of the name.
    pub fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut state = self.grounds.state();
        state.lookups.push(host.to_owned());
        match state.names.get_mut(host) {
            Some(answers) if answers.len() > 1 => Ok(answers.pop_front().unwrap_or_default()),
            Some(answers) => Ok(answers.front().cloned().unwrap_or_default()),
            None if host.ends_with("zoo.example") => Ok(vec![PUBLIC]),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }

    /// The names that were looked up, in order.
    pub fn lookups(&self) -> Vec<String> {
        self.grounds.state().lookups.clone()
    }

    /// The URLs that were asked, in order.
    pub fn visits(&self) -> Vec<String> {
        self.grounds.state().visits.clone()
    }

    /// How often somebody connected, be it without a word.
    pub fn connections(&self) -> usize {
        self.grounds.state().connections
    }
}

impl Drop for Zoo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Host and path: all ports are one.
fn place(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    format!("{}{}", url.host_str().unwrap_or_default(), &url[url::Position::BeforePath..])
}
