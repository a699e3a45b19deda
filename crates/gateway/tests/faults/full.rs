//! F6: there is no room for what would be written. Whatever needs a write is answered with 503, a
//! client that has a token goes on, nothing is corrupt, and all goes on by itself when there is
//! room again.
//!
//! A full disk is played by a limit to the size of files, which the kernel keeps (`RLIMIT_FSIZE`):
//! it works everywhere and needs no rights. The program is told of it by the write that fails, as
//! of a full disk, only by another name.

use std::time::{Duration, Instant};

use portunus_testkit::{
    agent::{Agent, OAuthClient, Page, Request, Tokens},
    redis::Server,
};
use serde_json::json;

use super::{
    fixture::LoadFixture,
    kills::times,
    program::{PATIENCE, Records, Surroundings},
};

/// Less than any of the files has by now.
const NO_ROOM: u64 = 4096;

/// A user who came before there was no room.
struct Guest {
    browser: Agent,
    client: OAuthClient,
    tokens: Tokens,
    /// An access token more, that is not needed.
    spare: String,
}

impl Guest {
    async fn arrive(surroundings: &Surroundings) -> Self {
        let browser = Agent::new();
        let client = OAuthClient::register(&browser, &surroundings.at("/guarded/")).await;
        let first = client.connect(&browser).await;
        let tokens = client.tokens(client.refresh(first.refresh()).await);
        Self { browser, client, tokens, spare: first.access }
    }

    async fn calls(&self, surroundings: &Surroundings) -> Page {
        self.calls_with(&self.tokens.access, surroundings).await
    }

    async fn calls_with(&self, token: &str, surroundings: &Surroundings) -> Page {
        self.browser
            .send(Request::get(&surroundings.at("/guarded/")).without_cookies().bearer(token))
            .await
    }

    async fn status(&self, surroundings: &Surroundings, path: &str) -> u16 {
        self.browser.send(Request::get(&surroundings.at(path))).await.status.as_u16()
    }

    /// What needs a write is refused for now, and only that. The token was not used yet, so that it
    /// has to be looked up.
    async fn meets_no_room(&self, surroundings: &Surroundings) {
        // What is under way may still find a place.
        let began = Instant::now();
        while self.status(surroundings, "/ready").await == 200 {
            assert!(began.elapsed() < PATIENCE, "it finds room");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let refused = self.client.refresh(self.tokens.refresh()).await.expect(503);
        assert_eq!(refused.error(), "temporarily_unavailable");
        // Where deleting needs no room this may be done. If it is said to be, it is; if not, it may
        // be all the same.
        let ended = self.end_spare().await;
        assert!(matches!(ended.status.as_u16(), 200 | 503), "{ended:?}");
        if ended.status == 200 {
            self.calls_with(&self.spare, surroundings).await.expect(401);
        }
        let metadata =
            json!({"client_name": "Too late", "redirect_uris": ["http://127.0.0.1:7777/callback"]});
        let register = self.client.discovery.server["registration_endpoint"].as_str().unwrap();
        self.browser.send(Request::json(register, &metadata).without_cookies()).await.expect(503);
        // The browser is signed in, and a code would be made at once.
        let landing = self.client.begin(&self.browser, &self.client.authorization()).await;
        assert_eq!(landing.page().status, 503);

        self.calls(surroundings).await.expect(204);
        assert_eq!(self.status(surroundings, "/health").await, 200);
        let metadata = surroundings.at("/.well-known/oauth-authorization-server");
        self.browser.send(Request::get(&metadata)).await.expect(200);
    }

    async fn end_spare(&self) -> Page {
        self.client.send("revocation_endpoint", [("token", self.spare.as_str())]).await
    }

    /// What was refused happens now.
    async fn meets_room(mut self, surroundings: &Surroundings) {
        self.calls(surroundings).await.expect(204);
        self.end_spare().await.expect(200);
        self.calls_with(&self.spare, surroundings).await.expect(401);
        self.tokens = self.client.tokens(self.client.refresh(self.tokens.refresh()).await);
        self.calls(surroundings).await.expect(204);
        Self::arrive(surroundings).await.calls(surroundings).await.expect(204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_a_full_disk_under_sqlite_refuses_writes_serves_reads_and_heals() {
    let mut fixture = LoadFixture::of(Records::Sqlite).await;
    for n in 0..times().min(10) {
        fixture.work().await;
        let guest = Guest::arrive(&fixture.surroundings).await;
        fixture.program().limit_files(Some(NO_ROOM));
        guest.meets_no_room(&fixture.surroundings).await;
        // Some lose their patience with it.
        if n % 2 == 1 {
            fixture.program().kill();
            assert_eq!(fixture.surroundings.integrity(), "ok");
            fixture.start_again().await;
        } else {
            fixture.program().limit_files(None);
            let ready = fixture.until_ready().await;
            fixture.harmed(ready);
        }
        guest.meets_room(&fixture.surroundings).await;
        assert_eq!(fixture.surroundings.integrity(), "ok");
    }
    fixture
        .judge(
            "F6",
            "sqlite",
            "no room in any file, every other time with a kill; integrity_check each time",
            "times full",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_a_full_disk_under_redis_refuses_writes_serves_reads_and_heals() {
    // With `always` Redis ends itself when it cannot write, which is another fault: F2.
    let server = Server::start(&["--appendfsync", "everysec"]);
    let limit = |full: bool| server.limit_files(full.then_some(NO_ROOM));
    over_redis(&server, limit, "no room in any file of Redis, appendfsync everysec (MISCONF)")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_a_redis_without_memory_refuses_writes_serves_reads_and_heals() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let limit = |full: bool| {
        server.ask::<()>(&["CONFIG", "SET", "maxmemory", if full { "1" } else { "0" }]);
    };
    over_redis(&server, limit, "no memory for Redis, noeviction (OOM)").await;
}

async fn over_redis(server: &Server, limit: impl Fn(bool), done: &str) {
    let mut fixture =
        LoadFixture::of(Records::Redis { address: server.address(), replicas: 0 }).await;
    for _ in 0..times().min(10) {
        fixture.work().await;
        let guest = Guest::arrive(&fixture.surroundings).await;
        limit(true);
        guest.meets_no_room(&fixture.surroundings).await;
        limit(false);
        let ready = fixture.until_ready().await;
        fixture.harmed(ready);
        guest.meets_room(&fixture.surroundings).await;
    }
    fixture.judge("F6", "redis", done, "times full").await;
}
