//! Refresh tokens: one successor each, however often and from wherever they come, and over a
//! restart too. A used one gets the current pair, or ends its family.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use http::Method;
use portunus_core::lifetimes::Lifetimes;
use portunus_testkit::{
    agent::{McpClient, OAuthClient, Request},
    redis::Server,
};

use crate::fixture::{GatewayFixture, Setup};

async fn refused(client: &OAuthClient, token: &str) {
    assert_eq!(client.refresh(token).await.expect(400).error(), "invalid_grant");
}

/// Is the access token accepted?
async fn opens(fixture: &GatewayFixture, client: &OAuthClient, access: &str) -> bool {
    let probe = Request::get(&fixture.at("/tools")).without_cookies();
    match client.agent.send(probe.bearer(access)).await.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn t17_within_the_grace_window_every_use_gives_the_same_pair() {
    let fixture = GatewayFixture::start().await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    assert_ne!(second.refresh(), first.refresh());
    assert_ne!(second.access, first.access);
    fixture.clock.advance(Duration::from_millis(29_999));
    for from in [&client, &fixture.elsewhere(&client)] {
        let again = from.tokens(from.refresh(first.refresh()).await);
        assert_eq!(
            again.refresh(),
            second.refresh(),
            "an answer that was lost on the way is given again"
        );
        assert_eq!(again.access, second.access);
        assert_eq!(again.expires_in, 3570, "what is left of it");
        assert!(opens(&fixture, &client, &again.access).await);
    }
    assert!(
        opens(&fixture, &client, &first.access).await,
        "what was handed out lives out its time"
    );
    assert!(fixture.log.text().contains("refresh token used: exchanged"));
    assert!(fixture.log.text().contains("refresh token used again within the grace window"));
    assert_eq!(fixture.grants("alice").await, 1);
    client.tokens(client.refresh(second.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t17_after_it_a_used_token_from_elsewhere_ends_the_family() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, first) = fixture.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    let stranger = fixture.client("/mcp").await;
    fixture.clock.advance(Duration::from_secs(30));
    refused(&stranger, first.refresh()).await;
    assert_eq!(fixture.grants("alice").await, 1, "somebody who is not the client ends nothing");
    McpClient::connect(&browser, &fixture.at("/mcp"), &second.access).await;
    refused(&fixture.elsewhere(&client), first.refresh()).await;
    assert_eq!(fixture.grants("alice").await, 0);
    assert!(
        fixture
            .log
            .text()
            .contains("refresh token used again from another address: its grant is revoked")
    );
    refused(&client, second.refresh()).await;
    assert!(!opens(&fixture, &client, &second.access).await);
    fixture.close().await;
}

/// Several processes of one client share the refresh token they stored; one of them wakes up hours
/// later with one that the others used several generations ago.
async fn a_process_comes_back(redis: Option<&Server>) {
    let mut fixture = GatewayFixture::over(redis, Setup::default()).await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let mut last = client.tokens(client.refresh(first.refresh()).await);
    for _ in 0..4 {
        fixture.clock.advance(Duration::from_secs(2 * 3600));
        last = client.tokens(client.refresh(last.refresh()).await);
    }
    fixture.stop().await;
    fixture.restart().await;
    // At once: the pair as it is. Later, when its access token has ended: another access token, and
    // the same refresh token.
    for (wait, is_same) in [(0, true), (3600, false), (0, false), (14 * 3600, false)] {
        fixture.clock.advance(Duration::from_secs(wait));
        let woken = client.tokens(client.refresh(first.refresh()).await);
        assert_eq!(woken.refresh(), last.refresh());
        assert_eq!(woken.access == last.access, is_same);
        assert!(opens(&fixture, &client, &woken.access).await);
        let again = client.tokens(client.refresh(first.refresh()).await);
        assert_eq!(again.access, woken.access, "one for all requests");
    }
    assert_eq!(fixture.grants("alice").await, 1);
    let told = fixture.log.text();
    let told = told
        .lines()
        .find(|line| line.contains("refresh token used again from the same address"))
        .expect("it is logged");
    assert!(told.contains("\"generations\":5"), "{told}");
    // All that it was given goes on.
    let next = client.tokens(client.refresh(last.refresh()).await);
    // A day after its use the first token is too old; the next ones are not.
    fixture.clock.advance(Duration::from_secs(3600));
    refused(&client, first.refresh()).await;
    assert_eq!(fixture.grants("alice").await, 0);
    assert!(
        fixture
            .log
            .text()
            .contains("refresh token used again after refresh_reuse: its grant is revoked")
    );
    refused(&client, next.refresh()).await;
    fixture.close().await;
}

#[tokio::test]
async fn fb16_a_process_that_comes_back_hours_later_gets_the_current_pair() {
    Box::pin(a_process_comes_back(None)).await;
}

#[tokio::test]
async fn fb16_a_process_that_comes_back_hours_later_gets_the_current_pair_from_redis() {
    Box::pin(a_process_comes_back(Some(&Server::start(&[])))).await;
}

#[tokio::test]
async fn fb16_the_address_is_that_of_the_latest_rotation() {
    let fixture = GatewayFixture::start().await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let moved = fixture.elsewhere(&client);
    let second = client.tokens(client.refresh(first.refresh()).await);
    let third = moved.tokens(moved.refresh(second.refresh()).await);
    fixture.clock.advance(Duration::from_secs(60));
    for used in [&first, &second] {
        assert_eq!(moved.tokens(moved.refresh(used.refresh()).await).refresh(), third.refresh());
    }
    assert_eq!(fixture.grants("alice").await, 1);
    refused(&client, second.refresh()).await;
    assert_eq!(fixture.grants("alice").await, 0, "not from where it was before");
    fixture.close().await;
}

#[tokio::test]
async fn fb16_behind_a_proxy_the_address_is_the_clients_and_a_64_of_ipv6() {
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let fixture = GatewayFixture::of(Setup { trusted_proxies: proxies, ..Setup::default() }).await;
    let client = fixture.client("/mcp").await;
    let send = async |token: &str, from: &str| {
        let fields =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &client.id)];
        let request =
            Request::form(Method::POST, &fixture.at("/auth/token"), fields).without_cookies();
        let answer = client.agent.send(request.header("x-forwarded-for", from)).await;
        let text = |name: &str| answer.json()[name].as_str().map(str::to_owned);
        if let Some(token) = text("refresh_token") {
            client.agent.keep_secret(&token);
        }
        (answer.status.as_u16(), text("refresh_token"))
    };
    // Where the family's latest rotation came from, from where a used token comes, and whether that
    // is the same.
    for (home, from, is_same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.1", "evil.example, 192.0.2.1", true),
        ("192.0.2.1", "192.0.2.1, 192.0.2.9", false),
        ("2001:db8:1:2::1", "2001:db8:1:2:aaaa::9", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("2001:db8:1:2::1", "192.0.2.1", false),
        ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", false),
    ] {
        let first = client.connect(&fixture.browser()).await;
        let (_, second) = send(first.refresh(), home).await;
        fixture.clock.advance(Duration::from_secs(31));
        let before = fixture.grants("alice").await;
        let expected = if is_same { (200, second) } else { (400, None) };
        assert_eq!(send(first.refresh(), from).await, expected, "{home} {from}");
        assert_eq!(fixture.grants("alice").await, before - usize::from(!is_same), "{home} {from}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn fb16_it_can_be_switched_off() {
    let lifetimes = Lifetimes { refresh_reuse: None, ..Lifetimes::default() };
    let fixture = GatewayFixture::of(Setup { lifetimes, ..Setup::default() }).await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    fixture.clock.advance(Duration::from_secs(29));
    assert_eq!(client.tokens(client.refresh(first.refresh()).await).refresh(), second.refresh());
    fixture.clock.advance(Duration::from_secs(1));
    refused(&client, first.refresh()).await;
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn fb16_an_access_token_that_was_revoked_is_not_handed_out_again() {
    let fixture = GatewayFixture::start().await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    client.send("revocation_endpoint", [("token", second.access.as_str())]).await.expect(200);
    fixture.clock.advance(Duration::from_secs(60));
    let again = client.tokens(client.refresh(first.refresh()).await);
    assert_eq!(again.refresh(), second.refresh());
    assert_ne!(again.access, second.access);
    assert!(
        opens(&fixture, &client, &again.access).await
            && !opens(&fixture, &client, &second.access).await
    );
    fixture.close().await;
}

/// A token of ours with another body, its checksum put right.
fn made_up(token: &str, change: impl Fn(&mut [u8])) -> String {
    let mut body = URL_SAFE_NO_PAD.decode(&token["ptn_rt_".len()..token.len() - 6]).unwrap();
    change(&mut body);
    let text = format!("ptn_rt_{}", URL_SAFE_NO_PAD.encode(body));
    let mut sum = u32::MAX;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    format!("{text}{}", URL_SAFE_NO_PAD.encode((!sum).to_be_bytes()))
}

#[tokio::test]
async fn t17_a_token_that_was_made_up_ends_nothing() {
    let fixture = GatewayFixture::start().await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    assert_eq!(made_up(first.refresh(), |_| ()), first.refresh(), "the checksum is right");
    fixture.clock.advance(Duration::from_secs(3600));
    let thief = fixture.elsewhere(&client);
    let mut guesses = Vec::new();
    // The generation stands behind the 16 bytes of the family, and what proves it behind that.
    for generation in [0_u32, 1, 2, 3, 77, u32::MAX] {
        guesses.push(made_up(second.refresh(), |body| {
            body[16..20].copy_from_slice(&generation.to_be_bytes());
        }));
    }
    guesses.retain(|guess| guess != second.refresh());
    for at in [0, 15, 16, 20, 33, 47] {
        guesses.push(made_up(first.refresh(), |body| body[at] ^= 1));
    }
    guesses.push(made_up(first.refresh(), |body| body[20..].fill(0)));
    let other = fixture.connect("/mcp").await.2;
    let proof = URL_SAFE_NO_PAD
        .decode(&other.refresh()["ptn_rt_".len()..other.refresh().len() - 6])
        .unwrap();
    guesses.push(made_up(first.refresh(), |body| body[20..].copy_from_slice(&proof[20..])));
    for guess in &guesses {
        refused(&thief, guess).await;
        thief.send("revocation_endpoint", [("token", guess.as_str())]).await.expect(200);
    }
    assert_eq!(fixture.grants("alice").await, 2, "that would be a denial of service");
    client.tokens(client.refresh(second.refresh()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t17_refresh_tokens_slide_and_end() {
    let fixture = GatewayFixture::start().await;
    let (client, _, first) = fixture.connect("/mcp").await;
    let day = Duration::from_secs(24 * 3600);
    fixture.clock.advance(29 * day);
    let second = client.tokens(client.refresh(first.refresh()).await);
    fixture.clock.advance(29 * day);
    let third = client.tokens(client.refresh(second.refresh()).await);
    fixture.clock.advance(30 * day);
    refused(&client, third.refresh()).await;
    fixture.close().await;
}

#[tokio::test]
async fn fb11_t17_a_refresh_may_narrow_and_never_widen() {
    let fixture = GatewayFixture::start().await;
    let client = fixture.client("/mcp").await;
    let authorization = client.authorization().with("scope", "dice uuid");
    let code = client.authorize(&fixture.browser(), &authorization).await.code();
    let tokens = client.tokens(client.redeem(&authorization, &code).await);
    assert_eq!(tokens.scope, "dice uuid");
    let ask = async |scope: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh()),
            ("scope", scope),
        ];
        client.token_request(fields).await
    };
    // Clients repeat what they asked for at first, not what they were granted (FB11).
    let cases = [
        ("dice", "dice"),
        ("dice openid", "dice"),
        ("mcp", "dice uuid"),
        ("dice mcp", "dice uuid"),
        ("admin", "dice uuid"),
        ("offline_access", "dice uuid"),
        ("", "dice uuid"),
        ("\"", "dice uuid"),
        ("profile uuid email", "uuid"),
    ];
    for (asked, given) in cases {
        let answer = client.tokens(ask(asked).await);
        assert_eq!(answer.scope, given, "{asked:?}");
    }
    assert_eq!(
        fixture.grants_of("alice").await[0].scopes.to_string(),
        "dice uuid",
        "the grant is as it was"
    );
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f12_t17_a_hundred_at_once_get_one_successor() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let tasks = (0..100).map(|_| {
        let (client, token) = (client.clone(), tokens.refresh().to_owned());
        tokio::spawn(async move { client.refresh(&token).await })
    });
    let answers: Vec<_> =
        join_all(tasks).await.into_iter().map(|answer| client.tokens(answer.unwrap())).collect();
    let successors: BTreeSet<_> =
        answers.iter().map(|tokens| tokens.refresh().to_owned()).collect();
    assert_eq!(successors.len(), 1, "one rotation");
    assert_eq!(fixture.grants("alice").await, 1, "nothing was revoked");
    let access: BTreeSet<_> = answers.iter().map(|tokens| tokens.access.clone()).collect();
    assert_eq!(access.len(), 1, "and one pair for all");
    let probe = Request::get(&fixture.at("/tools")).without_cookies();
    browser.send(probe.bearer(access.first().unwrap())).await.expect(200);
    client.tokens(client.refresh(successors.first().unwrap()).await);
    fixture.close().await;
}

#[tokio::test]
async fn t18_a_restart_revives_nothing_and_forgets_nothing() {
    let mut fixture = GatewayFixture::start().await;
    let (client, browser, first) = fixture.connect("/mcp/uuid").await;
    let second = client.tokens(client.refresh(first.refresh()).await);
    let (revoked, revoked_browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = revoked.authorization();
    let code = revoked.authorize(&revoked_browser, &authorization).await.code();
    let lost = revoked.tokens(revoked.redeem(&authorization, &code).await);
    revoked.redeem(&authorization, &code).await.expect(400);
    let pending = client.authorization();
    let pending_code = client.authorize(&browser, &pending).await.code();

    fixture.stop().await;
    fixture.restart().await;

    McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &second.access).await;
    assert!(
        browser.open(&fixture.at("/")).await.page().text().contains("Alice"),
        "still signed in"
    );
    client.tokens(client.redeem(&pending, &pending_code).await);
    assert_eq!(
        client.tokens(client.refresh(first.refresh()).await).refresh(),
        second.refresh(),
        "within the grace window"
    );
    refused(&revoked, lost.refresh()).await;
    assert_eq!(revoked.redeem(&authorization, &code).await.expect(400).error(), "invalid_grant");

    fixture.clock.advance(Duration::from_secs(31));
    fixture.stop().await;
    fixture.restart().await;
    assert_eq!(
        client.tokens(client.refresh(first.refresh()).await).refresh(),
        second.refresh(),
        "from the same address"
    );
    refused(&fixture.elsewhere(&client), first.refresh()).await;
    refused(&client, second.refresh()).await;
    assert_eq!(fixture.grants("alice").await, 1, "the pending code's own grant is another one");
    fixture.close().await;
}
