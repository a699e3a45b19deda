//! `portunus demo`, as it is typed (design 9): the program starts, two people can sign in, a client
//! lists and calls, SIGTERM ends it and leaves nothing behind.

use std::process::Stdio;

use portunus_testkit::agent::{Agent, Landing, McpClient, OAuthClient};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Starts the demo on a free port, with `folder` for its temporary files. Gives it, and the address
/// it prints.
async fn start(folder: &std::path::Path) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portunus"));
    command
        .args(["demo", "--port", "0"])
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut demo = command.spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(url) = line.trim().strip_prefix("Open") {
            let url = url.trim().to_owned();
            // What is printed later must find a reader.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (demo, url);
        }
    }
    panic!("the demo said nothing of its address");
}

#[tokio::test]
async fn the_demo_runs_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (demo, url) = start(folder.path()).await;
    let client = OAuthClient::register(&Agent::new(), &format!("{url}/mcp")).await;
    for (person, other) in [("Alice", "Bob"), ("Bob", "Alice")] {
        let browser = Agent::new();
        let authorization = client.authorization();
        let Landing::Page(consent) = client.begin(&browser, &authorization).await else {
            panic!("nobody was asked")
        };
        assert!(consent.text().contains("This is a demo"), "{consent:?}");
        let people =
            consent.form("/auth/consent").submit([("decision", "allow")]).await.page().expect(200);
        assert!(
            people.text().contains(person) && people.text().contains("This is a demo"),
            "{people:?}"
        );
        let returned = people
            .form("/auth/demo")
            .submit([("person", &*person.to_lowercase())])
            .await
            .returned();
        authorization.check(&returned, &client.discovery);
        let tokens = client.tokens(client.redeem(&authorization, &returned.code()).await);
        let home = browser.open(&url).await.page();
        assert!(home.text().contains(person) && !home.text().contains(other), "{home:?}");
        let mcp = McpClient::connect(&browser, &format!("{url}/mcp"), &tokens.access).await;
        let tools = mcp.tools().await;
        assert!(
            tools.iter().any(|tool| tool.starts_with("dice_"))
                && tools.iter().any(|tool| tool.starts_with("uuid_")),
            "{tools:?}"
        );
        let rolled = mcp.call("dice_roll", json!({"sides": 6})).await;
        assert_eq!(rolled["result"]["isError"], false, "{rolled}");
    }
    let pid = demo.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let ended = demo.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(!said.contains("ptn_at_") && !said.contains("ptn_rt_"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its records go with it");
}
