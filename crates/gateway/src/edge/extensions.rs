//! What the edge attaches to requests and answers as they pass: [`super::layers`] and
//! [`super::server`] attach to requests, endpoints to answers. The types stand here, so that who
//! reads one need not know who attaches it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portunus_core::{Entropy, address_block::AddressBlock};

use super::keyed_limit::Permit;

/// One request's id: in the log, on error pages, in the answer's `x-request-id`.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// One that no other request has.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 12];
        entropy.fill(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The address the request came from, trusted proxies looked through (threat 38).
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The address at the other end of the connection, as the server sees it.
#[derive(Clone, Copy, Debug)]
pub struct ConnectedFrom(pub IpAddr);

/// A request counts among those of its address that are under way, until it is answered or has
/// proven who asks: then it is released, and counts as theirs (threat 62).
#[derive(Clone)]
pub struct AddressPermit(Arc<Mutex<Option<Permit<AddressBlock>>>>);

impl AddressPermit {
    pub fn new(permit: Permit<AddressBlock>) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    pub fn release(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// On answers that are another server's: they stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct FromAnotherServer;

/// On an answer to a request that tried to prove who sends it, and failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedAuthentication;
