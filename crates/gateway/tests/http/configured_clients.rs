//! Clients of the configuration: they sign people in, and act for themselves.

use std::time::Duration;

use insta::assert_snapshot;
use portunus::config::ClientsConfig;
use portunus_core::{
    Timestamp,
    client::{Client, ClientAuthMethod, ClientSource, GrantType},
    ids::ClientId,
    redirect::RedirectUri,
    secret::TokenHash,
    store::GrantsOf,
};
use portunus_testkit::agent::{McpClient, OAuthClient, Request};

use crate::fixture::{GatewayFixture, Setup};

const REDIRECT_URI: &str = "https://wiki.example/cb";
const NEW_SECRET: &str = "the secret that the wiki was told later on";
const SECRET: &str = "the secret that wiki and gateway were told";

fn configured(id: &str, grant_types: &[GrantType]) -> Client {
    Client {
        source: ClientSource::Configured,
        name: Some("The wiki".to_owned()),
        redirect_uris: vec![RedirectUri::parse(REDIRECT_URI).unwrap()],
        auth_method: ClientAuthMethod::ClientSecretPost,
        secret: Some(TokenHash::of(SECRET)),
        grant_types: grant_types.to_vec(),
        ..Client::new(ClientId::from_text(id), Timestamp::from_secs(0))
    }
}

/// A gateway that knows `wiki`, and the client's side of it.
async fn fixture(grant_types: &[GrantType]) -> (GatewayFixture, OAuthClient) {
    fixture_of(1, grant_types).await
}

async fn fixture_of(nodes: usize, grant_types: &[GrantType]) -> (GatewayFixture, OAuthClient) {
    let clients = ClientsConfig {
        configured: vec![configured("wiki", grant_types)],
        ..ClientsConfig::default()
    };
    let fixture = GatewayFixture::of(Setup { clients, nodes, ..Setup::default() }).await;
    let other = fixture.client("/mcp").await;
    fixture.browser().keep_secret(SECRET);
    let wiki = OAuthClient {
        id: "wiki".to_owned(),
        secret: Some(SECRET.to_owned()),
        auth_method: "client_secret_post".to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
        ..other
    };
    (fixture, wiki)
}

#[tokio::test]
async fn people_sign_in_to_a_configured_client() {
    let (mut fixture, wiki) =
        fixture(&[GrantType::AuthorizationCode, GrantType::RefreshToken]).await;
    let browser = fixture.browser();
    let page = wiki.begin(&browser, &wiki.authorization()).await.page();
    assert!(page.text().contains("The wiki"), "{page:?}");
    let tokens = wiki.connect(&browser).await;
    let tokens = wiki.tokens(wiki.refresh(tokens.refresh()).await);
    let impostor = OAuthClient { secret: Some("guessed".to_owned()), ..wiki.clone() };
    assert_eq!(impostor.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    let found = fixture.stores().clients.find_client(&ClientId::from_text("wiki")).await.unwrap();
    assert_eq!(found, None, "it is never stored");

    fixture.stop().await;
    fixture.config.clients.configured.clear();
    fixture.restart().await;
    assert_eq!(
        wiki.refresh(tokens.refresh()).await.expect(401).error(),
        "invalid_client",
        "taken out of the configuration"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t24_a_configured_client_acts_for_itself_if_it_may() {
    let request = [("grant_type", "client_credentials")];
    let (fixture, service) = fixture(&[GrantType::ClientCredentials]).await;
    let metadata = fixture.at("/.well-known/oauth-authorization-server");
    let supported = fixture.browser().send(Request::get(&metadata)).await.expect(200).json()["grant_types_supported"].clone();
    assert!(supported.as_array().unwrap().contains(&"client_credentials".into()), "{supported}");
    let answer = service.token_request(request).await;
    let document = answer.json();
    let token = document["access_token"].as_str().unwrap();
    assert_snapshot!(fixture.shown(&answer).replace(token, "{token}"), @r#"
    200 OK
    cache-control: no-store
    content-type: application/json

    {"access_token":"{token}","token_type":"Bearer","expires_in":3600,"scope":"mcp"}
    "#);
    fixture.browser().send(Request::get(&fixture.at("/tools")).bearer(token)).await.expect(200);
    // Where it is of no use, the error says what to ask for (FB81).
    let refused =
        fixture.browser().send(Request::get(&fixture.at("/mcp/uuid")).bearer(token)).await;
    assert_snapshot!(fixture.shown(&refused), @r#"
    401 Unauthorized
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer error="invalid_token", error_description="the access token is unknown, expired, revoked, or for another resource", resource_metadata="{gateway}/.well-known/oauth-protected-resource/mcp/uuid", scope="uuid"

    {"error":"invalid_token","error_description":"the token is for another resource: ask for one with resource={gateway}/mcp/uuid"}
    "#);
    let page = service.begin(&fixture.browser(), &service.authorization()).await.page();
    assert_eq!(page.status.as_u16(), 400, "it asks nobody");
    fixture.close().await;

    let (fixture, person_only) = self::fixture(&[GrantType::AuthorizationCode]).await;
    assert_eq!(person_only.token_request(request).await.expect(400).error(), "unauthorized_client");
    let registered = fixture.client("/mcp").await;
    assert_eq!(registered.token_request(request).await.expect(400).error(), "unauthorized_client");
    fixture.close().await;
}

const ALL_KINDS: [GrantType; 3] =
    [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];

async fn tools(fixture: &GatewayFixture, url: &str, token: &str) -> u16 {
    fixture.browser().send(Request::get(url).without_cookies().bearer(token)).await.status.as_u16()
}

/// A token of the client's own.
async fn own_token(wiki: &OAuthClient) -> String {
    let answer =
        wiki.token_request([("grant_type", "client_credentials")]).await.expect(200).json();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn grants_of_wiki(fixture: &GatewayFixture) -> usize {
    let of = GrantsOf::Client(ClientId::from_text("wiki"));
    fixture.stores().grants.list_grants(&of, 100).await.unwrap().len()
}

#[tokio::test]
async fn a_client_that_is_taken_out_loses_what_it_was_given_at_once_and_everywhere() {
    let (mut fixture, wiki) = fixture_of(2, &ALL_KINDS).await;
    let browser = fixture.browser();
    let tokens = wiki.connect(&browser).await;
    let own = own_token(&wiki).await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let (_, others_browser, others) = fixture.connect("/mcp").await;
    let listen = Request::get(&fixture.at("/mcp"))
        .without_cookies()
        .bearer(&tokens.access)
        .header("accept", "text/event-stream");
    let stream = tokio::spawn({
        let (browser, listen) = (browser.clone(), listen.header("mcp-session-id", &mcp.session));
        async move { browser.send(listen).await }
    });
    let waiting = wiki.begin(&fixture.browser(), &wiki.authorization()).await.page().expect(200);
    let both = [fixture.at("/tools"), fixture.at_node(1, "/tools")];
    for (url, token) in both.iter().flat_map(|url| [(url, &tokens.access), (url, &own)]) {
        assert_eq!(tools(&fixture, url, token).await, 200, "{url}");
    }
    assert_eq!(grants_of_wiki(&fixture).await, 2);
    let before = std::mem::take(&mut fixture.config.clients.configured);
    fixture.reload().await.unwrap();
    assert_eq!(grants_of_wiki(&fixture).await, 0);
    for token in [&tokens.access, &own] {
        assert_eq!(tools(&fixture, &both[0], token).await, 401);
        // The other gateway, whose files are what they were, hears of it.
        eventually(async || tools(&fixture, &both[1], token).await == 401).await;
    }
    tokio::time::timeout(Duration::from_secs(60), stream).await.expect("its stream ends").unwrap();
    assert_eq!(wiki.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    // A person on the consent page for it cannot allow it any more.
    let page = waiting.form("/auth/consent").submit([("decision", "allow")]).await.page();
    assert!(page.status.is_client_error(), "{page:?}");
    assert_eq!(tools(&fixture, &both[0], &others.access).await, 200, "other clients keep theirs");
    others_browser
        .send(Request::get(&both[1]).without_cookies().bearer(&others.access))
        .await
        .expect(200);
    assert!(fixture.log.text().contains("a client was taken out of the configuration"));

    // Put back, it begins anew: nothing comes back to life, and people are asked again.
    fixture.config.clients.configured = before;
    fixture.reload().await.unwrap();
    for token in [&tokens.access, &own] {
        assert_eq!(tools(&fixture, &both[0], token).await, 401);
    }
    assert_eq!(wiki.refresh(tokens.refresh()).await.expect(400).error(), "invalid_grant");
    let asked = wiki.begin(&browser, &wiki.authorization()).await.page().expect(200);
    assert!(asked.has_form("/auth/consent"), "{asked:?}");
    assert_eq!(tools(&fixture, &both[0], &own_token(&wiki).await).await, 200);
    fixture.close().await;
}

#[tokio::test]
async fn a_client_that_is_taken_out_while_no_gateway_runs_loses_it_at_the_next_start() {
    let (mut fixture, wiki) = fixture(&ALL_KINDS).await;
    let tokens = wiki.connect(&fixture.browser()).await;
    let (own, (_, _, others)) = (own_token(&wiki).await, fixture.connect("/mcp").await);
    fixture.stop().await;
    fixture.restart().await;
    assert_eq!(
        tools(&fixture, &fixture.at("/tools"), &own).await,
        200,
        "a restart alone ends nothing"
    );
    fixture.stop().await;
    let before = std::mem::take(&mut fixture.config.clients.configured);
    fixture.restart().await;
    // It is done before anything is served.
    assert_eq!(tools(&fixture, &fixture.at("/tools"), &others.access).await, 200);
    assert_eq!(grants_of_wiki(&fixture).await, 0);
    fixture.stop().await;
    fixture.config.clients.configured = before;
    fixture.restart().await;
    for token in [&tokens.access, &own] {
        assert_eq!(
            tools(&fixture, &fixture.at("/tools"), token).await,
            401,
            "it was there before, not since"
        );
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_client_with_another_secret_keeps_what_it_was_given() {
    let (mut fixture, wiki) = fixture(&ALL_KINDS).await;
    let tokens = wiki.connect(&fixture.browser()).await;
    fixture.browser().keep_secret(NEW_SECRET);
    fixture.config.clients.configured[0].secret = Some(TokenHash::of(NEW_SECRET));
    fixture.reload().await.unwrap();
    assert_eq!(tools(&fixture, &fixture.at("/tools"), &tokens.access).await, 200);
    assert_eq!(
        wiki.refresh(tokens.refresh()).await.expect(401).error(),
        "invalid_client",
        "the old secret is none"
    );
    let wiki = OAuthClient { secret: Some(NEW_SECRET.to_owned()), ..wiki };
    wiki.tokens(wiki.refresh(tokens.refresh()).await);
    assert_eq!(grants_of_wiki(&fixture).await, 1);
    fixture.close().await;
}

async fn eventually(mut check: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it becomes so");
}
