//! `portunus keys` beside a gateway that runs: made, used, listed and revoked, on a file and on
//! Redis. What a key opens is in `tests/http/agent_keys.rs`.

use std::process::Output;

use portunus_testkit::{
    agent::{Agent, McpClient, Request},
    redis::Server,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::fixture::program::Program;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn keys(program: &Program, arguments: &[&str], code: i32) -> Output {
    let output = program.run(&[&["keys"], arguments].concat(), &[]).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    output
}

async fn list(program: &Program, arguments: &[&str]) -> Vec<Value> {
    let output = keys(program, &[&["list", "--json"], arguments].concat(), 0).await;
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn is_refused(program: &Program, browser: &Agent, key: &str) -> bool {
    let request = Request::get(&program.at("/tools")).without_cookies().bearer(key);
    browser.send(request).await.status == 401
}

/// The whole life of a key, by commands beside the gateway.
async fn from_its_making_to_its_end(variables: &[(&str, &str)]) {
    let program = Program::start(variables).await;
    // It answers when its records are there.
    Agent::new().send(Request::get(&program.at("/"))).await.expect(200);
    let none = keys(
        &program,
        &["create", "--owner", "alice@acme.example", "--all-servers", "--name", "x"],
        1,
    )
    .await;
    assert!(text(&none.stderr).contains("nobody has signed in"), "{none:?}");
    assert!(none.stdout.is_empty(), "{none:?}");
    let (browser, _) = program.connect().await;

    let create = ["create", "--owner", "Alice@acme.example", "--name", "nightly job"];
    let made = keys(&program, &[&create[..], &["--all-servers"]].concat(), 0).await;
    let key = text(&made.stdout).trim_end().to_owned();
    assert!(key.starts_with("ptn_ak_") && key.len() == 56, "the key alone: {made:?}");
    let told = text(&made.stderr);
    assert!(told.contains("not shown again") && told.contains("nightly job"), "{told}");
    assert!(!told.contains(&key), "{told}");
    let mcp = McpClient::connect(&browser, &program.at("/mcp"), &key).await;
    assert_eq!(mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await, "3");

    let narrow = ["--server", "uuid", "--scope", "uuid", "--expires", "12h", "--json"];
    let made = keys(&program, &[&create[..], &narrow].concat(), 0).await;
    let narrow: Value = serde_json::from_slice(&made.stdout).unwrap();
    let narrow_key = narrow["key"].as_str().unwrap();
    let mcp = McpClient::connect(&browser, &program.at("/mcp/uuid"), narrow_key).await;
    assert_eq!(mcp.call_text("add", json!({"a": 1, "b": 2})).await, "3");
    assert!(is_refused(&program, &browser, narrow_key).await, "it is for /mcp/uuid alone");

    let listed = list(&program, &["--owner", "alice@acme.example"]).await;
    let prefixes: Vec<_> = listed.iter().map(|key| key["prefix"].as_str().unwrap()).collect();
    assert_eq!(prefixes.len(), 2, "{listed:?}");
    assert!(key.starts_with(prefixes[1]) && narrow_key.starts_with(prefixes[0]), "{listed:?}");
    assert_eq!(listed[0]["id"], narrow["id"]);
    assert_eq!(listed[0]["scopes"], json!(["uuid"]));
    assert_eq!(listed[0]["resources"], json!([program.at("/mcp/uuid")]));
    let shown = text(&keys(&program, &["list"], 0).await.stdout);
    assert!(shown.contains("alice@acme.example") && shown.ends_with("2 keys\n"), "{shown}");
    let grants = text(&program.run(&["grants", "list"], &[]).await.stdout);
    assert!(grants.contains("agent-key  nightly job  ptn_ak_"), "{grants}");
    for said in [&shown, &grants] {
        assert!(!said.contains(&key) && !said.contains(narrow_key), "{said}");
    }

    // By its first characters, by its id, and a whole key that was found somewhere.
    let revoked = keys(&program, &["revoke", prefixes[1]], 0).await;
    assert!(text(&revoked.stdout).ends_with("1 key revoked\n"), "{revoked:?}");
    eventually("the gateway heard of it", async || is_refused(&program, &browser, &key).await)
        .await;
    let again = keys(&program, &["revoke", listed[1]["id"].as_str().unwrap()], 0).await;
    assert_eq!(text(&again.stdout), "it was revoked before\n");
    keys(&program, &["revoke", narrow_key], 0).await;
    assert_eq!(list(&program, &[]).await, Vec::<Value>::new());
    for nothing in [prefixes[0], "ptn_ak_", "ptn_ak_x", "", narrow_key] {
        let refused = keys(&program, &["revoke", nothing], 1).await;
        assert!(text(&refused.stderr).contains("portunus keys list"), "{refused:?}");
    }
    let query = async || {
        let query = ["audit", "query", "--client", "agent-key", "--json"];
        text(&program.run(&query, &[]).await.stdout)
    };
    let of = |events: &str, word: &str| events.matches(&format!("\"event\":\"{word}\"")).count();
    eventually("both calls are recorded", async || of(&query().await, "call") == 2).await;
    let events = query().await;
    assert_eq!((of(&events, "key_created"), of(&events, "key_revoked")), (2, 2), "{events}");
    let words: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(words.iter().all(|record| record["email"] == "alice@acme.example"), "{events}");
    let id = narrow["id"].as_str().unwrap();
    let one = program.run(&["audit", "query", "--key", id, "--json"], &[]).await;
    let words = ["key_created", "call", "refused", "key_revoked"];
    assert_eq!(text(&one.stdout).lines().count(), words.len(), "{one:?}");
    for word in words {
        assert_eq!(of(&text(&one.stdout), word), 1, "{word}: {one:?}");
    }
    for said in [&events, &program.log()] {
        assert!(!said.contains("ptn_ak_"), "no key, not even its first characters: {said}");
    }
    program.signal("TERM");
    assert!(program.end().await.success());
}

#[tokio::test]
async fn a_key_is_made_used_listed_and_revoked_beside_a_gateway_on_a_file() {
    from_its_making_to_its_end(&[]).await;
}

#[tokio::test]
async fn a_key_is_made_used_listed_and_revoked_beside_a_gateway_on_redis() {
    let redis = Server::start(&[]);
    from_its_making_to_its_end(&[("REDIS_URL", &redis.address())]).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_wish_is_said_with_what_to_change() {
    let program = Program::start(&[]).await;
    program.connect().await;
    let create = ["create", "--owner", "alice@acme.example", "--name", "x"];
    let cases: [(&[&str], i32, &str); 7] = [
        (&[], 2, "--server <NAME>"),
        (&["--server", "uuid", "--all-servers"], 2, "cannot be used with"),
        (&["--server", "absent"], 1, "there are: uuid"),
        (&["--server", "uuid", "--scope", "write"], 1, "there are: mcp, uuid"),
        (&["--all-servers", "--expires", "soon"], 2, "30s, 60m, 12h or 30d"),
        (&["--all-servers", "--expires", "366d"], 1, "lifetimes.agent_key"),
        (&["--all-servers", "--expires", "1s"], 1, "from a minute to 365d"),
    ];
    for (arguments, code, part) in cases {
        let said = keys(&program, &[&create[..], arguments].concat(), code).await;
        assert!(text(&said.stderr).contains(part), "{arguments:?}: {said:?}");
        assert!(said.stdout.is_empty(), "{arguments:?}: {said:?}");
    }
    assert_eq!(list(&program, &[]).await, Vec::<Value>::new());
    for command in [&["create"][..], &["list"], &["revoke"]] {
        let help = keys(&program, &[command, &["--help"]].concat(), 0).await;
        assert!(text(&help.stdout).len() > 400, "{help:?}");
    }
    // A person who may not sign in any more gets none.
    let allowed = [("AUTH_OKTA_ALLOWED_PEOPLE", "bob@acme.example")];
    let arguments = [&["keys"], &create[..], &["--all-servers"]].concat();
    let said = program.run(&arguments, &allowed).await;
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(text(&said.stderr).contains("may not sign in here any more"), "{said:?}");
    program.signal("TERM");
    assert!(program.end().await.success());
}
