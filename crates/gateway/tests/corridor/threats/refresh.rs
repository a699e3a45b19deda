//! Refresh tokens: one successor each, however often and from wherever they come, and over a restart too.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use portunus_testkit::agent::{McpClient, OAuthClient};

use crate::world::World;

async fn refused(client: &OAuthClient, token: &str) {
    assert_eq!(client.refresh(token).await.expect(400).error(), "invalid_grant");
}

#[tokio::test]
async fn t17_within_the_grace_window_every_use_gives_the_same_successor() {
    let world = World::start().await;
    let (client, _, first) = world.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    assert_ne!(second.refresh(), first.refresh());
    world.clock.advance(Duration::from_millis(29_999));
    let again = client.tokens(client.refresh(first.refresh()).await);
    assert_eq!(again.refresh(), second.refresh(), "an answer that was lost on the way is given again");
    assert_ne!(again.access, second.access);
    assert_eq!(world.grants("alice").await, 1);
    client.tokens(client.refresh(second.refresh()).await);
    world.close().await;
}

#[tokio::test]
async fn t17_after_it_a_used_token_ends_the_family() {
    let world = World::start().await;
    let (client, browser, first) = world.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    let stranger = world.client("/mcp").await;
    world.clock.advance(Duration::from_secs(30));
    refused(&stranger, first.refresh()).await;
    assert_eq!(world.grants("alice").await, 1, "somebody who is not the client ends nothing");
    McpClient::connect(&browser, &world.at("/mcp"), &second.access).await;
    refused(&client, first.refresh()).await;
    assert_eq!(world.grants("alice").await, 0);
    refused(&client, second.refresh()).await;
    let probe = portunus_testkit::agent::Request::get(&world.at("/tools")).without_cookies();
    browser.send(probe.bearer(&second.access)).await.expect(401);
    world.close().await;
}

#[tokio::test]
async fn t17_refresh_tokens_slide_and_end() {
    let world = World::start().await;
    let (client, _, first) = world.connect("/mcp").await;
    let day = Duration::from_secs(24 * 3600);
    world.clock.advance(29 * day);
    let second = client.tokens(client.refresh(first.refresh()).await);
    world.clock.advance(29 * day);
    let third = client.tokens(client.refresh(second.refresh()).await);
    world.clock.advance(30 * day);
    refused(&client, third.refresh()).await;
    world.close().await;
}

#[tokio::test]
async fn t17_a_refresh_may_narrow_and_never_widen() {
    let world = World::start().await;
    let client = world.client("/mcp").await;
    let authorization = client.authorization().with("scope", "dice uuid");
    let code = client.authorize(&world.browser(), &authorization).await.code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    assert_eq!(tokens.scope, "dice uuid");
    let ask = async |scope: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh()), ("scope", scope)];
        client.token_request(fields).await
    };
    for wider in ["mcp", "dice mcp", "admin"] {
        assert_eq!(ask(wider).await.expect(400).error(), "invalid_scope", "{wider}");
    }
    assert_eq!(client.tokens(ask("dice").await).scope, "dice");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f12_t17_a_hundred_at_once_get_one_successor() {
    let world = World::start().await;
    let (client, browser, tokens) = world.connect("/mcp").await;
    let tasks = (0..100).map(|_| {
        let (client, token) = (client.clone(), tokens.refresh().to_owned());
        tokio::spawn(async move { client.refresh(&token).await })
    });
    let answers: Vec<_> = join_all(tasks).await.into_iter().map(|answer| client.tokens(answer.unwrap())).collect();
    let successors: BTreeSet<_> = answers.iter().map(|tokens| tokens.refresh().to_owned()).collect();
    assert_eq!(successors.len(), 1, "one rotation");
    assert_eq!(world.grants("alice").await, 1, "nothing was revoked");
    for tokens in answers.iter().step_by(33) {
        let probe = portunus_testkit::agent::Request::get(&world.at("/tools")).without_cookies();
        browser.send(probe.bearer(&tokens.access)).await.expect(200);
    }
    client.tokens(client.refresh(successors.first().unwrap()).await);
    world.close().await;
}

#[tokio::test]
async fn t18_a_restart_revives_nothing_and_forgets_nothing() {
    let mut world = World::start().await;
    let (client, browser, first) = world.connect("/mcp/uuid").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    let (revoked, revoked_browser) = (world.client("/mcp").await, world.browser());
    let authorization = revoked.authorization();
    let code = revoked.authorize(&revoked_browser, &authorization).await.code();
    let lost = revoked.tokens(revoked.redeem(&authorization, &code).await);
    revoked.redeem(&authorization, &code).await.expect(400);
    let pending = client.authorization();
    let pending_code = client.authorize(&browser, &pending).await.code();

    world.stop().await;
    world.restart().await;

    McpClient::connect(&browser, &world.at("/mcp/uuid"), &second.access).await;
    assert!(browser.open(&world.at("/")).await.page().text().contains("Alice"), "still signed in");
    client.tokens(client.redeem(&pending, &pending_code).await);
    assert_eq!(client.tokens(client.refresh(first.refresh()).await).refresh(), second.refresh(), "within the grace window");
    refused(&revoked, lost.refresh()).await;
    assert_eq!(revoked.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");

    world.clock.advance(Duration::from_secs(31));
    world.stop().await;
    world.restart().await;
    refused(&client, first.refresh()).await;
    refused(&client, second.refresh()).await;
    assert_eq!(world.grants("alice").await, 1, "the pending code's own grant is another one");
    world.close().await;
}
