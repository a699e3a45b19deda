//! Bounds on what strangers can fill (threats 55, 56, 62, 63): connections, sign-ins,
//! registrations, bytes. A flood costs its own address or person, and others are served meanwhile.
//! Floods are bounded in count; assertions are on counts, never on times. Rates are next door, in
//! [`super::rate_limits`], bounds of one person in [`super::limits_by_person`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use portunus::config::{ClientsConfig, Limits, ProxyRoute};
use portunus_core::ids::TransactionId;
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Page, Request},
    hostile_hosts::{Behaviour, HostileHosts},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use url::Url;

use crate::fixture::{GatewayFixture, Setup, program::Program};

/// Nothing takes that long, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(120);
const FLOOD: &str = "192.0.2.66";
const GOOD: &str = "192.0.2.1";

/// Stands behind a proxy that is trusted, so that requests can come from several addresses.
fn behind_a_proxy(limits: Limits) -> Setup {
    Setup { limits, trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Setup::default() }
}

async fn from(agent: &Agent, address: &str, request: Request) -> Page {
    agent.send(request.header("x-forwarded-for", address)).await
}

#[tokio::test]
async fn t55_a_flood_of_registrations_drives_out_only_its_own() {
    let clients = ClientsConfig { max_unused: 5, ..ClientsConfig::default() };
    let limits = Limits { registration: None, ..Limits::default() };
    let fixture = GatewayFixture::of(Setup { clients, ..behind_a_proxy(limits) }).await;
    // Registered, and not used yet: its person takes their time.
    let good = fixture.client("/mcp").await;
    let agent = fixture.browser();
    let metadata = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    let mut flood = Vec::new();
    for n in 0..40 {
        let page = from(&agent, FLOOD, Request::json(&fixture.at("/auth/register"), &metadata))
            .await
            .expect(201);
        flood.push(page.json()["client_id"].as_str().unwrap().to_owned());
        fixture.clock.advance(Duration::from_millis(1));
        if n == 20 {
            let late = from(&agent, GOOD, Request::json(&fixture.at("/auth/register"), &metadata))
                .await
                .expect(201);
            agent.keep_secret(late.json()["registration_access_token"].as_str().unwrap());
        }
        agent.keep_secret(page.json()["registration_access_token"].as_str().unwrap());
    }
    let large = json!({"redirect_uris": ["http://127.0.0.1/cb"], "jwks": {"keys": [], "padding": "x".repeat(20_000)}});
    let refused =
        from(&agent, GOOD, Request::json(&fixture.at("/auth/register"), &large)).await.expect(400);
    assert_eq!(refused.error(), "invalid_client_metadata");
    let kept = fixture.stores().clients.list_clients(100).await.unwrap();
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        5,
        "the disk has a bound"
    );
    assert_eq!(
        kept.iter().filter(|client| flood.contains(&client.id.to_string())).count(),
        3,
        "two are of other addresses"
    );
    assert_eq!(kept[0].id.as_str(), flood[39], "whoever comes is let in, and the oldest go");
    good.connect(&fixture.browser()).await;
    fixture.close().await;
}

#[tokio::test]
async fn t55_nobody_uses_up_the_host_of_a_document() {
    const ID: &str = "https://app.hosts.example/client.json";
    let hosts = Arc::new(HostileHosts::start().await);
    let fixture = GatewayFixture::of(Setup {
        hostile_hosts: Some(Arc::clone(&hosts)),
        ..behind_a_proxy(Limits::unlimited())
    })
    .await;
    let headers = vec![("cache-control", "max-age=60".to_owned())];
    let document = json!({
        "client_id": ID, "client_name": "Metadata app", "redirect_uris": ["http://127.0.0.1:7777/callback"],
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
    });
    hosts.serve(ID, Behaviour::Honest(document, headers));
    let agent = fixture.browser();
    let ask = async |id: &str, address: &str| {
        let mut url = Url::parse(&fixture.at("/auth/authorize")).unwrap();
        url.query_pairs_mut().append_pair("client_id", id);
        from(&agent, address, Request::get(url.as_str())).await
    };
    for n in 0..60 {
        ask(&format!("https://app.hosts.example/{n}.json"), FLOOD).await;
    }
    assert_eq!(hosts.requests().len(), 10, "so much for one address and one host");
    ask(ID, FLOOD).await.expect(503);

    // Another address, which never asked before, with the same host.
    let template = fixture.client("/mcp").await;
    let client =
        OAuthClient { id: ID.to_owned(), secret: None, auth_method: "none".to_owned(), ..template };
    let tokens = client.connect(&fixture.browser()).await;
    assert_eq!(hosts.requests().len(), 11);

    // Its host fails, and strangers go on: users of the client go on, with the copy of before.
    hosts.serve(
        ID,
        Behaviour::Response {
            status: 503,
            content_type: "text/plain",
            headers: vec![],
            body: String::new(),
        },
    );
    fixture.clock.advance(Duration::from_secs(120));
    for n in 0..60 {
        ask(&format!("https://app.hosts.example/again-{n}.json"), FLOOD).await;
    }
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}

/// Opens a connection from this address of the loopback network.
async fn connect(source: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// Sends these bytes and reads an answer of HTTP/1.1 to its end; gives its head.
async fn exchange(stream: &mut TcpStream, bytes: &str) -> String {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = head(stream).await;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    timeout(PATIENCE, stream.read_exact(&mut body)).await.expect("a body").unwrap();
    head
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("an answer");
    String::from_utf8(head).unwrap()
}

/// Of these connections, how many has the gateway closed within a moment in which nothing more is
/// closed?
async fn closed(streams: &mut [TcpStream], at_least: usize) -> usize {
    let counting = async {
        loop {
            let is_closed = |stream: &&mut TcpStream| match stream.try_read(&mut [0; 64]) {
                Ok(read) => read == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
            let closed = streams.iter_mut().filter(is_closed).count();
            if closed >= at_least {
                return closed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counting).await.unwrap_or_default()
}

#[tokio::test]
async fn t62_idle_connections_of_one_address_take_no_others() {
    let limits = Limits { connections_per_address: 20, ..Limits::default() };
    let fixture = GatewayFixture::of(Setup { limits, ..Setup::default() }).await;
    let health = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", fixture.address);
    let mut good = connect("127.0.0.2", fixture.address).await;
    assert!(exchange(&mut good, &health).await.starts_with("HTTP/1.1 200"));
    let mut flood = Vec::new();
    for n in 0..100 {
        let mut stream = connect("127.0.0.3", fixture.address).await;
        // Some say nothing, some ask once, some begin a request, some speak HTTP/2 and only ping.
        let start: &[u8] = match n % 4 {
            0 | 1 => b"",
            2 => b"POST /auth/token HTTP/1.1\r\nHost: loc",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0pingping",
        };
        if n % 4 == 1 {
            assert!(
                exchange(&mut stream, &health).await.starts_with("HTTP/1.1 200"),
                "the newest is let in"
            );
        } else {
            stream.write_all(start).await.unwrap();
        }
        flood.push(stream);
    }
    assert!(
        closed(&mut flood, 80).await >= 80,
        "so many of one address, and the longest idle ones go"
    );
    assert!(
        exchange(&mut good, &health).await.starts_with("HTTP/1.1 200"),
        "another address notices nothing"
    );
    let mut newcomer = connect("127.0.0.2", fixture.address).await;
    assert!(exchange(&mut newcomer, &health).await.starts_with("HTTP/1.1 200"));
    fixture.close().await;
}

#[tokio::test]
async fn t62_whoever_has_a_token_is_no_stranger_at_their_address() {
    let limits = Limits { connections_per_address: 5, ..Limits::default() };
    let fixture = GatewayFixture::of(Setup { limits, ..Setup::default() }).await;
    let (_, _, tokens) = fixture.connect("/mcp").await;
    let ask = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: 2\r\n\r\n{{}}",
        fixture.address, tokens.access
    );
    let mut colleague = connect("127.0.0.3", fixture.address).await;
    assert!(
        exchange(&mut colleague, &ask).await.starts_with("HTTP/1.1 400"),
        "let through, and not a message"
    );
    let mut flood = Vec::new();
    for _ in 0..30 {
        flood.push(connect("127.0.0.3", fixture.address).await);
    }
    assert!(closed(&mut flood, 25).await >= 25);
    assert!(
        exchange(&mut colleague, &ask).await.starts_with("HTTP/1.1 400"),
        "the same connection, at the flood's own address"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t62_http2_that_only_pings_is_closed() {
    let fixture = GatewayFixture::start().await;
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let pinging = async {
        let mut buffer = [0; 1024];
        loop {
            if stream.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").await.is_err() {
                return;
            }
            if let Ok(Ok(0) | Err(_)) =
                timeout(Duration::from_millis(500), stream.read(&mut buffer)).await
            {
                return;
            }
        }
    };
    timeout(PATIENCE, pinging).await.expect("a connection that only pings is closed");
    fixture.close().await;
}

#[tokio::test]
async fn t62_every_route_has_places_and_they_are_each_addresss_own() {
    let limits = Limits { requests_per_address: 3, ..Limits::unlimited() };
    let fixture = GatewayFixture::of(behind_a_proxy(limits)).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mut slow = Vec::new();
    for path in ["/auth/token", "/auth/register", "/auth/consent"] {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: {FLOOD}\r\nContent-Length: 100\r\n\r\nx",
            fixture.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let paths = [
        "/",
        "/health",
        "/mcp",
        "/mcp/dice",
        "/tools",
        "/auth/authorize",
        "/.well-known/oauth-authorization-server",
    ];
    let agent = fixture.browser();
    let get = |path: &str| Request::get(&fixture.at(path)).without_cookies();
    // Until the three are under way.
    let busy = async {
        while from(&agent, FLOOD, get("/health")).await.status != 429 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, busy).await.expect("the flood has its places");
    for path in paths {
        let refused = from(&agent, FLOOD, get(path)).await.expect(429);
        assert_eq!(refused.header("retry-after"), "1", "{path}");
        assert_ne!(from(&agent, GOOD, get(path)).await.status, 429, "{path}");
    }
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 1})).await, "2");
    drop(slow);
    let free = async {
        while from(&agent, FLOOD, get("/health")).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("places come back");
    fixture.close().await;
}

/// A server that takes connections and answers only the path `/quick`.
async fn silent_server() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while head(&mut stream).await.starts_with("GET /quick ") {
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                }
                let _ = stream.read(&mut [0; 64]).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn t62_proxied_requests_count_for_their_person() {
    let limits = Limits { requests_per_user: 3, ..Limits::default() };
    let target = silent_server().await;
    let proxies =
        vec![ProxyRoute { pattern: "/mcp/silent/".to_owned(), target, pass_headers: Vec::new() }];
    let fixture = GatewayFixture::of(Setup { proxies, limits, ..Setup::default() }).await;
    let (_, browser, alice) = fixture.connect("/mcp/silent/quick").await;
    let waiting: Vec<_> = (0..3)
        .map(|n| {
            let request = Request::get(&fixture.at(&format!("/mcp/silent/hang/{n}")))
                .without_cookies()
                .bearer(&alice.access);
            let browser = browser.clone();
            tokio::spawn(async move {
                // A quick one may have its place just now.
                // bounded: by what is waited for below, in time.
                while browser.try_send(request.clone()).await.is_ok_and(|page| page.status == 429) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    let quick = |token: &str| {
        Request::get(&fixture.at("/mcp/silent/quick")).without_cookies().bearer(token)
    };
    let full = async {
        while browser.send(quick(&alice.access)).await.status != 429 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, full).await.expect("three are under way");
    fixture.okta.sign_in_as("bob");
    let (_, _, bob) = fixture.connect("/mcp/silent/quick").await;
    assert_eq!(browser.send(quick(&bob.access)).await.expect(200).body, "ok");
    for one in waiting {
        one.abort();
    }
    let free = async {
        while browser.send(quick(&alice.access)).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("what nobody waits for any more is over");
    fixture.close().await;
}

#[tokio::test]
async fn t56_bytes_of_one_person_have_a_bound() {
    let limits = Limits { bytes_per_user: 2_000, ..Limits::default() };
    let fixture = GatewayFixture::of(Setup { limits, ..Setup::default() }).await;
    let (_, browser, alice) = fixture.connect("/mcp").await;
    let mut unfinished = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{}",
            fixture.address,
            alice.access,
            "x".repeat(900)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        unfinished.push(stream);
    }
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"padding": "x".repeat(300)}});
    let send = async |token: &str| {
        browser
            .send(Request::json(&fixture.at("/mcp"), &ping).without_cookies().bearer(token))
            .await
    };
    let full = async {
        loop {
            let page = send(&alice.access).await;
            if page.status == 429 {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let refused = timeout(PATIENCE, full).await.expect("the budget is used up");
    assert!(refused.body.contains("limits.bytes_per_user"), "{}", refused.body);
    fixture.okta.sign_in_as("bob");
    let (_, _, bob) = fixture.connect("/mcp").await;
    assert_ne!(send(&bob.access).await.status, 429, "another person");
    drop(unfinished);
    let free = async {
        while send(&alice.access).await.status == 429 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("what was dropped counts no longer");
    fixture.close().await;
}

#[tokio::test]
async fn t56_sessions_keep_little_of_what_clients_say_of_themselves() {
    let limits = Limits { bytes_per_user: 3 * 1024 * 1024, ..Limits::default() };
    let fixture = GatewayFixture::of(Setup { limits, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    // Twenty of them are kept; did a session keep its message, the fourth would find the budget
    // used up.
    for n in 0..20 {
        let initialize = json!({"jsonrpc": "2.0", "id": n, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"experimental": {"x": {"padding": "x".repeat(500_000)}}},
            "clientInfo": {"name": "x".repeat(500_000), "version": "1"},
        }});
        let request = Request::json(&fixture.at("/mcp"), &initialize)
            .without_cookies()
            .bearer(&tokens.access);
        let page = browser
            .send(request.header("accept", "application/json, text/event-stream"))
            .await
            .expect(200);
        assert!(!page.header("mcp-session-id").is_empty());
    }
    fixture.close().await;
}

#[tokio::test]
async fn t56_a_node_reads_no_body_before_the_seal() {
    let fixture = GatewayFixture::of(Setup { nodes: 2, ..Setup::default() }).await;
    let nodes = fixture.stores().nodes.list_nodes().await.unwrap();
    assert_eq!(nodes.len(), 2);
    let path = "/errand";
    for node in &nodes {
        let address = node.url.strip_prefix("http://").unwrap();
        let mut waiting = Vec::new();
        for envelope in ["", "portunus-envelope: AAAA\r\n", "portunus-envelope: \u{e9}\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: {address}\r\n{envelope}Content-Length: 4000000\r\n\r\n"
            );
            // Not a byte of the body is sent: a node that waits for it does not answer.
            let answer = exchange(&mut stream, &request).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{path} {envelope}: {answer}");
            waiting.push(stream);
        }
    }
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at_node(1, "/mcp"), &tokens.access).await;
    assert_eq!(
        mcp.call_text("uuid_add", json!({"a": 1, "b": 1})).await,
        "2",
        "nodes still reach one another"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t63_sign_ins_that_nobody_finishes_have_a_cap_by_address() {
    let limits = Limits { sign_ins_per_address: 3, ..Limits::unlimited() };
    let fixture = GatewayFixture::of(behind_a_proxy(limits)).await;
    let client = fixture.client("/mcp").await;
    let begin = async |browser: &Agent, address: &str| {
        let page = from(browser, address, Request::get(client.authorization().url().as_str()))
            .await
            .expect(200);
        fixture.clock.advance(Duration::from_millis(1));
        page.form("/auth/consent").value("transaction").to_owned()
    };
    let good = begin(&fixture.browser(), GOOD).await;
    let mut flood = Vec::new();
    for n in 0..30 {
        flood.push(
            begin(&fixture.browser(), if n % 2 == 0 { FLOOD } else { "::ffff:192.0.2.66" }).await,
        );
    }
    // Those who open the sign-in page themselves have transactions too.
    for _ in 0..5 {
        from(&fixture.browser(), "2001:db8::66", Request::get(&fixture.at("/auth/signin"))).await;
    }
    let now = portunus_core::Clock::now(&*fixture.clock);
    let is_open = async |id: &str| {
        let id = TransactionId::from_text(id);
        fixture.stores().transactions.find_transaction(&id, now).await.unwrap().is_some()
    };
    let mut open = 0;
    for id in &flood {
        open += usize::from(is_open(id).await);
    }
    assert_eq!(open, 3);
    assert!(is_open(&flood[29]).await, "the newest stay");
    assert!(is_open(&good).await, "those of other addresses too");
    client.connect(&fixture.browser()).await;
    fixture.close().await;
}

#[tokio::test]
async fn t63_a_sign_in_is_sent_to_the_provider_so_often_and_no_more() {
    let fixture = GatewayFixture::start().await;
    let browser = fixture.browser();
    let page = browser.send(Request::get(&fixture.at("/auth/signin"))).await.expect(303);
    assert!(!page.header("location").is_empty());
    // It belongs to this browser; its id is nowhere on the way to Okta, so an authorization is
    // begun to know one.
    let client = fixture.client("/mcp").await;
    let consent =
        browser.send(Request::get(client.authorization().url().as_str())).await.expect(200);
    let form = consent.form("/auth/consent");
    let transaction = form.value("transaction").to_owned();
    browser.send(form.request([("decision", "allow")])).await;
    let depart = || Request::get(&fixture.at(&format!("/auth/signin?transaction={transaction}")));
    let mut departures = 0;
    while browser.send(depart()).await.status == 303 {
        departures += 1;
        assert!(departures <= 20, "so many trips of one sign-in");
    }
    assert_eq!(departures, 20);
    client.connect(&fixture.browser()).await;
    fixture.close().await;
}

#[tokio::test]
async fn t63_a_long_path_is_no_long_line() {
    for format in ["json", "text"] {
        let program = Program::start(&[("LOG_FORMAT", format)]).await;
        let address = program.url.strip_prefix("http://localhost:").unwrap();
        let mut stream = TcpStream::connect(format!("127.0.0.1:{address}")).await.unwrap();
        let path = "x".repeat(60_000);
        for request in [
            format!("GET /{path} HTTP/1.1\r\nHost: localhost:{address}\r\n\r\n"),
            format!("GET /health HTTP/1.1\r\nHost: {path}\r\n\r\n"),
            format!(
                "GET / HTTP/1.1\r\nHost: localhost:{address}\r\nOrigin: https://{path}\r\n\r\n"
            ),
        ] {
            let mut other = TcpStream::connect(format!("127.0.0.1:{address}")).await.unwrap();
            exchange(&mut other, &request).await;
        }
        assert!(
            exchange(
                &mut stream,
                &format!("GET /health HTTP/1.1\r\nHost: localhost:{address}\r\n\r\n")
            )
            .await
            .contains("200")
        );
        program.signal("TERM");
        let log = program.folder.path().join("log");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("bytes more"), "{format}: something was cut");
        let longest = log.lines().map(str::len).max().unwrap();
        assert!(longest < 16 * 1024, "{format}: a line of {longest} bytes");
        program.end().await;
    }
}
