//! The end of a gateway (F11): `/ready` says it first, whoever comes is served for a while, what is under way is finished. The program itself,
//! with real signals; what a stop does to servers and sessions is next door, in [`super::operations`].

use std::{
    fs,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use portunus_testkit::{
    agent::{Agent, McpClient, OAuthClient, Page, Request},
    mcp_servers::{FixtureServer, HttpOptions},
    okta::{FakeOkta, Options},
};
use serde_json::json;
use tempfile::TempDir;

use crate::world::{Setup, World};

/// Nothing here takes that long, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, started as an administrator would.
struct Program {
    process: Process,
    url: String,
    okta: FakeOkta,
    server: FixtureServer,
    folder: TempDir,
}

impl Program {
    async fn start(stop_delay: &str) -> Self {
        let okta = FakeOkta::start(Options::default()).await;
        let server = FixtureServer::start_with(HttpOptions { name: "uuid".to_owned(), ..HttpOptions::default() }).await;
        let folder = TempDir::new().unwrap();
        let servers = json!({"mcpServers": {"uuid": {"url": server.url().as_str()}}});
        fs::write(folder.path().join("mcp.json"), servers.to_string()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://localhost:{port}");
        okta.register_redirect(format!("{url}/auth/callback/okta"));
        okta.sign_in_as("alice");
        let child = Command::new(env!("CARGO_BIN_EXE_portunus"))
            .current_dir(folder.path())
            .env_clear()
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("AUTH_SECRET", "a-secret-of-the-program-that-is-long-enough-0")
            .env("AUTH_PROVIDER", "okta")
            .env("AUTH_OKTA_ID", okta.client_id())
            .env("AUTH_OKTA_SECRET", okta.client_secret())
            .env("AUTH_OKTA_ISSUER", okta.custom_issuer("default"))
            .env("STOP_DELAY", stop_delay)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let program = Self { process: Process(child), url, okta, server, folder };
        until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        program
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn connect(&self) -> (Agent, McpClient) {
        let browser = Agent::new();
        let client = OAuthClient::register(&browser, &self.at("/mcp")).await;
        let tokens = client.connect(&browser).await;
        let mcp = McpClient::connect(&browser, &self.at("/mcp"), &tokens.access).await;
        (browser, mcp)
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.process.0.id())]).status().unwrap();
        assert!(kill.success());
    }

    /// Waits for its end.
    async fn end(mut self) -> ExitStatus {
        let waited = tokio::task::spawn_blocking(move || {
            let status = self.process.0.wait().unwrap();
            drop((self.okta, self.server, self.folder));
            status
        });
        tokio::time::timeout(PATIENCE, waited).await.expect("the program ends").unwrap()
    }
}

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
    let program = Program::start("5m").await;
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
    program.signal("TERM");
    let answer = no_longer_ready(&program.at("/ready")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (503, json!({"status": "stopping"})));
    assert_eq!(answer.header("connection"), "close");
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
    assert_eq!(program.end().await.code(), Some(0));
}

#[tokio::test]
async fn the_delay_is_for_sigterm_alone() {
    let program = Program::start("5m").await;
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

async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it becomes so");
}

/// Sends without waiting for whoever holds the agent.
fn send(agent: &Agent, request: Request) -> impl Future<Output = Page> + use<> {
    let agent = agent.clone();
    async move { agent.send(request).await }
}
