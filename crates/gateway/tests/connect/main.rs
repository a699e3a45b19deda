//! `portunus connect` as an OAuth client and as a pipe, at a fake server that wants tokens
//! (`portunus_testkit::protected_server`): what is asked of whom, how often, and what goes nowhere.
//! Rules have their tables in `portunus_core::oauth_client`; official clients are in
//! `tests/connect`. What becomes of tokens when something comes between is in [`kept`].

#![expect(clippy::unwrap_used, reason = "a test")]

mod client;
mod install;
mod kept;

use std::time::Duration;

use portunus::connect::{Options, options::ConfiguredClient};
use portunus_testkit::protected_server::{Behaviour, ProtectedServer};
use serde_json::{Value, json};

use self::client::{Client, clock, error_of, options};

#[tokio::test]
async fn messages_go_on_as_they_were_written_in_both_directions() {
    let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    client.initialize().await;
    let line = r#"{ "method":"own/method" ,"id" : 7,"params":{"n":1.50,"é":"\u00e9"}, "jsonrpc":"2.0","x-unknown":[ ] }"#;
    client.write(line).await;
    let expected = r#"{ "jsonrpc": "2.0",  "id": 7, "result": {"protocolVersion":"2025-11-25","capabilities":{},"x-own": 1.50} }"#;
    assert_eq!(client.read().await, expected);
    let seen = server.seen();
    assert_eq!(seen.messages.last().unwrap().0, line);
    assert_eq!((client.sign_ins(), seen.registrations, seen.sessions), (1, 1, 1));
    let request = &seen.authorizations[0];
    assert_eq!(
        (request["resource"].as_str(), request["scope"].as_str()),
        (&*server.mcp_url(), "basic")
    );
    assert!(seen.tokens.iter().all(|request| request["resource"] == server.mcp_url()));
    client.end().await;
}

#[tokio::test]
async fn t91_metadata_of_another_issuer_or_resource_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let changes: [fn(&mut Behaviour); 3] = [
        |behaviour| behaviour.metadata_issuer = Some("https://honest.example".into()),
        |behaviour| behaviour.resource = Some("https://honest.example/mcp".into()),
        |behaviour| behaviour.authorization_server = Some("https://169.254.169.254/".into()),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let server = ProtectedServer::start().await;
        server.behave(change);
        let mut client =
            Client::start(&server.mcp_url(), &folder.path().join(n.to_string()), &clock());
        let error = error_of(&client.ask(1, "initialize").await);
        assert!(
            error.contains("is not used")
                || error.contains("no token is fetched")
                || error.contains("that is not asked"),
            "{error}"
        );
        let seen = server.seen();
        assert_eq!(
            (client.sign_ins(), seen.registrations, seen.tokens.len()),
            (0, 0, 0),
            "{error}"
        );
    }
}

#[tokio::test]
async fn t91_a_code_that_names_another_issuer_goes_nowhere() {
    for iss in ["https://evil.example", ""] {
        let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
        server.behave(|behaviour| behaviour.iss = Some(iss.into()));
        let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
        let error = error_of(&client.ask(1, "initialize").await);
        assert!(error.contains("another issuer"), "{error}");
        // No other sign-in is begun at once.
        error_of(&client.ask(2, "initialize").await);
        assert_eq!((client.sign_ins(), server.seen().tokens.len()), (1, 0), "{iss}");
    }
}

#[tokio::test]
async fn t91_nothing_of_one_authorization_server_goes_to_another() {
    let (server, other) = (ProtectedServer::start().await, ProtectedServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    client.initialize().await;
    server.behave(|behaviour| behaviour.authorization_server = Some(other.base.clone()));
    server.revoke_access();
    // The other one's tokens are none of this server's, so that the request fails in the end.
    error_of(&client.ask(1, "tools/list").await);
    let seen = other.seen();
    assert_eq!(seen.registrations, 1);
    for request in seen.authorizations.iter().chain(&seen.tokens) {
        assert!(
            !request
                .values()
                .any(|value| value.contains(&server.base) && *value != server.mcp_url()),
            "{request:?}"
        );
        assert!(request["client_id"].ends_with(&other.base), "{request:?}");
    }
}

#[tokio::test]
async fn two_at_once_share_a_sign_in_and_a_refresh() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut one = Client::start(&server.mcp_url(), folder.path(), &clock);
    let mut two = Client::start(&server.mcp_url(), folder.path(), &clock);
    tokio::join!(one.initialize(), two.initialize());
    assert_eq!((one.sign_ins() + two.sign_ins(), server.seen().registrations), (1, 1));
    clock.advance(Duration::from_secs(3600 - 20));
    tokio::join!(one.ask(1, "tools/list"), two.ask(1, "tools/list"));
    assert_eq!(server.seen().refreshes, 1, "the token was about to end");
    server.revoke_access();
    tokio::join!(one.ask(2, "tools/list"), two.ask(2, "tools/list"));
    assert_eq!(server.seen().refreshes, 2, "the token was taken back");
    assert_eq!(one.sign_ins() + two.sign_ins(), 1);
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn a_refresh_that_is_refused_costs_a_sign_in_and_one_that_fails_costs_none() {
    let (server, folder, clock) =
        (ProtectedServer::start().await, tempfile::tempdir().unwrap(), clock());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock);
    client.initialize().await;
    server.behave(|behaviour| behaviour.refresh = Some((503, "")));
    clock.advance(Duration::from_secs(3600 - 20));
    assert!(
        client.ask(1, "tools/list").await["result"].is_object(),
        "the token is used to its end"
    );
    server.revoke_access();
    let error = error_of(&client.ask(2, "tools/list").await);
    assert!(error.contains("503") && client.sign_ins() == 1, "{error}");
    server.behave(|behaviour| behaviour.refresh = Some((400, "invalid_grant")));
    assert!(client.ask(3, "tools/list").await["result"].is_object());
    assert_eq!((client.sign_ins(), server.seen().registrations), (2, 1));
    // An authorization server that does not know us any more.
    server.behave(|behaviour| behaviour.refresh = Some((401, "invalid_client")));
    server.revoke_access();
    assert!(client.ask(4, "tools/list").await["result"].is_object());
    assert_eq!((client.sign_ins(), server.seen().registrations), (3, 2));
    client.end().await;
}

#[tokio::test]
async fn more_scopes_are_asked_for_beside_those_before_and_not_for_ever() {
    let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
    server.behave(|behaviour| behaviour.needs = Some("more"));
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    client.initialize().await;
    assert!(client.ask(1, "tools/call").await["result"].is_object());
    let scopes: Vec<_> =
        server.seen().authorizations.iter().map(|asked| asked["scope"].clone()).collect();
    assert_eq!(scopes, ["basic", "more basic"]);
    server.behave(|behaviour| behaviour.grants_nothing = true);
    for id in 2..8 {
        assert!(error_of(&client.ask(id, "tools/call").await).contains("403"));
    }
    assert!(client.sign_ins() <= 4, "{} sign-ins", client.sign_ins());
    client.end().await;
}

#[tokio::test]
async fn a_token_follows_no_redirect() {
    let (server, other) = (ProtectedServer::start().await, ProtectedServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    client.initialize().await;
    server.behave(|behaviour| behaviour.redirect = Some(other.mcp_url()));
    let error = error_of(&client.ask(1, "tools/list").await);
    assert!(error.contains("redirects to") && other.seen().messages.is_empty(), "{error}");
}

#[tokio::test]
async fn a_session_that_is_gone_is_begun_anew_and_nothing_runs_twice() {
    let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    client.initialize().await;
    server.forget_sessions();
    assert!(client.ask(1, "tools/call").await["result"].is_object());
    let seen = server.seen();
    assert_eq!(seen.sessions, 2);
    let told =
        seen.messages.iter().filter(|(text, _)| text.contains("notifications/initialized")).count();
    assert_eq!(told, 2);
    server.behave(|behaviour| behaviour.breaks_calls = true);
    let error = error_of(&client.ask(2, "tools/call").await);
    assert!(error.contains("may or may not have run"), "{error}");
    let calls =
        server.seen().messages.iter().filter(|(text, _)| text.contains(r#""id":2"#)).count();
    assert_eq!(calls, 1);
    client.end().await;
}

#[tokio::test]
async fn a_client_that_was_configured_stays_at_its_authorization_server() {
    let (server, other) = (ProtectedServer::start().await, ProtectedServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let configured = ConfiguredClient { id: Some("own".into()), ..ConfiguredClient::default() };
    let options = Options { client: configured, ..options(&server.mcp_url()) };
    let mut client = Client::start_with(options, folder.path(), &clock());
    client.initialize().await;
    assert_eq!((server.seen().registrations, &*server.seen().tokens[0]["client_id"]), (0, "own"));
    server.behave(|behaviour| behaviour.authorization_server = Some(other.base.clone()));
    server.revoke_access();
    let error = error_of(&client.ask(1, "tools/list").await);
    assert!(error.contains("--client-id is of the first"), "{error}");
    assert!(other.seen().authorizations.is_empty() && other.seen().tokens.is_empty());
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_hurts_nothing() {
    let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    for (line, code) in [
        ("nothing", -32700),
        ("[]", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600),
    ] {
        client.write(line).await;
        let answer: Value = serde_json::from_str(&client.read().await).unwrap();
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
    }
    client.initialize().await;
    client.end().await;
}

#[tokio::test]
async fn a_call_whose_headers_are_not_known_yet_is_made_once_they_are() {
    let (server, folder) = (ProtectedServer::start().await, tempfile::tempdir().unwrap());
    server.behave(|behaviour| behaviour.wants_header = true);
    let mut client = Client::start(&server.mcp_url(), folder.path(), &clock());
    let call = |id: u64, arguments: Value| {
        let version = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        let params = json!({"name": "own", "arguments": arguments, "_meta": version});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
    };
    for id in 1..3 {
        client.write(&call(id, json!({"region": "eu"}))).await;
        let answer: Value = serde_json::from_str(&client.read().await).unwrap();
        assert!(answer["result"].is_object() && answer["id"] == id, "{answer}");
    }
    let asked = |method: &str| {
        server
            .seen()
            .messages
            .iter()
            .filter(|(text, token)| token.is_some() && text.contains(method))
            .count()
    };
    assert_eq!((asked("tools/call"), asked("tools/list")), (3, 1), "the second one knows them");
    // What no header mends is told as it is.
    client.write(&call(3, json!({}))).await;
    let answer: Value = serde_json::from_str(&client.read().await).unwrap();
    assert_eq!((answer["error"]["code"].as_i64(), asked("tools/call")), (Some(-32020), 4));
    client.end().await;
}
