//! Groups stay true: what changes at the provider changes in sessions that go on, without anybody
//! signing in again. What providers answer to a refresh is tested in `portunus-identity`; when they
//! are asked, in `portunus_core::provider_token`.

use std::{sync::Arc, time::Duration};

use http::Method;
use portunus_core::{
    Clock as _,
    access::{AccessRule, Effect, Mode, Place, Policy, What, When, Who},
    audit::{AuditFilter, Event},
    lifetimes::Lifetimes,
    oauth::scopes::Pattern,
};
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Request, Tokens},
    okta::{Endpoint, Fault, Options},
    wait::eventually,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::fixture::{GatewayFixture, Setup};

/// Longer than `lifetimes.groups_interval`, and shorter than an access token.
const PAST_INTERVAL: Duration = Duration::from_secs(16 * 60);
/// Longer than a provider that failed is left alone.
const PAST_PAUSE: Duration = Duration::from_secs(11);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ALMOST_A_DAY: Duration = Duration::from_secs(24 * 60 * 60 - 60);
const PATIENCE: Duration = Duration::from_secs(60);
const MODERN: &str = "2026-07-28";

/// Engineers may use `uuid`, everyone may use `dice`.
fn by_groups() -> Arc<Policy> {
    let rule = |name: &str, groups: &[&str]| AccessRule {
        name: format!("those of {name}"),
        place: Place { file: "config.yaml".to_owned(), line: 1 },
        effect: Effect::Allow,
        mode: Mode::Enforce,
        who: Who {
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..Who::default()
        },
        what: What { servers: vec![Pattern::parse(name).unwrap()], ..What::default() },
        when: When::default(),
    };
    let rules = vec![rule("uuid", &["engineering"]), rule("dice", &["Everyone"])];
    Arc::new(Policy::new(rules, Vec::new()).unwrap())
}

fn setup() -> Setup {
    let lifetimes = Lifetimes { groups: Some(7 * DAY), ..Setup::default().lifetimes };
    Setup { offline_access: true, access: by_groups(), lifetimes, ..Setup::default() }
}

/// An application of Alice with an open session.
struct Application {
    client: OAuthClient,
    browser: Agent,
    tokens: Tokens,
    mcp: McpClient,
}

impl Application {
    async fn of(fixture: &GatewayFixture, path: &str) -> Self {
        fixture.okta.sign_in_as("alice");
        let (client, browser, tokens) = fixture.connect(path).await;
        let mcp = McpClient::connect(&browser, &fixture.at(path), &tokens.access).await;
        Self { client, browser, tokens, mcp }
    }

    async fn refreshed(&self) -> Tokens {
        self.client.tokens(self.client.refresh(self.tokens.refresh()).await)
    }

    async fn has_uuid(&self) -> bool {
        self.mcp.tools().await.iter().any(|tool| tool.ends_with("add"))
    }

    async fn loses_uuid(&self) {
        eventually("the session has lost the tools", async || !self.has_uuid().await).await;
        let answer = self.mcp.call("uuid_add", json!({"a": 1, "b": 2})).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }

    /// What comes on a stream of the session until it ends.
    fn listen(&self) -> JoinHandle<String> {
        let listen = Request::get(&self.mcp.url)
            .without_cookies()
            .bearer(&self.tokens.access)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", &self.mcp.session);
        let browser = self.browser.clone();
        tokio::spawn(async move { browser.send(listen).await.expect(200).body })
    }

    /// The same of a modern client.
    fn subscribe(&self) -> JoinHandle<String> {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"notifications": {"toolsListChanged": true}, "_meta": meta});
        let message =
            json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params});
        let request = Request::json(&self.mcp.url, &message)
            .without_cookies()
            .bearer(&self.tokens.access)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", "subscriptions/listen");
        let browser = self.browser.clone();
        tokio::spawn(async move { browser.send(request).await.expect(200).body })
    }
}

async fn ended(stream: JoinHandle<String>) -> String {
    tokio::time::timeout(PATIENCE, stream).await.expect("the stream ends").unwrap()
}

async fn events(fixture: &GatewayFixture) -> Vec<Event> {
    let audit = &fixture.stores().audit;
    let records = audit.find_records(&AuditFilter::default(), 10_000).await.unwrap();
    records.iter().map(|record| record.read().unwrap().event).collect()
}

async fn until_recorded(fixture: &GatewayFixture, word: &str) -> Event {
    eventually(&format!("{word} is recorded"), async || {
        events(fixture).await.iter().any(|event| event.word() == word)
    })
    .await;
    let found = events(fixture).await.into_iter().find(|event| event.word() == word);
    found.unwrap()
}

#[tokio::test]
async fn a_group_that_is_taken_away_takes_its_tools_from_sessions_that_go_on() {
    let fixture = GatewayFixture::of(setup()).await;
    let session = Application::of(&fixture, "/mcp").await;
    let one_server = Application::of(&fixture, "/mcp/uuid").await;
    let other = Application::of(&fixture, "/mcp").await;
    assert!(session.has_uuid().await && one_server.has_uuid().await);
    let streams = [session.listen(), session.subscribe()];
    let of_server = one_server.listen();
    // They are open: nothing that comes says so.
    tokio::time::sleep(Duration::from_millis(500)).await;
    fixture.okta.put_groups("alice", &["Everyone"]);
    other.refreshed().await;
    assert_eq!(fixture.okta.count(Endpoint::Refresh), 0, "Okta was asked at the sign-in");
    assert!(session.has_uuid().await);

    fixture.clock.advance(PAST_INTERVAL);
    let again = other.client.refresh(other.tokens.refresh()).await;
    other.client.tokens(again);
    session.loses_uuid().await;
    assert!(session.mcp.tools().await.iter().any(|tool| tool == "dice_roll"), "and no others");
    for stream in streams {
        let told = ended(stream).await;
        assert!(told.contains("notifications/tools/list_changed"), "{told}");
    }
    ended(of_server).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    one_server.browser.send(one_server.mcp.message(&ping)).await.expect(404);
    let removed = vec!["engineering".to_owned(), "admins".to_owned()];
    let changed = until_recorded(&fixture, "groups_changed").await;
    assert_eq!(changed, Event::GroupsChanged { added: Vec::new(), removed, more: 0 });

    // And back.
    fixture.okta.put_groups("alice", &["Everyone", "engineering"]);
    fixture.clock.advance(PAST_INTERVAL);
    other.refreshed().await;
    eventually("the tools are back", async || session.has_uuid().await).await;
    fixture.close().await;
}

/// Access tokens may live long: who has one in use is read anew too.
#[tokio::test]
async fn people_are_read_anew_without_a_refresh_of_ours() {
    let fixture = GatewayFixture::of(setup()).await;
    let session = Application::of(&fixture, "/mcp").await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    assert!(session.has_uuid().await);
    fixture.okta.put_groups("alice", &["Everyone"]);
    fixture.clock.advance(PAST_INTERVAL);
    // A token that has to be looked up, as each has after half a minute.
    let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(&tokens.access);
    browser.send(tools).await.expect(200);
    session.loses_uuid().await;
    assert_eq!(fixture.okta.count(Endpoint::Refresh), 1);
    fixture.close().await;
}

#[tokio::test]
async fn a_burst_at_two_nodes_asks_the_provider_once() {
    let fixture = GatewayFixture::of(Setup { nodes: 2, ..setup() }).await;
    let mut applications = Vec::new();
    for _ in 0..8 {
        fixture.okta.sign_in_as("alice");
        let (client, _, tokens) = fixture.connect("/mcp").await;
        applications.push((client, tokens));
    }
    for round in 1..=3 {
        fixture.clock.advance(PAST_INTERVAL);
        let refreshes = applications.iter().enumerate().map(|(n, (client, tokens))| {
            let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];
            let fields = form.into_iter().chain([("client_id", client.id.as_str())]);
            let path = match n % 2 {
                0 => fixture.at("/auth/token"),
                _ => fixture.at_node(1, "/auth/token"),
            };
            let request = Request::form(Method::POST, &path, fields.collect::<Vec<_>>());
            let browser = client.agent.clone();
            async move {
                let page = browser.send(request).await.expect(200);
                client.tokens(page)
            }
        });
        let fresh = futures::future::join_all(refreshes).await;
        for ((_, tokens), fresh) in applications.iter_mut().zip(fresh) {
            *tokens = fresh;
        }
        eventually("the provider was asked", async || {
            fixture.okta.count(Endpoint::Refresh) == round
        })
        .await;
    }
    assert_eq!(fixture.grants("alice").await, 8, "the rotated token was kept each time");
    fixture.close().await;
}

#[tokio::test]
async fn who_is_deactivated_at_the_provider_loses_everything_at_once() {
    let fixture = GatewayFixture::of(setup()).await;
    let session = Application::of(&fixture, "/mcp").await;
    let other = Application::of(&fixture, "/mcp").await;
    let stream = session.listen();
    tokio::time::sleep(Duration::from_millis(500)).await;
    fixture.okta.deactivate("alice");
    fixture.clock.advance(PAST_INTERVAL);
    let refused = other.client.refresh(other.tokens.refresh()).await.expect(400);
    assert_eq!(refused.error(), "invalid_grant");
    ended(stream).await;
    for application in [&session, &other] {
        let tools = Request::get(&fixture.at("/tools"))
            .without_cookies()
            .bearer(&application.tokens.access);
        application.browser.send(tools).await.expect(401);
        let page = application.browser.open(&fixture.at("/")).await;
        assert!(!format!("{page:?}").contains("Sign out"), "no browser is signed in");
    }
    assert_eq!(fixture.grants("alice").await, 0);
    let ended = until_recorded(&fixture, "ended_by_provider").await;
    assert!(
        matches!(&ended, Event::EndedByProvider { provider, grants: 2, .. } if provider == "okta"),
        "{ended:?}"
    );
    let user = fixture.user("alice");
    let kept = fixture.stores().provider_tokens.find_provider_token(&user, fixture.clock.now());
    assert_eq!(kept.await.unwrap(), None);
    fixture.close().await;
}

#[tokio::test]
async fn a_provider_that_is_down_changes_nothing_and_is_left_alone() {
    let fixture = GatewayFixture::of(setup()).await;
    let (client, browser, mut tokens) = fixture.connect("/mcp").await;
    let has_uuid = async |tokens: &Tokens| {
        let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(&tokens.access);
        browser.send(tools).await.expect(200).body.contains("uuid_add")
    };
    fixture.okta.put_groups("alice", &["Everyone"]);
    fixture.clock.advance(PAST_INTERVAL);
    for (fault, asked) in
        [(Fault::Status(503), 1), (Fault::RateLimited, 2), (Fault::Garbage, 3), (Fault::Hang, 4)]
    {
        fixture.okta.fail(Endpoint::Refresh, fault);
        for _ in 0..3 {
            tokens = client.tokens(client.refresh(tokens.refresh()).await);
        }
        assert_eq!(fixture.okta.count(Endpoint::Refresh), asked, "{fault:?}: asked once");
        assert!(has_uuid(&tokens).await, "{fault:?}: what is known counts");
        // Past the wish of a provider that limits us, and past every pause.
        fixture.clock.advance(Duration::from_secs(3600) + PAST_PAUSE);
    }
    let why = until_recorded(&fixture, "groups_not_read").await;
    assert!(matches!(&why, Event::GroupsNotRead { why } if why.contains("503")), "{why:?}");
    fixture.okta.heal(Endpoint::Refresh);
    let last = client.tokens(client.refresh(tokens.refresh()).await);
    eventually("it is read again", async || !has_uuid(&last).await).await;
    fixture.close().await;
}

/// Without a refresh token of the provider, what it said counts for a while, and then the person
/// signs in again: a login of before is none any more.
#[tokio::test]
async fn what_cannot_be_read_anew_ends() {
    let lifetimes = Lifetimes { groups: Some(DAY), ..Setup::default().lifetimes };
    let setup = Setup { lifetimes, offline_access: false, ..setup() };
    let fixture = GatewayFixture::of(setup).await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    fixture.clock.advance(ALMOST_A_DAY);
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(&tokens.access);
    browser.send(tools.clone()).await.expect(200);
    fixture.clock.advance(Duration::from_secs(120));
    browser.send(tools).await.expect(401);
    assert_eq!(client.refresh(tokens.refresh()).await.expect(400).error(), "invalid_grant");
    assert_eq!(fixture.okta.count(Endpoint::Refresh), 0);
    let before = fixture.okta.count(Endpoint::Authorize);
    client.connect(&browser).await;
    assert_eq!(fixture.okta.count(Endpoint::Authorize), before + 1, "signed in anew");
    fixture.close().await;
}

/// An application of Okta without the grant type Refresh Token: the sign-in is worth more.
#[tokio::test]
async fn a_provider_that_gives_no_refresh_tokens_signs_people_in_all_the_same() {
    let okta = Options { refresh_grant: false, ..Options::default() };
    let fixture = GatewayFixture::of(Setup { okta, ..setup() }).await;
    let (client, _, tokens) = fixture.connect("/mcp").await;
    assert!(
        fixture.log.text().contains("Applications > Applications"),
        "it says where to change it"
    );
    let asked = fixture.okta.count(Endpoint::Authorize);
    fixture.connect("/mcp").await;
    assert_eq!(fixture.okta.count(Endpoint::Authorize), asked + 1, "it is not tried again");
    fixture.clock.advance(PAST_INTERVAL);
    client.tokens(client.refresh(tokens.refresh()).await);
    assert_eq!(fixture.okta.count(Endpoint::Refresh), 0);
    fixture.close().await;
}
