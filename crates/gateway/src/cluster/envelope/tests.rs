//! Envelopes as they were sealed, and otherwise (threats 33, 69).

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use portunus_core::{
    clock::FixedClock,
    entropy::SeededEntropy,
    ids::{ClientId, GrantId, ProviderName, UserId},
    oauth::scopes::ScopeCatalogue,
    resource::Resource,
    scope::ScopeSet,
    secret::SecretText,
};

use super::*;
use crate::{
    audit::{AuditLog, RequestAudit},
    edge::resource_server::access::Remembered,
};

fn envelopes(secret: &str, seed: u64, clock: &Arc<FixedClock>) -> Envelopes {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let sealer = Sealer::new(&[SecretText::new(secret)], entropy.clone()).unwrap();
    Envelopes::new(sealer, Arc::clone(clock) as _, entropy)
}

fn forwarded(body: &'static str) -> ForwardedRequest {
    let principal = Principal {
        user: UserId::of("https://idp.example", "alice"),
        subject: "alice".to_owned(),
        provider: Some(ProviderName::from_text("okta")),
        client: ClientId::from_text("client"),
        application: None,
        grant: GrantId::from_text("grant"),
        resource: Resource::from_stored("https://gateway.example/mcp/dice"),
        scopes: ScopeSet::parse("mcp").unwrap(),
        groups: vec!["staff".to_owned()],
        email: Some("alice@acme.example".to_owned()),
        name: None,
        signed_in_at: None,
    };
    let view = View::One(ServerName::parse("dice").unwrap());
    let what = ForwardedKind::Mcp(Method::POST);
    let scopes = ScopeCatalogue::new(Vec::new(), Vec::new()).effective(&principal.scopes);
    ForwardedRequest {
        what,
        principal: Arc::new(principal),
        remembered: Remembered::default(),
        scopes,
        view,
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        audit: RequestAudit::new(AuditLog::off(), None, ""),
    }
}

/// What became of an envelope that came with these headers and this body.
fn open(
    receiver: &Envelopes,
    me: &NodeId,
    letter: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<OpenedRequest, Rejected> {
    match receiver.open(me, letter, headers)?.with_body(body)? {
        Opened::Forwarded(opened) => Ok(*opened),
        Opened::SharedServer(server) => panic!("a request to {server}"),
    }
}

fn seal(sender: &Envelopes, to: &NodeId, of: &ForwardedRequest, along: &HeaderMap) -> String {
    sender.seal(to, About::forwarded(of, along), &of.body).unwrap()
}

#[test]
fn t33_only_a_node_with_the_secret_can_say_who_asks() {
    let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
    let (me, other) = (NodeId::from_text("me"), NodeId::from_text("other"));
    let (sender, receiver) =
        (envelopes("the common secret", 1, &clock), envelopes("the common secret", 2, &clock));
    let (forwarded, none) = (forwarded("{}"), HeaderMap::new());
    let letter = seal(&sender, &me, &forwarded, &none);
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
    let letter = seal(&sender, &me, &forwarded, &none);
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
        open(&receiver, &me, &seal(&stranger, &me, &forwarded, &none), &none, b"{}").err(),
        Some(Rejected::Seal)
    );
    for forged in ["", "AAAA", "not base64!"] {
        assert_eq!(open(&receiver, &me, forged, &none, b"{}").err(), Some(Rejected::Seal));
    }
    let early = seal(&sender, &me, &forwarded, &none);
    let tools = ForwardedRequest { what: ForwardedKind::Tools, view: View::All, ..forwarded };
    let tools = seal(&sender, &me, &tools, &none);
    assert_eq!(open(&receiver, &me, &tools, &none, b"{}").ok().unwrap().what, ForwardedKind::Tools);
    clock.advance(FRESH + Duration::from_secs(1));
    assert_eq!(open(&receiver, &me, &early, &none, b"{}").err(), Some(Rejected::Stale));
}

#[test]
fn t33_a_request_to_a_shared_server_is_sealed_as_well() {
    let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
    let (me, other) = (NodeId::from_text("me"), NodeId::from_text("other"));
    let (sender, receiver) =
        (envelopes("the common secret", 1, &clock), envelopes("the common secret", 2, &clock));
    let dice = ServerName::parse("dice").unwrap();
    let seal = || {
        let about = About::SharedServer { shared_server: dice.clone() };
        sender.seal(&me, about, b"{}").unwrap()
    };
    let open = |me: &NodeId, text: &str, body: &[u8]| {
        receiver.open(me, text, &HeaderMap::new())?.with_body(body)
    };
    assert_eq!(open(&other, &seal(), b"{}"), Err(Rejected::Seal));
    assert_eq!(open(&me, &seal(), b"{ }"), Err(Rejected::Body));
    let letter = seal();
    assert_eq!(open(&me, &letter, b"{}"), Ok(Opened::SharedServer(dice.clone())));
    assert_eq!(open(&me, &letter, b"{}"), Err(Rejected::Repeated));
}

#[test]
fn t69_headers_are_those_of_the_sender() {
    let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
    let me = NodeId::from_text("me");
    let (sender, receiver) =
        (envelopes("the common secret", 1, &clock), envelopes("the common secret", 2, &clock));
    let with = |list: &[(&'static str, &'static str)]| {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
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
        let letter = seal(&sender, &me, &forwarded, &sent);
        let opened = open(&receiver, &me, &letter, &received, b"{}").map(|opened| opened.headers);
        assert_eq!(opened, expected, "{received:?}");
    }
}
