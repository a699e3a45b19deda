//! What an attacker on the nodes' own network can do to a request that one node passes on to
//! another: nothing but hold it up.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::Request as Incoming, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use portunus::net::{self, NetSettings};
use portunus_testkit::agent::McpClient;
use serde_json::json;
use tokio::net::TcpListener;

use crate::fixture::{GatewayFixture, Setup};

type Change = fn(&mut HeaderMap, &str);

/// What stands between two nodes. It changes the next request that passes, as it is told, and no
/// other.
#[derive(Clone)]
struct Meddler {
    target: Arc<Mutex<Option<SocketAddr>>>,
    next: Arc<Mutex<Option<(Change, String)>>>,
    /// Path, headers and body of each request, as it came.
    seen: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
    http: reqwest::Client,
}

impl Meddler {
    async fn start() -> (Self, String) {
        let meddler = Self {
            target: Arc::default(),
            next: Arc::default(),
            seen: Arc::default(),
            http: net::client(NetSettings::node()).unwrap(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let passing = meddler.clone();
        let router =
            Router::new().fallback(async move |request: Incoming| passing.pass(request).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (meddler, url)
    }

    async fn pass(&self, request: Incoming) -> Response {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.seen.lock().unwrap().push((
            parts.uri.path().to_owned(),
            parts.headers.clone(),
            body.clone(),
        ));
        if let Some((change, value)) = self.next.lock().unwrap().take() {
            change(&mut parts.headers, &value);
        }
        self.send(parts.uri.path(), parts.headers, body).await
    }

    async fn send(&self, path: &str, headers: HeaderMap, body: Bytes) -> Response {
        let target = self.target.lock().unwrap().expect("the node is known");
        let answer = self
            .http
            .post(format!("http://{target}{path}"))
            .headers(headers)
            .body(body)
            .send()
            .await
            .unwrap();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        response.headers_mut().remove("transfer-encoding");
        *response.body_mut() = Body::from_stream(answer.bytes_stream());
        response
    }

    fn meddle(&self, change: Change, value: &str) {
        *self.next.lock().unwrap() = Some((change, value.to_owned()));
    }

    fn last(&self) -> (String, HeaderMap, Bytes) {
        self.seen.lock().unwrap().last().expect("something passed").clone()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn rejected(fixture: &GatewayFixture) -> usize {
    fixture.log.text().matches(r#""rejected":"Headers""#).count()
}

#[tokio::test]
async fn t69_headers_between_nodes_are_the_senders() {
    let (meddler, url) = Meddler::start().await;
    let fixture =
        GatewayFixture::of(Setup { nodes: 2, node_url: Some(url), ..Setup::default() }).await;
    *meddler.target.lock().unwrap() = Some(fixture.node_listeners[1]);
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    // The second node serves this user; the first passes requests on. Two sessions of one client.
    let connect = async || {
        McpClient::connect(&browser, &fixture.at_node(1, "/mcp/uuid"), &tokens.access).await
    };
    let (mut one, other) = (connect().await, connect().await);
    one.url = fixture.at("/mcp/uuid");
    assert_eq!(meddler.count(), 0);
    assert_eq!(one.call_text("count", json!({})).await, "1");
    assert_eq!(meddler.count(), 1, "it was passed on");

    // Each is refused once, without effect; the sender tries again and gets what it asked for.
    let changes: [(&str, Change); 5] = [
        ("another session", |headers, value| {
            drop(headers.insert("mcp-session-id", value.parse().unwrap()));
        }),
        ("a second value", |headers, value| {
            assert!(headers.append("mcp-session-id", value.parse().unwrap()));
        }),
        ("none", |headers, _| drop(headers.remove("mcp-session-id"))),
        ("another media type", |headers, _| {
            drop(headers.insert("content-type", HeaderValue::from_static("text/plain")));
        }),
        ("other answers", |headers, _| {
            drop(headers.insert("accept", HeaderValue::from_static("text/html")));
        }),
    ];
    for (n, (what, change)) in changes.into_iter().enumerate() {
        meddler.meddle(change, &other.session);
        assert_eq!(
            one.call_text("count", json!({})).await,
            (n + 2).to_string(),
            "{what}: one call, in its own session"
        );
        assert_eq!(rejected(&fixture), n + 1, "{what}");
    }
    assert_eq!(other.call_text("count", json!({})).await, "7", "each was done once");

    // Headers that the sender did not name count for nothing.
    let added: [Change; 3] = [
        |headers, _| drop(headers.insert("mcp-method", HeaderValue::from_static("tools/list"))),
        |headers, value| drop(headers.insert("last-event-id", value.parse().unwrap())),
        |headers, _| drop(headers.insert("x-portunus-user", HeaderValue::from_static("root"))),
    ];
    for (n, change) in added.into_iter().enumerate() {
        meddler.meddle(change, "0-1");
        assert_eq!(one.call_text("count", json!({})).await, (n + 8).to_string());
    }
    assert_eq!(rejected(&fixture), 5);

    // What was seen is of no use a second time.
    let (path, headers, body) = meddler.last();
    assert_eq!(path, "/errand");
    for path in ["/errand", "/errand?x=1"] {
        assert_eq!(meddler.send(path, headers.clone(), body.clone()).await.status(), 403, "{path}");
    }
    assert_eq!(one.call_text("count", json!({})).await, "11");
    fixture.close().await;
}
