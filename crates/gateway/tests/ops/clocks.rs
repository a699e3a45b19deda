//! Clocks that differ (F7): the provider's, and another node's. A minute is tolerated, ten are not.
//! What a client's clock may be is next to its assertions (`tests/http/client_assertions.rs`);
//! Redis's clock is not read, and every test here is weeks away from it.

use std::time::Duration;

use futures::future::join_all;
use portunus_core::{Clock as _, node::SessionRecord, secret::TokenHash};
use portunus_testkit::{
    agent::{Agent, Landing, McpClient, OAuthClient, Request},
    figures::Figures,
    redis::Server,
    wait::eventually,
};
use serde_json::json;

use crate::fixture::{GatewayFixture, Setup};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn f7_the_providers_clock_may_be_a_minute_off_and_not_ten() {
    for store in ["sqlite", "redis"] {
        // Which were tolerated, and which refused.
        let mut seen = [Vec::new(), Vec::new()];
        for (seconds, ahead, tolerated) in
            [(55, true, true), (55, false, true), (600, true, false), (600, false, false)]
        {
            let redis = (store == "redis").then(|| Server::start(&[]));
            let fixture = GatewayFixture::over(redis.as_ref(), Setup::default()).await;
            fixture.okta.skew_clock(Duration::from_secs(seconds), ahead);
            let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
            let consent = client.begin(&browser, &client.authorization()).await.page();
            let landing = consent.form("/auth/consent").submit([("decision", "allow")]).await;
            match landing {
                Landing::Client(returned) => {
                    assert!(
                        tolerated && !returned.code().is_empty(),
                        "{seconds} s, ahead: {ahead}"
                    );
                }
                Landing::Page(page) => {
                    assert_eq!((page.status.as_u16(), tolerated), (400, false), "{page:?}");
                }
            }
            assert_eq!(
                browser.cookie("_login").is_some(),
                tolerated,
                "{seconds} s, ahead: {ahead}"
            );
            seen[usize::from(browser.cookie("_login").is_none())]
                .push(format!("{}{seconds} s", if ahead { '+' } else { '-' }));
            fixture.close().await;
        }
        let figures = Figures::of("F7", store, "the provider's clock, in its ID tokens");
        figures
            .exactly("tolerated", seen[0].join(", "), "+55 s, -55 s".to_owned())
            .exactly("refused", seen[1].join(", "), "+600 s, -600 s".to_owned())
            .report();
    }
}

#[tokio::test]
async fn f7_a_gateway_that_is_ahead_deletes_nothing_that_others_need() {
    let redis = Server::start(&[]);
    for redis in [None, Some(&redis)] {
        let mut fixture = GatewayFixture::over(redis, Setup::default()).await;
        let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
        let authorization = client.authorization();
        let consent = client.begin(&browser, &authorization).await.page();
        // A look-up from before it expired finds this until it is deleted: an hour after, as one
        // that is ahead counts; by the own clock it is too early.
        let (hash, now) = (TokenHash::of("expired long ago"), fixture.clock.now());
        let session = SessionRecord { user: fixture.user("alice"), state: Vec::new() };
        let expired = now - HOUR + Duration::from_secs(300);
        fixture.stores().sessions.keep_session(&hash, &session, expired).await.unwrap();
        assert!(
            fixture.stores().sessions.find_session(&hash, now - 3 * HOUR).await.unwrap().is_some()
        );
        fixture.add_node_ahead(600).await;
        eventually("what expired long ago is deleted", async || {
            fixture.stores().sessions.find_session(&hash, now - 3 * HOUR).await.unwrap().is_none()
        })
        .await;
        let code =
            consent.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
        client.tokens(client.redeem(&authorization, &code).await);
        fixture.close().await;
    }
}

/// Two nodes on one Redis, and a client that knows both.
struct Two {
    _redis: Server,
    fixture: GatewayFixture,
    browser: Agent,
    here: OAuthClient,
    there: OAuthClient,
}

impl Two {
    async fn apart(seconds: i64) -> Self {
        let redis = Server::start(&[]);
        let setup = Setup { nodes: 2, others_ahead: seconds, ..Setup::default() };
        let fixture = Box::pin(GatewayFixture::over(Some(&redis), setup)).await;
        let (browser, here) = (fixture.browser(), fixture.client("/mcp").await);
        let mut there = here.clone();
        there.discovery.server["token_endpoint"] = fixture.at_node(1, "/auth/token").into();
        Self { _redis: redis, fixture, browser, here, there }
    }

    /// The status of a request at the other node by a user whose owner node is this one.
    async fn forwarded(&self, token: &str) -> u16 {
        let mut mcp = McpClient::connect(&self.browser, &self.fixture.at("/mcp"), token).await;
        mcp.url = self.fixture.at_node(1, "/mcp");
        mcp.post(&json!({"jsonrpc": "2.0", "id": 5, "method": "ping"})).await.status.as_u16()
    }
}

#[tokio::test]
async fn f7_another_nodes_clock_may_be_a_minute_off() {
    let mut tolerated = 0;
    for seconds in [55, -55] {
        let two = Box::pin(Two::apart(seconds)).await;
        let authorization = two.here.authorization();
        let code = two.here.authorize(&two.browser, &authorization).await.code();
        let tokens = two.there.tokens(two.there.redeem(&authorization, &code).await);
        assert_eq!(two.forwarded(&tokens.access).await, 200, "{seconds}");
        // Each of them may be the first, and the other is given the same.
        let mut token = tokens.refresh().to_owned();
        for (first, second) in [(&two.here, &two.there), (&two.there, &two.here)] {
            let one = first.tokens(first.refresh(&token).await);
            let other = second.tokens(second.refresh(&token).await);
            assert_eq!(one.refresh(), other.refresh(), "{seconds}");
            for access in [&one.access, &other.access] {
                let call = Request::get(&two.fixture.at("/tools")).without_cookies().bearer(access);
                two.browser.send(call).await.expect(200);
            }
            one.refresh().clone_into(&mut token);
        }
        assert_eq!(two.fixture.grants("alice").await, 1, "nothing was revoked");
        tolerated += 1;
        two.fixture.close().await;
    }
    let figures = Figures::of(
        "F7",
        "redis",
        "another node's clock, +55 s and -55 s: codes, tokens, refreshes at both, errands",
    );
    figures.exactly("tolerated", tolerated, 2).report();
}

#[tokio::test]
async fn f7_another_nodes_clock_may_not_be_ten_minutes_off() {
    let refused = [600, -600].map(async |seconds| {
        let two = Box::pin(Two::apart(seconds)).await;
        let authorization = two.here.authorization();
        let code = two.here.authorize(&two.browser, &authorization).await.code();
        // A code looks too old to a node that is ahead. To one that is behind it looks young, and
        // is good for one use all the same.
        let elsewhere = two.there.redeem(&authorization, &code).await;
        assert_eq!(elsewhere.status, if seconds > 0 { 400 } else { 200 }, "{seconds}");
        let tokens = two.here.connect(&two.browser).await;
        let forwarded = two.forwarded(&tokens.access).await;
        two.fixture.close().await;
        forwarded
    });
    let refused = join_all(refused).await.into_iter().filter(|status| *status == 503).count();
    let figures = Figures::of(
        "F7",
        "redis",
        "another node's clock, +600 s and -600 s: errands, and codes if it is ahead",
    );
    figures.exactly("refused", refused, 2).report();
}
