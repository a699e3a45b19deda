//! What people allowed can be taken back: by themselves on the front page, by whoever runs the gateway with `portunus grants`.

use std::{
    process::{Command, Output},
    time::Duration,
};

use portunus_testkit::agent::{Agent, Landing, Request, Tokens};

use crate::fixture::World;

async fn opens(world: &World, tokens: &Tokens) -> bool {
    let request = Request::get(&world.at("/tools")).without_cookies().bearer(&tokens.access);
    match world.browser().send(request).await.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// The form that disconnects one application, filled in for another grant if one is given.
async fn disconnect(world: &World, browser: &Agent, grant: Option<&str>) -> Landing {
    let home = browser.open(&world.at("/")).await.page().expect(200);
    home.form("/auth/disconnect").submit(grant.map(|id| ("grant", id))).await
}

#[tokio::test]
async fn i_can_disconnect_an_application() {
    let world = World::start().await;
    let (client, browser, tokens) = world.connect("/mcp").await;
    let home = disconnect(&world, &browser, None).await.page().expect(200);
    assert!(home.text().contains("You have not allowed any application yet"), "{}", home.text());
    assert!(!opens(&world, &tokens).await, "from the next request on");
    assert_eq!(client.refresh(tokens.refresh()).await.expect(400).error(), "invalid_grant");
    let asked_again = client.begin(&browser, &client.authorization()).await.page();
    assert!(asked_again.has_form("/auth/consent"), "{asked_again:?}");
    world.close().await;
}

#[tokio::test]
async fn t14_nobody_else_can() {
    let world = World::start().await;
    let (_, alice, alices) = world.connect("/mcp").await;
    let grant = world.grants_of("alice").await.remove(0).id;
    world.okta.sign_in_as("bob");
    let (_, bob, bobs) = world.connect("/mcp").await;
    disconnect(&world, &bob, Some(grant.as_str())).await.page().expect(200);
    assert!(opens(&world, &alices).await && opens(&world, &bobs).await, "another person's grant is as good as unknown");

    let form = alice.open(&world.at("/")).await.page().form("/auth/disconnect");
    for csrf in ["", "x"] {
        alice.send(form.request([("csrf", csrf)])).await.expect(400);
    }
    alice.send(form.request([]).from_site("https://evil.example")).await.expect(403);
    let no_login = world.browser();
    no_login.open(&world.at("/")).await;
    no_login.send(form.request([])).await.expect(400);
    assert!(opens(&world, &alices).await);
    world.close().await;
}

/// `portunus grants …` in a process of its own, on this gateway's records.
fn portunus(world: &World, args: &[&str]) -> String {
    let output = portunus_says(world, args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn portunus_says(world: &World, args: &[&str]) -> Output {
    let secret = world.config.auth_secrets[0].expose();
    let database = world.database();
    let env = [
        ("AUTH_SECRET", secret),
        ("AUTH_OKTA_ID", "x"),
        ("AUTH_OKTA_SECRET", "y"),
        ("AUTH_OKTA_ISSUER", "https://acme.okta.com"),
        ("DB_PATH", database.to_str().unwrap()),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command.arg("grants").args(args).current_dir(database.parent().unwrap()).env_clear().envs(env).output().unwrap()
}

/// A gateway notices within a second what happened elsewhere; the test waits longer, for machines that are busy.
async fn dies(world: &World, tokens: &Tokens) {
    for _ in 0..300 {
        if !opens(world, tokens).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the token still opens the door");
}

#[tokio::test]
async fn whoever_runs_the_gateway_can_revoke_from_another_process() {
    let world = World::start().await;
    let (client, browser, alices) = world.connect("/mcp").await;
    let (_, _, again) = world.connect("/mcp/uuid").await;
    world.okta.sign_in_as("bob");
    let (other, bobs_browser, bobs) = world.connect("/mcp").await;
    assert!(opens(&world, &alices).await && opens(&world, &bobs).await, "both are in the cache now");

    let all = portunus(&world, &["list"]);
    assert!(all.contains("3 grants") && all.contains("alice@acme.example") && all.contains(&other.id), "{all}");
    let alice = world.user("alice");
    let revoked = portunus(&world, &["revoke", "--user", alice.as_str()]);
    assert!(revoked.ends_with("\n  2 grants revoked, 2 logins ended\n"), "{revoked}");
    assert!(
        revoked.contains("alice@acme.example") && revoked.contains(&client.id),
        "whose, and what could act for them: {revoked}"
    );
    dies(&world, &alices).await;
    assert_eq!(client.refresh(again.refresh()).await.expect(400).error(), "invalid_grant");
    assert!(!browser.open(&world.at("/")).await.page().text().contains("Alice"), "signed out");
    assert!(opens(&world, &bobs).await, "somebody else");

    let login = world.grants_of("bob").await.remove(0).login.unwrap().to_string();
    assert!(portunus(&world, &["list", "--login", &login]).contains("1 grant\n"));
    assert!(portunus(&world, &["revoke", "--client", &other.id]).ends_with("\n  1 grant revoked, 0 logins ended\n"));
    dies(&world, &bobs).await;
    let asked_again = other.begin(&bobs_browser, &other.authorization()).await.page();
    assert!(asked_again.has_form("/auth/consent"), "{asked_again:?}");
    assert!(portunus(&world, &["revoke", "--login", &login]).ends_with("\n  0 grants revoked, 1 login ended\n"));
    world.close().await;
}

#[tokio::test]
async fn people_and_clients_are_revoked_by_what_they_are_called() {
    let world = World::start().await;
    let (client, _, alices) = world.connect("/mcp").await;
    world.okta.sign_in_as("bob");
    let (_, _, bobs) = world.connect("/mcp").await;
    assert!(opens(&world, &alices).await && opens(&world, &bobs).await, "both are in the cache now");

    assert!(portunus(&world, &["list", "--user", "Alice@Acme.Example"]).contains("1 grant\n"));
    for nobody in [
        ["revoke", "--user", "carol@acme.example"],
        ["revoke", "--user", "alice"],
        ["revoke", "--client", "No such client"],
        ["revoke", "--client", ""],
        ["revoke", "--user", "%"],
        ["list", "--user", "carol@acme.example"],
    ] {
        let output = portunus_says(&world, &nobody);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && words.contains(&format!("{:?}", nobody[2])) && words.contains("list"),
            "{nobody:?}: {words}"
        );
    }
    assert!(opens(&world, &alices).await && opens(&world, &bobs).await);

    let revoked = portunus(&world, &["revoke", "--user", "ALICE@acme.example"]);
    assert!(revoked.contains(&client.id) && revoked.ends_with("\n  1 grant revoked, 1 login ended\n"), "{revoked}");
    dies(&world, &alices).await;
    assert!(opens(&world, &bobs).await, "somebody else");

    let name = world
        .stores()
        .clients
        .find_client(&world.grants_of("bob").await[0].client)
        .await
        .unwrap()
        .unwrap()
        .display_name()
        .to_owned();
    let revoked = portunus(&world, &["revoke", "--client", &name.to_uppercase()]);
    assert_eq!(revoked.matches("revoked").count(), 2, "every client that bears the name: {revoked}");
    dies(&world, &bobs).await;
    world.close().await;
}
