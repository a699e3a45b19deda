//! What one node tells another about a request: who asks for what. Sealed with the nodes' common
//! `AUTH_SECRET`, for one receiver, one set of headers, one body and a short time, and good once: a
//! stranger on the nodes' network can neither make, change nor repeat one (threats 33, 69).
//!
//! It is opened in two steps: the seal and the headers first, then the body, which is not read for
//! a sender without the secret.

use std::{sync::Arc, time::Duration};

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
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    bound_headers::BoundHeaders,
    forwarded::{ForwardedKind, ForwardedRequest},
};

/// How far the clocks of two nodes may be apart (F7), the way included.
const FRESH: Duration = Duration::from_secs(60);
const MOST_SEEN: u64 = 1_000_000;

#[derive(Serialize, Deserialize)]
struct Letter<T> {
    nonce: String,
    sent_at: Timestamp,
    body: String,
    #[serde(flatten)]
    about: T,
}

/// What is said of a forwarded request.
#[derive(Serialize, Deserialize)]
struct AboutRequest {
    /// `None`: the list of tools.
    method: Option<String>,
    server: Option<ServerName>,
    principal: Principal,
    headers: BoundHeaders,
}

/// What is said of an order to a shared server.
#[derive(Serialize, Deserialize)]
struct AboutOrder {
    server: ServerName,
}

/// Seals and opens envelopes.
pub(super) struct Envelopes {
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    seen: Cache<String, ()>,
}

/// What an envelope said, once its body is the one that it was sealed with.
pub(super) struct Unread<T> {
    /// The digest of the body.
    body: String,
    said: T,
}

impl<T> Unread<T> {
    /// What it said: good for deciding how much to read, and for nothing else.
    pub(super) const fn said(&self) -> &T {
        &self.said
    }

    pub(super) fn with_body(self, body: &[u8]) -> Result<T, Rejected> {
        if self.body == digest(body) { Ok(self.said) } else { Err(Rejected::Body) }
    }
}

/// What an envelope said of a forwarded request.
pub(super) struct Opened {
    pub(super) what: ForwardedKind,
    pub(super) principal: Principal,
    pub(super) view: View,
    /// Those that the sender bound: of all that came, no others count.
    pub(super) headers: HeaderMap,
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

/// What is sealed for the one purpose opens for no other.
fn request_to(node: &NodeId) -> Place<'_> {
    Place { table: "cluster", column: "envelope", key: node.as_str().as_bytes() }
}

fn order_to(node: &NodeId) -> Place<'_> {
    Place { table: "cluster", column: "order", key: node.as_str().as_bytes() }
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

    /// `headers` are those that go along with it. `None`: it cannot be sealed.
    pub(super) fn seal(
        &self,
        to: &NodeId,
        forwarded: &ForwardedRequest,
        headers: &HeaderMap,
    ) -> Option<String> {
        let about = AboutRequest {
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
        };
        self.seal_letter(request_to(to), &forwarded.body, about)
    }

    pub(super) fn open(
        &self,
        me: &NodeId,
        text: &str,
        received: &HeaderMap,
    ) -> Result<Unread<Opened>, Rejected> {
        let Unread { body, said: about } =
            self.open_letter::<AboutRequest>(request_to(me), text)?;
        let what = match about.method {
            None => ForwardedKind::Tools,
            Some(method) => ForwardedKind::Mcp(
                Method::from_bytes(method.as_bytes()).map_err(|_| Rejected::Seal)?,
            ),
        };
        let view = about.server.map_or(View::All, View::One);
        let headers = about.headers.take_from(received).ok_or(Rejected::Headers)?;
        Ok(Unread { body, said: Opened { what, principal: about.principal, view, headers } })
    }

    /// `None`: it cannot be sealed.
    pub(super) fn seal_order(
        &self,
        to: &NodeId,
        server: &ServerName,
        body: &[u8],
    ) -> Option<String> {
        self.seal_letter(order_to(to), body, AboutOrder { server: server.clone() })
    }

    pub(super) fn open_order(
        &self,
        me: &NodeId,
        text: &str,
    ) -> Result<Unread<ServerName>, Rejected> {
        let Unread { body, said: AboutOrder { server } } = self.open_letter(order_to(me), text)?;
        Ok(Unread { body, said: server })
    }

    fn seal_letter<T: Serialize>(&self, place: Place<'_>, body: &[u8], about: T) -> Option<String> {
        let nonce = URL_SAFE_NO_PAD.encode(random_bytes(&*self.entropy));
        let letter = Letter { nonce, sent_at: self.clock.now(), body: digest(body), about };
        let sealed = self.sealer.seal(place, &serde_json::to_vec(&letter).ok()?).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open_letter<T: DeserializeOwned>(
        &self,
        place: Place<'_>,
        text: &str,
    ) -> Result<Unread<T>, Rejected> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| Rejected::Seal)?;
        let plain = self.sealer.open(place, &sealed).map_err(|_| Rejected::Seal)?;
        let letter: Letter<T> = serde_json::from_slice(&plain).map_err(|_| Rejected::Seal)?;
        let now = self.clock.now();
        if now.since(letter.sent_at) > FRESH || letter.sent_at.since(now) > FRESH {
            return Err(Rejected::Stale);
        }
        // Of many that come with one nonce, one is let in.
        if !self.seen.entry(letter.nonce).or_insert(()).is_fresh() {
            return Err(Rejected::Repeated);
        }
        Ok(Unread { body: letter.body, said: letter.about })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};
    use portunus_core::{
        clock::FixedClock,
        entropy::SeededEntropy,
        ids::{ClientId, GrantId, UserId},
        oauth::scopes::ScopeCatalogue,
        resource::Resource,
        scope::ScopeSet,
        secret::SecretText,
    };

    use super::*;

    fn envelopes(secret: &str, seed: u64, clock: &Arc<FixedClock>) -> Envelopes {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let sealer = Sealer::new(&[SecretText::new(secret)], entropy.clone()).unwrap();
        Envelopes::new(sealer, Arc::clone(clock) as _, entropy)
    }

    fn forwarded(body: &'static str) -> ForwardedRequest {
        let principal = Principal {
            user: UserId::of("https://idp.example", "alice"),
            subject: "alice".to_owned(),
            client: ClientId::from_text("client"),
            application: None,
            grant: GrantId::from_text("grant"),
            resource: Resource::from_stored("https://gateway.example/mcp/dice"),
            scopes: ScopeSet::parse("mcp").unwrap(),
            groups: vec!["staff".to_owned()],
            email: Some("alice@acme.example".to_owned()),
            name: None,
        };
        let view = View::One(ServerName::parse("dice").unwrap());
        let what = ForwardedKind::Mcp(Method::POST);
        let scopes = ScopeCatalogue::new(Vec::new(), Vec::new()).effective(&principal.scopes);
        ForwardedRequest {
            what,
            principal: Arc::new(principal),
            scopes,
            view,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// What became of an envelope that came with these headers and this body.
    fn open(
        receiver: &Envelopes,
        me: &NodeId,
        letter: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Opened, Rejected> {
        receiver.open(me, letter, headers)?.with_body(body)
    }

    #[test]
    fn t33_only_a_node_with_the_secret_can_say_who_asks() {
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
        let (me, other) = (NodeId::from_text("me"), NodeId::from_text("other"));
        let (sender, receiver) =
            (envelopes("the common secret", 1, &clock), envelopes("the common secret", 2, &clock));
        let (forwarded, none) = (forwarded("{}"), HeaderMap::new());
        let letter = sender.seal(&me, &forwarded, &none).unwrap();
        assert_eq!(
            open(&receiver, &other, &letter, &none, b"{}").err(),
            Some(Rejected::Seal),
            "for another node"
        );
        let opened = open(&receiver, &me, &letter, &none, b"{}").ok().unwrap();
        assert_eq!(opened.principal, *forwarded.principal);
        assert_eq!((opened.what, opened.view), (forwarded.what.clone(), forwarded.view.clone()));
        assert_eq!(
            open(&receiver, &me, &letter, &none, b"{}").err(),
            Some(Rejected::Repeated),
            "a second time"
        );
        let letter = sender.seal(&me, &forwarded, &none).unwrap();
        assert_eq!(
            open(&receiver, &me, &letter, &none, b"{ }").err(),
            Some(Rejected::Body),
            "with another body"
        );
        assert_eq!(
            open(&receiver, &me, &letter, &none, b"{}").err(),
            Some(Rejected::Repeated),
            "nor with its own after that"
        );
        let stranger = envelopes("another secret", 3, &clock);
        assert_eq!(
            open(&receiver, &me, &stranger.seal(&me, &forwarded, &none).unwrap(), &none, b"{}")
                .err(),
            Some(Rejected::Seal)
        );
        for forged in ["", "AAAA", "not base64!"] {
            assert_eq!(open(&receiver, &me, forged, &none, b"{}").err(), Some(Rejected::Seal));
        }
        let early = sender.seal(&me, &forwarded, &none).unwrap();
        let tools = sender
            .seal(
                &me,
                &ForwardedRequest { what: ForwardedKind::Tools, view: View::All, ..forwarded },
                &none,
            )
            .unwrap();
        assert_eq!(
            open(&receiver, &me, &tools, &none, b"{}").ok().unwrap().what,
            ForwardedKind::Tools
        );
        clock.advance(FRESH + Duration::from_secs(1));
        assert_eq!(open(&receiver, &me, &early, &none, b"{}").err(), Some(Rejected::Stale));
    }

    #[test]
    fn t33_an_order_is_no_errand() {
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
        let me = NodeId::from_text("me");
        let (sender, receiver) =
            (envelopes("the common secret", 1, &clock), envelopes("the common secret", 2, &clock));
        let dice = ServerName::parse("dice").unwrap();
        let seal_order = || sender.seal_order(&me, &dice, b"{}").unwrap();
        let open_order = |text: &str, body: &[u8]| receiver.open_order(&me, text)?.with_body(body);
        assert_eq!(
            open(&receiver, &me, &seal_order(), &HeaderMap::new(), b"{}").err(),
            Some(Rejected::Seal)
        );
        assert_eq!(
            open_order(&sender.seal(&me, &forwarded("{}"), &HeaderMap::new()).unwrap(), b"{}")
                .err(),
            Some(Rejected::Seal),
            "nor the reverse"
        );
        assert_eq!(open_order(&seal_order(), b"{ }").err(), Some(Rejected::Body));
        let order = seal_order();
        assert_eq!(open_order(&order, b"{}"), Ok(dice.clone()));
        assert_eq!(open_order(&order, b"{}").err(), Some(Rejected::Repeated));
    }

    #[test]
    fn t69_headers_are_those_of_the_sender() {
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
        let me = NodeId::from_text("me");
        let (sender, receiver) =
            (envelopes("the common secret", 1, &clock), envelopes("the common secret", 2, &clock));
        let with = |list: &[(&'static str, &'static str)]| {
            list.iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect::<HeaderMap>()
        };
        let (forwarded, sent) = (forwarded("{}"), with(&[("mcp-session-id", "s1")]));
        for (received, expected) in [
            (with(&[("mcp-session-id", "s1")]), Ok(sent.clone())),
            (
                with(&[("mcp-session-id", "s1"), ("mcp-method", "tools/list"), ("accept", "*/*")]),
                Ok(sent.clone()),
            ),
            (with(&[("mcp-session-id", "s2")]), Err(Rejected::Headers)),
            (with(&[]), Err(Rejected::Headers)),
        ] {
            let letter = sender.seal(&me, &forwarded, &sent).unwrap();
            let opened =
                open(&receiver, &me, &letter, &received, b"{}").map(|opened| opened.headers);
            assert_eq!(opened, expected, "{received:?}");
        }
    }
}
