//! What administrators do with the audit trail: they look for things in it and verify it, also
//! after a gateway was killed under load, and after its database was changed by hand.

use std::process::Output;

use portunus_testkit::wait::{eventually, in_time};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::program::{By, Program};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn said(program: &Program, arguments: &[&str], code: i32) -> String {
    let output = program.run(arguments, &[]).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// The records that a query gives, read.
async fn found(program: &Program, query: &[&str]) -> Vec<Value> {
    let said = said(program, &[&["audit", "query", "--json"], query].concat(), 0).await;
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_trail_is_searched_exported_and_verified_while_the_gateway_runs() {
    let program = Program::start(&[]).await;
    let (_browser, mcp) = program.connect().await;
    mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await;
    mcp.call("uuid_fail", json!({})).await;
    eventually("both calls are recorded", async || {
        found(&program, &["--event", "call"]).await.len() == 2
    })
    .await;
    let ok = found(&program, &["--tool", "add", "--server", "uuid", "--outcome", "ok"]).await;
    assert_eq!(ok.len(), 1);
    let (client, email) = (ok[0]["client"].as_str().unwrap(), ok[0]["email"].as_str().unwrap());
    assert_eq!(found(&program, &["--client", client, "--event", "call"]).await.len(), 2);
    assert_eq!(found(&program, &["--person", email, "--event", "call"]).await.len(), 2);
    assert_eq!(found(&program, &["--person", "nobody@example.com"]).await, Vec::<Value>::new());
    assert_eq!(found(&program, &["--until", "2001-01-01"]).await, Vec::<Value>::new());
    assert_eq!(found(&program, &["--since", "1h", "--outcome", "tool_error"]).await.len(), 1);
    assert!(said(&program, &["audit", "query", "--since", "soon"], 1).await.contains("2026-11-30"));
    let tail = said(&program, &["audit", "tail", "-n", "1"], 0).await;
    assert!(tail.contains("call") && tail.contains("name=fail"), "{tail}");
    // What an administrator does is recorded too, in a chain of commands.
    let grant = found(&program, &["--event", "code_redeemed"]).await;
    said(&program, &["grants", "revoke", grant[0]["grant"].as_str().unwrap()], 0).await;
    let commands = found(&program, &["--event", "command"]).await;
    assert_eq!(commands[0]["command"], "grants revoke");
    assert!(commands[0]["account"].as_str().unwrap().starts_with("uid "), "{commands:?}");
    let verified = said(&program, &["audit", "verify"], 0).await;
    assert!(verified.contains("in 2 chains: as they were written"), "{verified}");
    let exported = said(&program, &["audit", "export"], 0).await;
    let file = program.folder.path().join("exported");
    std::fs::write(&file, &exported).unwrap();
    said(&program, &["audit", "verify", "exported"], 0).await;
    std::fs::write(&file, exported.replacen("\"name\":\"add\"", "\"name\":\"sub\"", 1)).unwrap();
    let tampered = said(&program, &["audit", "verify", "exported"], 1).await;
    assert!(tampered.contains("it was changed"), "{tampered}");
    program.signal("TERM");
    assert!(program.end().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_leaves_a_chain_that_is_sound_and_goes_on() {
    let program = Program::start(&[]).await;
    let (_browser, mcp) = program.connect().await;
    let mcp = std::sync::Arc::new(mcp);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let mcp = std::sync::Arc::clone(&mcp);
            tokio::spawn(async move {
                // bounded: by the kill below, which makes the next call panic.
                loop {
                    mcp.call("uuid_add", json!({"a": 1, "b": 2})).await;
                }
            })
        })
        .collect();
    eventually("there is load", async || {
        found(&program, &["--event", "call", "--limit", "50"]).await.len() == 50
    })
    .await;
    program.signal("KILL");
    for caller in callers {
        assert!(in_time("the calls end", caller).await.is_err(), "it was killed");
    }
    let verified = said(&program, &["audit", "verify"], 0).await;
    assert!(verified.contains("in 1 chains: as they were written"), "{verified}");
    // The next run goes on with the same chain.
    let folder = TempDir::new().unwrap();
    for name in ["mcp.sqlite", "mcp.sqlite-wal"] {
        let from = program.folder.path().join(name);
        if from.exists() {
            std::fs::copy(from, folder.path().join(name)).unwrap();
        }
    }
    let next = Program::start_in(folder, &By::default(), &[], &[]).await;
    eventually("the next run is recorded", async || {
        found(&next, &["--event", "started"]).await.len() == 2
    })
    .await;
    let verified = said(&next, &["audit", "verify"], 0).await;
    assert!(verified.contains("in 1 chains: as they were written"), "{verified}");
    next.signal("TERM");
    assert!(next.end().await.success());
}

#[tokio::test]
async fn tampering_with_the_database_is_found_by_the_command() {
    let program = Program::start(&[]).await;
    let (_browser, mcp) = program.connect().await;
    for _ in 0..5 {
        mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await;
    }
    eventually("the calls are recorded", async || {
        found(&program, &["--event", "call"]).await.len() == 5
    })
    .await;
    program.signal("KILL");
    said(&program, &["audit", "verify"], 0).await;
    let database = program.folder.path().join("mcp.sqlite");
    let edit = |statement: &str| {
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch(statement).unwrap();
    };
    edit(
        "CREATE TABLE kept_records AS SELECT * FROM audit_records; CREATE TABLE kept_chains AS SELECT * FROM audit_chains",
    );
    let cases = [
        (
            "UPDATE audit_records SET record = replace(record, '\"name\":\"add\"', '\"name\":\"sub\"') WHERE seq = 7",
            " 7: its hash does not follow",
        ),
        ("DELETE FROM audit_records WHERE seq = 6", " 6: this record is missing"),
        ("DELETE FROM audit_records WHERE seq > 8", " 9: records 9 to "),
        ("DELETE FROM audit_records WHERE seq < 3", " 1: records 1 to 2 are missing at the start"),
        (
            "INSERT INTO audit_records SELECT chain, seq + 1000, at, hash, record FROM audit_records WHERE seq = 7",
            " 1007: behind the signed end",
        ),
        (
            "UPDATE audit_chains SET head = json_set(head, '$.last', 8); DELETE FROM audit_records WHERE seq > 8",
            "was changed (its signature)",
        ),
        ("DELETE FROM audit_chains", "how far it had come is gone"),
        ("DELETE FROM audit_chains; DELETE FROM audit_records", "no chain: nothing was recorded"),
    ];
    for (statement, expected) in cases {
        edit(statement);
        let told = said(&program, &["audit", "verify"], 1).await;
        assert!(told.contains(expected), "{statement}: {expected:?} is not in\n{told}");
        let told = said(&program, &["audit", "verify", "--json"], 1).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["sound"], false, "{statement}");
        edit(
            "DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM kept_records;
              DELETE FROM audit_chains; INSERT INTO audit_chains SELECT * FROM kept_chains",
        );
        said(&program, &["audit", "verify"], 0).await;
    }
}
