//! The demo's servers: the core by table, then each transport.

use axum::{body::Body, extract::Request};
use http_body_util::BodyExt as _;
use portunus_core::{Timestamp, clock::FixedClock, entropy::SeededEntropy};
use tower::ServiceExt as _;

use super::*;

fn server(kind: DemoServer) -> DemoMcp {
    let clock = Arc::new(FixedClock::at(Timestamp::from_millis(0x0190_0000_0001)));
    DemoMcp { kind, entropy: Arc::new(SeededEntropy::new(3)), clock }
}

fn ask(kind: DemoServer, method: &str, params: &Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    server(kind).handle(message.to_string().as_bytes()).unwrap()
}

fn call(kind: DemoServer, name: &str, arguments: &Value) -> Value {
    ask(kind, "tools/call", &json!({"name": name, "arguments": arguments}))["result"].clone()
}

#[test]
fn a_client_gets_its_own_revision_or_the_latest() {
    for (asked, agreed) in
        [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("2099-01-01", "2025-11-25")]
    {
        let answer = ask(DemoServer::Dice, "initialize", &json!({"protocolVersion": asked}));
        assert_eq!(answer["result"]["protocolVersion"], agreed);
        assert_eq!(answer["result"]["serverInfo"]["name"], "dice");
    }
}

#[test]
fn the_envelope() {
    let cases = [
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#,
            Some(json!({"jsonrpc": "2.0", "id": "a", "result": {}})),
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, None),
        (r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#, None),
    ];
    for (message, expected) in cases {
        assert_eq!(server(DemoServer::Uuid).handle(message.as_bytes()), expected, "{message}");
    }
    let faults = [
        ("{", PARSE_ERROR),
        ("\"ping\"", INVALID_REQUEST),
        ("[]", INVALID_REQUEST),
        (r#"{"id":1,"method":"ping"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#, METHOD_NOT_FOUND),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}"#,
            INVALID_PARAMS,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"generate"}}"#,
            INVALID_PARAMS,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"roll","arguments":[]}}"#,
            INVALID_PARAMS,
        ),
    ];
    for (message, code) in faults {
        let answer = server(DemoServer::Dice).handle(message.as_bytes()).unwrap();
        assert_eq!(answer["error"]["code"], code, "{message}");
    }
}

#[test]
fn dice_roll() {
    let listed = ask(DemoServer::Dice, "tools/list", &json!({}));
    assert_eq!(listed["result"]["tools"][0]["name"], "roll");
    let one = call(DemoServer::Dice, "roll", &json!({}));
    assert_eq!(one["structuredContent"]["rolls"].as_array().unwrap().len(), 1);
    let many = call(DemoServer::Dice, "roll", &json!({"sides": 3, "count": 100.0}));
    let rolls: Vec<u64> = many["structuredContent"]["rolls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert_eq!(rolls.len(), 100);
    assert!(
        (1..=3).all(|side| rolls.contains(&side))
            && rolls.iter().all(|roll| (1..=3).contains(roll))
    );
    assert_eq!(many["structuredContent"]["total"], rolls.iter().sum::<u64>());
    assert_eq!(many["isError"], false);
}

#[test]
fn uuids_have_their_version() {
    let random = call(DemoServer::Uuid, "generate", &json!({"count": 2}));
    let text = random["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.lines().count(), 2);
    for uuid in text.lines() {
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
    }
    let timed = call(DemoServer::Uuid, "generate", &json!({"version": 7}));
    assert!(
        timed["structuredContent"]["uuids"][0].as_str().unwrap().starts_with("01900000-0001-7")
    );
}

#[test]
fn arguments_that_do_not_fit_are_explained() {
    let cases = [
        (
            DemoServer::Dice,
            "roll",
            json!({"sides": 1}),
            "`sides` must be a whole number from 2 to 1000, not 1.",
        ),
        (
            DemoServer::Dice,
            "roll",
            json!({"sides": 2.5}),
            "`sides` must be a whole number from 2 to 1000, not 2.5.",
        ),
        (
            DemoServer::Dice,
            "roll",
            json!({"count": -1}),
            "`count` must be a whole number from 1 to 100, not -1.",
        ),
        (
            DemoServer::Dice,
            "roll",
            json!({"count": 1e300}),
            "`count` must be a whole number from 1 to 100, not 1e+300.",
        ),
        (
            DemoServer::Dice,
            "roll",
            json!({"count": "2"}),
            "`count` must be a whole number from 1 to 100, not \"2\".",
        ),
        (
            DemoServer::Dice,
            "roll",
            json!({"dice": 2}),
            "Unknown argument `dice`: this tool takes sides and count.",
        ),
        (DemoServer::Uuid, "generate", json!({"version": 5}), "`version` must be 4 or 7, not 5."),
    ];
    for (kind, name, arguments, expected) in cases {
        let result = call(kind, name, &arguments);
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["text"], expected);
    }
}

#[tokio::test]
async fn stdio_answers_line_by_line() {
    let long = "x".repeat(3 * 1024 * 1024);
    let input = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}\n\n{long}\n{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}}"
    );
    let mut output = Vec::new();
    stdio::serve(&server(DemoServer::Dice), input.as_bytes(), &mut output).await.unwrap();
    let lines: Vec<Value> = output
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["id"], &lines[1]["error"]["code"], &lines[2]["id"]),
        (&json!(1), &json!(PARSE_ERROR), &json!(2))
    );
}

async fn post(path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = http::router(server(DemoServer::Uuid))
        .oneshot(request.body(Body::from(body.to_owned())).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http_answers_posts_from_this_machine() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let json_type = ("content-type", "application/json; charset=utf-8");
    for path in ["/mcp", "/"] {
        let (status, body) = post(
            path,
            &[json_type, ("host", "127.0.0.1:4000"), ("origin", "http://localhost:6274")],
            ping,
        )
        .await;
        assert_eq!((status, body.as_str()), (200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
    }
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(post("/mcp", &[json_type], notification).await, (202, String::new()));
    let refused = [
        (vec![json_type, ("origin", "https://evil.example")], 403),
        (vec![json_type, ("origin", "null")], 403),
        (vec![json_type, ("host", "rebound.example:4000")], 403),
        (vec![("content-type", "text/plain")], 415),
        (vec![json_type, ("mcp-protocol-version", "1999-01-01")], 400),
    ];
    for (headers, expected) in refused {
        assert_eq!(post("/mcp", &headers, ping).await.0, expected, "{headers:?}");
    }
    let get = Request::get("/mcp").body(Body::empty()).unwrap();
    assert_eq!(http::router(server(DemoServer::Uuid)).oneshot(get).await.unwrap().status(), 405);
}
