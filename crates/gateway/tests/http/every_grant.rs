//! Every kind of grant passes the same rules (threat 24): what each may use is decided by access
//! rules, and whether it may be used at all by who may sign in. One test goes through a token of
//! `authorization_code`, one of `refresh_token`, one of `client_credentials` and an agent key.

use std::{sync::Arc, time::Duration};

use portunus::config::ClientsConfig;
use portunus_core::{
    Timestamp,
    access::{AccessRule, Effect, Mode, Place, Policy, What, When, Who},
    admission::{AccountName, Allow, Rule},
    client::{Client, ClientAuthMethod, ClientSource, GrantType},
    ids::ClientId,
    oauth::scopes::Pattern,
    redirect::RedirectUri,
    secret::TokenHash,
};
use portunus_testkit::agent::{McpClient, OAuthClient, Request};
use serde_json::json;

use super::agent_keys::{key_for, signed_in};
use crate::fixture::{GatewayFixture, Setup};

const SECRET: &str = "the secret that the robot and the gateway share";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn add(who: Who) -> Arc<Policy> {
    let pattern = |text: &str| vec![Pattern::parse(text).unwrap()];
    let what = What { servers: pattern("uuid"), tools: pattern("add"), ..What::default() };
    let place = Place { file: "config.yaml".to_owned(), line: 1 };
    let rule = AccessRule {
        name: "add".to_owned(),
        place,
        effect: Effect::Allow,
        mode: Mode::Enforce,
        who,
        what,
        when: When::default(),
    };
    Arc::new(Policy::new(vec![rule], Vec::new()).unwrap())
}

/// This group may use one tool of `uuid`; nothing else may be used.
pub(super) fn add_for(group: &str) -> Arc<Policy> {
    add(Who { groups: vec![group.to_owned()], ..Who::default() })
}

fn robot() -> Client {
    Client {
        source: ClientSource::Configured,
        redirect_uris: vec![RedirectUri::parse("https://robot.example/cb").unwrap()],
        auth_method: ClientAuthMethod::ClientSecretPost,
        secret: Some(TokenHash::of(SECRET)),
        grant_types: vec![GrantType::ClientCredentials],
        groups: vec!["engineering".to_owned()],
        ..Client::new(ClientId::from_text("robot"), Timestamp::from_secs(0))
    }
}

/// A gateway with these rules, and a token of each kind for `/mcp`: whose it is, and the token.
async fn with_tokens(access: Arc<Policy>) -> (GatewayFixture, Vec<(&'static str, String)>) {
    let clients = ClientsConfig { configured: vec![robot()], ..ClientsConfig::default() };
    let fixture = GatewayFixture::of(Setup { clients, access, ..Setup::default() }).await;
    signed_in(&fixture, "alice").await;
    let (_, _, code) = fixture.connect("/mcp").await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let refreshed = client.tokens(client.refresh(first.refresh()).await);
    let robot = OAuthClient {
        id: "robot".to_owned(),
        secret: Some(SECRET.to_owned()),
        auth_method: "client_secret_post".to_owned(),
        ..client
    };
    let own = robot.token_request([("grant_type", "client_credentials")]).await.expect(200);
    let own = own.json()["access_token"].as_str().unwrap().to_owned();
    let key = key_for(&fixture, "alice", &[], 90 * DAY).await.secret.expose().to_owned();
    for secret in [SECRET, &own] {
        fixture.browser().keep_secret(secret);
    }
    let tokens = vec![
        ("authorization_code", code.access),
        ("refresh_token", refreshed.access),
        ("client_credentials", own),
        ("agent key", key),
    ];
    (fixture, tokens)
}

async fn status(fixture: &GatewayFixture, token: &str) -> u16 {
    let request = Request::get(&fixture.at("/tools")).without_cookies().bearer(token);
    fixture.browser().send(request).await.status.as_u16()
}

#[tokio::test]
async fn t24_every_kind_of_grant_is_judged_by_the_same_access_rules() {
    let (mut fixture, tokens) = with_tokens(add_for("engineering")).await;
    let mut connected = Vec::new();
    for (kind, token) in &tokens {
        let mcp = McpClient::connect(&fixture.browser(), &fixture.at("/mcp"), token).await;
        connected.push((*kind, mcp));
    }
    let by_group = add_for("engineering");
    let by_client =
        |id: &str| add(Who { clients: vec![ClientId::from_text(id)], ..Who::default() });
    let rounds: [(&str, Arc<Policy>, &[&str]); 4] = [
        (
            "the group of all four",
            by_group,
            &["authorization_code", "refresh_token", "client_credentials", "agent key"],
        ),
        ("another group", add_for("sales"), &[]),
        ("keys alone", by_client("agent-key"), &["agent key"]),
        ("one client alone", by_client("robot"), &["client_credentials"]),
    ];
    for (round, access, may) in rounds {
        fixture.config.access = access;
        fixture.reload().await.unwrap();
        for (kind, mcp) in &connected {
            let listed = mcp.tools().await;
            let add = mcp.call("uuid_add", json!({"a": 1, "b": 2})).await;
            let echo = mcp.call("uuid_echo", json!({"text": "x"})).await;
            let (lists, calls) = (listed == ["uuid_add"], add["result"].is_object());
            let expected = may.contains(kind);
            assert_eq!((lists, calls), (expected, expected), "{round}: {kind}: {listed:?} {add}");
            assert!(echo["error"].is_object(), "{round}: {kind}: {echo}");
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn t24_t53_every_kind_of_grant_of_a_person_ends_when_they_may_not_sign_in() {
    let (mut fixture, tokens) = with_tokens(Arc::default()).await;
    for (kind, token) in &tokens {
        assert_eq!(status(&fixture, token).await, 200, "{kind}");
    }
    let only_bob =
        Rule { people: vec![AccountName::parse("bob@acme.example").unwrap()], ..Rule::default() };
    fixture.allow = Allow::Only(only_bob);
    fixture.reload().await.unwrap();
    for (kind, token) in &tokens {
        // The client is no person: it ends with its place in the configuration.
        let expected = if *kind == "client_credentials" { 200 } else { 401 };
        assert_eq!(status(&fixture, token).await, expected, "{kind}");
    }
    fixture.allow = Allow::Anyone;
    fixture.config.clients = ClientsConfig::default();
    fixture.reload().await.unwrap();
    for (kind, token) in &tokens {
        let expected = if *kind == "client_credentials" { 401 } else { 200 };
        assert_eq!(status(&fixture, token).await, expected, "{kind}");
    }
    fixture.close().await;
}
