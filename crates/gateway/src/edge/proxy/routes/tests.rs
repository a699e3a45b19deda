//! The proxy in front of a real backend on loopback. Tables of paths are in `edge::proxy::path`.

use std::{convert::Infallible, net::Ipv4Addr};

use axum::{Router, extract::State, response::IntoResponse, routing::any};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use portunus_core::{
    ids::{ClientId, GrantId, UserId},
    principal::Principal,
    resource::Resource,
    scope::ScopeSet,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedSender},
};
use url::Url;

use super::*;
use crate::net::{NetSettings, forwarding_client};

fn principal() -> Principal {
    Principal {
        user: UserId::of("https://idp.example", "alice"),
        subject: "subject".to_owned(),
        provider: None,
        client: ClientId::from_text("ptn_client_x"),
        application: None,
        grant: GrantId::from_text("ptn_grant_x"),
        resource: Resource::from_stored("https://gw.example/mcp/dice"),
        scopes: ScopeSet::default(),
        groups: vec!["engineering".into(), "Zürich, HQ".into()],
        email: Some("alice@example.com".into()),
        name: Some("Alice".into()),
        signed_in_at: None,
    }
}

/// What the backend saw.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = body.collect().await.unwrap().to_bytes();
    let seen = json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let answer_headers = [
        ("set-cookie", "sid=1"),
        ("clear-site-data", "\"*\""),
        ("nel", "{}"),
        ("accept-ch", "DPR"),
        ("x-accel-redirect", "/etc/passwd"),
        ("x-accel-buffering", "no"),
        ("mcp-session-id", "s1"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("access-control-allow-origin", "*"),
    ];
    (answer_headers, axum::Json(seen)).into_response()
}

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&format!("http://{address}")).unwrap()
}

fn routes_to(target: Url, limits: ProxyLimits) -> ProxyRoutes {
    let pass_headers =
        ["X-Multi", "X-Acme-*"].map(|text| HeaderPattern::parse(text).unwrap()).to_vec();
    let route = ProxyRoute { pass_headers, ..ProxyRoute::new("/mcp/dice/", target) };
    let client = forwarding_client(NetSettings::upstream()).unwrap();
    ProxyRoutes::new(&[route], client, PublicUrl::parse("https://gw.example").unwrap(), limits)
}

async fn proxied(backend: Router) -> ProxyRoutes {
    routes_to(serve(backend).await, ProxyLimits::default())
}

async fn send(routes: &ProxyRoutes, request: Request) -> Response {
    let principal = principal();
    let caller = Caller {
        peer: Ipv4Addr::new(203, 0, 113, 9).into(),
        principal: &principal,
        request_id: "req-1",
    };
    routes.forward("/mcp/dice/", request, caller).await
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = seen["headers"].as_array().unwrap();
    headers.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
}

#[tokio::test]
async fn path_query_and_body_arrive_as_they_were_sent() {
    let routes = proxied(Router::new().fallback(echo)).await;
    let request = Request::post("/mcp/dice/a%20b/mcp?x='1'&y=%2F..&z={2}|")
        .body(Body::from("{\"a\": 1}"))
        .unwrap();
    let response = send(&routes, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let seen = json_of(response).await;
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["uri"], "/a%20b/mcp?x='1'&y=%2F..&z={2}|");
    assert_eq!(seen["body"], "{\"a\": 1}");
    assert_eq!(values(&seen, "content-length"), ["8"]);
}

#[tokio::test]
async fn fb50_an_empty_body_arrives_as_it_was_told() {
    let routes = proxied(Router::new().fallback(echo)).await;
    for (method, told, expected) in [
        ("POST", Some("0"), &["0"][..]),
        ("PUT", Some("0"), &["0"]),
        ("DELETE", Some("0"), &["0"]),
        ("POST", None, &[]),
        ("GET", None, &[]),
    ] {
        let mut request = Request::builder().method(method).uri("/mcp/dice/x");
        if let Some(told) = told {
            request = request.header("content-length", told);
        }
        let seen = json_of(send(&routes, request.body(Body::empty()).unwrap()).await).await;
        assert_eq!(values(&seen, "content-length"), expected, "{method} {told:?}");
        assert_eq!(seen["body"], "", "{method} {told:?}");
    }
}

#[tokio::test]
async fn fb51_a_client_of_the_old_transport_calls_through_a_route() {
    let opening = async || {
        let said = "event: endpoint\ndata: /messages?session=7\n\n";
        let chunks =
            stream::iter([Ok::<_, Infallible>(Bytes::from(said))]).chain(stream::pending());
        ([("content-type", "text/event-stream; charset=utf-8")], Body::from_stream(chunks))
    };
    let routes = proxied(Router::new().route("/sse", any(opening)).fallback(echo)).await;
    let response = send(&routes, Request::get("/mcp/dice/sse").body(Body::empty()).unwrap()).await;
    let mut events = response.into_body().into_data_stream();
    let first = events.next().await.unwrap().unwrap();
    let address = std::str::from_utf8(&first)
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    let posted = send(&routes, Request::post(address).body(Body::from("{}")).unwrap()).await;
    assert_eq!(json_of(posted).await["uri"], "/messages?session=7");
}

#[tokio::test]
async fn t31_t33_t38_only_our_word_about_the_caller_arrives() {
    let target = serve(Router::new().fallback(echo)).await;
    let host = target.as_str().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let routes = routes_to(target, ProxyLimits::default());
    let hostile = [
        ("authorization", "Bearer ptn_at_secret"),
        ("proxy-authorization", "Basic x"),
        ("cookie", "__Host-portunus=secret"),
        ("host", "evil.example"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-user", "root"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x-portunus-user", "root"),
        ("x-portunus-email", "root@example.com"),
        ("x-portunus-admin", "yes"),
        ("x_portunus_user", "root"),
        ("x_custom", "1"),
        ("x-original-url", "/admin"),
        ("origin", "https://evil.example"),
        ("x-goog-authenticated-user-email", "root@example.com"),
        ("x-custom", "root"),
        ("x-acme_tenant", "root"),
        ("connection", "close, X-Secret-Hop, x-portunus-groups"),
        ("x-secret-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("transfer-encoding", "chunked"),
    ];
    let mut request = Request::get("/mcp/dice/mcp")
        .header("mcp-session-id", "s1")
        .header("x-multi", "1")
        .header("x-multi", "2")
        .header("x-acme-tenant", "t1");
    for (name, value) in hostile {
        request = request.header(name, value);
    }
    let seen = json_of(send(&routes, request.body(Body::empty()).unwrap()).await).await;
    let text = seen.to_string();
    for secret in ["secret", "root", "10.0.0.1", "evil", "gopher", "admin", "h2c"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for absent in [
        "authorization",
        "cookie",
        "forwarded",
        "x-real-ip",
        "x_custom",
        "x-secret-hop",
        "te",
        "transfer-encoding",
    ] {
        assert_eq!(values(&seen, absent), [""; 0], "{absent}");
    }
    let alice = principal();
    let expected = [
        ("host", host.as_str()),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "gw.example"),
        ("x-forwarded-prefix", "/mcp/dice"),
        ("x-request-id", "req-1"),
        ("x-portunus-user", alice.user.as_str()),
        ("x-portunus-client", "ptn_client_x"),
        ("x-portunus-email", "alice@example.com"),
        ("x-portunus-groups", "engineering,Z%C3%BCrich%2C%20HQ"),
        ("mcp-session-id", "s1"),
        ("x-acme-tenant", "t1"),
    ];
    for (name, value) in expected {
        assert_eq!(values(&seen, name), [value], "{name}");
    }
    assert_eq!(values(&seen, "x-multi"), ["1", "2"]);
}

#[tokio::test]
async fn answers_lose_what_would_speak_for_our_origin() {
    let routes = proxied(Router::new().fallback(echo)).await;
    let response = send(&routes, Request::get("/mcp/dice/").body(Body::empty()).unwrap()).await;
    for absent in [
        "set-cookie",
        "clear-site-data",
        "nel",
        "accept-ch",
        "x-accel-redirect",
        "x-hop",
        "connection",
        "access-control-allow-origin",
    ] {
        assert!(!response.headers().contains_key(absent), "{absent}");
    }
    assert_eq!(response.headers()["mcp-session-id"], "s1");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn t39_traversal_never_reaches_the_target() {
    let routes = proxied(Router::new().fallback(echo)).await;
    for path in [
        "/mcp/dice/../uuid",
        "/mcp/dice/%2e%2e/x",
        "/mcp/dice/a%2fb",
        "/mcp/dice/..;/x",
        "/mcp/dice/%252e",
        "/mcp/uuid/x",
    ] {
        let response = send(&routes, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn events_flow_before_the_answer_is_over() {
    let (second, receiver) = mpsc::unbounded_channel::<Bytes>();
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let handler = move || {
        let receiver = receiver.lock().unwrap().take().unwrap();
        let rest = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let events =
            stream::iter([Bytes::from_static(b"data: 1\n\n")]).chain(rest).map(Ok::<_, Infallible>);
        std::future::ready(([("content-type", "text/event-stream")], Body::from_stream(events)))
    };
    let routes = proxied(Router::new().route("/mcp", any(handler))).await;
    let response = send(&routes, Request::get("/mcp/dice/mcp").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    assert_eq!(events.next().await.unwrap().unwrap(), "data: 1\n\n");
    second.send(Bytes::from_static(b"data: 2\n\n")).unwrap();
    assert_eq!(events.next().await.unwrap().unwrap(), "data: 2\n\n");
    drop(second);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_request_body_streams_and_a_leaving_client_ends_the_call() {
    async fn first_chunk(State(heard): State<UnboundedSender<Option<Bytes>>>, request: Request) {
        let mut body = request.into_body().into_data_stream();
        while let Some(Ok(chunk)) = body.next().await {
            heard.send(Some(chunk)).unwrap();
        }
        heard.send(None).unwrap();
    }
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let routes = proxied(Router::new().route("/mcp", any(first_chunk)).with_state(heard)).await;
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let chunks = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let request = Request::post("/mcp/dice/mcp").body(Body::from_stream(chunks)).unwrap();
    let call = tokio::spawn(async move { send(&routes, request).await.status() });
    sender.send(Ok(Bytes::from_static(b"one"))).unwrap();
    assert_eq!(hearing.recv().await.unwrap().unwrap(), "one");
    call.abort();
    assert_eq!(hearing.recv().await.unwrap(), None, "the target sees the client go");
}

#[tokio::test]
async fn too_large_bodies_are_413() {
    let target = serve(Router::new().fallback(echo)).await;
    let routes = routes_to(target, ProxyLimits { request_body: 10, ..ProxyLimits::default() });
    let told = Request::post("/mcp/dice/mcp").body(Body::from("x".repeat(11))).unwrap();
    assert_eq!(send(&routes, told).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = stream::iter([
        Ok::<_, Infallible>(Bytes::from("x".repeat(6))),
        Ok(Bytes::from("x".repeat(6))),
    ]);
    let untold = Request::post("/mcp/dice/mcp").body(Body::from_stream(chunks)).unwrap();
    assert_eq!(send(&routes, untold).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let fits = Request::post("/mcp/dice/mcp").body(Body::from("x".repeat(10))).unwrap();
    assert_eq!(send(&routes, fits).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_goes_wrong_has_a_status_of_its_own() {
    let locked =
        any(async || (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")], "who are you"));
    let moved = any(async || (StatusCode::TEMPORARY_REDIRECT, [("location", "/mcp/")]));
    let routes = proxied(Router::new().route("/locked", locked).route("/moved", moved)).await;

    let response =
        send(&routes, Request::get("/mcp/dice/locked").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(!response.headers().contains_key("www-authenticate"));
    assert_eq!(json_of(response).await["request_id"], "req-1");

    let response =
        send(&routes, Request::get("/mcp/dice/moved").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["location"], "/mcp/dice/mcp/");

    let websocket =
        Request::get("/mcp/dice/x").header("upgrade", "WebSocket").body(Body::empty()).unwrap();
    assert_eq!(send(&routes, websocket).await.status(), StatusCode::NOT_IMPLEMENTED);
    let trace = Request::builder().method("TRACE").uri("/mcp/dice/x").body(Body::empty()).unwrap();
    assert_eq!(send(&routes, trace).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_target_that_is_down_or_silent() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    // Bound and never accepted: connections stand, no answer comes.
    let routes = routes_to(
        target.clone(),
        ProxyLimits { first_byte: Duration::from_millis(50), ..ProxyLimits::default() },
    );
    let response = send(&routes, Request::get("/mcp/dice/x").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(listener);
    let routes = routes_to(target, ProxyLimits::default());
    let response = send(&routes, Request::get("/mcp/dice/x").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}
