//! What a person is asked, when they are not asked again, and what a no leads to.

use portunus_core::{ids::ClientId, resource::Resource};
use portunus_testkit::agent::Landing;
use serde_json::json;

use crate::fixture::GatewayFixture;

#[tokio::test]
async fn the_page_says_who_asks_for_what_where_and_whereto() {
    let fixture = GatewayFixture::start().await;
    let metadata = json!({"client_name": "Acme Editor", "redirect_uris": ["https://editor.example/cb?tenant=7"]});
    let agent = fixture.browser();
    let client =
        portunus_testkit::agent::OAuthClient::register_as(&agent, &fixture.at("/mcp"), metadata)
            .await;
    let page = client.begin(&fixture.browser(), &client.authorization()).await.page().expect(200);
    let text = page.text();
    for expected in [
        "Acme Editor",
        "dice",
        "uuid",
        "editor.example",
        "https://editor.example/cb?tenant=7",
        "Acme okta",
        &client.id,
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_consent_is_remembered_for_the_same_person_client_and_resource() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.web_client("/mcp").await, fixture.browser());
    client.connect(&browser).await;
    let again = client.authorization();
    let Landing::Client(returned) = client.begin(&browser, &again).await else {
        panic!("asked again")
    };
    again.check(&returned, &client.discovery);
    client.tokens(client.redeem(&again, &returned.code()).await);

    let narrower = client.authorization().with("scope", "dice");
    assert!(
        matches!(client.begin(&browser, &narrower).await, Landing::Client(_)),
        "all of it includes a part"
    );
    let more = client.authorization().with("scope", "mcp offline_access");
    assert!(
        matches!(client.begin(&browser, &more).await, Landing::Page(_)),
        "more is another question"
    );
    let elsewhere = client.authorization().with("resource", &fixture.at("/mcp/dice"));
    assert!(
        matches!(client.begin(&browser, &elsewhere).await, Landing::Page(_)),
        "another resource is another question"
    );
    let other = fixture.client("/mcp").await;
    let landing = other.begin(&browser, &other.authorization()).await;
    assert!(matches!(landing, Landing::Page(_)), "another client is another question");
    assert_eq!(fixture.grants("alice").await, 2);
    fixture.close().await;
}

#[tokio::test]
async fn somebody_elses_consent_does_not_count() {
    let fixture = GatewayFixture::start().await;
    let (client, _, _) = fixture.connect("/mcp").await;
    fixture.okta.sign_in_as("bob");
    let browser = fixture.browser();
    fixture.sign_in(&browser).await;
    let page = client.begin(&browser, &client.authorization()).await.page();
    assert!(page.text().contains("You are signed in as Bob Example"), "{page:?}");
    fixture.close().await;
}

#[tokio::test]
async fn a_no_is_told_to_the_client_and_leaves_nothing_behind() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    let authorization = client.authorization();
    let page = client.begin(&browser, &authorization).await.page();
    let returned = page.form("/auth/consent").submit([("decision", "deny")]).await.returned();
    authorization.check(&returned, &client.discovery);
    assert_eq!(returned.find("error").as_deref(), Some("access_denied"));
    assert_eq!(returned.find("code"), None);
    // The page is still open in the browser's history, but its question has been answered.
    let late = page.form("/auth/consent").submit([("decision", "allow")]).await.page();
    assert_eq!(late.status, 400);
    assert_eq!(fixture.grants("alice").await, 0);
    fixture.close().await;
}

#[tokio::test]
async fn consent_that_one_person_gave_is_not_another_persons() {
    let fixture = GatewayFixture::start().await;
    let (client, browser) = (fixture.client("/mcp").await, fixture.browser());
    fixture.sign_in(&browser).await;
    let page = client.begin(&browser, &client.authorization()).await.page();
    // Another person signs in with the same browser while the page is open.
    browser.open(&fixture.at("/")).await.page().form("/auth/signout").submit([]).await.page();
    fixture.okta.sign_in_as("bob");
    fixture.sign_in(&browser).await;
    let asked = page.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
    assert!(
        asked.text().contains("You are signed in as Bob Example"),
        "Bob is asked himself: {asked:?}"
    );
    let code = asked.form("/auth/consent").submit([("decision", "allow")]).await.returned().code();
    assert!(!code.is_empty());
    let consents = &fixture.stores().consents;
    let (id, resource) =
        (ClientId::from_text(&client.id), Resource::from_stored(fixture.at("/mcp")).into());
    assert!(consents.find_consent(&fixture.user("alice"), &id, &resource).await.unwrap().is_none());
    assert!(consents.find_consent(&fixture.user("bob"), &id, &resource).await.unwrap().is_some());
    fixture.close().await;
}

#[tokio::test]
async fn a_program_with_a_scheme_of_its_own_is_opened_from_a_page_that_says_so() {
    let fixture = GatewayFixture::start().await;
    let (agent, browser) = (fixture.browser(), fixture.browser());
    let metadata = json!({"client_name": "Editor", "redirect_uris": ["cursor://editor/cb"]});
    let client =
        portunus_testkit::agent::OAuthClient::register_as(&agent, &fixture.at("/mcp"), metadata)
            .await;
    let authorization = client.authorization();
    let asked = browser.open(authorization.url().as_str()).await.page();
    let page = asked.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
    assert!(page.text().contains("You are signed in"), "{page:?}");
    let links = page.links();
    let (_, href) = links
        .iter()
        .find(|(_, href)| href.starts_with("cursor://editor/cb?"))
        .expect("a link to the program");
    assert_eq!(page.header("refresh"), format!("0;url={href}"));
    let code =
        href.split_once("code=").and_then(|(_, rest)| rest.split('&').next()).expect("a code");
    agent.keep_secret(code);
    client.tokens(client.redeem(&authorization, code).await);
    fixture.close().await;
}
