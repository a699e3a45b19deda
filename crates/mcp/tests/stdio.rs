//! Servers on stdio: calls, and everything a child can do wrong (threats 37, 43, 44, F5).

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use portunus_core::secret::SecretText;
use portunus_mcp::{
    spec::{EnvPart, EnvValue, Isolation, ServerSpec, Transport},
    upstream::{Call, CallEvent, ConnectionUser, Event, Options, Person, UpstreamError},
    wire::{self, Outcome, Payload},
};
use portunus_testkit::figures::{Figures, Limit};
use serde_json::json;
use support::{
    call, connect, eventually, fixture, is_running, payload, pool, pool_with, program, quick, spec,
    tool, try_call,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_handshake_and_a_call() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let info = connection.info();
    assert_eq!(info.protocol_version, "2025-11-25");
    assert_eq!(info.instructions.as_deref(), Some("Instructions of fixture"));
    assert!(
        info.capabilities.as_str().contains("\"listChanged\""),
        "{}",
        info.capabilities.as_str()
    );
    assert!(info.server_info.as_str().contains("\"fixture\""));
    assert_eq!(call(&connection, "add", json!({"a": 20, "b": 22})).await, "42");
    let error = try_call(&connection, "error", json!({})).await.unwrap();
    assert_eq!((&error["code"], &error["data"]["detail"]), (&json!(-32603), &json!(1)));
}

#[tokio::test]
async fn parameters_with_line_breaks_stay_one_message() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let params =
        Payload::from_json("{\n \"name\": \"echo\",\r\n \"arguments\": {\"text\": \"a\\nb\"}\n}")
            .unwrap();
    let Outcome::Result(result) =
        connection.request("tools/call", Some(params), Call::default()).await.unwrap()
    else {
        panic!()
    };
    assert!(result.as_str().contains(r"a\nb"), "{}", result.as_str());
}

#[tokio::test]
async fn t37_callers_of_one_connection_never_meet() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let calls = (0..50_u32).map(|n| {
        let connection = &connection;
        async move {
            let (progress, mut heard) = mpsc::channel(10);
            // All have the same token, and each takes its own number of steps.
            let steps = n % 5;
            let params =
                json!({"name": "slow", "arguments": {"steps": steps, "step_ms": 5}, "_meta": {"progressToken": "same", "x": n}});
            let call = Call { call_events: Some(progress), ..Call::default() };
            let Outcome::Result(result) = connection.request("tools/call", Some(payload(&params)), call).await.unwrap() else {
                panic!()
            };
            assert!(result.as_str().contains(&format!("{steps} steps")), "{}", result.as_str());
            let mut tokens = Vec::new();
            while let Ok(CallEvent::Progress(params)) = heard.try_recv() {
                assert!(params.as_str().contains(&format!("\"total\":{steps}")), "{}", params.as_str());
                tokens.push(wire::params_head(&params).unwrap().progress_token.unwrap());
            }
            assert_eq!(tokens.len(), steps as usize);
            assert!(tokens.iter().all(|token| token.raw() != "\"same\""));
            let echoed = call_echo(connection, n).await;
            assert_eq!(echoed, format!("text {n}"));
        }
    });
    futures::future::join_all(calls).await;
}

async fn call_echo(connection: &portunus_mcp::upstream::Connection, n: u32) -> String {
    call(connection, "echo", json!({"text": format!("text {n}")})).await
}

#[tokio::test]
async fn cancelling_and_leaving_tell_the_server() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let cancel = CancellationToken::new();
    let hanging = connection.request(
        "tools/call",
        Some(tool("hang", &json!({}))),
        Call { cancel: cancel.clone(), ..Call::default() },
    );
    let (outcome, ()) = tokio::join!(hanging, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert_eq!(outcome, Err(UpstreamError::Cancelled));
    let left = connection.request("tools/call", Some(tool("hang", &json!({}))), Call::default());
    assert!(tokio::time::timeout(Duration::from_millis(100), left).await.is_err());
    eventually("both are cancelled", || async {
        call(&connection, "cancelled", json!({})).await == "2"
    })
    .await;
}

#[tokio::test]
async fn a_hanging_call_times_out_and_the_others_go_on() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let call_options = Call { timeout: Some(Duration::from_millis(200)), ..Call::default() };
    assert_eq!(
        connection.request("tools/call", Some(tool("hang", &json!({}))), call_options).await,
        Err(UpstreamError::Timeout)
    );
    assert_eq!(call_echo(&connection, 1).await, "text 1");
    eventually("it is cancelled", || async {
        call(&connection, "cancelled", json!({})).await == "1"
    })
    .await;
}

#[tokio::test]
async fn progress_prolongs_a_call() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let params = json!({"name": "slow", "arguments": {"steps": 12, "step_ms": 200}, "_meta": {"progressToken": 1}});
    let call = Call { timeout: Some(Duration::from_millis(1800)), ..Call::default() };
    assert!(matches!(
        connection.request("tools/call", Some(payload(&params)), call).await,
        Ok(Outcome::Result(_))
    ));
}

#[tokio::test]
async fn notifications_are_events() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let mut events = connection.events();
    // All users share the connection: what is logged is about none of them.
    call(&connection, "log", json!({"text": "a message"})).await;
    call(&connection, "change_tools", json!({})).await;
    let mut methods = Vec::new();
    while methods.is_empty() {
        if let Event::Notification { method, .. } = events.recv().await.unwrap() {
            methods.push(method);
        }
    }
    assert_eq!(methods, ["notifications/tools/list_changed"]);
}

#[tokio::test]
async fn f5_a_crash_fails_its_callers_and_is_followed_by_a_pause() {
    let pause = Duration::from_secs(2);
    let pool = pool_with(fixture(), Options { backoff_min: pause, ..quick() });
    let connection = connect(&pool).await.unwrap();
    let pid = call(&connection, "process", json!({})).await;
    let hanging = try_call(&connection, "hang", json!({}));
    let (hung, (crashed, began)) = tokio::join!(hanging, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        (try_call(&connection, "crash", json!({})).await, began)
    });
    // Both have failed by now, the one that hung too.
    let took = began.elapsed();
    for outcome in [hung, crashed] {
        let Err(UpstreamError::Closed { detail }) = outcome else { panic!("{outcome:?}") };
        assert!(detail.contains("exit status: 3"), "{detail}");
    }
    let Err(UpstreamError::Backoff { retry_in, .. }) = connect(&pool).await else {
        panic!("no pause")
    };
    assert!(retry_in <= pause);
    eventually("it recovers", || async { connect(&pool).await.is_ok() }).await;
    let again = connect(&pool).await.unwrap();
    assert_ne!(call(&again, "process", json!({})).await, pid);
    let figures =
        Figures::of("F5", "-", "a child that exits: its calls fail, the next start waits");
    let limit = Limit::now(Duration::from_secs(1));
    figures
        .within("calls failed after", &[took], limit)
        .at_most("the pause, ms", retry_in.as_millis(), pause.as_millis())
        .report();
}

#[tokio::test]
async fn f13_after_good_service_a_crash_is_followed_by_a_new_start_at_once() {
    let pool = pool_with(fixture(), Options { backoff_min: Duration::from_millis(10), ..quick() });
    let connection = connect(&pool).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(try_call(&connection, "crash", json!({})).await.is_err());
    assert_eq!(call_echo(&connect(&pool).await.unwrap(), 3).await, "text 3");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_call() {
    let script = r#"read probe; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"?"}}'; read line; echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}'; read line
        read call; echo '{"jsonrpc":"2.0","id":3,"result":1,"result":2}'; cat"#;
    let pool = pool(spec("fixture", program("sh", &["-c", script])));
    let outcome = connect(&pool).await.unwrap().request("x", None, Call::default()).await;
    assert!(matches!(outcome, Err(UpstreamError::Protocol { .. })), "{outcome:?}");
}

#[tokio::test]
async fn f5_pauses_grow() {
    let options = Options {
        backoff_min: Duration::from_millis(30),
        backoff_max: Duration::from_millis(200),
        ..quick()
    };
    let pool = pool_with(spec("fixture", program("false", &[])), options);
    let mut pauses = Vec::new();
    // bounded: each turn starts the program, which fails, or waits for `backoff_max` at most.
    while pauses.len() < 5 {
        match connect(&pool).await {
            Err(UpstreamError::Backoff { retry_in, .. }) => tokio::time::sleep(retry_in).await,
            Err(UpstreamError::Handshake { .. }) => {
                let Err(UpstreamError::Backoff { retry_in, .. }) = connect(&pool).await else {
                    continue;
                };
                pauses.push(retry_in);
            }
            _ => panic!("what should fail did not"),
        }
    }
    assert!(pauses.iter().max() > Some(&Duration::from_millis(60)), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(200)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn f5_pauses_grow_from_half_a_second_to_half_a_minute() {
    let pool = pool_with(spec("fixture", program("/no/such/program", &[])), Options::default());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let failed = connect(&pool).await.err();
        assert!(matches!(failed, Some(UpstreamError::Spawn { .. })), "{failed:?}");
        let Err(UpstreamError::Backoff { retry_in, .. }) = connect(&pool).await else {
            panic!("no pause")
        };
        pauses.push(retry_in.as_millis());
        tokio::time::advance(retry_in).await;
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    let figures =
        Figures::of("F5", "-", "a program that cannot be started, by a clock that is moved");
    figures
        .exactly("the first pause", pauses[0], 500)
        .exactly("the longest pause", pauses[7], 30_000)
        .report();
}

#[tokio::test]
async fn what_cannot_start_says_why_in_the_detail() {
    let pool = pool(spec("fixture", program("/no/such/program", &[])));
    let error = connect(&pool).await.err().unwrap();
    assert!(
        matches!(&error, UpstreamError::Spawn { detail } if detail.contains("/no/such/program")),
        "{error:?}"
    );
    assert!(!error.to_string().contains("/no/such"));

    let pool = support::pool(spec("fixture", program("sh", &["-c", "echo boom >&2; exit 7"])));
    let error = connect(&pool).await.err().unwrap();
    let UpstreamError::Handshake { detail } = &error else { panic!("{error:?}") };
    assert!(detail.contains("exit status: 7") && detail.contains("boom"), "{detail}");
}

#[tokio::test]
async fn a_silent_program_is_ended_after_the_connect_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let mut spec = spec("fixture", program("sh", &["-c", &script]));
    spec.connect_timeout = Duration::from_millis(500);
    let pool = pool(spec);
    assert!(matches!(connect(&pool).await, Err(UpstreamError::Handshake { .. })));
    let pid = std::fs::read_to_string(file).unwrap();
    eventually("it is gone", || async { !is_running(pid.trim()) }).await;
}

#[tokio::test]
async fn f5_a_flood_on_stderr_holds_nothing_up() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let mut answered =
        usize::from(call(&connection, "noise", json!({"lines": 50_000})).await == "done");
    answered += usize::from(call_echo(&connection, 2).await == "text 2");
    Figures::of("F5", "-", "a child that floods stderr, and answers")
        .and("lines", 50_000)
        .exactly("calls answered", answered, 2)
        .report();
}

#[tokio::test]
async fn a_huge_line_fails_its_own_call() {
    let pool = pool_with(fixture(), Options { max_message: 100_000, ..quick() });
    let connection = connect(&pool).await.unwrap();
    let (huge, small) = tokio::join!(
        try_call(&connection, "big", json!({"bytes": 300_000})),
        try_call(&connection, "echo", json!({"text": "x"}))
    );
    assert_eq!(huge, Err(UpstreamError::TooLarge));
    assert!(small.is_ok());
    assert_eq!(call(&connection, "big", json!({"bytes": 90_000})).await.len(), 90_000);
}

#[tokio::test]
async fn t44_the_environment_is_the_list_and_its_own() {
    let mut fixture = fixture();
    let Transport::Stdio { env, .. } = &mut fixture.transport else { panic!() };
    *env = BTreeMap::from([("FIXTURE_KEY".to_owned(), EnvValue::text("its own"))]);
    let pool = pool(fixture);
    let connection = connect(&pool).await.unwrap();
    let seen: BTreeMap<String, String> =
        serde_json::from_str(&call(&connection, "environment", json!({})).await).unwrap();
    assert_eq!(seen.get("FIXTURE_KEY").map(String::as_str), Some("its own"));
    assert!(seen.contains_key("PATH"));
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "the test itself sees what the child must not"
    );
    assert!(!seen.keys().any(|name| name.starts_with("CARGO")), "{seen:?}");
}

#[tokio::test]
async fn t43_what_a_variable_says_of_a_person_is_a_value() {
    let mut fixture = ServerSpec { isolation: Isolation::User, ..fixture() };
    let Transport::Stdio { env, .. } = &mut fixture.transport else { panic!() };
    let personal = EnvValue(vec![
        EnvPart::Subject,
        EnvPart::Text(SecretText::new(" <")),
        EnvPart::Email,
        EnvPart::Text(SecretText::new(">")),
    ]);
    *env = BTreeMap::from([("WHO".to_owned(), personal)]);
    let pool = pool(fixture);
    let of = |subject: &str, email: Option<&str>| {
        let person = Person { subject: subject.to_owned(), email: email.map(str::to_owned) };
        ConnectionUser { person, ..support::connection_user(subject, "1") }
    };
    let evil = "$(id);`id`|${user.email}\n${PATH}";
    for (subject, email) in [("ada", "ada@acme.example"), (evil, "${user.sub}@acme.example")] {
        let connection =
            pool.connection(&support::name("fixture"), &of(subject, Some(email))).await.unwrap();
        let seen: BTreeMap<String, String> =
            serde_json::from_str(&call(&connection, "environment", json!({})).await).unwrap();
        assert_eq!(
            seen["WHO"],
            format!("{subject} <{email}>"),
            "each has a child of their own, and nothing is looked at twice"
        );
    }
    let error = pool.connection(&support::name("fixture"), &of("bob", None)).await.err().unwrap();
    assert!(
        matches!(&error, UpstreamError::Spawn { detail } if detail.contains("no e-mail address")),
        "{error:?}"
    );
}

#[tokio::test]
async fn t44_the_whole_process_group_ends() {
    let pool = pool(fixture());
    let connection = connect(&pool).await.unwrap();
    let child = call(&connection, "process", json!({})).await;
    let grandchild = call(&connection, "offspring", json!({})).await;
    assert!(is_running(&child) && is_running(&grandchild));
    pool.shutdown(support::PATIENCE).await;
    assert!(connection.is_closed());
    assert!(!is_running(&child));
    eventually("the grandchild is gone", || async { !is_running(&grandchild) }).await;
    assert!(matches!(connect(&pool).await, Err(UpstreamError::Closed { .. })));
}

#[tokio::test]
async fn a_child_that_ignores_every_request_to_end_is_killed() {
    let script = "trap '' TERM; read probe; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}'; \
                  read line; echo '{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"protocolVersion\":\"2024-11-05\",\
                  \"capabilities\":{},\"serverInfo\":{\"name\":\"x\",\"version\":\"$'$$'\"}}}'; while true; do sleep 1; done";
    let script = script.replace("$'$$'", "'$$'");
    let pool = pool(spec("fixture", program("sh", &["-c", &script])));
    let connection = connect(&pool).await.unwrap();
    assert_eq!(connection.info().protocol_version, "2024-11-05");
    let info: serde_json::Value = connection.info().server_info.read().unwrap();
    let pid = info["version"].as_str().unwrap().to_owned();
    assert!(is_running(&pid));
    pool.shutdown(support::PATIENCE).await;
    assert!(!is_running(&pid));
}

#[tokio::test]
async fn a_modern_only_answer_is_refused() {
    let script = r#"read probe; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"?"}}'; read line; echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2026-07-28","capabilities":{}}}'; cat"#;
    let pool = pool(spec("fixture", program("sh", &["-c", script])));
    let error = connect(&pool).await.err().unwrap();
    assert!(
        matches!(&error, UpstreamError::Handshake { detail } if detail.contains("2026-07-28")),
        "{error:?}"
    );
}

#[tokio::test]
async fn pings_are_answered_and_other_requests_refused() {
    let script = r#"read probe; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"?"}}'; read line; echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}'; read line
        read call; echo '{"jsonrpc":"2.0","id":"p","method":"ping"}'; read pong
        echo '{"jsonrpc":"2.0","id":7,"method":"roots/list"}'; read roots
        echo "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":[$pong,$roots]}"; cat"#;
    let pool = pool(spec("fixture", program("sh", &["-c", script])));
    let connection = connect(&pool).await.unwrap();
    let Outcome::Result(result) = connection.request("x", None, Call::default()).await.unwrap()
    else {
        panic!()
    };
    let result: serde_json::Value = result.read().unwrap();
    assert_eq!(result[0], json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
    assert_eq!((&result[1]["id"], &result[1]["error"]["code"]), (&json!(7), &json!(-32601)));
    assert!(
        result[1]["error"]["message"].as_str().unwrap().contains("nobody can be asked"),
        "{result}"
    );
}
