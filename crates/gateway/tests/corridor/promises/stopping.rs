//! The end of a gateway (F11): `/ready` says it first, whoever comes is served for a while, what is under way is finished. The program itself,
//! with real signals; what a stop does to servers and sessions is next door, in [`super::operations`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use portunus_testkit::{
    agent::{Agent, Page, Request},
    figures::Figures,
};
use serde_json::json;

use crate::{
    program::{PATIENCE, Program, until},
    world::{Setup, World},
};

/// One connection for each answer: what a balancer does that looks whether to send traffic.
async fn readiness(url: &str) -> Page {
    Agent::new().send(Request::get(url)).await
}

/// The first answer that is not 200.
async fn no_longer_ready(url: &str) -> Page {
    let waiting = async {
        loop {
            let answer = readiness(url).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it says that it stops")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_sigterm_under_load_loses_nothing() {
    let program = Program::start(&[("STOP_DELAY", "5m")]).await;
    let (browser, mcp) = program.connect().await;
    assert_eq!(readiness(&program.at("/ready")).await.expect(200).json(), json!({"status": "ok", "store": "ok"}));
    let stream = Request::get(&mcp.url).without_cookies().bearer(&mcp.token).header("accept", "text/event-stream");
    let stream = tokio::spawn(send(&browser, stream.header("mcp-session-id", &mcp.session)));
    // It is under way all the time, and ends after nobody is let in any more.
    let long = json!({"name": "uuid_slow", "arguments": {"steps": 50, "step_ms": 100}});
    let long = mcp.message(&json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": long}));
    let long = tokio::spawn(send(&browser, long));
    let (mcp, calls, enough) = (Arc::new(mcp), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (mcp, calls, enough) = (Arc::clone(&mcp), Arc::clone(&calls), Arc::clone(&enough));
            tokio::spawn(async move {
                while !enough.load(Ordering::SeqCst) {
                    assert_eq!(mcp.call_text("uuid_echo", json!({"text": "still here"})).await, "still here");
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
    // Whoever comes now is served: those of the load, and somebody new from the first request on.
    let before = calls.load(Ordering::SeqCst);
    until(|| calls.load(Ordering::SeqCst) > before + 16).await;
    let (_, new) = program.connect().await;
    assert_eq!(new.call_text("uuid_echo", json!({"text": "new here"})).await, "new here");
    assert_eq!(readiness(&program.at("/health")).await.expect(200).json(), json!({"status": "ok"}), "it lives");
    enough.store(true, Ordering::SeqCst);
    for done in join_all(load).await {
        done.unwrap();
    }
    assert!(!long.is_finished() && !stream.is_finished(), "both are under way");
    program.signal("TERM");
    assert!(long.await.unwrap().expect(200).body.contains("50 steps"), "the call under way is finished");
    stream.await.unwrap().expect(200);
    let code = program.end().await.code();
    assert_eq!(code, Some(0));
    Figures::of("F11", "sqlite", "SIGTERM under load, then a second one with a call and a stream under way")
        .and("/ready says 503 after", format!("{noticed:.2?}"))
        .and("calls served", calls.load(Ordering::SeqCst))
        .and("failed", 0)
        .and("exit", 0)
        .report();
}

#[tokio::test]
async fn the_delay_is_for_sigterm_alone() {
    let program = Program::start(&[("STOP_DELAY", "5m")]).await;
    program.signal("INT");
    assert_eq!(program.end().await.code(), Some(0), "it did not wait for five minutes");
}

#[tokio::test]
async fn the_delay_ends_by_itself() {
    let world = World::of(Setup { stop_delay: Duration::from_millis(50), ..Setup::default() }).await;
    readiness(&world.at("/ready")).await.expect(200);
    world.begin_to_stop().await;
    world.ended().await;
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err());
    world.close().await;
}

/// Sends without waiting for whoever holds the agent.
fn send(agent: &Agent, request: Request) -> impl Future<Output = Page> + use<> {
    let agent = agent.clone();
    async move { agent.send(request).await }
}
