//! Who somebody is: issuer and subject, never an e-mail address.

use portunus_testkit::okta::Person;

use crate::fixture::World;

#[tokio::test]
async fn t42_the_same_address_is_not_the_same_person() {
    let world = World::start().await;
    let (client, browser, _) = world.connect("/mcp").await;
    let twin =
        Person { email: "alice@acme.example".to_owned(), name: "Alice Example".to_owned(), ..Person::new("mallory", &["sales"]) };
    world.okta.put_person(twin);
    world.okta.sign_in_as("mallory");
    let others = world.browser();
    let page = client.begin(&others, &client.authorization()).await.page();
    assert!(page.has_form("/auth/consent"), "Alice's consent is Alice's");
    client.connect(&others).await;
    assert_eq!(world.grants("alice").await, 1);
    assert_eq!(world.grants("mallory").await, 1);
    let mallory = world.stores().logins.find_user(&world.user("mallory")).await.unwrap().unwrap();
    assert_eq!(mallory.groups, ["sales"], "nothing of Alice's");

    // Alice gets another address, and stays who she is.
    world.okta.put_person(Person { email: "alice.new@acme.example".to_owned(), ..Person::new("alice", &["engineering"]) });
    world.okta.sign_in_as("alice");
    let home = browser.open(&world.at("/")).await.page();
    home.form("/auth/signout").submit([]).await.page();
    world.okta.sign_in_as("alice");
    world.sign_in(&browser).await;
    let text = browser.open(&world.at("/")).await.page().text();
    assert!(text.contains("alice.new@acme.example") && text.contains("Test client"), "{text}");
    assert_eq!(world.grants("alice").await, 1);
    world.close().await;
}

#[tokio::test]
async fn t42_an_address_has_one_at_sign() {
    let world = World::start().await;
    for (username, email) in [("eve", "alice@acme.example@evil.example"), ("ivan", "nobody"), ("judy", "")] {
        world.okta.put_person(Person { email: email.to_owned(), ..Person::new(username, &[]) });
        world.okta.sign_in_as(username);
        world.connect("/mcp").await;
        let user = world.stores().logins.find_user(&world.user(username)).await.unwrap().unwrap();
        assert_eq!(user.email, None, "{email}");
    }
    world.close().await;
}
