//! The hub and the pool together, before four servers that the test is ([`super::peer`]): one for
//! each era on each transport. In front, a client of each era that adds nothing to what it sends.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy, rt::TokioExecutor};
use portunus_core::{
    entropy::SeededEntropy,
    ids::{ClientId, GrantId, ServerName, UserId},
    principal::Principal,
    resource::Resource,
    scope::ScopeSet,
};
use portunus_mcp::{
    allow::AllowAll,
    answer::{Answer, Body},
    era::Era,
    hub::{Caller, Hub, HubSettings, Seal, Servers, View},
    sandbox::Sandbox,
    spec::{Isolation, ServerSpec, Transport},
    upstream::{Options, Upstreams},
};
use portunus_testkit::mcp_servers::fixture_binary;

use super::peer::{Heard, Peer};

/// What both clients can do.
pub(crate) const CAPABILITIES: &str = r#"{"elicitation":{},"roots":{},"sampling":{}}"#;
/// Who the legacy client says it is, in its handshake.
pub(crate) const CLIENT_INFO: &str = r#"{ "name":"test", "x":1.50,"version":"1"}"#;
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) hub: Arc<Hub>,
    pool: Arc<Upstreams>,
    pub(crate) servers: Vec<(&'static str, Arc<Peer>, Heard)>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "tests make their own client")]
    pub(crate) async fn new() -> Self {
        let mut servers = Vec::new();
        for (name, era, is_child) in [
            ("lc", Era::Legacy, true),
            ("lh", Era::Legacy, false),
            ("mc", Era::Modern, true),
            ("mh", Era::Modern, false),
        ] {
            let (peer, heard) = Peer::start(era, is_child).await;
            servers.push((name, peer, heard));
        }
        let specs: Vec<_> = servers.iter().map(|(name, peer, _)| spec(name, peer)).collect();
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(rustls::crypto::aws_lc_rs::default_provider());
        let http = legacy::Client::builder(TokioExecutor::new())
            .build(tls.unwrap().https_or_http().enable_http1().build());
        let pool = Arc::new(Upstreams::new(specs.clone(), http, Options::default()));
        let port = Arc::clone(&pool) as Arc<dyn Servers>;
        let settings = HubSettings { keep_alive: PATIENCE * 10, ..HubSettings::default() };
        let hub = Hub::new(settings, specs, port, Arc::new(SeededEntropy::new(1)), Arc::new(Wax));
        Self { hub, pool, servers }
    }

    pub(crate) async fn end(self) {
        self.hub.shutdown().await;
        self.pool.shutdown(Duration::from_secs(10)).await;
    }

    /// A client that sees all servers, or one.
    pub(crate) async fn client(&self, era: Era, server: Option<&str>) -> Client {
        let view = server.map_or(View::All, |server| View::One(ServerName::parse(server).unwrap()));
        let mut client =
            Client { hub: Arc::clone(&self.hub), caller: caller(view), era, session: None };
        if era == Era::Legacy {
            let params = format!(
                r#"{{"protocolVersion":"2025-11-25","capabilities":{CAPABILITIES},"clientInfo":{CLIENT_INFO}}}"#
            );
            let answer = client.post("initialize", "", &request("0", "initialize", &params)).await;
            assert_eq!(answer.status, StatusCode::OK);
            client.session = Some(answer.headers["mcp-session-id"].clone());
        }
        client
    }
}

fn spec(name: &str, peer: &Peer) -> ServerSpec {
    let transport = if peer.is_child {
        let command = fixture_binary().to_str().unwrap().to_owned();
        Transport::Stdio {
            command,
            args: vec!["bridge".to_owned(), peer.port.to_string()],
            env: BTreeMap::new(),
            cwd: None,
            sandbox: Sandbox::default(),
        }
    } else {
        let url = format!("http://127.0.0.1:{}/mcp", peer.port).parse().unwrap();
        Transport::Http { url, headers: Vec::new() }
    };
    ServerSpec {
        isolation: Isolation::User,
        request_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        idle_timeout: PATIENCE * 10,
        ..ServerSpec::with_defaults(ServerName::parse(name).unwrap(), transport)
    }
}

fn caller(view: View) -> Caller {
    let principal = Principal {
        user: UserId::from_text("alice"),
        subject: "alice".to_owned(),
        provider: None,
        client: ClientId::from_text("ptn_client_test"),
        application: None,
        grant: GrantId::from_text("ptn_grant_test"),
        resource: Resource::from_stored("https://gateway.test/mcp".to_owned()),
        scopes: ScopeSet::default(),
        groups: Vec::new(),
        email: None,
        name: None,
        signed_in_at: None,
    };
    Caller {
        principal: Arc::new(principal),
        view,
        allow: Arc::new(AllowAll),
        request_id: None,
        observer: None,
        limits: None,
    }
}

/// A seal that hides nothing, but opens for the same thing alone.
struct Wax;

impl Seal for Wax {
    fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        Some([bound_to, plain].concat())
    }

    fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        sealed.strip_prefix(bound_to).map(<[u8]>::to_vec)
    }
}

pub(crate) struct Client {
    hub: Arc<Hub>,
    caller: Caller,
    pub(crate) era: Era,
    session: Option<HeaderValue>,
}

impl Client {
    /// `name` is the tool, prompt or resource that a modern client says again in a header.
    pub(crate) async fn post(&self, method: &str, name: &str, message: &str) -> Answer {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap())
        };
        set("content-type", "application/json");
        set("accept", "application/json, text/event-stream");
        match (self.era, &self.session) {
            (Era::Modern, _) => {
                set("mcp-protocol-version", "2026-07-28");
                set("mcp-method", method);
                set("mcp-name", name);
            }
            (Era::Legacy, Some(session)) => {
                set("mcp-protocol-version", "2025-11-25");
                set("mcp-session-id", session.to_str().unwrap());
            }
            (Era::Legacy, None) => {}
        }
        self.hub
            .post(self.caller.clone(), &headers, Bytes::copy_from_slice(message.as_bytes()))
            .await
    }
}

/// The messages of an answer, one by one as they come.
pub(crate) struct Messages(Body);

impl Messages {
    pub(crate) fn of(answer: Answer) -> Self {
        Self(answer.body)
    }

    /// An event's lines of data are put together with line feeds, as its reader does. One without
    /// any tells how to come back, and nothing else.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match std::mem::replace(&mut self.0, Body::Empty) {
                Body::Empty => return None,
                Body::Json(bytes) => return Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Body::Events(mut stream) => {
                    let event = tokio::time::timeout(PATIENCE, stream.next())
                        .await
                        .expect("an event in time")?;
                    self.0 = Body::Events(stream);
                    let event = String::from_utf8(event.to_vec()).unwrap();
                    let lines = event
                        .strip_suffix("\n\n")
                        .unwrap()
                        .split('\n')
                        .filter_map(|line| line.strip_prefix("data:"));
                    let data: Vec<_> =
                        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
                    if data.iter().any(|line| !line.is_empty()) {
                        return Some(data.join("\n"));
                    }
                }
            }
        }
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.0, Body::Events(_))
    }
}

pub(crate) fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// What the server heard next.
pub(crate) async fn next(heard: &mut Heard, what: &str) -> String {
    tokio::time::timeout(PATIENCE, heard.recv())
        .await
        .unwrap_or_else(|_| panic!("the server waits in vain for {what}"))
        .unwrap()
}

pub(crate) fn answers_in_events(peer: &Peer, in_events: bool) {
    peer.in_events.store(in_events, Ordering::SeqCst);
}
