//! The end of a gateway (F11): `/ready` says it first, a client that comes is served for a while,
//! what is under way is finished, and nothing stays behind. Most of it at the program itself, with
//! real signals.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use portunus_core::audit::AuditFilter;
use portunus_testkit::{
    agent::{Agent, McpClient, Page, Request},
    figures::{Figures, Limit, control},
    mcp_servers::fixture_binary,
    okta::{Endpoint, Fault},
    wait::{eventually, in_time},
};
use serde_json::json;

use crate::fixture::{
    GatewayFixture, Setup,
    program::{Program, until},
    stdio,
};

/// One connection for each answer: what a balancer does that looks whether to send traffic.
async fn readiness(url: &str) -> Page {
    Agent::new().send(Request::get(url)).await
}

/// The first answer that is not 200.
async fn no_longer_ready(url: &str) -> Page {
    let mut last = readiness(url).await;
    eventually("it says that it stops", async || {
        last = readiness(url).await;
        last.status != 200
    })
    .await;
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_sigterm_under_load_loses_nothing() {
    let program = Program::start(&[("STOP_DELAY", "5m")]).await;
    let (browser, mcp) = program.connect().await;
    assert_eq!(
        readiness(&program.at("/ready")).await.expect(200).json(),
        json!({"status": "ok", "store": "ok"})
    );
    let stream = Request::get(&mcp.url)
        .without_cookies()
        .bearer(&mcp.token)
        .header("accept", "text/event-stream");
    let stream = tokio::spawn(send(&browser, stream.header("mcp-session-id", &mcp.session)));
    // It is under way all the time, and ends after the last client was let in.
    let long = json!({"name": "uuid_slow", "arguments": {"steps": 50, "step_ms": 100}});
    let long = mcp
        .message(&json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": long}));
    let long = tokio::spawn(send(&browser, long));
    let (mcp, calls, enough) =
        (Arc::new(mcp), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let wrong = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (mcp, calls, enough) = (Arc::clone(&mcp), Arc::clone(&calls), Arc::clone(&enough));
            let wrong = Arc::clone(&wrong);
            tokio::spawn(async move {
                // bounded: by what is waited for below, each in time.
                while !enough.load(Ordering::SeqCst) {
                    let answer = mcp.call("uuid_echo", json!({"text": "still here"})).await;
                    let is_right = answer["result"]["content"][0]["text"] == "still here";
                    wrong.fetch_add(usize::from(!is_right), Ordering::SeqCst);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    until(|| calls.load(Ordering::SeqCst) > 16).await;
    let told = Instant::now();
    program.signal("TERM");
    let answer = no_longer_ready(&program.at("/ready")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (503, json!({"status": "stopping"})));
    assert_eq!(answer.header("connection"), "close");
    let noticed = told.elapsed();
    let controls = [control(), control(), control()];
    // A client that comes now is served: those of the load, and a new one from its first request
    // on.
    let before = calls.load(Ordering::SeqCst);
    until(|| calls.load(Ordering::SeqCst) > before + 16).await;
    let (_, new) = program.connect().await;
    assert_eq!(new.call_text("uuid_echo", json!({"text": "new here"})).await, "new here");
    assert_eq!(
        readiness(&program.at("/health")).await.expect(200).json(),
        json!({"status": "ok"}),
        "it lives"
    );
    enough.store(true, Ordering::SeqCst);
    for done in join_all(load).await {
        done.unwrap();
    }
    assert!(!long.is_finished() && !stream.is_finished(), "both are under way");
    program.signal("TERM");
    assert!(
        long.await.unwrap().expect(200).body.contains("50 steps"),
        "the call under way is finished"
    );
    stream.await.unwrap().expect(200);
    let code = program.end().await.code();
    assert_eq!(code, Some(0));
    // At once: the next answer but for the signal's way, within half a second of an idle machine.
    let at_once = Limit::of(Duration::from_millis(500), &controls);
    Figures::of(
        "F11",
        "sqlite",
        "SIGTERM under load, then a second one with a call and a stream under way",
    )
    .within("/ready says 503 after", &[noticed], at_once)
    .and("calls served", calls.load(Ordering::SeqCst))
    .exactly("calls that failed", wrong.load(Ordering::SeqCst), 0)
    .exactly("exit", code.unwrap_or(-1), 0)
    .report();
}

#[tokio::test]
async fn f11_what_does_not_end_is_cut_off_after_25_seconds() {
    let mut fixture = GatewayFixture::start().await;
    let (_, browser, tokens) = fixture.connect("/mcp/uuid").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp/uuid"), &tokens.access).await;
    // Whatever is asked of the server first is asked by now: what reaches it next is the call.
    assert_eq!(mcp.call_text("echo", json!({"text": "before"})).await, "before");
    let before = fixture.uuid.seen().len();
    let hang = json!({"jsonrpc": "2.0", "id": "for ever", "method": "tools/call", "params": {"name": "hang"}});
    let (agent, call) = (browser.clone(), mcp.message(&hang));
    let hanging = tokio::spawn(async move { agent.try_send(call).await });
    eventually("the call reaches the server", async || fixture.uuid.seen().len() > before).await;
    fixture.begin_to_stop().await;
    eventually("it takes no more connections", async || {
        tokio::net::TcpStream::connect(fixture.address).await.is_err()
    })
    .await;
    // From here on nothing happens but that time passes, which it does at once.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let answer = in_time("the call is cut off", hanging).await.unwrap();
    let took = began.elapsed();
    tokio::time::resume();
    fixture.stop().await;
    assert!(
        answer.as_ref().is_err() || !answer.as_ref().is_ok_and(|page| page.body.contains("result")),
        "{took:?}: {answer:?}"
    );
    fixture.close().await;
    Figures::of(
        "F11",
        "sqlite",
        "SIGTERM with a call under way that never ends, by a clock that is moved",
    )
    .at_least("the last request ended after", took.as_secs(), 20)
    .at_most("the last request ended after", took.as_secs(), 25)
    .report();
}

#[tokio::test]
async fn what_a_request_began_is_recorded_though_its_client_and_the_gateway_go() {
    let mut fixture = GatewayFixture::start().await;
    fixture.okta.fail_next(Endpoint::Token, Fault::Slow(Duration::from_secs(2)));
    let (browser, before) = (fixture.browser(), fixture.okta.count(Endpoint::Token));
    tokio::select! {
        () = fixture.sign_in(&browser) => panic!("the provider was not asked yet"),
        () = eventually("the provider is asked", async || {
            fixture.okta.count(Endpoint::Token) > before
        }) => {}
    }
    // The client is gone, and with it the last connection.
    fixture.stop().await;
    fixture.restart().await;
    let all = fixture.stores().audit.find_records(&AuditFilter::default(), 1_000).await.unwrap();
    let words = all.iter().filter_map(|record| Some(record.read()?.event.word()));
    let words: Vec<_> = words.filter(|word| *word != "checkpoint").take(3).collect();
    assert_eq!(words, ["started", "signed_in", "stopped"]);
    fixture.close().await;
}

#[tokio::test]
async fn the_delay_is_for_sigterm_alone() {
    let program = Program::start(&[("STOP_DELAY", "5m")]).await;
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0), "it did not wait for five minutes");
}

#[tokio::test]
async fn the_delay_ends_by_itself() {
    let fixture =
        GatewayFixture::of(Setup { stop_delay: Duration::from_millis(50), ..Setup::default() })
            .await;
    readiness(&fixture.at("/ready")).await.expect(200);
    fixture.begin_to_stop().await;
    fixture.ended().await;
    assert!(tokio::net::TcpStream::connect(fixture.address).await.is_err());
    fixture.close().await;
}

/// Sends on a copy of the agent, so that the future does not borrow it.
fn send(agent: &Agent, request: Request) -> impl Future<Output = Page> + use<> {
    let agent = agent.clone();
    async move { agent.send(request).await }
}

#[tokio::test]
async fn a_stop_ends_children_and_open_streams() {
    let more_servers =
        vec![stdio("child", fixture_binary().to_str().unwrap(), &["--stdio", "--name", "child"])];
    let mut fixture = GatewayFixture::of(Setup { more_servers, ..Setup::default() }).await;
    let (_, browser, tokens) = fixture.connect("/mcp").await;
    let mcp = McpClient::connect(&browser, &fixture.at("/mcp"), &tokens.access).await;
    let child = mcp.call_text("child_process", json!({})).await;
    let offspring = mcp.call_text("child_offspring", json!({})).await;
    assert!(is_alive(&child) && is_alive(&offspring), "{child} {offspring}");
    let stream = Request::get(&mcp.url)
        .without_cookies()
        .bearer(&mcp.token)
        .header("accept", "text/event-stream");
    let stream = tokio::spawn(send(&browser, stream.header("mcp-session-id", &mcp.session)));
    mcp.call_text("uuid_echo", json!({"text": "wakes the server"})).await;
    let before = fixture.uuid.seen().len();
    let slow = json!({"name": "uuid_slow", "arguments": {"steps": 10, "step_ms": 100}});
    let slow = mcp
        .message(&json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": slow}));
    let slow = tokio::spawn(send(&browser, slow));
    eventually("the call reaches the server", async || fixture.uuid.seen().len() > before).await;
    fixture.stop().await;
    assert!(!is_alive(&child), "the child ends with the gateway");
    // It was killed, but the gateway could not wait for its end: it is no child of the gateway's.
    let patience = Instant::now() + Duration::from_secs(20);
    while is_alive(&offspring) {
        assert!(Instant::now() < patience, "what the child started ends with it (threat 44)");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(slow.await.unwrap().body.contains("10 steps"), "the call under way was finished (F11)");
    stream.await.unwrap().expect(200);
    fixture.restart().await;
    fixture.close().await;
}

fn is_alive(pid: &str) -> bool {
    // A zombie has ended; its parent just has not looked yet.
    let status =
        std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    !status.is_empty() && !status.rsplit(") ").next().unwrap_or_default().starts_with('Z')
}
