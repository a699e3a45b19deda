//! The fetcher among hostile hosts (threats 26, 27). That the gateway uses it, and for what, is
//! tested in `tests/strangers`.

use std::{net::Ipv4Addr, sync::Mutex};

use portunus_core::{Timestamp, address_block::AddressBlock, clock::FixedClock};
use portunus_testkit::{
    hostile_hosts::{Behaviour, HostileHosts},
    wait::eventually,
};
use serde_json::json;

use super::*;

/// An address, for clients in use or not.
pub(crate) const ASKER: FetchOrigin =
    FetchOrigin { address: AddressBlock::of_v4(Ipv4Addr::new(192, 0, 2, 1)), in_use: false };

/// Hostile hosts in place of the Internet.
pub(crate) struct HostileInternet(pub(crate) Arc<HostileHosts>);

#[async_trait]
impl Outside for HostileInternet {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lookup(host)
    }

    fn route(&self, _: IpAddr) -> SocketAddr {
        self.0.address()
    }

    fn roots(&self) -> Vec<Certificate> {
        vec![Certificate::from_pem(HostileHosts::root()).unwrap()]
    }
}

struct Visit {
    hosts: Arc<HostileHosts>,
    clock: Arc<FixedClock>,
    fetcher: Arc<GuardedFetcher>,
}

impl Visit {
    async fn begin() -> Self {
        let hosts = Arc::new(HostileHosts::start().await);
        let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
        let outside = Arc::new(HostileInternet(Arc::clone(&hosts)));
        let fetcher =
            Arc::new(GuardedFetcher::new(outside, Arc::clone(&clock) as Arc<dyn Clock>).unwrap());
        Self { hosts, clock, fetcher }
    }

    async fn load(&self, text: &str) -> Result<Bytes, FetchError> {
        self.fetcher.load(&url(text), Content::ClientDocument, ASKER).await
    }
}

fn url(text: &str) -> OutsideUrl {
    OutsideUrl::parse(text).unwrap()
}

const HONEST: &str = "https://app.hosts.example/client.json";

#[tokio::test]
async fn an_honest_document_is_fetched_once_while_fresh() {
    let visit = Visit::begin().await;
    let headers = vec![("cache-control", "max-age=120".to_owned())];
    visit.hosts.serve(HONEST, Behaviour::Honest(json!({"v": 1}), headers.clone()));
    assert_eq!(visit.load(HONEST).await.unwrap(), r#"{"v":1}"#);
    visit.hosts.serve(HONEST, Behaviour::Honest(json!({"v": 2}), headers));
    visit.clock.advance(Duration::from_secs(119));
    assert_eq!(visit.load(HONEST).await.unwrap(), r#"{"v":1}"#);
    visit.clock.advance(Duration::from_secs(1));
    assert_eq!(visit.load(HONEST).await.unwrap(), r#"{"v":2}"#);
    assert_eq!(visit.hosts.requests(), [HONEST, HONEST]);
    assert_eq!(
        visit.hosts.lookups(),
        ["app.hosts.example", "app.hosts.example"],
        "each connection is to addresses just checked"
    );
}

#[tokio::test]
async fn many_who_want_the_same_fetch_it_once() {
    let visit = Visit::begin().await;
    visit.hosts.serve(HONEST, Behaviour::honest(json!({})));
    let all: Vec<_> = (0..50)
        .map(|_| {
            let fetcher = Arc::clone(&visit.fetcher);
            tokio::spawn(
                async move { fetcher.load(&url(HONEST), Content::ClientDocument, ASKER).await },
            )
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(visit.hosts.requests().len(), 1);
}

#[tokio::test]
async fn reloading_has_a_pace() {
    let visit = Visit::begin().await;
    let keys = "https://app.hosts.example/jwks.json";
    visit.hosts.serve(keys, Behaviour::honest(json!({"keys": []})));
    let reload =
        || async { visit.fetcher.reload(&url(keys), Content::KeySet, ASKER).await.unwrap() };
    for _ in 0..20 {
        reload().await;
    }
    assert_eq!(visit.hosts.requests().len(), 1);
    visit.clock.advance(Duration::from_secs(10));
    reload().await;
    assert_eq!(visit.hosts.requests().len(), 2);
}

#[tokio::test]
async fn t26_answers_that_will_not_do() {
    let says = |status, content_type, body: &str| Behaviour::Response {
        status,
        content_type,
        headers: vec![],
        body: body.to_owned(),
    };
    let large = json!({"x": "x".repeat(5 * 1024)});
    let too_large = || FetchError::TooLarge { limit: 5 * 1024 };
    let trap = "https://trap.hosts.example/x";
    let cases = [
        (Behaviour::redirect(301, trap), FetchError::Status(301)),
        (
            Behaviour::redirect(302, "http://169.254.169.254/latest/meta-data"),
            FetchError::Status(302),
        ),
        (Behaviour::redirect(307, "/other.json"), FetchError::Status(307)),
        (Behaviour::redirect(308, trap), FetchError::Status(308)),
        (says(201, "application/json", "{}"), FetchError::Status(201)),
        (says(204, "application/json", ""), FetchError::Status(204)),
        (says(404, "application/json", "{}"), FetchError::Status(404)),
        (says(500, "application/json", "{}"), FetchError::Status(500)),
        (says(200, "text/html", "<html>"), FetchError::NotJson),
        (says(200, "text/plain", "{}"), FetchError::NotJson),
        (says(200, "application/javascript", "{}"), FetchError::NotJson),
        (says(200, "", "{}"), FetchError::NotJson),
        (
            Behaviour::Honest(json!({}), vec![("content-type", "text/html".to_owned())]),
            FetchError::NotJson,
        ),
        (Behaviour::CompressionBomb("gzip"), FetchError::Encoded),
        (Behaviour::CompressionBomb("br"), FetchError::Encoded),
        (Behaviour::CompressionBomb("gzip, identity"), FetchError::Encoded),
        (Behaviour::honest(large.clone()), too_large()),
        (Behaviour::WrongLength { declared: 1 << 40, body: "{}".to_owned() }, too_large()),
        (Behaviour::EndlessBody, too_large()),
    ];
    let visit = Visit::begin().await;
    for (n, (behaviour, expected)) in cases.into_iter().enumerate() {
        let url = format!("https://case-{n}.hosts.example/client.json");
        visit.hosts.serve(&url, behaviour.clone());
        assert_eq!(visit.load(&url).await, Err(expected), "{behaviour:?}");
    }
    assert!(
        !visit.hosts.requests().iter().any(|visit| visit == trap || visit.ends_with("/other.json")),
        "nothing was followed"
    );
}

#[tokio::test]
async fn t26_answers_that_break_off() {
    let visit = Visit::begin().await;
    let behaviours = [
        Behaviour::HangsUp,
        Behaviour::NotHttp,
        Behaviour::EndlessHeaders,
        Behaviour::WrongLength { declared: 100, body: "{}".to_owned() },
    ];
    for (n, behaviour) in behaviours.into_iter().enumerate() {
        let url = format!("https://case-{n}.hosts.example/client.json");
        visit.hosts.serve(&url, behaviour.clone());
        let outcome = visit.load(&url).await;
        assert!(matches!(outcome, Err(FetchError::Transport(_))), "{behaviour:?}: {outcome:?}");
    }
    // A body longer than declared ends where it was said to end.
    visit.hosts.serve(
        HONEST,
        Behaviour::WrongLength { declared: 2, body: format!("{{}}{}", "x".repeat(100_000)) },
    );
    assert_eq!(visit.load(HONEST).await.unwrap(), "{}");
}

#[tokio::test]
async fn t26_the_slow_are_given_up_and_a_failure_is_kept_for_a_moment_only() {
    let visit = Visit::begin().await;
    let (dripping, asleep) = ("https://drip.hosts.example/c", "https://sleep.hosts.example/c");
    visit.hosts.serve(dripping, Behaviour::ByteASecond(json!({})));
    visit.hosts.serve(asleep, Behaviour::NoAnswer);
    let (drip, sleep, again) =
        tokio::join!(visit.load(dripping), visit.load(asleep), visit.load(asleep));
    assert_eq!((&drip, &sleep), (&Err(FetchError::Timeout), &Err(FetchError::Timeout)));
    assert!(matches!(again, Err(FetchError::Timeout | FetchError::Busy)), "{again:?}");
    assert_eq!(visit.hosts.requests().len(), 2, "whoever waited did not try again");

    visit.hosts.serve(asleep, Behaviour::honest(json!({})));
    assert_eq!(visit.load(asleep).await, Err(FetchError::Timeout), "the failure of a moment ago");
    visit.clock.advance(Duration::from_secs(2));
    assert!(visit.load(asleep).await.is_ok(), "errors are not kept");
}

#[tokio::test]
async fn t26_names_that_lead_inside() {
    let visit = Visit::begin().await;
    let public = "93.184.216.34";
    let cases: [(&str, &[&str]); 10] = [
        ("127.0.0.1", &["127.0.0.1"]),
        ("169.254.169.254", &["169.254.169.254"]),
        ("10.0.0.7", &[public, "10.0.0.7"]),
        ("::1", &["2606:4700::1", "::1"]),
        ("::ffff:127.0.0.1", &["::ffff:127.0.0.1"]),
        ("64:ff9b::a9fe:a9fe", &["64:ff9b::169.254.169.254"]),
        ("2002:7f00:1::", &[public, "2002:7f00:1::"]),
        ("fd00:ec2::254", &["fd00:ec2::254"]),
        ("0.0.0.0", &["0.0.0.0"]),
        ("100.100.100.200", &["100.100.100.200"]),
    ];
    for (n, (inside, addresses)) in cases.into_iter().enumerate() {
        let host = format!("case-{n}.hosts.example");
        visit.hosts.resolve(&host, [addresses]);
        match visit.load(&format!("https://{host}/client.json")).await {
            Err(FetchError::SpecialAddress { address, .. }) => {
                assert_eq!(address.to_string(), inside);
            }
            other => panic!("{inside}: {other:?}"),
        }
    }
    assert_eq!(visit.hosts.connections(), 0, "nobody was connected to");
    visit.hosts.resolve("nowhere.hosts.example", [&[]]);
    let nowhere = visit.load("https://nowhere.hosts.example/c").await;
    assert!(matches!(nowhere, Err(FetchError::Unresolved(_))), "{nowhere:?}");
    let unknown = visit.load("https://unknown.example/c").await;
    assert!(matches!(unknown, Err(FetchError::Unresolved(_))), "{unknown:?}");
}

#[tokio::test]
async fn t26_a_name_that_changes_its_mind() {
    let visit = Visit::begin().await;
    visit.hosts.resolve("rebind.hosts.example", [&["93.184.216.34"], &["127.0.0.1"]]);
    let text = "https://rebind.hosts.example/client.json";
    visit.hosts.serve(text, Behaviour::honest(json!({})));
    assert!(visit.load(text).await.is_ok(), "one look-up, and the connection is to what it gave");
    assert_eq!(visit.hosts.lookups().len(), 1);
    visit.clock.advance(Duration::from_secs(3600));
    assert!(matches!(visit.load(text).await, Err(FetchError::SpecialAddress { .. })));
    assert_eq!(visit.hosts.connections(), 1);
}

#[tokio::test]
async fn t26_only_the_names_own_certificate_will_do() {
    let visit = Visit::begin().await;
    visit.hosts.resolve("app.other.example", [&["93.184.216.34"]]);
    visit.hosts.serve("https://app.other.example/client.json", Behaviour::honest(json!({})));
    let outcome = visit.load("https://app.other.example/client.json").await;
    assert!(matches!(outcome, Err(FetchError::Transport(_))), "{outcome:?}");
    assert!(visit.hosts.requests().is_empty());
}

#[tokio::test]
async fn t26_a_host_is_not_hammered() {
    let visit = Visit::begin().await;
    for n in 0..30 {
        let _ = visit.load(&format!("https://app.hosts.example/{n}.json")).await;
    }
    assert_eq!(visit.hosts.requests().len(), 10);
    assert_eq!(visit.load("https://app.hosts.example/more.json").await, Err(FetchError::TooOften));
    visit.clock.advance(Duration::from_secs(60));
    assert_eq!(
        visit.load("https://app.hosts.example/more.json").await,
        Err(FetchError::Status(404))
    );
}

#[tokio::test]
async fn t55_what_one_asker_uses_up_no_other_lacks() {
    let visit = Visit::begin().await;
    visit.hosts.serve(HONEST, Behaviour::honest(json!({})));
    for n in 0..30 {
        let _ = visit.load(&format!("https://app.hosts.example/{n}.json")).await;
    }
    assert_eq!(visit.load(HONEST).await, Err(FetchError::TooOften), "the one who flooded waits");
    let other =
        FetchOrigin { address: AddressBlock::of_v4(Ipv4Addr::new(192, 0, 2, 2)), in_use: false };
    assert!(
        visit.fetcher.load(&url(HONEST), Content::ClientDocument, other).await.is_ok(),
        "the same host, another origin"
    );
    assert!(visit.load(HONEST).await.is_ok(), "what is known needs no fetch");
}

#[tokio::test]
async fn t55_hosts_that_hang_keep_nobody_elses_places() {
    let visit = Visit::begin().await;
    let mut hanging = Vec::new();
    for n in 0..20 {
        let text = format!("https://sleep-{n}.hosts.example/c");
        visit.hosts.serve(&text, Behaviour::NoAnswer);
        let fetcher = Arc::clone(&visit.fetcher);
        hanging.push(tokio::spawn(async move {
            fetcher.load(&url(&text), Content::ClientDocument, ASKER).await
        }));
    }
    // Until the flood has all the permits that it gets.
    eventually("the flood has its permits", async || {
        visit.hosts.requests().len() >= super::super::fetch_budgets::AT_ONCE_PER_ADDRESS
    })
    .await;
    visit.hosts.serve(HONEST, Behaviour::honest(json!({})));
    let other =
        FetchOrigin { address: AddressBlock::of_v4(Ipv4Addr::new(192, 0, 2, 2)), in_use: false };
    assert!(visit.fetcher.load(&url(HONEST), Content::ClientDocument, other).await.is_ok());
    let used = "https://used.hosts.example/c";
    visit.hosts.serve(used, Behaviour::honest(json!({})));
    let in_use = FetchOrigin { in_use: true, ..ASKER };
    assert!(
        visit.fetcher.load(&url(used), Content::ClientDocument, in_use).await.is_ok(),
        "its own permit, whoever asks"
    );
    for one in hanging {
        assert!(matches!(
            one.await.unwrap(),
            Err(FetchError::Timeout | FetchError::Busy | FetchError::TooOften)
        ));
    }
}

#[tokio::test]
async fn t55_an_old_copy_does_while_a_fetch_fails() {
    let visit = Visit::begin().await;
    let headers = vec![("cache-control", "max-age=60".to_owned())];
    visit.hosts.serve(HONEST, Behaviour::Honest(json!({"v": 1}), headers));
    visit.load(HONEST).await.unwrap();
    let says = |status| Behaviour::Response {
        status,
        content_type: "application/json",
        headers: vec![],
        body: "{}".to_owned(),
    };
    visit.hosts.serve(HONEST, says(503));
    visit.clock.advance(Duration::from_secs(61));
    assert_eq!(visit.load(HONEST).await.unwrap(), r#"{"v":1}"#);
    visit.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(visit.load(HONEST).await, Err(FetchError::Status(503)), "a day is enough");

    let gone = "https://app.hosts.example/gone.json";
    visit.hosts.serve(gone, Behaviour::honest(json!({})));
    visit.load(gone).await.unwrap();
    visit.hosts.serve(gone, says(404));
    visit.clock.advance(Duration::from_secs(601));
    assert_eq!(
        visit.load(gone).await,
        Err(FetchError::Status(404)),
        "its host says that there is none any more"
    );
}

/// Names that take for ever to look up, and one that does not.
struct SlowNames {
    waiting: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Outside for SlowNames {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if host.starts_with("slow") {
            self.waiting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

#[tokio::test]
async fn t55_names_that_hang_keep_nobody_elses_look_ups() {
    let names = Arc::new(SlowNames { waiting: std::sync::atomic::AtomicUsize::new(0) });
    let clock = Arc::new(FixedClock::at(Timestamp::from_secs(1_800_000_000)));
    let fetcher =
        Arc::new(GuardedFetcher::new(Arc::clone(&names) as Arc<dyn Outside>, clock).unwrap());
    let load = |text: String, origin| {
        let fetcher = Arc::clone(&fetcher);
        async move { fetcher.load(&url(&text), Content::ClientDocument, origin).await }
    };
    let hanging: Vec<_> =
        (0..12).map(|n| tokio::spawn(load(format!("https://slow-{n}.example/c"), ASKER))).collect();
    let waiting = || names.waiting.load(std::sync::atomic::Ordering::SeqCst);
    eventually("the flood has its look-ups", async || {
        waiting() >= super::super::fetch_budgets::AT_ONCE_PER_ADDRESS
    })
    .await;
    let other =
        FetchOrigin { address: AddressBlock::of_v4(Ipv4Addr::new(192, 0, 2, 2)), in_use: false };
    for origin in [other, FetchOrigin { in_use: true, ..ASKER }] {
        let quick = load(format!("https://quick-{}.example/c", origin.in_use), origin).await;
        assert!(
            matches!(quick, Err(FetchError::SpecialAddress { .. })),
            "it was looked up: {quick:?}"
        );
    }
    for one in hanging {
        one.abort();
    }
}

/// A flood that has no permit must not keep the URL that it asks for from others.
#[tokio::test]
async fn t55_who_waits_for_a_place_holds_no_url() {
    let visit = Visit::begin().await;
    visit.hosts.serve(HONEST, Behaviour::honest(json!({})));
    let mut flood = Vec::new();
    for n in 0..super::super::fetch_budgets::AT_ONCE_PER_ADDRESS {
        let text = format!("https://sleep-{n}.hosts.example/c");
        visit.hosts.serve(&text, Behaviour::NoAnswer);
        let fetcher = Arc::clone(&visit.fetcher);
        flood.push(tokio::spawn(async move {
            fetcher.load(&url(&text), Content::ClientDocument, ASKER).await
        }));
    }
    eventually("the flood has its permits", async || {
        visit.hosts.requests().len() >= super::super::fetch_budgets::AT_ONCE_PER_ADDRESS
    })
    .await;
    for _ in 0..10 {
        let fetcher = Arc::clone(&visit.fetcher);
        flood.push(tokio::spawn(async move {
            fetcher.load(&url(HONEST), Content::ClientDocument, ASKER).await
        }));
    }
    tokio::task::yield_now().await;
    let other =
        FetchOrigin { address: AddressBlock::of_v4(Ipv4Addr::new(192, 0, 2, 2)), in_use: false };
    assert!(visit.fetcher.load(&url(HONEST), Content::ClientDocument, other).await.is_ok());
    for one in flood {
        one.abort();
    }
}

/// A proxy that takes every CONNECT to the hostile hosts, and notes the targets.
async fn proxy(hosts: &HostileHosts) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (targets, to): (Arc<Mutex<Vec<String>>>, _) = (Arc::default(), hosts.address());
    let seen = Arc::clone(&targets);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(tokio::io::AsyncReadExt::read_u8(&mut client).await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                seen.lock().unwrap().push(head.lines().next().unwrap().to_owned());
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut client, b"HTTP/1.1 200 OK\r\n\r\n")
                    .await
                    .unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (Url::parse(&format!("http://{address}")).unwrap(), targets)
}

#[tokio::test]
async fn fb17_documents_come_through_the_proxy_that_is_configured() {
    let visit = Visit::begin().await;
    visit.hosts.serve(HONEST, Behaviour::honest(json!({"v": 1})));
    visit.hosts.resolve("app.hosts.example", [&[]]);
    assert!(
        matches!(visit.load(HONEST).await, Err(FetchError::Unresolved(_))),
        "there is no direct way"
    );
    let (url, targets) = proxy(&visit.hosts).await;
    visit.fetcher.use_proxy(Some(&url)).unwrap();
    visit.clock.advance(Duration::from_secs(60));
    assert_eq!(visit.load(HONEST).await.unwrap(), r#"{"v":1}"#);
    assert_eq!(
        *targets.lock().unwrap(),
        ["CONNECT app.hosts.example:443 HTTP/1.1"],
        "names are the proxy's to resolve"
    );
    visit.fetcher.use_proxy(None).unwrap();
    visit.clock.advance(Duration::from_secs(24 * 3600 + 600));
    assert!(visit.load(HONEST).await.is_err());
}
