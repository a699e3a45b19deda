//! Redis in place of SQLite: sign-in and calls are the same, a Redis that dies is said to be so
//! (F2), and what it holds gives no secret away.

use std::time::{Duration, Instant};

use portunus_core::{
    entropy::SeededEntropy,
    secret::{TokenKind, TokenSecret},
};
use portunus_testkit::{
    agent::{Agent, McpClient, Request},
    figures::{Figures, Limit},
    redis::Server,
    wait::eventually,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

/// How long it may take until a gateway is ready once its Redis is back (F2), on an idle machine.
const READY: Duration = Duration::from_secs(2);

async fn fixture_on(redis: &Server) -> GatewayFixture {
    GatewayFixture::over(Some(redis), Setup::default()).await
}

async fn status(browser: &Agent, fixture: &GatewayFixture) -> u16 {
    browser.send(Request::get(&fixture.at("/ready"))).await.status.as_u16()
}

#[tokio::test]
async fn b6_sign_in_and_calls_on_redis() {
    let redis = Server::start(&[]);
    let mut fixture = fixture_on(&redis).await;
    let (client, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 1})).await, "2");

    fixture.stop().await;
    fixture.restart().await;
    let fresh = client.tokens(client.refresh(tokens.refresh()).await);
    McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &fresh.access).await;
    // The browser is signed in still: it is not sent to Okta.
    fixture.client("/mcp").await.connect(&browser).await;
    assert_eq!(fixture.grants("alice").await, 2);

    let files = redis.files();
    let holds = |text: &str| files.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&client.id), "what is no secret is seen, so a secret would be");
    for secret in [&tokens.access, &fresh.access, tokens.refresh(), fresh.refresh()] {
        assert!(!holds(secret));
    }
    fixture.close().await;
}

#[tokio::test]
async fn f2_a_gateway_whose_redis_dies_accepts_nothing_and_goes_on_when_it_is_back() {
    let mut redis = Server::start(&[]);
    let fixture = fixture_on(&redis).await;
    let (client, browser, tokens) = fixture.connect("/mcp/uuid").await;
    assert_eq!(status(&browser, &fixture).await, 200);

    redis.crash();
    assert_eq!(status(&browser, &fixture).await, 503);
    let refused = client.refresh(tokens.refresh()).await.expect(503);
    assert_eq!(refused.error(), "temporarily_unavailable");
    // Whose tokens these are cannot be told now. They are well-formed, so that they have to be
    // looked up.
    let mut let_through = 0;
    for seed in 0..20 {
        let unseen = TokenSecret::generate(TokenKind::Access, &SeededEntropy::new(seed));
        let call = Request::json(
            &fixture.at("/mcp/uuid"),
            &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        );
        let answer = browser.send(call.without_cookies().bearer(unseen.expose())).await;
        let_through += usize::from(answer.status != 503);
    }
    assert!(fixture.uuid.seen().is_empty(), "nothing reached the server");

    assert!(redis.run());
    let began = Instant::now();
    eventually("it is ready again", async || status(&browser, &fixture).await == 200).await;
    let ready = began.elapsed();
    let tokens = client.tokens(client.refresh(tokens.refresh()).await);
    McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    fixture.close().await;
    Figures::of("F2", "redis", "Redis ends and returns, at a gateway")
        .exactly("let through without it", let_through, 0)
        .within("ready again", &[ready], Limit::now(READY))
        .report();
}
