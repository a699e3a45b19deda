//! Threat 35: messages that could be read in two ways, because header and body disagree, a key
//! comes twice or in another case, or several messages come as one. Each is refused before a server
//! hears of it, and leaves the session as it was.

use portunus_testkit::agent::{McpClient, Page, Request};
use serde_json::{Value, json};

use crate::fixture::GatewayFixture;

const MODERN: &str = "2026-07-28";
/// Stands in each body, and must not come into the log.
const MARKER: &str = "words-of-a-body-that-is-refused";

/// The headers of a sound call of the tool `echo`.
const SOUND: [(&str, &str); 3] =
    [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "echo")];

fn call(fixture: &GatewayFixture, token: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let request =
        Request::post(&fixture.at("/mcp/uuid")).without_cookies().bearer(token).body(body);
    let request = request
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// A call of the modern era, as its body says.
fn modern_call() -> Value {
    json!({"jsonrpc": "2.0", "id": "one", "method": "tools/call", "params": {"name": "echo", "arguments": {"text": MARKER}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}}})
}

/// What a gateway says to a message that it does not take.
fn code_of(answer: &Page) -> i64 {
    answer.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer:?}"))
}

async fn nothing_happened(fixture: &GatewayFixture, reached: usize) {
    assert_eq!(fixture.uuid.seen().len(), reached, "nothing reached the server");
    assert_eq!(fixture.grants("alice").await, 1);
    assert!(!fixture.log.text().contains(MARKER), "the log says nothing of what was in the body");
}

#[tokio::test]
async fn t35_headers_and_body_must_agree() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let body = modern_call().to_string();
    let sound = |headers: &[(&str, &str)]| call(&fixture, &tokens.access, headers, &body);
    let answer = browser.send(sound(&SOUND)).await.expect(200);
    assert_eq!(answer.json()["result"]["content"][0]["text"], MARKER);
    // The same name, as it is sent when it does not fit into a header.
    let encoded = [SOUND[0], SOUND[1], ("mcp-name", "=?base64?ZWNobw==?=")];
    browser.send(sound(&encoded)).await.expect(200);

    let reached = fixture.uuid.seen().len();
    let [version, method, name] = SOUND;
    let disagreeing: [&[(&str, &str)]; 15] = [
        &[method, name],
        &[version, name],
        &[version, method],
        &[version, ("mcp-method", "tools/list"), name],
        &[version, ("mcp-method", "Tools/Call"), name],
        &[version, ("mcp-method", ""), name],
        &[version, method, ("mcp-method", "tools/list"), name],
        &[version, method, method, name],
        &[version, method, ("mcp-name", "add")],
        &[version, method, ("mcp-name", "ECHO")],
        &[version, method, ("mcp-name", "echo,add")],
        &[version, method, ("mcp-name", "=?base64?YWRk?=")],
        &[version, method, ("mcp-name", "=?base64?!!!?=")],
        &[version, method, name, ("mcp-name", "add")],
        &[version, version, method, name],
    ];
    for headers in disagreeing {
        let answer = browser.send(sound(headers)).await.expect(400);
        assert_eq!(
            (code_of(&answer), answer.json()["id"].as_str()),
            (-32020, Some("one")),
            "{headers:?}"
        );
    }
    nothing_happened(&fixture, reached).await;

    // The header of one era and the body of the other, within a session.
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    let reached = fixture.uuid.seen().len();
    let answer = mcp.post(&modern_call()).await.expect(400);
    assert_eq!(code_of(&answer), -32020);
    assert_eq!(fixture.uuid.seen().len(), reached, "nothing reached the server");
    assert_eq!(
        mcp.call_text("echo", json!({"text": "after it"})).await,
        "after it",
        "the session goes on"
    );
    fixture.close().await;
}

/// Bodies of which one reader sees one thing and another reader another.
fn ambiguous() -> Vec<String> {
    let arguments = format!(r#""arguments":{{"text":"{MARKER}"}}"#);
    let with = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":7,{members}}}"#);
    let params = |members: &str| {
        with(&format!(r#""method":"tools/call","params":{{{members},{arguments}}}"#))
    };
    vec![
        with(&format!(
            r#""method":"tools/list","method":"tools/call","params":{{"name":"echo",{arguments}}}"#
        )),
        with(&format!(
            r#""method":"tools/list","Method":"tools/call","params":{{"name":"echo",{arguments}}}"#
        )),
        with(&format!(
            r#""method":"tools/list","\u006dethod":"tools/call","params":{{"name":"echo",{arguments}}}"#
        )),
        with(&format!(
            r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"params":{{}}"#
        )),
        with(&format!(
            r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"PARAMS":{{}}"#
        )),
        with(&format!(r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"id":8"#)),
        with(&format!(r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"Id":8"#)),
        with(&format!(
            r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"JSONRPC":"1.0""#
        )),
        with(&format!(
            r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"x":1,"x":2"#
        )),
        with(&format!(
            r#""method":"tools/call","params":{{"name":"echo",{arguments}}},"result":{{}}"#
        )),
        params(r#""name":"echo","name":"add""#),
        params(r#""name":"echo","Name":"add""#),
        params(r#""name":"echo","n\u0061me":"add""#),
        params(r#""name":"echo","_meta":{},"_META":{}"#),
        params(r#""name":"echo","_meta":{"progressToken":1,"progressToken":2}"#),
        params(r#""name":"echo","_meta":{"ProgressToken":1}"#),
        format!("[{}]", params(r#""name":"echo""#)),
        format!("[{},{}]", params(r#""name":"echo""#), params(r#""name":"add""#)),
        "[]".to_owned(),
        format!("{}{}", params(r#""name":"echo""#), params(r#""name":"add""#)),
        format!("\u{feff}{}", params(r#""name":"echo""#)),
    ]
}

#[tokio::test]
async fn t35_a_message_that_means_two_things_reaches_no_server() {
    let fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    assert_eq!(mcp.call_text("echo", json!({"text": "before"})).await, "before");
    let reached = fixture.uuid.seen().len();
    let session =
        [("mcp-session-id", mcp.session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    for body in ambiguous() {
        for headers in [&session[..], &SOUND[..]] {
            let answer = browser.send(call(&fixture, &tokens.access, headers, &body)).await;
            let code = code_of(&answer);
            assert!([-32600, -32700, -32602].contains(&code), "{body}: {answer:?}");
            // In a session, what is wrong with parameters alone is an ordinary answer.
            assert!(
                answer.status == 400 || (headers.len() == 2 && answer.status == 200),
                "{body}: {answer:?}"
            );
        }
    }
    // What the gateway reads of a modern request's `_meta`, twice or in another case: neither may
    // decide.
    let versions = [
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/protocolVersion":"2025-11-25""#,
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","IO.modelcontextprotocol/protocolversion":"2025-11-25""#,
    ];
    for versions in versions {
        let meta = format!(r#"{{{versions},"io.modelcontextprotocol/clientCapabilities":{{}}}}"#);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{MARKER}"}},"_meta":{meta}}}}}"#
        );
        let answer = browser.send(call(&fixture, &tokens.access, &SOUND, &body)).await.expect(400);
        assert_eq!(code_of(&answer), -32600, "{body}");
    }
    nothing_happened(&fixture, reached).await;
    assert_eq!(
        mcp.call_text("echo", json!({"text": "after"})).await,
        "after",
        "the session goes on"
    );
    fixture.close().await;
}
