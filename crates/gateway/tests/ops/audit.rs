//! What administrators do with the audit trail: they look for things in it and verify it, also
//! after a gateway was killed under load, and after its database was changed by hand.

use std::collections::BTreeSet;

use portunus_core::text::{is_invisible, is_line_separator};
use portunus_testkit::{
    collectors::{OtlpReceiver, SyslogReceiver},
    wait::{eventually, in_time},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::program::{By, Program, until};

/// It has ended in order, and its folder is still there.
async fn stopped(program: &Program) {
    program.signal("TERM");
    until(|| program.log().contains("\"stopped\"")).await;
}

#[tokio::test]
async fn the_trail_is_searched_exported_and_verified_while_the_gateway_runs() {
    let program = Program::start(&[]).await;
    let (_browser, mcp) = program.connect().await;
    mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await;
    mcp.call("uuid_fail", json!({})).await;
    eventually("both calls are recorded", async || {
        program.recorded(&["--event", "call"]).await.len() == 2
    })
    .await;
    let ok = program.recorded(&["--tool", "add", "--server", "uuid", "--outcome", "ok"]).await;
    assert_eq!(ok.len(), 1);
    let (client, email) = (ok[0]["client"].as_str().unwrap(), ok[0]["email"].as_str().unwrap());
    assert_eq!(program.recorded(&["--client", client, "--event", "call"]).await.len(), 2);
    assert_eq!(program.recorded(&["--person", email, "--event", "call"]).await.len(), 2);
    assert_eq!(program.recorded(&["--person", "nobody@example.com"]).await, Vec::<Value>::new());
    assert_eq!(program.recorded(&["--until", "2001-01-01"]).await, Vec::<Value>::new());
    assert_eq!(program.recorded(&["--since", "1h", "--outcome", "tool_error"]).await.len(), 1);
    assert!(program.said(&["audit", "query", "--since", "soon"], 1).await.contains("2026-11-30"));
    let tail = program.said(&["audit", "tail", "-n", "1"], 0).await;
    assert!(tail.contains("call") && tail.contains("name=fail"), "{tail}");
    // What an administrator does is recorded too, in a chain of commands.
    let grant = program.recorded(&["--event", "code_redeemed"]).await;
    program.said(&["grants", "revoke", grant[0]["grant"].as_str().unwrap()], 0).await;
    let commands = program.recorded(&["--event", "command"]).await;
    assert_eq!(commands[0]["command"], "grants revoke");
    assert!(commands[0]["account"].as_str().unwrap().starts_with("uid "), "{commands:?}");
    let verified = program.said(&["audit", "verify"], 0).await;
    assert!(verified.contains("in 2 chains: as they were written"), "{verified}");
    let exported = program.said(&["audit", "export"], 0).await;
    let file = program.folder.path().join("exported");
    std::fs::write(&file, &exported).unwrap();
    program.said(&["audit", "verify", "exported"], 0).await;
    std::fs::write(&file, exported.replacen("\"name\":\"add\"", "\"name\":\"sub\"", 1)).unwrap();
    let tampered = program.said(&["audit", "verify", "exported"], 1).await;
    assert!(tampered.contains("it was changed"), "{tampered}");
    program.signal("TERM");
    assert!(program.end().await.success());
}

#[tokio::test]
async fn what_commands_do_goes_where_the_gateways_records_go() {
    let (syslog, otlp) = (SyslogReceiver::start().await, OtlpReceiver::start([]).await);
    let targets = json!({"audit": {
        "file": "audit.jsonl",
        "syslog": {"address": syslog.address().to_string()},
        "otlp": {"endpoint": format!("http://{}", otlp.address())},
    }});
    let program = Program::start_with(&[], &[("config.yaml", &targets.to_string())]).await;
    eventually("the gateway's records are there", async || {
        program.folder.path().join("audit.jsonl").exists()
    })
    .await;
    program.said(&["backup", "copy"], 0).await;
    let commands = program.recorded(&["--event", "command"]).await;
    assert_eq!((commands.len(), &commands[0]["command"]), (1, &json!("backup")));
    let line = commands[0].to_string();
    let lines = || std::fs::read_to_string(program.folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(lines().lines().filter(|written| **written == line).count(), 1, "{}", lines());
    let sent = syslog.messages();
    assert_eq!(sent.iter().filter(|message| message.ends_with(&line)).count(), 1, "{sent:?}");
    let collected = otlp.log_records();
    let is_it = |record: &&Value| record["body"]["stringValue"] == line;
    assert_eq!(collected.iter().filter(is_it).count(), 1, "{collected:?}");
    stopped(&program).await;
    program.said(&["audit", "verify", "audit.jsonl"], 0).await;
    // Nothing was put on standard output or into the file twice.
    let verified = program.said(&["audit", "verify"], 0).await;
    let records: usize = verified.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(lines().lines().count(), records, "{verified}");
    // A target that is away is said, and what was done is done.
    drop((syslog, otlp));
    let told = program.said(&["backup", "another"], 0).await;
    assert!(told.contains("audit.syslog") && told.contains("audit.otlp"), "{told}");
}

#[tokio::test]
async fn a_syslog_receiver_is_met_over_tls() {
    let (certificate, other) = (
        include_str!("../../../testkit/fixtures/gateway-1.pem"),
        include_str!("../../../testkit/fixtures/gateway-2.pem"),
    );
    let key = include_str!("../../../testkit/fixtures/gateway-1.key.pem");
    for (authority, is_met) in [(certificate, true), (other, false)] {
        let receiver = SyslogReceiver::with_tls(certificate, key).await;
        let syslog = json!({
            "address": format!("localhost:{}", receiver.address().port()),
            "tls": true,
            "ca_file": "ca.pem",
        });
        let config = json!({"audit": {"syslog": syslog}}).to_string();
        let program =
            Program::start_with(&[], &[("config.yaml", &config), ("ca.pem", authority)]).await;
        if is_met {
            eventually("a message arrives", async || !receiver.messages().is_empty()).await;
        } else {
            until(|| program.log().contains("audit records cannot be sent there")).await;
        }
        stopped(&program).await;
        let verified = program.said(&["audit", "verify"], 0).await;
        let records: usize = verified.split(' ').next().unwrap().parse().unwrap();
        let expected = if is_met { records } else { 0 };
        assert_eq!(receiver.messages().len(), expected, "{verified}");
    }
}

#[tokio::test]
async fn what_strangers_put_into_the_trail_steers_no_terminal() {
    let program = Program::start(&[]).await;
    eventually("there is a record", async || {
        let output = program.run(&["audit", "query", "--json"], &[]).await;
        output.status.success() && !output.stdout.is_empty()
    })
    .await;
    program.signal("KILL");
    Connection::open(program.folder.path().join("mcp.sqlite"))
        .unwrap()
        .execute_batch(
            "UPDATE audit_records SET record = replace(record, '\"version\":\"', '\"version\":\"' || char(155, 50, 74, 8238, 8232, 127));
             UPDATE audit_chains SET head = replace(head, '\"key\":\"', '\"key\":\"' || char(8238));
             INSERT INTO audit_records VALUES ('gateway-' || char(27, 91, 50, 74, 8238), 1, 0, x'00', char(27, 93, 48));",
        )
        .unwrap();
    for arguments in [
        vec!["audit", "tail"],
        vec!["audit", "tail", "--json"],
        vec!["audit", "query", "--json"],
        vec!["audit", "export"],
        vec!["audit", "verify"],
        vec!["audit", "verify", "--json"],
    ] {
        let output = program.run(&arguments, &[]).await;
        let shown = [&output.stdout[..], &output.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.len() > 10, "{arguments:?}: {shown:?}");
        let harmful = shown
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || is_invisible(*c) || is_line_separator(*c));
        assert_eq!(harmful, None, "{arguments:?}: {shown:?}");
        if arguments.contains(&"--json") || arguments.contains(&"export") {
            for line in shown.lines() {
                assert!(serde_json::from_str::<Value>(line).is_ok(), "{arguments:?}: {line:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_leaves_a_chain_that_is_sound_and_goes_on() {
    let receiver = SyslogReceiver::start().await;
    let syslog = json!({"audit": {"syslog": {"address": receiver.address().to_string()}}});
    let syslog = syslog.to_string();
    let configured = [("config.yaml", syslog.as_str())];
    let program = Program::start_with(&[], &configured).await;
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
        program.recorded(&["--event", "call", "--limit", "50"]).await.len() == 50
    })
    .await;
    program.signal("KILL");
    for caller in callers {
        assert!(in_time("the calls end", caller).await.is_err(), "it was killed");
    }
    let verified = program.said(&["audit", "verify"], 0).await;
    assert!(verified.contains("in 1 chains: as they were written"), "{verified}");
    // The next run goes on with the same chain.
    let folder = TempDir::new().unwrap();
    for name in ["mcp.sqlite", "mcp.sqlite-wal"] {
        let from = program.folder.path().join(name);
        if from.exists() {
            std::fs::copy(from, folder.path().join(name)).unwrap();
        }
    }
    let next = Program::start_in(folder, &By::default(), &[], &configured).await;
    eventually("the next run is recorded", async || {
        next.recorded(&["--event", "started"]).await.len() == 2
    })
    .await;
    let verified = next.said(&["audit", "verify"], 0).await;
    assert!(verified.contains("in 1 chains: as they were written"), "{verified}");
    stopped(&next).await;
    // Whatever the store has was sent, by one of the two runs; some of it perhaps by both.
    let messages = receiver.messages();
    let sent: BTreeSet<&str> =
        messages.iter().filter_map(|message| Some(message.split_once("] ")?.1)).collect();
    let exported = next.said(&["audit", "export"], 0).await;
    assert_eq!(exported.lines().filter(|line| !sent.contains(line)).count(), 0);
    assert!(sent.len() == exported.lines().count(), "nothing that the store does not have");
}

/// Forms of tampering with the database: `./test audit` prints how many there are.
const FORMS: usize = 8;

#[tokio::test]
async fn tampering_with_the_database_is_found_by_the_command() {
    let program = Program::start(&[]).await;
    let (_browser, mcp) = program.connect().await;
    for _ in 0..5 {
        mcp.call_text("uuid_add", json!({"a": 1, "b": 2})).await;
    }
    eventually("the calls are recorded", async || {
        program.recorded(&["--event", "call"]).await.len() == 5
    })
    .await;
    program.signal("KILL");
    program.said(&["audit", "verify"], 0).await;
    let database = program.folder.path().join("mcp.sqlite");
    let edit = |statement: &str| {
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch(statement).unwrap();
    };
    edit(
        "CREATE TABLE kept_records AS SELECT * FROM audit_records; CREATE TABLE kept_chains AS SELECT * FROM audit_chains",
    );
    let cases: [(&str, &str); FORMS] = [
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
        let told = program.said(&["audit", "verify"], 1).await;
        assert!(told.contains(expected), "{statement}: {expected:?} is not in\n{told}");
        let told = program.said(&["audit", "verify", "--json"], 1).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["sound"], false, "{statement}");
        edit(
            "DELETE FROM audit_records; INSERT INTO audit_records SELECT * FROM kept_records;
              DELETE FROM audit_chains; INSERT INTO audit_chains SELECT * FROM kept_chains",
        );
        program.said(&["audit", "verify"], 0).await;
    }
}
