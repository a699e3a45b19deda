//! Clients of the configuration: they sign people in, and act for themselves.

use portunus::config::ClientsConfig;
use portunus_core::{
    Timestamp,
    client::{Client, ClientAuthMethod, ClientSource, GrantType},
    ids::ClientId,
    redirect::RedirectUri,
    secret::TokenHash,
};
use portunus_testkit::agent::{OAuthClient, Request};

use crate::world::{Setup, World};

const REDIRECT_URI: &str = "https://wiki.example/cb";
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
async fn world(grant_types: &[GrantType]) -> (World, OAuthClient) {
    let clients = ClientsConfig { configured: vec![configured("wiki", grant_types)], ..ClientsConfig::default() };
    let world = World::of(Setup { clients, ..Setup::default() }).await;
    let other = world.client("/mcp").await;
    world.browser().keep_secret(SECRET);
    let wiki = OAuthClient {
        id: "wiki".to_owned(),
        secret: Some(SECRET.to_owned()),
        auth_method: "client_secret_post".to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
        ..other
    };
    (world, wiki)
}

#[tokio::test]
async fn people_sign_in_to_a_configured_client() {
    let (mut world, wiki) = world(&[GrantType::AuthorizationCode, GrantType::RefreshToken]).await;
    let browser = world.browser();
    let page = wiki.begin(&browser, &wiki.authorization()).await.page();
    assert!(page.text().contains("The wiki"), "{page:?}");
    let tokens = wiki.connect(&browser).await;
    let tokens = wiki.tokens(wiki.refresh(tokens.refresh()).await);
    let impostor = OAuthClient { secret: Some("guessed".to_owned()), ..wiki.clone() };
    assert_eq!(impostor.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    let found = world.stores().clients.find_client(&ClientId::from_text("wiki")).await.unwrap();
    assert_eq!(found, None, "it is never stored");

    world.stop().await;
    world.config.clients.configured.clear();
    world.restart().await;
    assert_eq!(wiki.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client", "taken out of the configuration");
    world.close().await;
}

#[tokio::test]
async fn t24_a_configured_client_acts_for_itself_if_it_may() {
    let request = [("grant_type", "client_credentials")];
    let (world, service) = world(&[GrantType::ClientCredentials]).await;
    let metadata = world.at("/.well-known/oauth-authorization-server");
    let supported = world.browser().send(Request::get(&metadata)).await.expect(200).json()["grant_types_supported"].clone();
    assert!(supported.as_array().unwrap().contains(&"client_credentials".into()), "{supported}");
    let answer = service.token_request(request).await.expect(200).json();
    assert_eq!((answer.get("refresh_token"), &answer["token_type"]), (None, &"Bearer".into()));
    let token = answer["access_token"].as_str().unwrap();
    world.browser().send(Request::get(&world.at("/tools")).bearer(token)).await.expect(200);
    let page = service.begin(&world.browser(), &service.authorization()).await.page();
    assert_eq!(page.status.as_u16(), 400, "it asks nobody");
    world.close().await;

    let (world, person_only) = self::world(&[GrantType::AuthorizationCode]).await;
    assert_eq!(person_only.token_request(request).await.expect(400).error(), "unauthorized_client");
    let registered = world.client("/mcp").await;
    assert_eq!(registered.token_request(request).await.expect(400).error(), "unauthorized_client");
    world.close().await;
}
