//! Streams of clients that do not listen again (FB82).

use std::time::Duration;

use portunus_testkit::agent::{Agent, McpClient, OAuthClient, Request, Tokens};
use tokio::task::JoinHandle;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long an access token lives, but for a moment.
const ALMOST_AN_HOUR: Duration = Duration::from_secs(3590);

/// An application that listens.
struct Listener {
    client: OAuthClient,
    tokens: Tokens,
    stream: JoinHandle<()>,
}

impl Listener {
    async fn begin(world: &World) -> Self {
        let (client, browser, tokens) = world.connect("/mcp").await;
        let mcp = McpClient::connect(&browser, &world.at("/mcp"), &tokens.access).await;
        let listen = Request::get(&mcp.url).without_cookies().bearer(&tokens.access).header("accept", "text/event-stream");
        let stream = tokio::spawn(read(browser, listen.header("mcp-session-id", &mcp.session)));
        Self { client, tokens, stream }
    }

    async fn ends(self) -> OAuthClient {
        tokio::time::timeout(PATIENCE, self.stream).await.expect("the stream ends").unwrap();
        self.client
    }
}

async fn read(browser: Agent, listen: Request) {
    browser.send(listen).await.expect(200);
}

#[tokio::test]
async fn fb82_a_stream_lives_as_long_as_its_grant_has_a_good_token() {
    let world = World::start().await;
    let (kept, left, ended) = (Listener::begin(&world).await, Listener::begin(&world).await, Listener::begin(&world).await);
    // Nothing that comes says that they are open.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.clock.advance(ALMOST_AN_HOUR);
    let fresh = kept.client.tokens(kept.client.refresh(kept.tokens.refresh()).await);
    let of_ended = ended.client.tokens(ended.client.refresh(ended.tokens.refresh()).await);
    // The tokens that the streams were begun with are over, and the grace of the one that has not refreshed is too.
    world.clock.advance(Duration::from_secs(10 + 301));
    world.reload().await.unwrap();
    left.ends().await;
    assert!(!kept.stream.is_finished() && !ended.stream.is_finished(), "their clients have good tokens");
    ended.client.send("revocation_endpoint", [("token", of_ended.refresh())]).await.expect(200);
    ended.ends().await;
    assert!(!kept.stream.is_finished());
    // Nobody refreshes any more.
    world.clock.advance(ALMOST_AN_HOUR + Duration::from_secs(10 + 301));
    world.reload().await.unwrap();
    kept.ends().await.refresh(fresh.refresh()).await.expect(200);
    world.close().await;
}
