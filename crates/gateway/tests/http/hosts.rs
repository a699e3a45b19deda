//! Requests that name two hosts (threat 65): refused on every route, in both protocols, before
//! anything else is looked at.

use std::net::SocketAddr;

use portunus::config::ProxyRoute;
use portunus_testkit::agent::raw;
use reqwest::{Certificate, Client, Version};

use super::headers::Service;
use crate::fixture::{GatewayFixture, Setup, program::Program};

const ROUTES: [&str; 14] = [
    "/",
    "/health",
    "/healthz",
    "/ready",
    "/tools",
    "/mcp",
    "/mcp/dice",
    "/mcp/legacy/x",
    "/nowhere",
    "/auth/authorize",
    "/auth/jwks.json",
    "/auth/signin",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource/mcp",
];

async fn status(fixture: &GatewayFixture, target: &str, headers: &str) -> u16 {
    let bytes = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    raw::exchange(fixture.address, bytes.as_bytes()).await.status()
}

#[tokio::test]
async fn t65_a_request_for_two_hosts_is_refused_on_every_route() {
    let service = Service::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", service.target.clone())];
    let fixture = GatewayFixture::of(Setup { https: true, proxies, ..Setup::default() }).await;
    let (_, _, tokens) = fixture.connect("/mcp/legacy/").await;
    let bearer = format!("Authorization: Bearer {}\r\n", tokens.access);
    // Where the target begins, and the Host headers beside it.
    let two_hosts = [
        ("https://gw.example", "Host: evil.example\r\n"),
        ("https://evil.example", "Host: gw.example\r\n"),
        ("http://evil.example", "Host: gw.example\r\n"),
        ("https://gw.example", "Host: gw.example:8443\r\n"),
        ("https://gw.example:8443", "Host: gw.example\r\n"),
        ("https://gw.example", "Host: gw.example.evil.example\r\n"),
        ("https://gw.example", "Host: \r\n"),
        ("https://user@gw.example", "Host: gw.example\r\n"),
        ("https://gw.example@evil.example", "Host: gw.example\r\n"),
        ("https://gw.example", "Host: user@gw.example\r\n"),
        ("ftp://gw.example", "Host: gw.example\r\n"),
        ("", "Host: gw.example\r\nHost: evil.example\r\n"),
        ("", "Host: gw.example\r\nHost: gw.example\r\n"),
        ("https://gw.example", "Host: gw.example\r\nhost: gw.example\r\n"),
        ("", "Host: gw.example, evil.example\r\n"),
        ("", "Host: gw.example/evil\r\n"),
        ("", "Host: gw%2eexample\r\n"),
        ("", "Host: gw.example:0443\r\n"),
        ("", "Host: gw.example:443:443\r\n"),
        ("", "Host: \r\n"),
        ("", ""),
    ];
    for route in ROUTES {
        for (target, hosts) in two_hosts {
            let answered =
                status(&fixture, &format!("{target}{route}"), &format!("{hosts}{bearer}")).await;
            assert_eq!(answered, 400, "{target}{route} {hosts:?}");
        }
    }
    assert_eq!(service.count(), 0, "none of them reached the service");
    // Forms of a target that name no path.
    for line in [
        "OPTIONS * HTTP/1.1",
        "CONNECT gw.example:443 HTTP/1.1",
        "CONNECT evil.example:443 HTTP/1.1",
    ] {
        let bytes = format!("{line}\r\nHost: gw.example\r\nConnection: close\r\n\r\n");
        assert_eq!(raw::exchange(fixture.address, bytes.as_bytes()).await.status(), 400, "{line}");
    }
    // One host that is not ours, and one that is, however it is spelt.
    for (target, host) in [
        ("https://evil.example", "evil.example"),
        ("", "evil.example"),
        ("http://gw.example:80", "gw.example"),
    ] {
        assert_eq!(
            status(&fixture, &format!("{target}/tools"), &format!("Host: {host}\r\n")).await,
            403,
            "{target} {host}"
        );
    }
    let one_host = [
        ("", "gw.example"),
        ("", "gw.example:443"),
        ("", "GW.EXAMPLE:443"),
        ("", "gw.example:"),
        ("https://gw.example", "gw.example"),
        ("https://GW.example", "gw.EXAMPLE"),
        ("https://gw.example:443", "gw.example"),
        ("https://gw.example", "gw.example:443"),
        ("HTTPS://gw.example", "gw.example:443"),
        ("http://gw.example", "gw.example:80"),
    ];
    for (target, host) in one_host {
        let answered = status(
            &fixture,
            &format!("{target}/mcp/legacy/x"),
            &format!("Host: {host}\r\n{bearer}"),
        )
        .await;
        assert_eq!(answered, 200, "{target} {host}");
        assert_eq!(
            service.last().1["x-forwarded-host"],
            "gw.example",
            "{target} {host}: ours as it is configured"
        );
    }
    assert_eq!(service.count(), one_host.len());
    fixture.close().await;
}

#[expect(clippy::disallowed_methods, reason = "a client that says what no other of ours says")]
fn client(names: &[&str], address: SocketAddr) -> reqwest::ClientBuilder {
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    names.iter().fold(builder, |builder, name| builder.resolve(name, address))
}

#[tokio::test]
async fn t65_over_http_2_too() {
    let fixture = GatewayFixture::start().await;
    let port = fixture.address.port();
    let http = client(&["localhost", "evil.example"], fixture.address)
        .tls_certs_only([])
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let ask = async |name: &str, path: &str, host: Option<&str>| {
        let mut request = http.get(format!("http://{name}:{port}{path}"));
        if let Some(host) = host {
            request = request.header("host", host.replace("PORT", &port.to_string()));
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        answer.status().as_u16()
    };
    for route in ROUTES {
        for (authority, host) in [
            ("localhost", "evil.example"),
            ("localhost", "evil.example:PORT"),
            ("localhost", "localhost"),
            ("localhost", "127.0.0.1:PORT"),
            ("evil.example", "localhost:PORT"),
        ] {
            assert_eq!(ask(authority, route, Some(host)).await, 400, "{route} {authority} {host}");
        }
    }
    for (host, expected) in [
        (None, 200),
        (Some("localhost:PORT"), 200),
        (Some("LOCALHOST:PORT"), 200),
        (Some("x@localhost:PORT"), 400),
    ] {
        assert_eq!(ask("localhost", "/auth/jwks.json", host).await, expected, "{host:?}");
    }
    assert_eq!(ask("evil.example", "/auth/jwks.json", None).await, 403);
    assert_eq!(ask("evil.example", "/health", None).await, 200, "balancers know us by address");
    assert_eq!(
        ask("localhost", "/mcp/%64ice", None).await,
        400,
        "and paths have one spelling here too"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t65_and_over_tls() {
    const CERTIFICATE: &str = include_str!("../../../testkit/fixtures/gateway-1.pem");
    const KEY: &str = include_str!("../../../testkit/fixtures/gateway-1.key.pem");
    let variables = [("TLS_CERTIFICATE_FILE", "server.pem"), ("TLS_KEY_FILE", "server.key.pem")];
    let program =
        Program::start_with(&variables, &[("server.pem", CERTIFICATE), ("server.key.pem", KEY)])
            .await;
    let port: u16 = program.url.rsplit_once(':').unwrap().1.parse().unwrap();
    let root = || Certificate::from_pem(CERTIFICATE.as_bytes()).unwrap();
    let builder = || client(&["localhost"], ([127, 0, 0, 1], port).into()).tls_certs_only([root()]);
    for (http, version) in [
        (builder().build().unwrap(), Version::HTTP_2),
        (builder().http1_only().build().unwrap(), Version::HTTP_11),
    ] {
        // HTTP/1.1 has no host in its target.
        for (host, over_two, over_one) in [
            ("evil.example", 400, 403),
            (&*format!("LOCALHOST:{port}"), 200, 200),
            ("localhost", 400, 200),
        ] {
            let answer =
                http.get(program.at("/auth/jwks.json")).header("host", host).send().await.unwrap();
            assert_eq!(answer.version(), version);
            let expected = if version == Version::HTTP_2 { over_two } else { over_one };
            assert_eq!(answer.status().as_u16(), expected, "{version:?} {host}");
        }
    }
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0));
}
