//! `/`, `/tools`: what a person sees of their own (parity A9).

use portunus_testkit::agent::Request;

use crate::fixture::World;

#[tokio::test]
async fn the_front_page_shows_me_my_servers_and_my_applications() {
    let world = World::start().await;
    let browser = world.browser();
    let welcome = browser.open(&world.at("/")).await.page().expect(200);
    assert!(!welcome.text().contains("My servers"), "{welcome:?}");
    let home = welcome.click("Sign in").await.page().expect(200);
    assert_eq!(home.url.as_str(), world.at("/"));
    let text = home.text();
    for expected in
        ["Alice Example", "alice@acme.example", "engineering", "dice", &world.at("/mcp/dice"), "uuid", "stdio", "http"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.contains("You have not allowed any application yet"), "{text}");
    let client = world.client("/mcp/uuid").await;
    client.connect(&browser).await;
    let text = browser.open(&world.at("/")).await.page().text();
    assert!(text.contains("Test client") && text.contains(&world.at("/mcp/uuid")), "{text}");
    world.close().await;
}

#[tokio::test]
async fn my_tools_by_token_and_by_login() {
    let world = World::start().await;
    let (_, browser, tokens) = world.connect("/mcp").await;
    let by_login = browser.send(Request::get(&world.at("/tools"))).await.expect(200);
    let by_token = world.browser().send(Request::get(&world.at("/tools")).bearer(&tokens.access)).await.expect(200);
    assert_eq!(by_login.json(), by_token.json());
    let tools = by_login.json()["tools"].as_array().unwrap().clone();
    let has = |server: &str, name: &str| tools.iter().any(|tool| tool["server"] == server && tool["name"] == name);
    assert!(has("dice", "roll") || has("dice", "dice_roll"), "{tools:?}");
    assert!(tools.iter().any(|tool| tool["server"] == "uuid"), "{tools:?}");
    let refused = world.browser().send(Request::get(&world.at("/tools"))).await.expect(401);
    assert!(refused.header("www-authenticate").contains("resource_metadata="), "{refused:?}");
    world.close().await;
}
