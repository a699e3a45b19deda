//! Hosts, origins and preflights of requests as they come in (threats 34, 65).

use axum::{body::Body, routing};
use portunus_core::entropy::SeededEntropy;

use super::*;
use crate::config::Limits;

#[test]
fn an_address_is_spelled_as_ever() {
    for n in 0..=u8::MAX {
        let address = IpAddr::from([n, 255 - n, n / 10, 0]);
        assert_eq!(spelled(address), address.to_string());
    }
    for address in ["::1", "2001:db8::ff"] {
        assert_eq!(spelled(address.parse().unwrap()), address);
    }
}

fn state(url: &str) -> EdgeState {
    let admission = Admission {
        allowed_hosts: vec!["internal".to_owned(), "10.1.2.3:3000".to_owned()],
        allowed_origins: vec!["https://inspector.example".to_owned()],
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
    };
    EdgeState {
        stopping: Stopping::default(),
        audit: AuditLog::off(),
        metrics: Metrics::default(),
        demo: false,
        public_url: PublicUrl::parse(url).unwrap(),
        admission,
        entropy: Arc::new(SeededEntropy::new(1)),
        throttle: Throttle::new(&Limits::unlimited()),
        requests: KeyedLimit::default(),
        requests_per_address: 1,
        endpoints: Router::new()
            .route("/panics", routing::get(panics))
            .route("/", routing::get(async || "here")),
    }
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn answered(host: &str, path: &str) -> (StatusCode, HeaderMap) {
    let request = Request::builder().uri(path).header("host", host).body(Body::empty()).unwrap();
    let response = observe(Arc::new(state("https://gw.example")), request).await;
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn a_panic_is_an_answer_and_every_answer_has_an_id() {
    for (host, path, expected) in
        [("gw.example", "/", 200), ("gw.example", "/panics", 500), ("evil.example", "/", 403)]
    {
        let (status, headers) = answered(host, path).await;
        assert_eq!(status.as_u16(), expected, "{path}");
        assert_eq!(headers["x-request-id"].len(), 16, "{path}");
    }
    let (_, headers) = answered("gw.example", "/").await;
    assert_eq!(
        (&headers["x-content-type-options"], &headers["strict-transport-security"]),
        (&HeaderValue::from_static("nosniff"), &HeaderValue::from_static("max-age=31536000"))
    );
}

#[test]
fn t34_hosts() {
    let cases = [
        ("https://gw.example", "gw.example", true),
        ("https://gw.example", "GW.example", true),
        ("https://gw.example", "gw.example:443", true),
        ("https://gw.example", "gw.example:80", false),
        ("https://gw.example", "gw.example.evil", false),
        ("https://gw.example", "evil", false),
        ("https://gw.example", "localhost", false),
        ("https://gw.example", "internal:8080", true),
        ("https://gw.example", "10.1.2.3:3000", true),
        ("https://gw.example", "10.1.2.3", false),
        ("http://localhost:3000", "localhost:3000", true),
        ("http://localhost:3000", "127.0.0.1:3000", true),
        ("http://localhost:3000", "[::1]:3000", true),
        ("http://localhost:3000", "evil:3000", false),
        ("http://localhost:3000", "localhost.evil:3000", false),
    ];
    for (url, host, expected) in cases {
        assert_eq!(
            is_our_host(&state(url), Authority::parse(host).unwrap()),
            expected,
            "{url} {host}"
        );
    }
}

#[tokio::test]
async fn t65_one_host_or_none() {
    type V = Version;
    let cases: [(&str, &[&str], Version, u16); 15] = [
        ("/", &["gw.example"], V::HTTP_11, 200),
        ("https://gw.example/", &["GW.example:443"], V::HTTP_11, 200),
        ("https://gw.example/", &[], V::HTTP_2, 200),
        ("/", &["gw.example"], V::HTTP_2, 200),
        ("https://gw.example/", &["evil.example"], V::HTTP_11, 400),
        ("https://evil.example/", &["gw.example"], V::HTTP_2, 400),
        ("https://evil.example/", &["evil.example"], V::HTTP_11, 403),
        ("https://evil.example/", &[], V::HTTP_2, 403),
        ("/", &[], V::HTTP_11, 400),
        ("/", &[], V::HTTP_10, 400),
        // Load balancers may say nothing; what they say must be one thing.
        ("/health", &["10.9.8.7"], V::HTTP_11, 404),
        ("/health", &[], V::HTTP_10, 404),
        ("/health", &[], V::HTTP_11, 400),
        ("/health", &["gw.example", "gw.example"], V::HTTP_11, 400),
        ("https://gw.example/health", &["evil.example"], V::HTTP_11, 400),
    ];
    for (target, hosts, version, expected) in cases {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.version(version).body(Body::empty()).unwrap();
        let status = observe(Arc::new(state("https://gw.example")), request).await.status();
        assert_eq!(status.as_u16(), expected, "{target} {hosts:?} {version:?}");
    }
}

#[test]
fn t34_origins() {
    let cases = [
        ("https://gw.example", "/mcp", "https://inspector.example", true),
        ("https://gw.example", "/mcp", "https://evil.example", false),
        ("https://gw.example", "/mcp", "null", false),
        ("https://gw.example", "/mcp", "http://localhost:6274", false),
        ("http://localhost:3000", "/mcp", "http://localhost:6274", true),
        ("http://localhost:3000", "/mcp", "http://localhost.evil", false),
        ("http://localhost:3000", "/auth/consent", "http://localhost:6274", false),
        ("http://localhost:3000", "/", "http://localhost:6274", false),
    ];
    for (url, path, origin, expected) in cases {
        assert_eq!(
            is_allowed_origin(&state(url), path, &HeaderValue::from_static(origin)),
            expected,
            "{url} {path} {origin}"
        );
    }
}

#[test]
fn t38_forwarded_addresses_count_from_trusted_proxies_only() {
    let admission = state("https://gw.example").admission;
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let cases = [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ];
    for (connection, forwarded, expected) in cases {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
        assert_eq!(
            peer(address(connection), &headers, &admission),
            address(expected),
            "{connection} {forwarded}"
        );
    }
}
