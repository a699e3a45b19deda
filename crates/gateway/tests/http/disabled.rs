//! What an administrator disabled: refused on every route, in both eras, and ended where it is
//! under way. Gateways of these tests trust what they looked up for an hour, and what is disabled
//! here is disabled by other stores on the same file, as by the command: nothing passes because
//! time does. Several nodes are in `tests/ops/disabled.rs`.

use std::{sync::Arc, time::Duration};

use portunus::{config::ProxyRoute, disabled::change};
use portunus_core::{
    Clock as _,
    audit::{AuditFilter, AuditRecord, Call, CallOutcome, Event, RefusalReason},
    disabled::{Disableable, DisabledRecord, Disabling},
    entropy::SeededEntropy,
    ids::{ClientId, ServerName},
    store::Stores,
};
use portunus_store::{seal::Sealer, sqlite};
use portunus_testkit::{
    agent::{Agent, Landing, McpClient, OAuthClient, Page, Request, Tokens},
    mcp_servers::FixtureServer,
    wait::eventually,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::fixture::{GatewayFixture, Setup};

const MODERN: &str = "2026-07-28";
/// For what comes at once, unless it never does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The records as a command beside the gateway has them.
fn beside(fixture: &GatewayFixture) -> Stores {
    let sealer =
        Sealer::new(&fixture.config.auth_secrets, Arc::new(SeededEntropy::new(9))).unwrap();
    sqlite::open(&fixture.database(), sealer).unwrap()
}

fn record(fixture: &GatewayFixture, what: Disableable) -> DisabledRecord {
    let reason = Some("a reason that is for administrators".to_owned());
    DisabledRecord { what, name: None, reason, by: "uid 0".to_owned(), at: fixture.clock.now() }
}

async fn disable(fixture: &GatewayFixture, what: Disableable) -> Disabling {
    let (store, record) = (beside(fixture).disabled, record(fixture, what));
    change::disable(&*store, record, fixture.clock.now()).await.unwrap().0
}

async fn enable(fixture: &GatewayFixture, what: &Disableable) {
    assert!(change::enable(&*beside(fixture).disabled, what).await.unwrap().is_some());
}

fn person(fixture: &GatewayFixture, name: &str) -> Disableable {
    Disableable::Person(fixture.user(name))
}

fn server(name: &str) -> Disableable {
    Disableable::Server(ServerName::parse(name).unwrap())
}

fn tool(server: &str, tool: &str) -> Disableable {
    Disableable::Tool { server: ServerName::parse(server).unwrap(), tool: tool.to_owned() }
}

async fn fixture() -> (GatewayFixture, FixtureServer) {
    let legacy = FixtureServer::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", legacy.url().join("/").unwrap())];
    (GatewayFixture::of(Setup { proxies, ..Setup::default() }).await, legacy)
}

struct Connected {
    client: OAuthClient,
    browser: Agent,
    tokens: Tokens,
}

async fn connect(fixture: &GatewayFixture, name: &str, path: &str) -> Connected {
    fixture.okta.sign_in_as(name);
    let (client, browser, tokens) = fixture.connect(path).await;
    Connected { client, browser, tokens }
}

impl Connected {
    fn id(&self) -> Disableable {
        Disableable::Client(ClientId::from_text(self.client.id.as_str()))
    }

    /// A request of the modern era.
    fn modern(&self, url: &str, method: &str, mut params: Value) -> Request {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {}});
        let named = params["name"].as_str().map(ToOwned::to_owned);
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let request = Request::json(url, &message)
            .without_cookies()
            .bearer(&self.tokens.access)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", method);
        match named {
            Some(name) => request.header("mcp-name", &name),
            None => request,
        }
    }

    async fn status(&self, url: &str) -> u16 {
        let answer = self.browser.send(self.modern(url, "tools/list", json!({}))).await;
        answer.status.as_u16()
    }

    async fn until(&self, url: &str, expected: u16) {
        eventually(&format!("{url} says {expected}"), async || self.status(url).await == expected)
            .await;
    }

    /// Something that lasts: ended or not, whatever it answers.
    fn begin(&self, request: Request) -> JoinHandle<Option<Page>> {
        let browser = self.browser.clone();
        tokio::spawn(async move { browser.try_send(request).await.ok() })
    }
}

async fn ends(what: &str, task: JoinHandle<Option<Page>>) -> Option<Page> {
    tokio::time::timeout(PATIENCE, task).await.unwrap_or_else(|_| panic!("{what} ends")).unwrap()
}

fn listen(mcp: &McpClient, token: &str) -> Request {
    Request::get(&mcp.url)
        .without_cookies()
        .bearer(token)
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &mcp.session)
}

fn hang(mcp: &McpClient, name: &str) -> Request {
    mcp.message(&json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call",
        "params": {"name": name, "arguments": {}}}))
}

/// What lasts, of a person with one client: a stream, a subscription, a call in each era.
async fn lasting(
    of: &Connected,
    url: &str,
    hangs: &str,
) -> Vec<(&'static str, JoinHandle<Option<Page>>)> {
    let mcp = McpClient::connect(&of.browser, url, &of.tokens.access).await;
    let subscription = json!({"notifications": {"toolsListChanged": true}});
    let tasks = vec![
        ("a GET stream", of.begin(listen(&mcp, &of.tokens.access))),
        ("a legacy call", of.begin(hang(&mcp, hangs))),
        (
            "a modern call",
            of.begin(of.modern(url, "tools/call", json!({"name": hangs, "arguments": {}}))),
        ),
        ("a subscription", of.begin(of.modern(url, "subscriptions/listen", subscription))),
    ];
    // Nothing comes on them that says that they are open.
    tokio::time::sleep(Duration::from_millis(700)).await;
    for (what, task) in &tasks {
        assert!(!task.is_finished(), "{what}");
    }
    tasks
}

async fn refusals(fixture: &GatewayFixture) -> Vec<AuditRecord> {
    let records =
        fixture.stores().audit.find_records(&AuditFilter::default(), 10_000).await.unwrap();
    let disabled = |record: &AuditRecord| {
        matches!(
            &record.event,
            Event::Refused { reason: RefusalReason::Disabled, .. }
                | Event::Call(Call { outcome: CallOutcome::Disabled, .. })
        )
    };
    records.iter().map(|record| record.read().unwrap()).filter(disabled).collect()
}

#[tokio::test]
async fn t19_a_disabled_person_is_refused_on_every_route_and_nobody_else_is() {
    let (fixture, _legacy) = fixture().await;
    let (alice, own, proxied) = (
        connect(&fixture, "alice", "/mcp").await,
        connect(&fixture, "alice", "/mcp/uuid").await,
        connect(&fixture, "alice", "/mcp/legacy/").await,
    );
    let bob = connect(&fixture, "bob", "/mcp").await;
    let routes = [
        (&alice, "/mcp"),
        (&alice, "/mcp?server_name=uuid"),
        (&own, "/mcp/uuid"),
        (&proxied, "/mcp/legacy/mcp"),
    ];
    for (of, path) in routes {
        assert_ne!(of.status(&fixture.at(path)).await, 401, "{path}");
    }
    let ended = disable(&fixture, person(&fixture, "alice")).await.ended;
    assert_eq!((ended.grants, ended.logins), (3, 3));
    for (of, path) in routes {
        of.until(&fixture.at(path), 401).await;
    }
    let tools = Request::get(&fixture.at("/tools")).bearer(&alice.tokens.access);
    assert_eq!(alice.browser.send(tools.without_cookies()).await.status, 401);
    let front = alice.browser.open(&fixture.at("/")).await.page();
    assert!(!front.text().contains("Sign out"), "the browser's login is over");
    assert_eq!(
        alice.client.refresh(alice.tokens.refresh()).await.expect(400).error(),
        "invalid_grant"
    );
    assert_eq!(bob.status(&fixture.at("/mcp")).await, 200);

    enable(&fixture, &person(&fixture, "alice")).await;
    fixture.okta.sign_in_as("alice");
    // What the gateway's memory says is told to clients in other words than the store's answer.
    eventually("the gateway knows that alice is enabled", async || {
        let answer = alice.client.refresh(alice.tokens.refresh()).await;
        !answer.text().contains("ended by the administrator")
    })
    .await;
    assert_eq!(alice.status(&fixture.at("/mcp")).await, 401, "what was ended does not come back");
    let again = connect(&fixture, "alice", "/mcp").await;
    assert_eq!(again.status(&fixture.at("/mcp")).await, 200);
    let of_alice =
        |record: &AuditRecord| record.person.user == Some(fixture.user("alice").to_string());
    eventually("refusals are recorded with their reason", async || {
        let refusals = refusals(&fixture).await;
        !refusals.is_empty() && refusals.iter().all(of_alice)
    })
    .await;
    fixture.close().await;
}

#[tokio::test]
async fn t19_what_a_disabled_person_has_under_way_ends_and_what_another_has_goes_on() {
    let fixture = GatewayFixture::start().await;
    let alice = connect(&fixture, "alice", "/mcp").await;
    let bob = connect(&fixture, "bob", "/mcp").await;
    let url = fixture.at("/mcp");
    let of_alice = lasting(&alice, &url, "uuid_hang").await;
    let of_bob = lasting(&bob, &url, "uuid_hang").await;
    disable(&fixture, person(&fixture, "alice")).await;
    for (what, task) in of_alice {
        ends(what, task).await;
    }
    for (what, task) in &of_bob {
        assert!(!task.is_finished(), "{what} of another");
    }
    disable(&fixture, person(&fixture, "bob")).await;
    for (what, task) in of_bob {
        ends(what, task).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_disabled_person_finishes_no_sign_in_and_no_code() {
    let fixture = GatewayFixture::start().await;
    let alice = connect(&fixture, "alice", "/mcp").await;
    let authorization = alice.client.authorization();
    let code = alice.client.authorize(&alice.browser, &authorization).await.code();
    let introspector = OAuthClient::register_as(
        &fixture.browser(),
        &fixture.at("/mcp"),
        json!({"client_name": "Confidential", "token_endpoint_auth_method": "client_secret_basic"}),
    )
    .await;
    let own = introspector.connect(&fixture.browser()).await;
    disable(&fixture, person(&fixture, "alice")).await;
    assert_eq!(
        alice.client.redeem(&authorization, &code).await.expect(400).error(),
        "invalid_grant"
    );
    let looked =
        introspector.send("introspection_endpoint", [("token", own.access.as_str())]).await;
    assert_eq!(looked.expect(200).json(), json!({"active": false}));

    // With a consent that is remembered, and with a browser that signs in anew.
    for browser in [alice.browser.clone(), fixture.browser()] {
        let landing = browser.open(&fixture.at("/auth/signin")).await;
        let page = landing.page().expect(403);
        let text = page.text();
        assert!(
            text.contains("This account is disabled") && text.contains("administrator"),
            "{text}"
        );
        assert!(!text.contains("a reason that is for administrators"), "{text}");
        assert!(page.links().iter().any(|(_, href)| href.contains("account=another")), "{page:?}");
    }
    assert!(beside(&fixture).logins.find_user(&fixture.user("alice")).await.unwrap().is_some());
    fixture.okta.sign_in_as("bob");
    fixture.sign_in(&fixture.browser()).await;
    eventually("the sign-in that was refused is recorded", async || {
        let is_sign_in = |record: &AuditRecord| {
            matches!(&record.event, Event::Refused { about: Some(about), .. } if about == "okta")
        };
        refusals(&fixture).await.iter().any(is_sign_in)
    })
    .await;
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_disabled_client_gets_nothing_from_any_endpoint() {
    let fixture = GatewayFixture::start().await;
    let first = connect(&fixture, "alice", "/mcp").await;
    let other = connect(&fixture, "alice", "/mcp").await;
    let (url, lasting) =
        (fixture.at("/mcp"), lasting(&first, &fixture.at("/mcp"), "uuid_hang").await);
    let authorization = first.client.authorization();
    let code = first.client.authorize(&first.browser, &authorization).await.code();
    assert_eq!(disable(&fixture, first.id()).await.ended.grants, 1);
    first.until(&url, 401).await;
    for (what, task) in lasting {
        ends(what, task).await;
    }
    eventually("the client is refused", async || {
        first.client.redeem(&authorization, &code).await.error() == "invalid_client"
    })
    .await;
    let refused = first.client.refresh(first.tokens.refresh()).await.expect(401);
    assert_eq!(refused.error(), "invalid_client");
    let page = first.browser.open(first.client.authorization().url().as_str()).await.page();
    let text = page.expect(403).text();
    assert!(text.contains("This is disabled"), "{text}");
    // The person is not disabled, nor is another client of theirs.
    assert_eq!(other.status(&url).await, 200);
    let fresh = other.client.tokens(other.client.refresh(other.tokens.refresh()).await);
    assert!(!fresh.access.is_empty());

    enable(&fixture, &first.id()).await;
    eventually("the client may begin again", async || {
        let landing = first.browser.open(first.client.authorization().url().as_str()).await;
        landing.page().status != 403
    })
    .await;
    assert_eq!(first.status(&url).await, 401, "what was ended does not come back");
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_disabled_server_is_there_for_nobody_and_its_calls_end() {
    let fixture = GatewayFixture::start().await;
    let (alice, own) =
        (connect(&fixture, "alice", "/mcp").await, connect(&fixture, "alice", "/mcp/uuid").await);
    let (url, uuid) = (fixture.at("/mcp"), fixture.at("/mcp/uuid"));
    let mcp = McpClient::connect(&alice.browser, &url, &alice.tokens.access).await;
    let all = mcp.tools().await;
    let is_of_uuid = |name: &String| name.starts_with("uuid_");
    assert!(all.iter().any(is_of_uuid));
    let lasting = lasting(&own, &uuid, "hang").await;
    let call = alice.begin(hang(&mcp, "uuid_hang"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!call.is_finished());
    let listed = alice.browser.open(&fixture.at("/")).await.page().text();
    assert!(listed.contains("uuid http"), "{listed}");
    disable(&fixture, server("uuid")).await;
    own.until(&uuid, 404).await;
    alice.until(&fixture.at("/mcp?server_name=uuid"), 404).await;
    for (what, task) in lasting {
        ends(what, task).await;
    }
    ends("a call on /mcp", call).await;
    let left: Vec<_> = all.iter().filter(|name| !is_of_uuid(name)).cloned().collect();
    assert_eq!(mcp.tools().await, left, "the session on /mcp goes on");
    assert!(mcp.call("uuid_echo", json!({"text": "x"})).await["error"].is_object());
    let front = alice.browser.open(&fixture.at("/")).await.page().text();
    assert!(front.contains("dice stdio") && !front.contains("uuid http"), "{front}");
    eventually("the call that was refused is recorded", async || {
        let is_call = |record: &AuditRecord| {
            matches!(&record.event, Event::Call(call) if call.server.as_deref() == Some("uuid"))
        };
        refusals(&fixture).await.iter().any(is_call)
    })
    .await;
    enable(&fixture, &server("uuid")).await;
    own.until(&uuid, 200).await;
    assert_eq!(mcp.tools().await, all);
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_disabled_tool_is_hidden_and_refused_and_clients_are_told() {
    let fixture = GatewayFixture::start().await;
    let (alice, own) =
        (connect(&fixture, "alice", "/mcp").await, connect(&fixture, "alice", "/mcp/uuid").await);
    let merged =
        McpClient::connect(&alice.browser, &fixture.at("/mcp"), &alice.tokens.access).await;
    let single =
        McpClient::connect(&own.browser, &fixture.at("/mcp/uuid"), &own.tokens.access).await;
    let views = [(&merged, "uuid_"), (&single, "")];
    for (mcp, prefix) in views {
        assert!(mcp.tools().await.contains(&format!("{prefix}add")));
    }
    // A stream on which the change is told; it lasts until the person is disabled.
    let told = alice.begin(listen(&merged, &alice.tokens.access));
    tokio::time::sleep(Duration::from_millis(300)).await;
    disable(&fixture, tool("uuid", "add")).await;
    for (mcp, prefix) in views {
        let name = format!("{prefix}add");
        eventually("the tool is gone", async || !mcp.tools().await.contains(&name)).await;
        assert!(mcp.tools().await.contains(&format!("{prefix}echo")));
        let refused = mcp.call(&name, json!({"a": 1, "b": 2})).await;
        assert!(refused["error"].is_object(), "{refused}");
        assert_eq!(mcp.call_text(&format!("{prefix}echo"), json!({"text": "x"})).await, "x");
    }
    let arguments = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    let modern = own.modern(&fixture.at("/mcp/uuid"), "tools/call", arguments);
    let answer = own.browser.send(modern).await;
    assert!(answer.text().contains("error") && !answer.text().contains("content\""), "{answer:?}");
    enable(&fixture, &tool("uuid", "add")).await;
    eventually("the tool is back", async || merged.tools().await.contains(&"uuid_add".to_owned()))
        .await;
    disable(&fixture, person(&fixture, "alice")).await;
    let stream = ends("the stream", told).await.map(|page| page.text()).unwrap_or_default();
    let changes = stream.matches("notifications/tools/list_changed").count();
    assert!(changes >= 2, "of disabling and of enabling: {stream}");
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_disabled_proxied_path_is_gone() {
    let (fixture, _legacy) = fixture().await;
    let alice = connect(&fixture, "alice", "/mcp/legacy/").await;
    let url = fixture.at("/mcp/legacy/mcp");
    let mcp = McpClient::connect(&alice.browser, &url, &alice.tokens.access).await;
    let (stream, call) =
        (alice.begin(listen(&mcp, &alice.tokens.access)), alice.begin(hang(&mcp, "hang")));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!stream.is_finished() && !call.is_finished());
    let what = Disableable::Proxy("/mcp/legacy/".to_owned());
    disable(&fixture, what.clone()).await;
    alice.until(&url, 404).await;
    ends("a proxied stream", stream).await;
    ends("a proxied call", call).await;
    enable(&fixture, &what).await;
    eventually("it is back", async || alice.status(&url).await != 404).await;
    fixture.close().await;
}

/// A gateway that was down meanwhile refuses from its first request.
#[tokio::test]
async fn t19_what_is_disabled_stays_so_over_a_restart() {
    let mut fixture = GatewayFixture::start().await;
    let alice = connect(&fixture, "alice", "/mcp").await;
    let bob = connect(&fixture, "bob", "/mcp").await;
    let alice_is = person(&fixture, "alice");
    fixture.stop().await;
    for what in [alice_is, server("dice"), tool("uuid", "add")] {
        disable(&fixture, what).await;
    }
    fixture.restart().await;
    let url = fixture.at("/mcp");
    let mcp = McpClient::connect(&bob.browser, &url, &bob.tokens.access).await;
    let tools = mcp.tools().await;
    assert!(tools.contains(&"uuid_echo".to_owned()));
    assert!(!tools.iter().any(|name| name == "uuid_add" || name.starts_with("dice_")), "{tools:?}");
    assert_eq!(alice.status(&url).await, 401);
    fixture.close().await;
}

/// Many refresh and begin anew while the person is disabled by the gateway's own stores: none of
/// them holds anything afterwards.
#[tokio::test]
async fn t19_whatever_is_issued_at_the_moment_of_disabling_is_worth_nothing() {
    let fixture = Arc::new(GatewayFixture::start().await);
    let mut racers = Vec::new();
    for _ in 0..4 {
        let alice = connect(&fixture, "alice", "/mcp").await;
        racers.push(tokio::spawn(async move {
            let (mut all, mut refresh) = (Vec::new(), alice.tokens.refresh().to_owned());
            // bounded: by the disabling.
            loop {
                let authorization = alice.client.authorization();
                let answer = alice.client.refresh(&refresh).await;
                if answer.status != 200 {
                    return all;
                }
                let tokens = alice.client.tokens(answer);
                refresh = tokens.refresh().to_owned();
                all.push(tokens.access);
                let landing = alice.client.begin(&alice.browser, &authorization).await;
                if let Landing::Client(returned) = landing {
                    let answer = alice.client.redeem(&authorization, &returned.code()).await;
                    if answer.status == 200 {
                        all.push(alice.client.tokens(answer).access);
                    }
                }
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    disable(&fixture, person(&fixture, "alice")).await;
    let mut all = Vec::new();
    for racer in racers {
        let made = tokio::time::timeout(PATIENCE, racer).await.expect("it is refused").unwrap();
        // The newest of each: an address that fails more often than that is not looked at.
        all.extend(made.into_iter().rev().take(5));
    }
    assert!(!all.is_empty());
    for token in all {
        let request = Request::get(&fixture.at("/tools")).without_cookies().bearer(&token);
        assert_eq!(fixture.browser().send(request).await.status, 401);
    }
    assert_eq!(fixture.grants("alice").await, 0);
    Arc::into_inner(fixture).unwrap().close().await;
}
