//! The application: everything the endpoints need. It stands on the [`Ground`], which stays, and is made anew for each configuration by
//! `gateway::build`. Each endpoint's state takes only what it uses of it; [`super::router`] hands it out.

use std::{sync::Arc, time::Duration};

use hkdf::Hkdf;
use portunus_core::{
    Clock, Entropy,
    address_block::AddressBlock,
    admission::{Allow, NotAdmitted},
    client::Client,
    ids::{ProviderName, ServerName, UserId},
    lifetimes::Lifetimes,
    oauth::{registration_policy::RegistrationPolicy, token::service_issuer},
    principal::User,
    resource::{PublicUrl, Resources},
    secret::SecretText,
    store::Stores,
};
use portunus_identity::provider::Provider;
use portunus_mcp::hub::Hub;
use sha2::Sha256;
use tokio::sync::watch;

use super::{
    assertions::Assertions,
    clients::ClientDirectory,
    connections::Connections,
    health::Stopping,
    keyed_limit::KeyedLimit,
    mcp::{McpState, Shares},
    protect::cache::TokenCache,
    proxy::ProxyRoutes,
    throttle::Throttle,
};
use crate::{
    cluster::Cluster,
    config::{Cidr, Limits},
    net::guarded::GuardedFetcher,
};

/// What stays as long as the process does, whatever the configuration.
#[derive(Clone)]
pub struct Ground {
    pub stores: Stores,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub hub: Arc<Hub>,
    /// What each address, and each person, has under way. It goes on to count when limits change.
    pub counts: Counts,
    /// Connections from outside.
    pub connections: Connections,
    /// Tokens that were looked up a while ago.
    pub tokens: TokenCache,
    /// Who is admitted by the configuration of now: requests and streams that began under an earlier one are judged by it too. `None` until
    /// the gateway runs.
    pub admission: watch::Sender<Option<Providers>>,
    /// The other gateways on the same store.
    pub cluster: Cluster,
    /// Has the process been told to stop?
    pub stopping: Stopping,
    /// The way to URLs that are not in the configuration.
    pub fetcher: Arc<GuardedFetcher>,
    /// Shows the demo's banner on every page.
    pub demo: bool,
}

/// Counts of what is under way.
#[derive(Clone, Default)]
pub struct Counts {
    pub requests_by_address: KeyedLimit<AddressBlock>,
    pub requests_by_user: KeyedLimit<UserId>,
    pub bytes_by_user: KeyedLimit<UserId>,
}

/// Everything the endpoints need.
pub struct AppState {
    pub ground: Ground,
    pub resources: Arc<Resources>,
    pub lifetimes: Lifetimes,
    pub providers: Providers,
    pub keys: EdgeKeys,
    pub proxy: ProxyRoutes,
    /// Servers as the home page lists them: name and how they are reached.
    pub server_kinds: Vec<(ServerName, &'static str)>,
    pub admission: Admission,
    pub body_limit: usize,
    /// What one address and one person may have.
    pub limits: Limits,
    /// Counts what addresses and clients ask for.
    pub throttle: Throttle,
    /// How clients may come to be.
    pub registration_policy: Arc<RegistrationPolicy>,
    /// Clients of the configuration.
    pub configured_clients: Vec<Client>,
    /// Registered clients that never redeemed a code, at most (threat 25).
    pub max_unused_clients: u64,
    /// How long connections are still accepted once the process was told to stop.
    pub stop_delay: Duration,
}

impl AppState {
    /// The MCP endpoints.
    pub fn mcp_state(&self) -> McpState {
        McpState {
            hub: Arc::clone(&self.ground.hub),
            resources: Arc::clone(&self.resources),
            body_limit: self.body_limit,
            shares: Shares {
                requests: self.ground.counts.requests_by_user.clone(),
                bytes: self.ground.counts.bytes_by_user.clone(),
                requests_per_user: self.limits.requests_per_user,
                bytes_per_user: self.limits.bytes_per_user,
            },
            cluster: self.ground.cluster.clone(),
        }
    }

    /// All the clients there are.
    pub fn directory(&self) -> ClientDirectory {
        ClientDirectory::new(
            self.configured_clients.clone(),
            Arc::clone(&self.registration_policy),
            Arc::clone(&self.ground.fetcher),
            Arc::clone(&self.ground.stores.clients),
            Arc::clone(&self.ground.stores.grants),
            Arc::clone(&self.ground.clock),
        )
    }

    /// What checks clients' signatures.
    pub fn assertions(&self) -> Assertions {
        let Ground { fetcher, stores, clock, .. } = &self.ground;
        Assertions::new(Arc::clone(fetcher), Arc::clone(&stores.assertions), Arc::clone(clock), self.resources.public_url())
    }
}

/// Who may speak to us at all, before any token is looked at (threats 34, 38).
#[derive(Clone, Debug, Default)]
pub struct Admission {
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<Cidr>,
}

/// The identity providers, in the order they are offered, and with them who may sign in.
#[derive(Clone)]
pub struct Providers {
    entries: Arc<Vec<ProviderEntry>>,
    /// Clients that act for themselves are users too, of no provider.
    service_issuer: String,
}

/// A provider and where it sends people back to.
pub struct ProviderEntry {
    pub provider: Arc<dyn Provider>,
    /// What people call it: the provider's own label, unless the configuration has another.
    pub label: String,
    /// Must be registered at the provider, to the letter.
    pub redirect_uri: String,
    /// Another provider answers at the same redirect URI, so that an answer must say whose it is.
    pub is_shared: bool,
    /// Whose accounts are admitted (threat 53).
    pub allow: Allow,
}

impl ProviderEntry {
    /// Can an answer with this `iss` be from this provider (RFC 9207)? Where two answer at one redirect URI it must have one
    /// (threat 54, RFC 9700 section 4.4.2).
    pub fn admits_issuer(&self, iss: Option<&str>) -> bool {
        iss.map_or(!self.is_shared, |iss| self.provider.is_issuer(iss))
    }
}

/// What the configuration of now says of a person, as their provider last described them.
pub enum Standing {
    Admitted,
    /// The provider's rule does not fit them.
    NotAdmitted(NotAdmitted),
    /// The provider they signed in at is not configured any more, or is another one under the same name.
    NoProvider,
}

impl Providers {
    /// Are these of one configuration? Each load makes its own.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    pub fn new(entries: Vec<ProviderEntry>, public_url: &PublicUrl) -> Self {
        Self { entries: Arc::new(entries), service_issuer: service_issuer(public_url) }
    }

    /// What is stored of a person, judged by the rules of now.
    pub fn standing(&self, user: &User) -> Standing {
        if user.issuer == self.service_issuer {
            return Standing::Admitted;
        }
        match self.find(&user.provider).filter(|entry| entry.provider.is_issuer(&user.issuer)) {
            None => Standing::NoProvider,
            Some(entry) => entry.allow.decide(user).map_or_else(Standing::NotAdmitted, |_| Standing::Admitted),
        }
    }

    /// May the person be given anything new: a code, tokens, a page?
    pub fn admit(&self, user: &User) -> bool {
        match self.standing(user) {
            Standing::Admitted => true,
            Standing::NotAdmitted(why) => {
                tracing::info!(user = %user.id, provider = %user.provider, %why, "no longer admitted");
                false
            }
            Standing::NoProvider => {
                tracing::info!(user = %user.id, provider = %user.provider, "no longer admitted: there is no such provider");
                false
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &ProviderEntry> {
        self.entries.iter()
    }

    pub fn find(&self, name: &ProviderName) -> Option<&ProviderEntry> {
        self.entries.iter().find(|entry| entry.provider.name() == name)
    }

    /// The provider, if there is just one to choose from.
    pub fn only(&self) -> Option<&ProviderEntry> {
        match self.entries.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What the consent page says about where one signs in.
    pub fn label(&self) -> &str {
        self.only().map_or("your identity provider", |entry| entry.label.as_str())
    }
}

/// Keys of the edge, derived from `AUTH_SECRET`, each for one use. Pages that were served under an earlier secret still count.
#[derive(Clone)]
pub struct EdgeKeys {
    csrf: CsrfKey,
    earlier: Vec<CsrfKey>,
}

/// As long as a block of SHA-256, which is what HMAC takes without folding.
type CsrfKey = [u8; 64];

impl EdgeKeys {
    /// The current secret first; without any, the keys are good for nothing.
    pub fn derive(auth_secrets: &[SecretText]) -> Self {
        let mut keys = auth_secrets.iter().map(|secret| {
            let mut csrf = [0; 64];
            let hkdf = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
            // A 64-byte output is far below HKDF's limit of 255 hashes, so this cannot fail.
            let _ = hkdf.expand(b"portunus/edge/csrf/1", &mut csrf);
            csrf
        });
        let csrf = keys.next().unwrap_or([0; 64]);
        Self { csrf, earlier: keys.collect() }
    }

    /// The key that CSRF tokens are made with.
    pub const fn csrf(&self) -> &CsrfKey {
        &self.csrf
    }

    /// The keys that they may have been made with.
    pub fn any_csrf(&self) -> impl Iterator<Item = &CsrfKey> {
        std::iter::once(&self.csrf).chain(&self.earlier)
    }
}

/// How long the browser cookie that binds forms and sign-ins to a browser lives.
pub const BROWSER_COOKIE: Duration = Duration::from_secs(24 * 60 * 60);
