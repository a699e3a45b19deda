//! What is revoked at one node, or beside it, is refused by the others within a second (threats 19
//! and 41). The gateways of these tests trust what they looked up for an hour, so that it is not
//! time that tells them. Tests wait longer than a second, for machines that are busy.

use std::time::Duration;

use portunus::config::StoreConfig;
use portunus_store::redis::{RedisAddress, RedisOptions};
use portunus_testkit::{
    agent::{McpClient, OAuthClient, Request, Tokens},
    redis::{Cluster, Server},
    wait::eventually,
};

use crate::fixture::{GatewayFixture, Setup};

/// Far longer than it may take, and far shorter than a look-up is trusted.
const PATIENCE: Duration = Duration::from_secs(60);

async fn two_nodes_on(address: &str) -> GatewayFixture {
    let store = StoreConfig::Redis(RedisOptions::new(RedisAddress::parse(address).unwrap()));
    GatewayFixture::of(Setup { nodes: 2, store: Some(store), ..Setup::default() }).await
}

async fn status(fixture: &GatewayFixture, url: &str, tokens: &Tokens) -> u16 {
    let request = Request::get(url).without_cookies().bearer(&tokens.access);
    fixture.browser().send(request).await.status.as_u16()
}

/// Until it answers so.
async fn until(fixture: &GatewayFixture, url: &str, tokens: &Tokens, expected: u16) {
    eventually(&format!("{url} says {expected}"), async || {
        status(fixture, url, tokens).await == expected
    })
    .await;
}

/// Connected twice, and both tokens known to the second node.
async fn connected(fixture: &GatewayFixture) -> [(OAuthClient, Tokens); 2] {
    let mut made = Vec::new();
    for _ in 0..2 {
        let (client, _, tokens) = fixture.connect("/mcp").await;
        until(fixture, &fixture.at_node(1, "/tools"), &tokens, 200).await;
        made.push((client, tokens));
    }
    made.try_into().unwrap_or_else(|_| unreachable!("two were made"))
}

async fn revoke(client: &OAuthClient, token: &str) {
    client.send("revocation_endpoint", [("token", token)]).await.expect(200);
}

/// A token and then its whole grant end at the first node; another client's go on.
async fn revoked_at_one_is_refused_by_the_other(fixture: &GatewayFixture) {
    let [(client, tokens), (_, others)] = connected(fixture).await;
    let other_node = fixture.at_node(1, "/tools");
    revoke(&client, &tokens.access).await;
    until(fixture, &other_node, &tokens, 401).await;
    let fresh = client.tokens(client.refresh(tokens.refresh()).await);
    until(fixture, &other_node, &fresh, 200).await;
    revoke(&client, fresh.refresh()).await;
    until(fixture, &other_node, &fresh, 401).await;
    assert_eq!(status(fixture, &other_node, &others).await, 200);
}

#[tokio::test]
async fn t19_revoked_at_one_node_is_refused_by_another() {
    let redis = Server::start(&[]);
    let fixture = two_nodes_on(&redis.address()).await;
    revoked_at_one_is_refused_by_the_other(&fixture).await;
    fixture.close().await;
}

#[tokio::test]
async fn t19_a_stream_at_another_node_ends_with_its_token() {
    let redis = Server::start(&[]);
    let fixture = two_nodes_on(&redis.address()).await;
    let [(client, tokens), _] = connected(&fixture).await;
    let browser = fixture.browser();
    let mcp = McpClient::connect(&browser, &fixture.at_node(1, "/mcp"), &tokens.access).await;
    let listen = Request::get(&mcp.url)
        .without_cookies()
        .bearer(&tokens.access)
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &mcp.session);
    let listening = tokio::spawn({
        let browser = browser.clone();
        async move { browser.send(listen).await }
    });
    // Nothing comes on it that says that it is open.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!listening.is_finished());
    revoke(&client, tokens.refresh()).await;
    tokio::time::timeout(PATIENCE, listening).await.expect("the stream ends").unwrap().expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn t19_revoked_at_one_node_of_a_cluster_is_refused_by_another() {
    let redis = Cluster::start();
    let fixture = two_nodes_on(&redis.address()).await;
    revoked_at_one_is_refused_by_the_other(&fixture).await;
    fixture.close().await;
}

#[tokio::test]
async fn t19_revoked_at_one_node_is_refused_by_another_though_no_message_comes_through() {
    let redis = Server::start(&[]);
    // No connection may publish or subscribe.
    let () = redis.ask(&["ACL", "SETUSER", "default", "resetchannels"]);
    let fixture = two_nodes_on(&redis.address()).await;
    revoked_at_one_is_refused_by_the_other(&fixture).await;
    assert!(fixture.log.text().contains("are not received"), "it is said");
    fixture.close().await;
}

#[tokio::test]
async fn t19_revoked_at_one_node_is_refused_by_another_though_it_is_cut_off_again_and_again() {
    let redis = Server::start(&[]);
    let fixture = two_nodes_on(&redis.address()).await;
    let cutting = async {
        // bounded: by the select below, of which the other half has an end.
        loop {
            let _: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = revoked_at_one_is_refused_by_the_other(&fixture) => {}
        () = cutting => {}
    }
    fixture.close().await;
}

/// A revocation is two writes in Redis: the token ends, and the gateways are told. Without memory
/// only the first comes about.
#[tokio::test]
async fn t19_a_revocation_that_broke_off_is_told_when_it_is_tried_again() {
    let redis = Server::start(&["--maxmemory-policy", "noeviction"]);
    let fixture = two_nodes_on(&redis.address()).await;
    let [one, other] = connected(&fixture).await;
    for ((client, tokens), token) in
        [(&one, &one.1.access), (&other, other.1.refresh.as_ref().unwrap())]
    {
        assert_eq!(
            status(&fixture, &fixture.at("/tools"), tokens).await,
            200,
            "the first node remembers it too"
        );
        let () = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        client.send("revocation_endpoint", [("token", token.as_str())]).await.expect(503);
        let () = redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        revoke(client, token).await;
        assert_eq!(
            status(&fixture, &fixture.at("/tools"), tokens).await,
            401,
            "at once where it was done"
        );
        until(&fixture, &fixture.at_node(1, "/tools"), tokens, 401).await;
    }
    fixture.close().await;
}

#[tokio::test]
async fn f2_a_gateway_that_cannot_ask_trusts_nothing_it_looked_up() {
    let mut redis = Server::start(&[]);
    let store =
        StoreConfig::Redis(RedisOptions::new(RedisAddress::parse(&redis.address()).unwrap()));
    let fixture = GatewayFixture::of(Setup { store: Some(store), ..Setup::default() }).await;
    let (client, _, tokens) = fixture.connect("/mcp").await;
    let tools = fixture.at("/tools");
    assert_eq!(status(&fixture, &tools, &tokens).await, 200);
    redis.crash();
    until(&fixture, &tools, &tokens, 503).await;
    assert!(redis.run());
    until(&fixture, &tools, &tokens, 200).await;
    revoke(&client, tokens.refresh()).await;
    assert_eq!(status(&fixture, &tools, &tokens).await, 401, "at once where it was done");
    fixture.close().await;
}
