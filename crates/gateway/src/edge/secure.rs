//! How connections are secured right now: by the certificate of the configuration, or not at all,
//! because something in front of the gateway does it. A new certificate is for connections that
//! come from then on.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

#[derive(Clone, Default)]
pub struct Secure(Arc<ArcSwapOption<ServerConfig>>);

impl Secure {
    pub fn by(server: Option<Arc<ServerConfig>>) -> Self {
        Self(Arc::new(ArcSwapOption::new(server)))
    }

    pub fn change(&self, server: Option<Arc<ServerConfig>>) {
        self.0.store(server);
    }

    /// What the connection that comes now is secured with.
    pub fn now(&self) -> Option<Arc<ServerConfig>> {
        self.0.load_full()
    }
}
