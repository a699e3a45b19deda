//! Floods from one address: registrations, authorizations, tokens, guesses. What one address did
//! holds up no other.

use std::{num::NonZeroU32, time::Duration};

use portunus::config::{Limits, Rate};
use portunus_testkit::agent::{Agent, OAuthClient, Page, Request};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

/// So few in a day that none comes back while a test runs.
fn few(count: u32) -> Option<Rate> {
    NonZeroU32::new(count).map(|count| Rate { count, per: Duration::from_secs(24 * 60 * 60) })
}

async fn fixture(limits: Limits) -> GatewayFixture {
    // Every test stands behind a proxy that is trusted, so that it can come from several addresses.
    GatewayFixture::of(Setup {
        limits,
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..Setup::default()
    })
    .await
}

async fn register(fixture: &GatewayFixture, from: &str) -> Page {
    let metadata = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    fixture
        .browser()
        .send(
            Request::json(&fixture.at("/auth/register"), &metadata).header("x-forwarded-for", from),
        )
        .await
}

/// 429, with a time to wait, in the words of OAuth.
fn too_many(page: &Page) {
    assert_eq!(page.status, 429, "{page:?}");
    assert_eq!(page.error(), "temporarily_unavailable");
    assert!(page.header("retry-after").parse::<u64>().unwrap() > 3600, "{page:?}");
}

#[tokio::test]
async fn t25_registrations_from_one_address() {
    let fixture = fixture(Limits { registration: few(3), ..Limits::default() }).await;
    for _ in 0..3 {
        register(&fixture, "192.0.2.1").await.expect(201);
    }
    too_many(&register(&fixture, "192.0.2.1").await);
    register(&fixture, "192.0.2.2").await.expect(201);
    for host in 1..4 {
        register(&fixture, &format!("2001:db8::{host}")).await.expect(201);
    }
    too_many(&register(&fixture, "2001:db8::ffff").await);
    register(&fixture, "2001:db8:0:1::1").await.expect(201);
    assert_eq!(
        fixture.stores().clients.count_unused_clients().await.unwrap(),
        8,
        "what was refused is not kept"
    );
    fixture.close().await;
}

#[tokio::test]
async fn t25_authorizations_from_one_address_end_on_a_page() {
    let fixture = fixture(Limits { authorize: few(2), ..Limits::default() }).await;
    let client = fixture.client("/mcp").await;
    let url = client.authorization().url();
    let begin = async |from: &str| {
        fixture.browser().send(Request::get(url.as_str()).header("x-forwarded-for", from)).await
    };
    for _ in 0..2 {
        begin("192.0.2.1").await.expect(200);
    }
    let page = begin("192.0.2.1").await.expect(429);
    assert!(
        page.text().contains("Too many requests")
            && page.text().contains(page.header("x-request-id")),
        "{page:?}"
    );
    assert!(!page.header("retry-after").is_empty());
    begin("192.0.2.2").await.expect(200);
    fixture.close().await;
}

#[tokio::test]
async fn t25_a_client_that_runs_wild_holds_up_no_other() {
    let fixture = fixture(Limits { token_client: few(3), ..Limits::default() }).await;
    let (wild, calm) = (fixture.client("/mcp").await, fixture.client("/mcp").await);
    for _ in 0..3 {
        wild.refresh("ptn_rt_nothing").await.expect(400);
    }
    for endpoint in ["token_endpoint", "revocation_endpoint", "introspection_endpoint"] {
        too_many(&wild.send(endpoint, [("token", "x")]).await);
    }
    calm.connect(&fixture.browser()).await;
    fixture.close().await;
}

#[tokio::test]
async fn t25_tokens_by_address() {
    let fixture = fixture(Limits { token: few(2), ..Limits::default() }).await;
    let [one, two] = [fixture.client("/mcp").await, fixture.client("/mcp").await];
    one.refresh("x").await.expect(400);
    two.refresh("x").await.expect(400);
    too_many(&one.refresh("x").await);
    too_many(&two.refresh("x").await);
    fixture.close().await;
}

async fn tools(browser: &Agent, fixture: &GatewayFixture, token: &str, from: &str) -> Page {
    let request = Request::get(&fixture.at("/tools")).without_cookies().bearer(token);
    browser.send(request.header("x-forwarded-for", from)).await
}

#[tokio::test]
async fn t25_guesses_are_slowed_down_and_the_right_token_is_not() {
    let fixture = fixture(Limits { failures: few(3), ..Limits::default() }).await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let guess = tokens.access.replace("ptn_at_", "ptn_at_x");
    for _ in 0..3 {
        tools(&browser, &fixture, &guess, "192.0.2.1").await.expect(401);
    }
    too_many(&tools(&browser, &fixture, &guess, "192.0.2.1").await);
    tools(&browser, &fixture, &tokens.access, "192.0.2.1").await.expect(200);
    tools(&browser, &fixture, &guess, "192.0.2.2").await.expect(401);
    for _ in 0..4 {
        let no_token = Request::get(&fixture.at("/mcp"))
            .without_cookies()
            .header("x-forwarded-for", "192.0.2.1");
        assert_ne!(
            browser.send(no_token).await.status,
            429,
            "a client that has no token yet has failed at nothing"
        );
    }

    let impostor = OAuthClient {
        secret: Some("guess".to_owned()),
        auth_method: "client_secret_basic".to_owned(),
        ..client.clone()
    };
    for _ in 0..3 {
        assert_eq!(impostor.refresh(tokens.refresh()).await.expect(401).error(), "invalid_client");
    }
    too_many(&impostor.refresh(tokens.refresh()).await);
    client.tokens(client.refresh(tokens.refresh()).await);
    fixture.close().await;
}
