//! Streams of clients that do not open them again (FB82).

use std::time::Duration;

use portunus_testkit::agent::{Agent, McpClient, OAuthClient, Request, Tokens};
use tokio::task::JoinHandle;

use crate::fixture::GatewayFixture;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long an access token lives, but for a moment.
const ALMOST_AN_HOUR: Duration = Duration::from_secs(3590);
/// From then on past its end and the grace after it.
const PAST_GRACE: Duration = Duration::from_secs(10 + 301);

/// An application that listens.
struct Listener {
    client: OAuthClient,
    tokens: Tokens,
    stream: JoinHandle<()>,
}

impl Listener {
    async fn begin(fixture: &GatewayFixture) -> Self {
        let (client, browser, tokens) = fixture.connect("/mcp").await;
        let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
        let listen = Request::get(&mcp.url)
            .without_cookies()
            .bearer(&tokens.access)
            .header("accept", "text/event-stream");
        let stream = tokio::spawn(read(browser, listen.header("mcp-session-id", &mcp.session)));
        Self { client, tokens, stream }
    }

    async fn refreshed(&self) -> Tokens {
        self.client.tokens(self.client.refresh(self.tokens.refresh()).await)
    }

    async fn revoke(&self, token: &str) {
        self.client.send("revocation_endpoint", [("token", token)]).await.expect(200);
    }

    async fn ends(self) {
        tokio::time::timeout(PATIENCE, self.stream).await.expect("the stream ends").unwrap();
    }
}

async fn read(browser: Agent, listen: Request) {
    browser.send(listen).await.expect(200);
}

/// With so many of them, whose streams are open: nothing that comes says so.
async fn fixture_with<const N: usize>() -> (GatewayFixture, [Listener; N]) {
    let fixture = GatewayFixture::start().await;
    let mut listeners = Vec::new();
    for _ in 0..N {
        listeners.push(Listener::begin(&fixture).await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    (fixture, listeners.try_into().unwrap_or_else(|_| unreachable!("so many were made")))
}

#[tokio::test]
async fn fb82_a_stream_lives_as_long_as_its_grant_has_a_good_token() {
    let (fixture, [kept, left, with_grant, with_token]) = fixture_with().await;
    fixture.clock.advance(ALMOST_AN_HOUR);
    let fresh =
        [kept.refreshed().await, with_grant.refreshed().await, with_token.refreshed().await];
    fixture.clock.advance(PAST_GRACE);
    // The tokens that the streams were begun with are over, and so is the grace of the one that has
    // not refreshed.
    left.ends().await;
    for others in [&kept, &with_grant, &with_token] {
        assert!(!others.stream.is_finished(), "its client has a good token");
    }
    with_grant.revoke(fresh[1].refresh()).await;
    with_grant.ends().await;
    with_token.revoke(&fresh[2].access).await;
    with_token.ends().await;
    assert!(!kept.stream.is_finished());
    // The client refreshes no more.
    fixture.clock.advance(ALMOST_AN_HOUR + PAST_GRACE);
    kept.ends().await;
    fixture.close().await;
}

/// What a stream may carry was judged when it was begun: the token that took the place of its first
/// one carries it on in the same configuration alone.
#[tokio::test]
async fn fb82_a_stream_is_not_carried_on_into_another_configuration() {
    let (fixture, [before, beside]) = fixture_with().await;
    fixture.clock.advance(ALMOST_AN_HOUR);
    before.refreshed().await;
    fixture.reload().await.unwrap();
    assert!(
        !before.stream.is_finished() && !beside.stream.is_finished(),
        "their first tokens are good"
    );
    fixture.clock.advance(PAST_GRACE);
    before.ends().await;
    beside.ends().await;
    fixture.close().await;
}
