//! Authorization codes: once, by the client they were issued to, and a second use is the end of
//! everything they became.

use std::time::Duration;

use futures::future::join_all;
use portunus_core::Clock as _;
use portunus_testkit::{
    agent::{Authorization, OAuthClient, Request, Tokens},
    redis::Server,
};
use rusqlite::Connection;
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

/// Does the token open the door?
async fn opens(fixture: &GatewayFixture, client: &OAuthClient, token: &str) -> bool {
    let url = client.discovery.resource["resource"].as_str().unwrap().to_owned();
    let ping = Request::json(&url, &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    match fixture.browser().send(ping.bearer(token)).await.status.as_u16() {
        401 => false,
        // Past the resource_server, a session is asked for.
        400 => true,
        other => panic!("{other}"),
    }
}

async fn redeemed(fixture: &GatewayFixture) -> (OAuthClient, Authorization, String, Tokens) {
    let client = fixture.client("/mcp").await;
    let authorization = client.authorization();
    let code = client.authorize(&fixture.browser(), &authorization).await.code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    assert!(opens(fixture, &client, &tokens.access).await);
    (client, authorization, code, tokens)
}

#[tokio::test]
async fn t15_a_code_that_comes_back_ends_everything_it_became() {
    let fixture = GatewayFixture::start().await;
    let (client, authorization, code, tokens) = redeemed(&fixture).await;
    let refreshed = client.tokens(client.refresh(tokens.refresh()).await);
    assert_eq!(client.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
    for token in [&tokens.access, &refreshed.access] {
        assert!(!opens(&fixture, &client, token).await, "dead at once");
    }
    for token in [tokens.refresh(), refreshed.refresh()] {
        assert_eq!(client.refresh(token).await.expect(400).error(), "invalid_grant");
    }
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn t15_a_replay_that_proves_nothing_ends_nothing() {
    let fixture = GatewayFixture::start().await;
    let (client, authorization, code, tokens) = redeemed(&fixture).await;
    let stranger = fixture.client("/mcp").await;
    let mut no_verifier = authorization.clone();
    no_verifier.verifier = "x".repeat(43);
    assert_eq!(client.redeem(&no_verifier, &code).await.expect(400).error(), "invalid_grant");
    assert_eq!(stranger.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
    let elsewhere =
        OAuthClient { redirect_uri: "https://evil.example/cb".to_owned(), ..client.clone() };
    assert_eq!(elsewhere.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
    let other_resource = authorization.clone().with("resource", &fixture.at("/mcp/dice"));
    assert_eq!(client.redeem(&other_resource, &code).await.expect(400).error(), "invalid_target");
    assert!(opens(&fixture, &client, &tokens.access).await, "that would be a denial of service");
    client.tokens(client.refresh(tokens.refresh()).await);
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}

#[tokio::test]
async fn t15_codes_do_not_last() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let authorization = client.authorization();
    let code = client.authorize(&fixture.browser(), &authorization).await.code();
    fixture.clock.advance(Duration::from_secs(300));
    assert_eq!(client.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.stores().upkeep.purge(fixture.clock.now(), fixture.clock.now()).await.unwrap();
    let codes: i64 = Connection::open(fixture.database())
        .unwrap()
        .query_row("SELECT count(*) FROM codes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(codes, 0, "an unredeemed one is deleted");
    fixture.close().await;
}

/// People paste the address by hand, minutes later.
#[tokio::test]
async fn fb15_a_code_may_be_redeemed_for_five_minutes() {
    let fixture = GatewayFixture::start().await;
    for wait in [0, 61, 299] {
        let client = fixture.client("/mcp").await;
        let authorization = client.authorization();
        let code = client.authorize(&fixture.browser(), &authorization).await.code();
        fixture.clock.advance(Duration::from_secs(wait));
        let other = client.authorization();
        assert_eq!(
            client.redeem(&other, &code).await.expect(400).error(),
            "invalid_grant",
            "bound by PKCE as ever"
        );
        let tokens = client.tokens(client.redeem(&authorization, &code).await);
        assert!(opens(&fixture, &client, &tokens.access).await);
        assert_eq!(
            client.redeem(&authorization, &code).await.expect(400).error(),
            "invalid_grant",
            "once"
        );
        assert!(!opens(&fixture, &client, &tokens.access).await);
    }
    fixture.close().await;
}

/// A code that comes with its verifier was stolen from the client, however long ago.
async fn a_late_replay(redis: Option<&Server>) {
    let mut fixture = GatewayFixture::over(redis, Setup::default()).await;
    for wait in [301, 3600, 25 * 86_400] {
        let (client, authorization, code, tokens) = redeemed(&fixture).await;
        fixture.clock.advance(Duration::from_secs(wait));
        let mut tokens = client.tokens(client.refresh(tokens.refresh()).await);
        fixture.clock.advance(Duration::from_secs(wait));
        tokens = client.tokens(client.refresh(tokens.refresh()).await);
        fixture
            .stores()
            .upkeep
            .purge(fixture.clock.now(), fixture.clock.now() - Duration::from_secs(90 * 86_400))
            .await
            .unwrap();
        fixture.stop().await;
        fixture.restart().await;
        // What proves nothing ends nothing, then as before.
        let stranger = fixture.client("/mcp").await;
        assert_eq!(
            client.redeem(&client.authorization(), &code).await.expect(400).error(),
            "invalid_grant"
        );
        assert_eq!(
            stranger.redeem(&authorization, &code).await.expect(400).error(),
            "invalid_grant"
        );
        let elsewhere =
            OAuthClient { redirect_uri: "https://evil.example/cb".to_owned(), ..client.clone() };
        assert_eq!(
            elsewhere.redeem(&authorization, &code).await.expect(400).error(),
            "invalid_grant"
        );
        assert!(opens(&fixture, &client, &tokens.access).await, "{wait}");
        assert_eq!(fixture.grants("alice").await, 1);
        assert_eq!(client.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
        assert_eq!(fixture.grants("alice").await, 0, "{wait}");
        assert!(!opens(&fixture, &client, &tokens.access).await);
        assert_eq!(client.refresh(tokens.refresh()).await.expect(400).error(), "invalid_grant");
    }
    assert!(fixture.log.text().contains("a code was used twice: its grant is revoked"));
    fixture.close().await;
}

#[tokio::test]
async fn t70_a_code_replayed_long_after_its_lifetime_ends_the_grant() {
    Box::pin(a_late_replay(None)).await;
}

#[tokio::test]
async fn t70_a_code_replayed_long_after_its_lifetime_ends_the_grant_in_redis() {
    Box::pin(a_late_replay(Some(&Server::start(&[])))).await;
}

/// Twenty holders of one code, all with the right verifier: one of them stole it, and the gateway
/// cannot tell which. One is served, and the second to come revokes what the first got, just as it
/// would an hour later. (A client that sends its one request twice in parallel loses its grant;
/// clients that do so would lose it one after the other too.)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t15_of_twenty_at_once_one_is_served_and_the_next_revokes() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let authorization = client.authorization();
    let code = client.authorize(&fixture.browser(), &authorization).await.code();
    let tasks = (0..20).map(|_| {
        let (client, authorization, code) = (client.clone(), authorization.clone(), code.clone());
        tokio::spawn(async move { client.redeem(&authorization, &code).await })
    });
    let answers: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let (served, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(served.len(), 1, "{served:?}");
    assert!(
        refused.iter().all(|answer| answer.status == 400 && answer.error() == "invalid_grant"),
        "{refused:?}"
    );
    assert_eq!(fixture.grants("alice").await, 0, "a valid second use revokes");
    let token = served[0].json()["access_token"].as_str().unwrap().to_owned();
    assert!(!opens(&fixture, &client, &token).await);
    fixture.close().await;
}

#[tokio::test]
async fn t16_codes_and_refresh_tokens_belong_to_their_client() {
    let fixture = GatewayFixture::start().await;
    let secret = json!({"token_endpoint_auth_method": "client_secret_basic"});
    let thieves = [
        fixture.client("/mcp").await,
        OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), secret).await,
    ];
    let client = fixture.client("/mcp").await;
    let authorization = client.authorization();
    let code = client.authorize(&fixture.browser(), &authorization).await.code();
    for thief in &thieves {
        assert_eq!(thief.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");
    }
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    for thief in &thieves {
        assert_eq!(thief.refresh(tokens.refresh()).await.expect(400).error(), "invalid_grant");
    }
    client.tokens(client.refresh(tokens.refresh()).await);
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}

#[tokio::test]
async fn t16_a_client_proves_itself_the_way_it_registered() {
    let fixture = GatewayFixture::start().await;
    for method in ["client_secret_basic", "client_secret_post"] {
        let metadata = json!({"token_endpoint_auth_method": method});
        let client =
            OAuthClient::register_as(&fixture.browser(), &fixture.at("/mcp"), metadata).await;
        let authorization = client.authorization();
        let code = client.authorize(&fixture.browser(), &authorization).await.code();
        let other = if method == "client_secret_basic" {
            "client_secret_post"
        } else {
            "client_secret_basic"
        };
        let impostors = [
            OAuthClient { secret: None, auth_method: "none".to_owned(), ..client.clone() },
            OAuthClient { secret: Some("wrong".to_owned()), ..client.clone() },
            OAuthClient {
                secret: Some("wrong".to_owned()),
                auth_method: other.to_owned(),
                ..client.clone()
            },
            OAuthClient {
                secret: client.secret.as_ref().map(|secret| secret[..secret.len() - 1].to_owned()),
                ..client.clone()
            },
        ];
        for impostor in impostors {
            let answer = impostor.redeem(&authorization, &code).await.expect(401);
            assert_eq!(answer.error(), "invalid_client", "{method} as {}", impostor.auth_method);
        }
        client.tokens(client.redeem(&authorization, &code).await);
    }
    fixture.close().await;
}
