//! Agent keys: on every route like a token, for what they were made for and nothing else, as long
//! as their owner may. That each kind of grant passes the same rules is next door, in
//! [`super::every_grant`]; the commands are in `tests/ops/keys.rs`.

use std::time::Duration;

use portunus::{
    agent_keys::{KeyMaker, Wish},
    config::{ClientsConfig, ProxyRoute},
    gateway::resources,
    os::OsEntropy,
};
use portunus_core::{
    Clock as _, Timestamp,
    agent_key::{KeyTargets, NewKey},
    audit::{AuditFilter, AuditRecord, Event, RefusalReason},
    client::{Client, ClientAuthMethod, ClientSource, GrantType},
    ids::ClientId,
    lifetimes::Lifetimes,
    redirect::RedirectUri,
    secret::TokenHash,
    store::GrantsOf,
};
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Page, Request},
    mcp_servers::FixtureServer,
    okta::{Endpoint, Fault, Person},
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECRET: &str = "the secret that the inspector and the gateway were told";

/// Signs the person in with a browser of their own.
pub(super) async fn signed_in(fixture: &GatewayFixture, name: &str) -> Agent {
    fixture.okta.sign_in_as(name);
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    browser
}

/// A key of a person who has signed in: for these servers, or for all.
pub(super) async fn key_for(
    fixture: &GatewayFixture,
    owner: &str,
    servers: &[&str],
    lifetime: Duration,
) -> NewKey {
    let stores = fixture.stores();
    let user = stores.logins.find_user(&fixture.user(owner)).await.unwrap().unwrap();
    let resources = resources(&fixture.config);
    let maker = KeyMaker {
        grants: &*stores.grants,
        resources: &resources,
        lifetimes: &fixture.config.lifetimes,
        entropy: &OsEntropy,
    };
    let names: Vec<_> = servers.iter().map(|name| (*name).to_owned()).collect();
    let targets =
        if names.is_empty() { KeyTargets::All } else { KeyTargets::Named(names.as_slice()) };
    let wish = Wish { name: "nightly job", targets, scopes: &[], lifetime };
    let key = maker.create(&user, &wish, fixture.clock.now()).await.unwrap();
    fixture.browser().keep_secret(key.secret.expose());
    key
}

/// A request that needs no session: it begins one.
fn initialize(url: &str, key: &str) -> Request {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "a job", "version": "1"}});
    message(url, key, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
}

fn message(url: &str, key: &str, message: &Value) -> Request {
    Request::json(url, message)
        .without_cookies()
        .header("accept", "application/json, text/event-stream")
        .bearer(key)
}

async fn status(fixture: &GatewayFixture, url: &str, key: &str) -> u16 {
    fixture.browser().send(initialize(url, key)).await.status.as_u16()
}

/// A call of the modern era.
async fn modern_add(fixture: &GatewayFixture, url: &str, key: &str) -> Page {
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "add", "arguments": {"a": 1, "b": 2},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}}});
    let request = Request::json(url, &message)
        .without_cookies()
        .bearer(key)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "add");
    fixture.browser().send(request).await
}

async fn records(
    fixture: &GatewayFixture,
    what: &str,
    is_there: impl Fn(&AuditRecord) -> bool,
) -> Vec<AuditRecord> {
    let read = async || -> Vec<AuditRecord> {
        let all = AuditFilter::default();
        let found = fixture.stores().audit.find_records(&all, 10_000).await.unwrap();
        found.iter().map(|record| record.read().unwrap()).collect()
    };
    eventually(what, async || read().await.iter().any(&is_there)).await;
    read().await
}

#[tokio::test]
async fn t30_a_key_opens_what_it_is_for_on_every_route_and_nothing_else() {
    let legacy = FixtureServer::start().await;
    let proxies = vec![ProxyRoute::new("/mcp/legacy/", legacy.url().join("/").unwrap())];
    let mut fixture = GatewayFixture::of(Setup { proxies, ..Setup::default() }).await;
    let browser = signed_in(&fixture, "alice").await;
    let key = key_for(&fixture, "alice", &["uuid", "/mcp/legacy/"], 90 * DAY).await;
    let secret = key.secret.expose();
    for round in ["made", "after a restart"] {
        let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), secret).await;
        assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 2})).await, "3", "{round}");
        let modern = modern_add(&fixture, &fixture.at("/mcp/uuid"), secret).await.expect(200);
        assert!(modern.body.contains('3'), "{round}: {modern:?}");
        let before = legacy.seen().len();
        let through = status(&fixture, &fixture.at("/mcp/legacy/mcp"), secret).await;
        assert!(through != 401 && legacy.seen().len() > before, "{round}: {through}");
        // Other resources: those of everything, and another server's.
        for path in ["/mcp", "/mcp?server_name=uuid", "/mcp/dice"] {
            let refused =
                fixture.browser().send(initialize(&fixture.at(path), secret)).await.expect(401);
            assert!(refused.body.contains("for another resource"), "{round} {path}: {refused:?}");
            assert!(refused.header("www-authenticate").contains("invalid_token"), "{refused:?}");
        }
        let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(secret);
        assert_eq!(fixture.browser().send(tools).await.status, 401, "{round}");
        fixture.stop().await;
        fixture.restart().await;
    }
    // For everything: there, and not at a server alone.
    let all = key_for(&fixture, "alice", &[], 90 * DAY).await;
    let all = all.secret.expose();
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), all).await;
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await, "3");
    let tools = Request::get(&fixture.at("/tools")).without_cookies().bearer(all);
    fixture.browser().send(tools).await.expect(200);
    assert_eq!(status(&fixture, &fixture.at("/mcp/uuid"), all).await, 401);
    // In a query it is refused, and so is one that is not quite it.
    let in_query = fixture.at(&format!("/mcp/uuid?access_token={secret}"));
    let in_query = Request::get(&in_query).without_cookies();
    assert_eq!(fixture.browser().send(in_query).await.status, 400);
    let cut = &secret[..secret.len() - 1];
    assert_eq!(status(&fixture, &fixture.at("/mcp/uuid"), cut).await, 401);
    fixture.close().await;
}

#[tokio::test]
async fn t32_a_key_ends_at_its_time_and_rests_while_its_owner_is_not_seen() {
    let day = Lifetimes { grant: 30 * DAY, unused_client: 3650 * DAY, ..Lifetimes::default() };
    let fixture = GatewayFixture::of(Setup { lifetimes: day, ..Setup::default() }).await;
    signed_in(&fixture, "alice").await;
    let url = fixture.at("/mcp/uuid");
    let short = key_for(&fixture, "alice", &["uuid"], DAY).await;
    let long = key_for(&fixture, "alice", &["uuid"], 365 * DAY).await;
    let (short, long_id) = (short.secret.expose().to_owned(), long.grant.id.clone());
    let long = long.secret.expose();
    let both = async || (status(&fixture, &url, &short).await, status(&fixture, &url, long).await);
    assert_eq!(both().await, (200, 200));
    fixture.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(both().await, (200, 200));
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(both().await, (401, 200), "to the second");
    fixture.clock.advance(29 * DAY);
    let refused = fixture.browser().send(initialize(&url, long)).await.expect(401);
    assert!(refused.body.contains("has to sign in at the gateway again"), "{refused:?}");
    let records = records(&fixture, "the refusal is recorded", |record| {
        matches!(record.event, Event::Refused { reason: RefusalReason::OwnerMustSignIn, .. })
    })
    .await;
    let record = records.last().unwrap();
    assert_eq!(record.person.agent_key.as_deref(), Some(long_id.as_str()), "{record:?}");
    signed_in(&fixture, "alice").await;
    assert_eq!(both().await, (401, 200), "the owner was here");
    fixture.close().await;
}

/// It rests only while the provider does not tell of its owner either: a job that runs seldom is
/// not refused each time.
#[tokio::test]
async fn t32_the_use_of_a_key_asks_the_provider_when_what_is_known_is_old() {
    let lifetimes = Lifetimes { grant: 30 * DAY, groups: Some(DAY), ..Lifetimes::default() };
    let fixture =
        GatewayFixture::of(Setup { offline_access: true, lifetimes, ..Setup::default() }).await;
    signed_in(&fixture, "alice").await;
    let url = fixture.at("/mcp/uuid");
    let key = key_for(&fixture, "alice", &["uuid"], 25 * DAY).await;
    let secret = key.secret.expose();
    let alice = fixture.user("alice");
    let kept = fixture.stores().provider_tokens.find_provider_token(&alice, fixture.clock.now());
    let client_id = kept.await.unwrap().and_then(|token| token.client_id);
    assert_eq!(client_id.as_deref(), Some(fixture.okta.client_id()), "whose the token is");
    fixture.clock.advance(2 * DAY);
    assert_eq!(status(&fixture, &url, secret).await, 200);
    assert_eq!(fixture.okta.count(Endpoint::Refresh), 1);
    fixture.okta.fail(Endpoint::Refresh, Fault::Status(503));
    fixture.clock.advance(2 * DAY);
    assert_eq!(status(&fixture, &url, secret).await, 401, "it rests");
    fixture.okta.heal(Endpoint::Refresh);
    fixture.clock.advance(DAY);
    assert_eq!(status(&fixture, &url, secret).await, 200);
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_revoked_key_is_refused_at_once_by_every_node_and_ends_its_streams() {
    let fixture = GatewayFixture::of(Setup { nodes: 2, ..Setup::default() }).await;
    let browser = signed_in(&fixture, "alice").await;
    let (here, there) = (fixture.at("/mcp/uuid"), fixture.at_node(1, "/mcp/uuid"));
    let grants = &fixture.stores().grants;
    let alice = GrantsOf::User(fixture.user("alice"));
    let every_key = GrantsOf::Client(ClientId::from_text("agent-key"));
    for of in [None, Some(alice), Some(every_key)] {
        let key = key_for(&fixture, "alice", &["uuid"], 90 * DAY).await;
        let other = key_for(&fixture, "alice", &["uuid"], 90 * DAY).await;
        let secret = key.secret.expose();
        let mcp = McpClient::connect(&browser, &there, secret).await;
        assert_eq!((status(&fixture, &here, secret).await), 200);
        let listen = Request::get(&there)
            .without_cookies()
            .bearer(secret)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", &mcp.session);
        let listening = tokio::spawn({
            let browser = browser.clone();
            async move { browser.send(listen).await }
        });
        // Another key of the same person is another client: the session is not its own.
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let stolen = message(&there, other.secret.expose(), &ping);
        let stolen = stolen.header("mcp-session-id", &mcp.session);
        assert_eq!(browser.send(stolen).await.status, 404);
        let now = fixture.clock.now();
        match &of {
            None => assert!(grants.revoke_grant(&key.grant.id, now).await.unwrap()),
            Some(of) => assert!(grants.revoke_grants(of, now).await.unwrap() >= 2),
        }
        assert_eq!(status(&fixture, &here, secret).await, 401, "at once");
        eventually("the other node heard of it", async || {
            status(&fixture, &there, secret).await == 401
        })
        .await;
        tokio::time::timeout(Duration::from_secs(60), listening).await.unwrap().unwrap();
        let expected = if of.is_none() { 200 } else { 401 };
        assert_eq!(status(&fixture, &here, other.secret.expose()).await, expected, "{of:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn calls_by_a_key_name_it_in_the_trail_and_its_owner_revokes_it_on_the_front_page() {
    let fixture = GatewayFixture::start().await;
    let browser = signed_in(&fixture, "alice").await;
    let key = key_for(&fixture, "alice", &["uuid"], 90 * DAY).await;
    let (secret, id) = (key.secret.expose(), key.grant.id.as_str());
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), secret).await;
    mcp.call_text("add", json!({"a": 1, "b": 2})).await;
    let bob = signed_in(&fixture, "bob").await;
    let page = browser.open(&fixture.at("/")).await.page().expect(200);
    let shown = &key.grant.key.as_ref().unwrap().shown;
    assert!(page.text().contains("nightly job") && page.text().contains(shown.as_str()));
    assert!(!page.body.contains(secret), "its first characters alone");
    assert!(!bob.open(&fixture.at("/")).await.page().text().contains("My keys"));
    let form = page.form("/auth/disconnect");
    // Another person's key is as good as unknown.
    fixture.client("/mcp").await.connect(&bob).await;
    let bobs = bob.open(&fixture.at("/")).await.page().form("/auth/disconnect");
    bobs.submit([("grant", id)]).await.page().expect(200);
    assert_eq!(status(&fixture, &fixture.at("/mcp/uuid"), secret).await, 200);
    let page = form.submit(None::<(&str, &str)>).await.page().expect(200);
    assert!(!page.text().contains("My keys"), "{}", page.text());
    assert_eq!(status(&fixture, &fixture.at("/mcp/uuid"), secret).await, 401);
    let records = records(&fixture, "the end is recorded", |record| {
        matches!(record.event, Event::KeyRevoked)
    })
    .await;
    let by_key: Vec<_> =
        records.iter().filter(|record| record.person.agent_key.as_deref() == Some(id)).collect();
    let words: Vec<_> = by_key.iter().map(|record| record.event.word()).collect();
    assert_eq!(words, ["call", "key_revoked"]);
    for record in by_key {
        assert_eq!(record.person.client.as_deref(), Some("agent-key"), "{record:?}");
        let alice = fixture.user("alice");
        assert_eq!(record.person.user.as_deref(), Some(alice.as_str()), "{record:?}");
    }
    let texts = fixture.stores().audit.find_records(&AuditFilter::default(), 10_000).await.unwrap();
    assert!(!texts.iter().any(|record| record.line().contains("ptn_ak_")), "no key in the trail");
    fixture.close().await;
}

/// A client of the configuration that may introspect every token.
fn inspector(trusted: bool, other: &OAuthClient) -> (Client, OAuthClient) {
    let id = if trusted { "inspector" } else { "stranger" };
    let client = Client {
        source: ClientSource::Configured,
        redirect_uris: vec![RedirectUri::parse("https://inspector.example/cb").unwrap()],
        auth_method: ClientAuthMethod::ClientSecretPost,
        secret: Some(TokenHash::of(SECRET)),
        grant_types: vec![GrantType::ClientCredentials],
        trusted,
        ..Client::new(ClientId::from_text(id), Timestamp::from_secs(0))
    };
    let agent = OAuthClient {
        id: id.to_owned(),
        secret: Some(SECRET.to_owned()),
        auth_method: "client_secret_post".to_owned(),
        ..other.clone()
    };
    (client, agent)
}

#[tokio::test]
async fn t16_no_client_is_called_agent_key_and_none_ends_or_exchanges_a_key() {
    let mut fixture = GatewayFixture::start().await;
    let browser = signed_in(&fixture, "alice").await;
    let other = fixture.client("/mcp").await;
    fixture.browser().keep_secret(SECRET);
    let ((trusted, inspector_client), (untrusted, stranger)) =
        (inspector(true, &other), inspector(false, &other));
    fixture.config.clients =
        ClientsConfig { configured: vec![trusted, untrusted], ..ClientsConfig::default() };
    fixture.reload().await.unwrap();
    let key = key_for(&fixture, "alice", &["uuid", "dice"], 90 * DAY).await;
    let secret = key.secret.expose();
    for id in ["agent-key", &format!("agent-key:{}", key.grant.id)] {
        let posing = OAuthClient { id: id.to_owned(), secret: None, ..other.clone() };
        let page = posing.begin(&browser, &posing.authorization()).await.page();
        assert_eq!(page.status, 400, "{id}: {page:?}");
        for (endpoint, fields) in [
            ("token_endpoint", vec![("grant_type", "refresh_token"), ("refresh_token", secret)]),
            ("token_endpoint", vec![("grant_type", "client_credentials")]),
            ("revocation_endpoint", vec![("token", secret)]),
        ] {
            let answer = posing.send(endpoint, fields).await;
            assert_eq!(answer.error(), "invalid_client", "{id} {endpoint}: {answer:?}");
        }
    }
    for client in [&other, &inspector_client, &stranger] {
        let answer = client.send("revocation_endpoint", [("token", secret)]).await.expect(400);
        assert_eq!(answer.error(), "invalid_grant");
    }
    let refreshed = other.refresh(secret).await.expect(400);
    assert_eq!(refreshed.error(), "invalid_grant");
    assert_eq!(status(&fixture, &fixture.at("/mcp/uuid"), secret).await, 200, "it lives on");
    // Who is trusted to, reads what it is.
    let ask = async |client: &OAuthClient| -> Value {
        client.send("introspection_endpoint", [("token", secret)]).await.expect(200).json()
    };
    let told = ask(&inspector_client).await;
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("agent-key")));
    assert_eq!(told["aud"], json!([fixture.at("/mcp/dice"), fixture.at("/mcp/uuid")]));
    assert_eq!(told["sub"], fixture.user("alice").as_str());
    assert_eq!(ask(&stranger).await, json!({"active": false}));
    fixture.clock.advance(fixture.config.lifetimes.grant);
    assert_eq!(ask(&inspector_client).await, json!({"active": false}), "its owner is not seen");
    fixture.close().await;
}

/// Groups as they are known now: with them a key loses what they allowed.
#[tokio::test]
async fn t32_a_key_loses_what_its_owner_loses() {
    let fixture = GatewayFixture::of(Setup {
        access: super::every_grant::add_for("engineering"),
        ..Setup::default()
    })
    .await;
    let browser = signed_in(&fixture, "alice").await;
    let key = key_for(&fixture, "alice", &[], 90 * DAY).await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), key.secret.expose()).await;
    assert_eq!(mcp.tools().await, ["uuid_add"]);
    fixture.okta.put_person(Person::new("alice", &["sales"]));
    signed_in(&fixture, "alice").await;
    assert!(mcp.tools().await.is_empty(), "the group is gone");
    fixture.okta.put_person(Person::new("alice", &["engineering"]));
    signed_in(&fixture, "alice").await;
    assert_eq!(mcp.tools().await, ["uuid_add"]);
    fixture.close().await;
}
