//! From SQLite to Redis and back, by way of a backup: a user who was signed in stays so, and what
//! was used or revoked stays that way.

use std::{io::Cursor, sync::Arc};

use portunus::{config::StoreConfig, os::OsEntropy};
use portunus_core::{Clock as _, ids::ClientId, store::GrantsOf};
use portunus_store::{
    backup::{Reader, Writer},
    redis::{RedisAddress, RedisOptions, open},
    seal::Sealer,
    sqlite,
};
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Tokens},
    okta::Endpoint,
    redis::Server,
};
use serde_json::json;

use crate::fixture::GatewayFixture;

impl GatewayFixture {
    fn sealer(&self) -> Sealer {
        Sealer::new(&self.config.auth_secrets, Arc::new(OsEntropy)).unwrap()
    }

    /// Stops the gateway, and starts it on another store with what a backup of this one holds.
    async fn move_to(&mut self, store: StoreConfig) {
        let mut writer = Writer::begin(
            Vec::new(),
            self.sealer(),
            &OsEntropy,
            self.clock.now(),
            "any",
            |_, _| {},
        )
        .unwrap();
        // While it runs.
        self.stores().archive.export(&mut writer).await.unwrap();
        let (file, summary) = writer.finish().unwrap();
        assert_eq!(summary.left_out, 0);
        self.stop().await;
        let stores = match &store {
            StoreConfig::Redis(options) => open(options.clone(), self.sealer()).await.unwrap(),
            StoreConfig::Sqlite { path } => sqlite::open(path, self.sealer()).unwrap(),
        };
        assert!(stores.archive.is_empty().await.unwrap());
        let sealer = self.sealer();
        stores
            .archive
            .import(&mut Reader::begin(Cursor::new(file), &sealer, |_| {}).unwrap())
            .await
            .unwrap();
        drop(stores);
        self.config.store = store;
        self.restart().await;
    }
}

/// Everything that a person and their client had goes on, and gives the tokens to go on with.
async fn goes_on(
    fixture: &GatewayFixture,
    client: &OAuthClient,
    browser: &Agent,
    tokens: &Tokens,
) -> Tokens {
    let mcp = McpClient::connect(browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 1})).await, "2");
    let fresh = client.tokens(client.refresh(tokens.refresh()).await);
    McpClient::connect(browser, &fixture.at("/mcp/uuid"), &fresh.access).await;
    // The browser is signed in still: it is not sent to Okta.
    let trips = fixture.okta.count(Endpoint::Authorize);
    fixture.client("/mcp").await.connect(browser).await;
    assert_eq!(fixture.okta.count(Endpoint::Authorize), trips);
    fresh
}

#[tokio::test]
async fn b6_clients_go_on_after_a_move_to_redis_and_back() {
    let redis = Server::start(&[]);
    let mut fixture = GatewayFixture::start().await;
    let (client, browser, first) = fixture.connect("/mcp/uuid").await;
    let (ended, _, of_ended) = fixture.connect("/mcp/uuid").await;
    fixture
        .stores()
        .grants
        .revoke_grants(&GrantsOf::Client(ClientId::from_text(&ended.id)), fixture.clock.now())
        .await
        .unwrap();
    let second = client.tokens(client.refresh(first.refresh()).await);

    let options = RedisOptions::new(RedisAddress::parse(&redis.address()).unwrap());
    fixture.move_to(StoreConfig::Redis(options)).await;
    let third = goes_on(&fixture, &client, &browser, &second).await;
    let back = fixture.database().with_file_name("back.sqlite");
    fixture.move_to(StoreConfig::Sqlite { path: back }).await;
    let fourth = goes_on(&fixture, &client, &browser, &third).await;

    let refused = ended.refresh(of_ended.refresh()).await.expect(400);
    assert_eq!(refused.error(), "invalid_grant", "revoked before both moves");
    // Used before both moves: known as used, which gets the current pair where the client is, and
    // ends the whole grant elsewhere.
    fixture.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(client.tokens(client.refresh(first.refresh()).await).refresh(), fourth.refresh());
    let thief = fixture.elsewhere(&client);
    assert_eq!(thief.refresh(first.refresh()).await.expect(400).error(), "invalid_grant");
    assert_eq!(client.refresh(fourth.refresh()).await.expect(400).error(), "invalid_grant");
    fixture.close().await;
}

/// A legacy client's MCP session is one of the things that come over.
#[tokio::test]
async fn sessions_come_over() {
    let redis = Server::start(&[]);
    let mut fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 2})).await, "3");
    let options = RedisOptions::new(RedisAddress::parse(&redis.address()).unwrap());
    fixture.move_to(StoreConfig::Redis(options)).await;
    assert_eq!(mcp.call_text("add", json!({"a": 2, "b": 2})).await, "4");
    fixture.close().await;
}
