//! Grants are taken back: by their person on the front page, by an administrator with `portunus
//! grants`.

use std::{
    process::{Command, Output},
    time::Duration,
};

use portunus_testkit::agent::{Agent, Landing, Request, Tokens};

use crate::fixture::GatewayFixture;

async fn opens(fixture: &GatewayFixture, tokens: &Tokens) -> bool {
    let request = Request::get(&fixture.at("/tools")).without_cookies().bearer(&tokens.access);
    match fixture.browser().send(request).await.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// The form that disconnects one application, filled in for another grant if one is given.
async fn disconnect(fixture: &GatewayFixture, browser: &Agent, grant: Option<&str>) -> Landing {
    let home = browser.open(&fixture.at("/")).await.page().expect(200);
    home.form("/auth/disconnect").submit(grant.map(|id| ("grant", id))).await
}

#[tokio::test]
async fn i_can_disconnect_an_application() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, tokens) = fixture.connect("/mcp").await;
    let home = disconnect(&fixture, &browser, None).await.page().expect(200);
    assert!(home.text().contains("You have not allowed any application yet"), "{}", home.text());
    assert!(!opens(&fixture, &tokens).await, "from the next request on");
    assert_eq!(client.refresh(tokens.refresh()).await.expect(400).error(), "invalid_grant");
    let asked_again = client.begin(&browser, &client.authorization()).await.page();
    assert!(asked_again.has_form("/auth/consent"), "{asked_again:?}");
    fixture.close().await;
}

#[tokio::test]
async fn t14_nobody_else_can() {
    let fixture = GatewayFixture::start().await;
    let (_, alice, alices) = fixture.connect("/mcp").await;
    let grant = fixture.grants_of("alice").await.remove(0).id;
    fixture.okta.sign_in_as("bob");
    let (_, bob, bobs) = fixture.connect("/mcp").await;
    disconnect(&fixture, &bob, Some(grant.as_str())).await.page().expect(200);
    assert!(
        opens(&fixture, &alices).await && opens(&fixture, &bobs).await,
        "another person's grant is as good as unknown"
    );

    let form = alice.open(&fixture.at("/")).await.page().form("/auth/disconnect");
    for csrf in ["", "x"] {
        alice.send(form.request([("csrf", csrf)])).await.expect(400);
    }
    alice.send(form.request([]).from_site("https://evil.example")).await.expect(403);
    let no_login = fixture.browser();
    no_login.open(&fixture.at("/")).await;
    no_login.send(form.request([])).await.expect(400);
    assert!(opens(&fixture, &alices).await);
    fixture.close().await;
}

/// `portunus grants …` in a process of its own, on this gateway's records.
fn portunus(fixture: &GatewayFixture, args: &[&str]) -> String {
    let output = portunus_says(fixture, args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn portunus_says(fixture: &GatewayFixture, args: &[&str]) -> Output {
    let secret = fixture.config.auth_secrets[0].expose();
    let database = fixture.database();
    let env = [
        ("AUTH_SECRET", secret),
        ("AUTH_OKTA_ID", "x"),
        ("AUTH_OKTA_SECRET", "y"),
        ("AUTH_OKTA_ISSUER", "https://acme.okta.com"),
        ("DB_PATH", database.to_str().unwrap()),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command
        .arg("grants")
        .args(args)
        .current_dir(database.parent().unwrap())
        .env_clear()
        .envs(env)
        .output()
        .unwrap()
}

/// A gateway notices within a second what happened elsewhere; the test waits longer, for machines
/// that are busy.
async fn dies(fixture: &GatewayFixture, tokens: &Tokens) {
    for _ in 0..300 {
        if !opens(fixture, tokens).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the token still opens the door");
}

#[tokio::test]
async fn whoever_runs_the_gateway_can_revoke_from_another_process() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, alices) = fixture.connect("/mcp").await;
    let (_, _, again) = fixture.connect("/mcp/uuid").await;
    fixture.okta.sign_in_as("bob");
    let (other, bobs_browser, bobs) = fixture.connect("/mcp").await;
    assert!(
        opens(&fixture, &alices).await && opens(&fixture, &bobs).await,
        "both are in the cache now"
    );

    let all = portunus(&fixture, &["list"]);
    assert!(
        all.contains("3 grants") && all.contains("alice@acme.example") && all.contains(&other.id),
        "{all}"
    );
    let alice = fixture.user("alice");
    let revoked = portunus(&fixture, &["revoke", "--user", alice.as_str()]);
    assert!(revoked.ends_with("\n  2 grants revoked, 2 logins ended\n"), "{revoked}");
    assert!(
        revoked.contains("alice@acme.example") && revoked.contains(&client.id),
        "whose, and what could act for them: {revoked}"
    );
    dies(&fixture, &alices).await;
    assert_eq!(client.refresh(again.refresh()).await.expect(400).error(), "invalid_grant");
    assert!(!browser.open(&fixture.at("/")).await.page().text().contains("Alice"), "signed out");
    assert!(opens(&fixture, &bobs).await, "somebody else");

    let login = fixture.grants_of("bob").await.remove(0).login.unwrap().to_string();
    assert!(portunus(&fixture, &["list", "--login", &login]).contains("1 grant\n"));
    assert!(
        portunus(&fixture, &["revoke", "--client", &other.id])
            .ends_with("\n  1 grant revoked, 0 logins ended\n")
    );
    dies(&fixture, &bobs).await;
    let asked_again = other.begin(&bobs_browser, &other.authorization()).await.page();
    assert!(asked_again.has_form("/auth/consent"), "{asked_again:?}");
    assert!(
        portunus(&fixture, &["revoke", "--login", &login])
            .ends_with("\n  0 grants revoked, 1 login ended\n")
    );
    fixture.close().await;
}

#[tokio::test]
async fn people_and_clients_are_revoked_by_what_they_are_called() {
    let fixture = GatewayFixture::start().await;
    let (client, _, alices) = fixture.connect("/mcp").await;
    fixture.okta.sign_in_as("bob");
    let (_, _, bobs) = fixture.connect("/mcp").await;
    assert!(
        opens(&fixture, &alices).await && opens(&fixture, &bobs).await,
        "both are in the cache now"
    );

    assert!(portunus(&fixture, &["list", "--user", "Alice@Acme.Example"]).contains("1 grant\n"));
    for nobody in [
        ["revoke", "--user", "carol@acme.example"],
        ["revoke", "--user", "alice"],
        ["revoke", "--client", "No such client"],
        ["revoke", "--client", ""],
        ["revoke", "--user", "%"],
        ["list", "--user", "carol@acme.example"],
    ] {
        let output = portunus_says(&fixture, &nobody);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1)
                && words.contains(&format!("{:?}", nobody[2]))
                && words.contains("list"),
            "{nobody:?}: {words}"
        );
    }
    assert!(opens(&fixture, &alices).await && opens(&fixture, &bobs).await);

    let revoked = portunus(&fixture, &["revoke", "--user", "ALICE@acme.example"]);
    assert!(
        revoked.contains(&client.id) && revoked.ends_with("\n  1 grant revoked, 1 login ended\n"),
        "{revoked}"
    );
    dies(&fixture, &alices).await;
    assert!(opens(&fixture, &bobs).await, "somebody else");

    let name = fixture
        .stores()
        .clients
        .find_client(&fixture.grants_of("bob").await[0].client)
        .await
        .unwrap()
        .unwrap()
        .display_name()
        .to_owned();
    let revoked = portunus(&fixture, &["revoke", "--client", &name.to_uppercase()]);
    assert_eq!(
        revoked.matches("revoked").count(),
        2,
        "every client that bears the name: {revoked}"
    );
    dies(&fixture, &bobs).await;
    fixture.close().await;
}
