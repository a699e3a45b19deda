//! What one node tells another about a request: a client's, or one to a server that all users
//! share. Sealed with the nodes' common `AUTH_SECRET`, for one receiver, one set of headers, one
//! body and a short time, and good once: a stranger on the nodes' network can neither make, change
//! nor repeat one (threats 33, 69). [`super::sender`] sends it, [`super::listener`] takes it in.
//!
//! It is opened in two steps: the seal and the headers first, then the body, which is not read for
//! a sender without the secret.

use std::{net::IpAddr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Method};
use moka::{policy::EvictionPolicy, sync::Cache};
use portunus_core::{
    Clock, Entropy, Timestamp,
    entropy::random_bytes,
    ids::{NodeId, ServerName},
    principal::Principal,
};
use portunus_mcp::hub::View;
use portunus_store::seal::{Place, Sealer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    bound_headers::BoundHeaders,
    forwarded::{ForwardedKind, ForwardedRequest},
};

/// How far the clocks of two nodes may be apart (F7), the way included.
const FRESH: Duration = Duration::from_secs(60);
const MOST_SEEN: u64 = 1_000_000;

#[derive(Serialize, Deserialize)]
struct Letter {
    nonce: String,
    sent_at: Timestamp,
    body: String,
    #[serde(flatten)]
    about: About,
}

/// What is said of a request.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum About {
    /// Of a forwarded one.
    Forwarded(Box<AboutForwarded>),
    /// Of one to a server that all users share.
    SharedServer { shared_server: ServerName },
}

/// Who asks for what.
#[derive(Serialize, Deserialize)]
pub(super) struct AboutForwarded {
    /// `None`: the list of tools.
    method: Option<String>,
    server: Option<ServerName>,
    principal: Principal,
    headers: BoundHeaders,
    /// From where the request came.
    #[serde(default)]
    address: Option<IpAddr>,
}

impl About {
    /// `headers` are those that go along.
    pub(super) fn forwarded(forwarded: &ForwardedRequest, headers: &HeaderMap) -> Self {
        Self::Forwarded(Box::new(AboutForwarded {
            method: match &forwarded.what {
                ForwardedKind::Mcp(method) => Some(method.as_str().to_owned()),
                ForwardedKind::Tools => None,
            },
            server: match &forwarded.view {
                View::All => None,
                View::One(server) => Some(server.clone()),
            },
            principal: Principal::clone(&forwarded.principal),
            headers: BoundHeaders::of(headers),
            address: forwarded.audit.address(),
        }))
    }
}

/// Seals and opens envelopes.
pub(super) struct Envelopes {
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    seen: Cache<String, ()>,
}

/// What an envelope said, once its body is the one that it was sealed with.
pub(super) struct Unread {
    /// The digest of the body.
    body: String,
    said: Opened,
}

impl Unread {
    /// What it said: good for deciding how much to read, and for nothing else.
    pub(super) const fn said(&self) -> &Opened {
        &self.said
    }

    pub(super) fn with_body(self, body: &[u8]) -> Result<Opened, Rejected> {
        if self.body == digest(body) { Ok(self.said) } else { Err(Rejected::Body) }
    }
}

/// What an envelope said.
#[derive(Debug, PartialEq)]
pub(super) enum Opened {
    Forwarded(Box<OpenedRequest>),
    SharedServer(ServerName),
}

/// What an envelope said of a forwarded request.
#[derive(Debug, PartialEq)]
pub(super) struct OpenedRequest {
    pub(super) what: ForwardedKind,
    pub(super) principal: Principal,
    pub(super) view: View,
    /// Those that the sender bound: of all that came, no others count.
    pub(super) headers: HeaderMap,
    pub(super) address: Option<IpAddr>,
}

/// Why an envelope is not accepted: for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Not sealed by a node with our secret, or for another node.
    Seal,
    Stale,
    Repeated,
    /// The headers are not those that it was sealed for.
    Headers,
    /// The body is not the one that it was sealed for.
    Body,
}

/// What is sealed for one node opens at no other.
fn place_of(node: &NodeId) -> Place<'_> {
    Place { table: "cluster", column: "envelope", key: node.as_str().as_bytes() }
}

fn digest(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

impl Envelopes {
    pub(super) fn new(sealer: Sealer, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        // Longer than any envelope is accepted, seen from both clocks.
        let seen = Cache::builder()
            .max_capacity(MOST_SEEN)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(FRESH * 3)
            .build();
        Self { sealer, clock, entropy, seen }
    }

    /// `None`: it cannot be sealed.
    pub(super) fn seal(&self, to: &NodeId, about: About, body: &[u8]) -> Option<String> {
        let nonce = URL_SAFE_NO_PAD.encode(random_bytes(&*self.entropy));
        let letter = Letter { nonce, sent_at: self.clock.now(), body: digest(body), about };
        let sealed = self.sealer.seal(place_of(to), &serde_json::to_vec(&letter).ok()?).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What came for `me` with these headers. Opens each envelope once.
    pub(super) fn open(
        &self,
        me: &NodeId,
        text: &str,
        received: &HeaderMap,
    ) -> Result<Unread, Rejected> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| Rejected::Seal)?;
        let plain = self.sealer.open(place_of(me), &sealed).map_err(|_| Rejected::Seal)?;
        let letter: Letter = serde_json::from_slice(&plain).map_err(|_| Rejected::Seal)?;
        let now = self.clock.now();
        if now.since(letter.sent_at) > FRESH || letter.sent_at.since(now) > FRESH {
            return Err(Rejected::Stale);
        }
        // Of many that come with one nonce, one is let in.
        if !self.seen.entry(letter.nonce).or_insert(()).is_fresh() {
            return Err(Rejected::Repeated);
        }
        Ok(Unread { body: letter.body, said: opened(letter.about, received)? })
    }
}

fn opened(about: About, received: &HeaderMap) -> Result<Opened, Rejected> {
    let AboutForwarded { method, server, principal, headers, address } = match about {
        About::SharedServer { shared_server } => return Ok(Opened::SharedServer(shared_server)),
        About::Forwarded(about) => *about,
    };
    let what = match method {
        None => ForwardedKind::Tools,
        Some(method) => {
            ForwardedKind::Mcp(Method::from_bytes(method.as_bytes()).map_err(|_| Rejected::Seal)?)
        }
    };
    let view = server.map_or(View::All, View::One);
    let headers = headers.take_from(received).ok_or(Rejected::Headers)?;
    Ok(Opened::Forwarded(Box::new(OpenedRequest { what, principal, view, headers, address })))
}

#[cfg(test)]
mod tests;
