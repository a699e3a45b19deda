//! Child processes: what they are started with, what they cannot see, and how many one person may
//! have.

use std::{collections::BTreeMap, time::Duration};

use portunus::config::Limits;
use portunus_core::secret::SecretText;
use portunus_mcp::spec::{EnvPart, EnvValue, Isolation, Transport};
use portunus_testkit::{
    agent::{McpClient, Request},
    figures::Figures,
    mcp_servers::fixture_binary,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::{GatewayFixture, Setup, stdio};

async fn with_child() -> (GatewayFixture, McpClient) {
    let mut child =
        stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"]);
    let Transport::Stdio { env, .. } = &mut child.transport else { panic!("a child process") };
    *env = BTreeMap::from([
        ("CHILDS_OWN".to_owned(), EnvValue::text("for-the-child-alone")),
        (
            "WHOSE".to_owned(),
            EnvValue(vec![EnvPart::Subject, EnvPart::Text(SecretText::new(" ")), EnvPart::Email]),
        ),
    ]);
    let fixture = GatewayFixture::of(Setup { more_servers: vec![child], ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    browser.keep_secret("for-the-child-alone");
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    (fixture, mcp)
}

#[tokio::test]
async fn t43_nothing_from_a_client_reaches_a_command_line() {
    let (fixture, mcp) = with_child().await;
    let marker = std::env::temp_dir().join(format!("portunus-t43-{}", std::process::id()));
    let touch =
        format!("; touch {0} #$(touch {0})`touch {0}`|touch {0}\n touch {0}", marker.display());
    let text = mcp.call_text("child_echo", json!({"text": touch})).await;
    assert_eq!(text, touch, "carried as it is");
    let evil = [
        mcp.call(&format!("child_{touch}"), json!({})).await,
        mcp.call(&touch, json!({"command": "touch", "args": [marker.to_str()]})).await,
        mcp.request("resources/read", json!({"uri": touch})).await,
        mcp.request("prompts/get", json!({"name": touch})).await,
        mcp.request("command/run", json!({"command": "touch", "args": [marker.to_str()]})).await,
    ];
    for answer in evil {
        assert!(answer["error"].is_object() || answer["result"]["isError"] == true, "{answer}");
    }
    let query = url::form_urlencoded::byte_serialize(touch.as_bytes()).collect::<String>();
    let message = mcp.message(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    let request = message.at(&fixture.at(&format!("/mcp?server_name={query}")));
    fixture.browser().send(request).await.expect(404);
    let metadata = json!({"redirect_uris": ["https://app.example/cb"], "command": "touch", "args": [marker.to_str()],
        "client_name": touch.replace('\n', " "), "software_id": "$(touch x)"});
    fixture
        .browser()
        .send(Request::json(&fixture.at("/auth/register"), &metadata))
        .await
        .expect(201);
    assert!(!marker.exists());
    fixture.close().await;
}

#[tokio::test]
async fn t44_a_child_sees_a_short_list_and_its_own() {
    assert!(
        std::env::var_os(GatewayFixture::CANARY).is_some(),
        "the gateway's own environment has it"
    );
    let (fixture, mcp) = with_child().await;
    let environment: Value =
        serde_json::from_str(&mcp.call_text("child_environment", json!({})).await).unwrap();
    let environment = environment.as_object().unwrap();
    assert_eq!(environment["CHILDS_OWN"], "for-the-child-alone");
    assert_eq!(environment["WHOSE"], "00u1alice alice@acme.example");
    assert!(environment.contains_key("PATH"));
    for name in environment.keys() {
        assert!(
            !name.starts_with("CARGO") && !name.starts_with("RUST") && !name.starts_with("AUTH_"),
            "{name}"
        );
    }
    // Descriptors: its three, and whatever its own runtime opened since; none that leads to our
    // database or our sockets.
    let pid = mcp.call_text("child_process", json!({})).await;
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<_> =
        links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok()).collect();
    assert!(open.iter().all(|path| !path.to_string_lossy().contains("gateway.sqlite")), "{open:?}");
    let inode = |path: &str| {
        std::fs::read_link(path).map(|link| link.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let own: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| Some(inode(fd.ok()?.path().to_str()?)))
        .collect();
    let shared = open
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|link| link.starts_with("socket:"));
    let shared: Vec<_> = shared.filter(|link| own.contains(link)).collect();
    assert!(shared.is_empty(), "sockets of ours in the child: {shared:?}");
    // A process group of its own, so that a signal to ours does not reach it, nor one to it us.
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group =
        |pid: &str| stat(pid).rsplit(") ").next().unwrap().split(' ').nth(2).unwrap().to_owned();
    assert_eq!(group(&pid), pid);
    assert_ne!(group("self"), pid);
    fixture.close().await;
}

/// One upstream of an aggregate session dies: the others answer, and it is initialised anew on its
/// next call.
#[tokio::test]
async fn f13_a_child_that_dies_is_back_on_its_next_call_and_the_others_notice_nothing() {
    let (fixture, mcp) = with_child().await;
    let first = mcp.call_text("child_process", json!({})).await;
    let (before, session) = (mcp.tools().await, mcp.session.clone());
    // It has served for a while; what dies right after its start is left alone instead (F5).
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    let (crashed, other) = tokio::join!(
        mcp.call("child_crash", json!({})),
        mcp.call_text("uuid_echo", json!({"text": "meanwhile"}))
    );
    let message = crashed["error"]["message"].as_str().unwrap_or_else(|| panic!("{crashed}"));
    assert!(message.contains(r#"server "child""#), "its own call is told: {message}");
    let mut failed_elsewhere = usize::from(other != "meanwhile");
    let other = mcp.call("uuid_add", json!({"a": 1, "b": 1})).await;
    failed_elsewhere += usize::from(other["result"]["content"][0]["text"] != "2");
    let (mut asked, mut second) = (0, None);
    eventually("the dead one answers", async || {
        asked += 1;
        let answer = mcp.call("child_process", json!({})).await;
        second = answer["result"]["content"][0]["text"].as_str().map(str::to_owned);
        second.is_some()
    })
    .await;
    assert_ne!(second.unwrap(), first, "another process");
    assert_eq!(mcp.tools().await, before, "nothing is missing from the list");
    assert_eq!(mcp.session, session);
    assert_eq!(fixture.grants("alice").await, 1);
    fixture.close().await;
    Figures::of("F13", "sqlite", "one server of an aggregate session dies, at a gateway")
        .exactly("calls of the others that failed", failed_elsewhere, 0)
        .exactly("calls until the dead one answers", asked, 1)
        .report();
}

/// With one child for each session, a client that opens sessions starts processes.
#[tokio::test]
async fn t47_one_person_has_so_many_children_and_no_more() {
    let mut child =
        stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"]);
    child.isolation = Isolation::Session;
    let fixture = GatewayFixture::of(Setup {
        more_servers: vec![child],
        limits: Limits { children_per_user: 2, ..Limits::default() },
        ..Setup::default()
    })
    .await;
    let url = fixture.at("/mcp/child");
    let (_, browser, tokens) = fixture.connect("/mcp/child").await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let client = McpClient::connect(&browser, &url, &tokens.access).await;
        // A session that waits to hear of a resource keeps its server at work.
        let subscribed = client.request("resources/subscribe", json!({"uri": "memo://one"})).await;
        assert!(subscribed["result"].is_object(), "{subscribed}");
        busy.push(client);
    }
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": {"name": "greedy", "version": "1"}}});
    let request = Request::json(&url, &hello).without_cookies().bearer(&tokens.access);
    let refused = browser
        .send(request.header("accept", "application/json, text/event-stream"))
        .await
        .expect(429);
    assert_eq!(refused.json()["error"]["code"], -32000);
    let text = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        text.contains("2 server processes") && text.contains("limits.children_per_user"),
        "{text}"
    );
    assert_eq!(refused.header("mcp-session-id"), "", "no session came of it");

    // On the merged endpoint it is the call that is refused: the session is there.
    let (_, browser, own) = fixture.connect("/mcp").await;
    let merged = McpClient::connect(&browser, &fixture.at("/mcp"), &own.access).await;
    let answer = merged.call("child_echo", json!({"text": "x"})).await;
    assert_eq!(answer["error"]["code"], -32000, "{answer}");
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("limits.children_per_user"),
        "{answer}"
    );

    // No other person is concerned.
    fixture.okta.sign_in_as("bob");
    let (_, browser, bobs) = fixture.connect("/mcp/child").await;
    McpClient::connect(&browser, &url, &bobs.access)
        .await
        .call_text("echo", json!({"text": "x"}))
        .await;
    // What has no work left makes room.
    let client = busy.pop().unwrap();
    client.request("resources/unsubscribe", json!({"uri": "memo://one"})).await;
    // A list that could not be fetched is left alone for a moment.
    eventually("there is room again", async || {
        merged.call("child_echo", json!({"text": "x"})).await["result"].is_object()
    })
    .await;
    fixture.close().await;
}
