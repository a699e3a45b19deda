//! A person is an issuer and a subject, never an e-mail address. Which accounts are admitted is
//! next door, in [`super::admission`].

use portunus_testkit::okta::Person;

use crate::fixture::GatewayFixture;

#[tokio::test]
async fn t42_the_same_address_is_not_the_same_person() {
    let fixture = GatewayFixture::start().await;
    let (client, browser, _) = fixture.connect("/mcp").await;
    let twin = Person {
        email: "alice@acme.example".to_owned(),
        name: "Alice Example".to_owned(),
        ..Person::new("mallory", &["sales"])
    };
    fixture.okta.put_person(twin);
    fixture.okta.sign_in_as("mallory");
    let others = fixture.browser();
    let page = client.begin(&others, &client.authorization()).await.page();
    assert!(page.has_form("/auth/consent"), "Alice's consent is Alice's");
    client.connect(&others).await;
    assert_eq!(fixture.grants("alice").await, 1);
    assert_eq!(fixture.grants("mallory").await, 1);
    let mallory =
        fixture.stores().logins.find_user(&fixture.user("mallory")).await.unwrap().unwrap();
    assert_eq!(mallory.groups, ["sales"], "nothing of Alice's");

    // Alice gets another address, and stays who she is.
    fixture.okta.put_person(Person {
        email: "alice.new@acme.example".to_owned(),
        ..Person::new("alice", &["engineering"])
    });
    fixture.okta.sign_in_as("alice");
    let home = browser.open(&fixture.at("/")).await.page();
    home.form("/auth/signout").submit([]).await.page();
    fixture.okta.sign_in_as("alice");
    fixture.sign_in(&browser).await;
    let text = browser.open(&fixture.at("/")).await.page().text();
    assert!(text.contains("alice.new@acme.example") && text.contains("Test client"), "{text}");
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
}

#[tokio::test]
async fn t42_an_address_has_one_at_sign() {
    let fixture = GatewayFixture::start().await;
    for (username, email) in
        [("eve", "alice@acme.example@evil.example"), ("ivan", "nobody"), ("judy", "")]
    {
        fixture.okta.put_person(Person { email: email.to_owned(), ..Person::new(username, &[]) });
        fixture.okta.sign_in_as(username);
        fixture.connect("/mcp").await;
        let user =
            fixture.stores().logins.find_user(&fixture.user(username)).await.unwrap().unwrap();
        assert_eq!(user.email, None, "{email}");
    }
    fixture.close().await;
}
