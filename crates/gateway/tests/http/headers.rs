//! What passes through to servers, and what never does: tokens, cookies, spoofed identities,
//! strange paths. Paths with a second spelling are [`super::paths`]'.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::Request as Incoming};
use http::HeaderMap;
use portunus::config::ProxyRoute;
use portunus_core::request::HeaderPattern;
use portunus_testkit::agent::{Agent, McpClient, Request, Tokens, raw};
use serde_json::json;
use url::Url;

use crate::fixture::{GatewayFixture, Setup, UUID_CREDENTIAL};

/// A service behind a `proxies` route that notes what reaches it.
pub(super) struct Service {
    pub(super) target: Url,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Service {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let router = Router::new().fallback(async move |request: Incoming| {
            noted.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
            (
                [("set-cookie", "portunus_login=planted; Path=/"), ("x-portunus-user", "root")],
                "served",
            )
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { target, seen }
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(super) fn last(&self) -> (String, HeaderMap) {
        self.seen.lock().unwrap().last().expect("something reached the service").clone()
    }
}

/// A gateway with the service at `/mcp/legacy/`, and a user who may use it.
async fn with_service() -> (GatewayFixture, Service, Agent, Tokens) {
    let service = Service::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", service.target.clone())];
    let fixture = GatewayFixture::of(Setup { proxies, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp/legacy/").await;
    (fixture, service, browser, tokens)
}

#[tokio::test]
async fn t31_tokens_and_cookies_do_not_reach_mcp_servers() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list", "params": {}});
    let request = mcp
        .message(&message)
        .header("cookie", "portunus_login=ptn_ln_x")
        .header("x-api-key", "clients-own-key");
    browser.send(request).await.expect(200);
    mcp.call_text("echo", json!({"text": "x"})).await;
    let seen = fixture.uuid.seen();
    assert!(seen.len() >= 3);
    for request in seen {
        assert_eq!(
            request.headers["authorization"], UUID_CREDENTIAL,
            "the server's own credential, and only that"
        );
        assert_eq!(request.headers.get_all("authorization").iter().count(), 1);
        for absent in ["cookie", "x-api-key", "origin"] {
            assert!(!request.headers.contains_key(absent), "{absent}: {:?}", request.headers);
        }
        let everything = format!("{:?}", request.headers);
        assert!(!everything.contains("ptn_"), "nothing of ours: {everything}");
        assert_ne!(
            request.headers.get("mcp-session-id").map(|id| id.to_str().unwrap()),
            Some(&*mcp.session),
            "a session of its own"
        );
    }
    fixture.close().await;
}

#[tokio::test]
async fn t31_nor_proxied_services() {
    let (fixture, service, browser, tokens) = with_service().await;
    fixture.sign_in(&browser).await;
    let request = Request::get(&fixture.at("/mcp/legacy/a/b?q=1"))
        .bearer(&tokens.access)
        .header("proxy-authorization", "Basic eDp5");
    let answer = browser.send(request).await.expect(200);
    assert_eq!(answer.body, "served");
    let (uri, headers) = service.last();
    assert_eq!(uri, "/a/b?q=1", "the pattern is stripped (parity B4)");
    for absent in ["authorization", "cookie", "proxy-authorization"] {
        assert!(!headers.contains_key(absent), "{absent}: {headers:?}");
    }
    assert!(
        !format!("{headers:?}").contains("ptn_at_") && !format!("{headers:?}").contains("ptn_ln_"),
        "{headers:?}"
    );
    assert!(!answer.headers.contains_key("set-cookie"), "a service sets no cookies on our origin");
    fixture.close().await;
}

#[tokio::test]
async fn t33_identity_headers_are_ours() {
    let (fixture, service, browser, tokens) = with_service().await;
    let spoofed = [
        ("x-portunus-user", "root"),
        ("x-portunus-groups", "admins"),
        ("x-portunus-email", "root@acme.example"),
        ("x-portunus-admin", "1"),
        ("x_portunus_user", "root"),
        ("x-forwarded-user", "root"),
        ("x-auth-request-email", "root@acme.example"),
        ("remote-user", "root"),
        ("x-remote-user", "root"),
    ];
    let request =
        Request::get(&fixture.at("/mcp/legacy/")).without_cookies().bearer(&tokens.access);
    let request =
        spoofed.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = browser.send(request).await.expect(200);
    let (_, headers) = service.last();
    assert_eq!(headers["x-portunus-user"], fixture.user("alice").as_str());
    assert_eq!(headers["x-portunus-groups"], "Everyone,engineering,admins");
    assert_eq!(headers["x-portunus-email"], "alice@acme.example");
    assert!(!format!("{headers:?}").contains("root"), "{headers:?}");
    assert!(!headers.contains_key("x-portunus-admin"));
    assert!(!answer.headers.contains_key("x-portunus-user"), "and services make none for clients");
    // They open nothing at our own door either.
    browser
        .send(
            Request::get(&fixture.at("/tools")).without_cookies().header("x-portunus-user", "root"),
        )
        .await
        .expect(401);
    fixture.close().await;
}

#[tokio::test]
async fn t38_forwarded_headers_of_strangers_count_for_nothing() {
    let (fixture, service, browser, tokens) = with_service().await;
    let forwarded = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "for=203.0.113.7;host=evil.example"),
        ("x-real-ip", "203.0.113.7"),
        ("x_forwarded_for", "203.0.113.7"),
        ("x-original-url", "/evil"),
        ("connection", "x-portunus-user, x-forwarded-for, keep-alive"),
    ];
    let with_all = |request: Request| {
        forwarded.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    browser
        .send(with_all(
            Request::get(&fixture.at("/mcp/legacy/")).without_cookies().bearer(&tokens.access),
        ))
        .await
        .expect(200);
    let (_, headers) = service.last();
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-host"], fixture.url.trim_start_matches("http://"));
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(
        headers["x-portunus-user"],
        fixture.user("alice").as_str(),
        "`Connection` cannot name our headers away"
    );
    assert!(
        !format!("{headers:?}").contains("evil") && !format!("{headers:?}").contains("203.0.113.7"),
        "{headers:?}"
    );
    // What we say of ourselves is configured, never derived.
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
        "/mcp",
    ] {
        let answer =
            browser.send(with_all(Request::get(&fixture.at(path)).without_cookies())).await;
        assert!(
            !answer.body.contains("evil") && !format!("{:?}", answer.headers).contains("evil"),
            "{answer:?}"
        );
    }
    assert!(
        !fixture.log.text().contains(r#""peer":"203.0.113.7""#),
        "nor is it logged as the caller's address"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t39_paths_that_could_mean_two_things_are_refused() {
    let (fixture, service, _, tokens) = with_service().await;
    let host = fixture.url.trim_start_matches("http://").to_owned();
    let ask = async |path: &str| {
        let token = &tokens.access;
        let bytes = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        raw::exchange(fixture.address, bytes.as_bytes()).await.status()
    };
    assert_eq!(ask("/mcp/legacy/fine").await, 200);
    let before = service.count();
    let bad = [
        "/mcp/legacy/../dice",
        "/mcp/legacy/..",
        "/mcp/legacy/./x",
        "/mcp/legacy/%2e%2e/admin",
        "/mcp/legacy/%2E%2e/admin",
        "/mcp/legacy/..%2fadmin",
        "/mcp/legacy/a%2fb",
        "/mcp/legacy/a%5cb",
        "/mcp/legacy/a\\b",
        "/mcp/legacy/a;b=c",
        "/mcp/legacy/..;/admin",
        "/mcp/legacy/%00",
        "/mcp/legacy/%252e%252e/admin",
        "/mcp/legacy//admin",
        "/mcp/dice/../legacy/x",
        "//mcp/legacy/x",
        "/mcp/legacy%2fx",
        "/mcp/%6cegacy/../x",
    ];
    for path in bad {
        let status = ask(path).await;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    assert_eq!(service.count(), before, "none of them reached the service");
    fixture.close().await;
}

/// What products that check who calls tell the applications behind them, and what else no
/// application should get from a stranger.
const NOT_PASSED: &[&str] = &[
    "X-Remote-User",
    "X-Remote-Group",
    "Remote-User",
    "Remote-Groups",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Client-Cert",
    "X-Auth-Request-User",
    "X-Auth-Request-Access-Token",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-IAP-JWT-Assertion",
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-TOKEN-AAD-ID-TOKEN",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Identity",
    "X-Amzn-Mtls-Clientcert",
    "Cf-Access-Jwt-Assertion",
    "Cf-Access-Authenticated-User-Email",
    "Tailscale-User-Login",
    "X-Webauth-User",
    "X-WebAuth-Groups",
    "Ssl-Client-Cert",
    "Ssl-Client-S-Dn",
    "X-SSL-Client-Verify",
    "X-Authentik-Username",
    "X-Pomerium-Jwt-Assertion",
    "X-Vouch-User",
    "X-Consumer-Username",
    "X-Credential-Identifier",
    "X-Authenticated-Userid",
    "X-Userinfo",
    "X-Id-Token",
    "Impersonate-User",
    "Impersonate-Group",
    "X-Appengine-User-Email",
    "OIDC-Claim-Email",
    "Teleport-Jwt-Assertion",
    "Client-Cert",
    "iv-user",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Envoy-Original-Path",
    "X-Real-IP",
    "True-Client-IP",
    "Forwarded",
    "From",
    "Referer",
    "X-Api-Key",
    "X-Nobody-Ever-Heard-Of",
    "X-Acme_Tenant",
    "X_Acme_Tenant",
    "Mcp_Session_Id",
];

#[tokio::test]
async fn t61_a_proxied_request_carries_what_is_listed_and_no_more() {
    let (open, closed) = (Service::start().await, Service::start().await);
    let pass_headers =
        ["X-Acme-*", "x-tenant"].map(|text| HeaderPattern::parse(text).unwrap()).to_vec();
    let proxies = vec![
        ProxyRoute { pass_headers, ..ProxyRoute::new("/mcp/open/", open.target.clone()) },
        ProxyRoute::new("/mcp/closed/", closed.target.clone()),
    ];
    let fixture = GatewayFixture::of(Setup { proxies, ..Setup::default() }).await;
    let passed = [
        ("accept", "application/json, text/event-stream"),
        ("accept-language", "de"),
        ("if-none-match", "\"1\""),
        ("range", "bytes=0-1"),
        ("mcp-session-id", "s1"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-param-region", "eu"),
        ("last-event-id", "7"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    for (path, service, passes_more) in
        [("/mcp/open/", &open, true), ("/mcp/closed/", &closed, false)]
    {
        let (_, browser, tokens) = fixture.connect(path).await;
        let request =
            Request::get(&fixture.at(&format!("{path}x"))).without_cookies().bearer(&tokens.access);
        let request = NOT_PASSED.iter().fold(request, |request, name| request.header(name, "root"));
        let request =
            passed.iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request
            .header("x-acme-tenant", "t1")
            .header("X-Tenant", "t2")
            .header("x-tenants", "root");
        browser.send(request).await.expect(200);
        let (_, headers) = service.last();
        for (name, value) in passed {
            assert_eq!(headers[name], value, "{path}");
        }
        for (name, value) in [("x-acme-tenant", "t1"), ("x-tenant", "t2")] {
            assert_eq!(
                headers.get(name).map(|found| found == value),
                passes_more.then_some(true),
                "{path} {name}: {headers:?}"
            );
        }
        assert!(!format!("{headers:?}").contains("root"), "{path}: {headers:?}");
        assert_eq!(headers["x-portunus-user"], fixture.user("alice").as_str());
        assert_eq!(service.count(), 1);
    }
    fixture.close().await;
}
