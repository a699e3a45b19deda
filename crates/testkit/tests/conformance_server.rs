//! The programs `conformance-server` and `era-client` on each other: every exercise, in every era
//! that the server has, on stdio and over HTTP; and that a server of one era does not let the other
//! in. Against the official runner the server is measured next door, in `tests/conformance`.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

use std::process::Stdio;

use portunus_testkit::{
    era_client::{ClientEra, Exercise, Failure, Script, exercise_over},
    mcp_servers::FixtureServer,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

const SCRIPTS: [Script; 14] = [
    Script::List,
    Script::Call,
    Script::Elicit,
    Script::Visit,
    Script::VisitToTheEnd,
    Script::Prompt,
    Script::AskInVain,
    Script::Sample,
    Script::Roots,
    Script::Progress,
    Script::Cancel,
    Script::Subscribe,
    Script::ListChange,
    Script::Log,
];

/// A modern server does not tell that a visit is over.
fn scripts_of(era: ClientEra) -> impl Iterator<Item = Script> {
    SCRIPTS
        .into_iter()
        .filter(move |script| era == ClientEra::Legacy || *script != Script::VisitToTheEnd)
}

/// The server as a child, which ends with the test.
fn server(era: &str, transport: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-server"));
    command.args(["--era", era, "--transport", transport]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// The server over HTTP, and its URL.
async fn http_server(era: &str) -> (Child, String) {
    let mut child = server(era, "http");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next_line().await.unwrap().unwrap();
    let url = ready.strip_prefix("listening ").unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/mcp"), "{url}");
    (child, url)
}

async fn on_stdio(server_era: &str, era: ClientEra, script: Script) -> Result<Value, Failure> {
    let mut child = server(server_era, "stdio");
    let pipes = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    exercise_over(pipes, era, &Exercise::new(script)).await
}

/// The exit code of `era-client`, and the line it printed.
async fn client(url: &str, era: ClientEra, more: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_era-client"));
    let output = command
        .args(["--url", url, "--token", "a-token", "--era", &era.to_string()])
        .args(more)
        .output()
        .await
        .unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// What the exercise must have seen, beyond having gone well.
fn check(script: Script, era: ClientEra, seen: &Value) {
    let expected = match era {
        ClientEra::Legacy => "2025-11-25",
        ClientEra::Modern => "2026-07-28",
    };
    assert_eq!(seen["version"], expected, "{script}");
    match script {
        Script::List => {
            // The same in every era: a client of one must find them on a server of the other.
            for tool in [
                "test_elicitation",
                "test_input_required_result_elicitation",
                "test_reconnection",
                "test_logging_tool",
            ] {
                assert!(seen["tools"].as_array().unwrap().contains(&json!(tool)), "{tool}: {seen}");
            }
            // But for tasks, of which the legacy era has none.
            let has_task = seen["tools"].as_array().unwrap().contains(&json!("confirm_delete"));
            assert_eq!(has_task, era == ClientEra::Modern, "{seen}");
            for prompt in ["test_simple_prompt", "test_input_required_result_prompt"] {
                assert!(
                    seen["prompts"].as_array().unwrap().contains(&json!(prompt)),
                    "{prompt}: {seen}"
                );
            }
            assert!(
                seen["resources"].as_array().unwrap().contains(&json!("test://static-text")),
                "{seen}"
            );
            assert_eq!(seen["templates"], json!(["test://template/{id}/data"]));
        }
        Script::Call => assert_eq!(seen["text"], "This is a simple text response for testing."),
        Script::Visit | Script::VisitToTheEnd => {
            assert_eq!(seen["text"], "Visited: action=accept, content={}");
            assert_eq!(seen["asked"][0]["url"], "https://example.com/sign-here");
        }
        Script::AskInVain => assert_eq!(seen["asked"], json!([]), "{seen}"),
        Script::ListChange => {
            let lists = ["before", "between", "after"].map(|when| seen[when].as_array().unwrap());
            let there = lists.map(|list| list.contains(&json!("test_late_tool")));
            assert_eq!(there, [false, true, false], "{seen}");
        }
        Script::Log => assert_eq!(seen["logs"].as_array().unwrap().len(), 3, "{seen}"),
        Script::Prompt => assert_eq!(seen["text"], "Use this context: Ada"),
        Script::Elicit => assert!(seen["text"].as_str().unwrap().contains("Ada"), "{seen}"),
        Script::Progress => assert_eq!(seen["progress"], json!([0.0, 50.0, 100.0])),
        Script::Cancel => {
            assert_eq!((&seen["cancelled"], &seen["counted"]), (&json!(true), &json!(1)));
        }
        Script::Subscribe => assert_eq!(seen["updated"], "test://watched-resource"),
        // The exercise itself looks for the client's words in the answer.
        Script::Sample | Script::Roots => {}
    }
}

async fn every_exercise(server_era: &str, era: ClientEra) {
    for script in scripts_of(era) {
        let seen = on_stdio(server_era, era, script)
            .await
            .unwrap_or_else(|error| panic!("{script} on stdio: {error}"));
        check(script, era, &seen);
    }
    let (_server, url) = http_server(server_era).await;
    for script in scripts_of(era) {
        let (code, seen) = client(&url, era, &["--script", &script.to_string()]).await;
        assert_eq!((code, &seen["ok"]), (Some(0), &json!(true)), "{script} over HTTP: {seen}");
        check(script, era, &seen);
    }
}

#[tokio::test]
async fn a_legacy_client_at_a_legacy_server() {
    every_exercise("legacy", ClientEra::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_at_a_modern_server() {
    every_exercise("modern", ClientEra::Modern).await;
}

#[tokio::test]
async fn a_legacy_client_at_a_server_of_both_eras() {
    every_exercise("both", ClientEra::Legacy).await;
}

#[tokio::test]
async fn a_modern_client_at_a_server_of_both_eras() {
    every_exercise("both", ClientEra::Modern).await;
}

#[tokio::test]
async fn a_server_of_one_era_does_not_let_the_other_in() {
    for (server_era, era) in [("legacy", ClientEra::Modern), ("modern", ClientEra::Legacy)] {
        assert!(
            on_stdio(server_era, era, Script::Call).await.is_err(),
            "{era} at {server_era} on stdio"
        );
        let (_server, url) = http_server(server_era).await;
        let (code, seen) = client(&url, era, &["--script", "call"]).await;
        assert_eq!(
            (code, &seen["ok"]),
            (Some(1), &json!(false)),
            "{era} at {server_era} over HTTP: {seen}"
        );
    }
}

/// A client that probes knows a legacy server by an error that is none of the modern ones, and then
/// shakes hands.
#[tokio::test]
async fn a_probed_legacy_server_on_stdio_can_still_be_shaken_hands_with() {
    let mut child = server("legacy", "stdio");
    let (mut input, mut output) =
        (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let answer = exchange(&mut input, &mut output, &discover()).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32601)));
    let answer = exchange(&mut input, &mut output, &initialize()).await;
    assert_eq!(
        (&answer["id"], &answer["result"]["protocolVersion"]),
        (&json!(2), &json!("2025-11-25"))
    );
}

#[tokio::test]
async fn a_modern_server_on_stdio_stays_when_somebody_tries_to_shake_hands() {
    let mut child = server("modern", "stdio");
    let (mut input, mut output) =
        (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let answer = exchange(&mut input, &mut output, &initialize()).await;
    assert_eq!(
        answer["error"],
        json!({
            "code": -32601, "message": "There is no handshake; each request stands alone", "data": {"supported": ["2026-07-28"]},
        })
    );
    let answer = exchange(&mut input, &mut output, &discover()).await;
    assert_eq!(answer["result"]["supportedVersions"], json!(["2026-07-28"]));
}

#[tokio::test]
async fn bad_usage_is_told_apart_from_failure() {
    let bad =
        [&["--era", "future", "--transport", "stdio"][..], &["--transport", "stdio"], &["--era"]];
    for arguments in bad {
        let status = Command::new(env!("CARGO_BIN_EXE_conformance-server"))
            .args(arguments)
            .stderr(Stdio::null())
            .status()
            .await;
        assert_eq!(status.unwrap().code(), Some(2), "{arguments:?}");
    }
    let bad = [
        &["--url", "http://127.0.0.1:9/mcp", "--era", "legacy", "--script", "dance"][..],
        &["--script", "list"],
    ];
    for arguments in bad {
        let status = Command::new(env!("CARGO_BIN_EXE_era-client"))
            .args(arguments)
            .stderr(Stdio::null())
            .status()
            .await;
        assert_eq!(status.unwrap().code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn an_exercise_fails_when_the_server_does_not_do_its_part() {
    let (_server, url) = http_server("both").await;
    for era in [ClientEra::Legacy, ClientEra::Modern] {
        let doomed = [
            ("call", "test_error_handling"),
            ("call", "test_no_such_tool"),
            ("elicit", "test_simple_text"),
            ("visit", "test_elicitation"),
            ("visit-to-the-end", "test_elicitation"),
            ("prompt", "test_simple_prompt"),
            ("ask-in-vain", "test_simple_text"),
            ("list-change", "test_simple_text"),
            ("log", "test_simple_text"),
            ("sample", "test_simple_text"),
            ("roots", "test_simple_text"),
            ("progress", "test_simple_text"),
            ("cancel", "test_simple_text"),
            ("subscribe", "test_simple_text"),
        ];
        // At once, for some of them wait for what never comes.
        let outcomes = doomed.map(async |(script, tool)| {
            let (code, seen) = client(&url, era, &["--script", script, "--tool", tool]).await;
            assert_eq!(
                (code, &seen["ok"]),
                (Some(1), &json!(false)),
                "{era}, {script} with {tool}: {seen}"
            );
        });
        futures::future::join_all(outcomes).await;
    }
}

#[tokio::test]
async fn the_token_goes_with_every_request() {
    let server = FixtureServer::start().await;
    let more = ["--script", "call", "--tool", "echo", "--arguments", r#"{"text": "again"}"#];
    let (code, seen) = client(server.url().as_str(), ClientEra::Legacy, &more).await;
    assert_eq!((code, &seen["text"]), (Some(0), &json!("again")), "{seen}");
    let requests = server.seen();
    assert!(
        requests.len() >= 3,
        "a handshake and a call are more than {} requests",
        requests.len()
    );
    for request in requests {
        assert_eq!(
            request.headers.get("authorization").unwrap(),
            "Bearer a-token",
            "{}",
            request.method
        );
    }
}

#[tokio::test]
async fn arguments_travel_in_headers_too() {
    let (_server, url) = http_server("both").await;
    let arguments = json!({"region": "Zürich", "priority": 3, "query": "x"}).to_string();
    let more = ["--script", "call", "--tool", "test_header_tool", "--arguments", &arguments];
    for era in [ClientEra::Legacy, ClientEra::Modern] {
        let (_, seen) = client(&url, era, &more).await;
        assert_eq!(seen["text"], arguments, "{era}: {seen}");
    }
}

/// Over HTTP, as a legacy client that speaks by hand: the stream ends without an answer, which
/// comes on the one that takes it up.
#[tokio::test]
async fn a_tool_closes_its_stream_and_its_answer_comes_on_the_next() {
    #[expect(
        clippy::disallowed_methods,
        reason = "test-only: a client from outside brings its own HTTP client"
    )]
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for era in ["legacy", "both"] {
        let (_server, url) = http_server(era).await;
        let post = |message: Value| {
            let request = http.post(&url).header("accept", "application/json, text/event-stream");
            request.header("mcp-protocol-version", "2025-11-25").json(&message)
        };
        let answer = post(initialize()).send().await.unwrap();
        let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        post(initialized).header("mcp-session-id", &session).send().await.unwrap();
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "test_reconnection", "arguments": {}}});
        let closed = post(call)
            .header("mcp-session-id", &session)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(closed.contains("retry: 100") && !closed.contains(r#""id":7"#), "{era}: {closed}");
        let last_event =
            closed.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap();
        let resumed = http
            .get(&url)
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        let resumed =
            resumed.header("mcp-session-id", &session).header("last-event-id", last_event);
        let rest = resumed.send().await.unwrap().text().await.unwrap();
        assert!(rest.contains(r#""id":7,"result""#), "{era}: {rest}");
    }
}

fn discover() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    }}})
}

fn initialize() -> Value {
    let client = json!({"name": "by-hand", "version": "1"});
    json!({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client,
    }})
}

async fn exchange(
    input: &mut ChildStdin,
    output: &mut Lines<BufReader<ChildStdout>>,
    request: &Value,
) -> Value {
    input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
    serde_json::from_str(&output.next_line().await.unwrap().unwrap()).unwrap()
}
