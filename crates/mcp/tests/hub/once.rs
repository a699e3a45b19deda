//! F14: a server dies, or forgets its sessions, while a thousand calls that cannot be taken back
//! are under way. The server writes each down, so that it is counted there how often it ran.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use portunus_core::entropy::SeededEntropy;
use portunus_mcp::{
    hub::{Hub, HubSettings, Servers, View},
    shared::SharedServers,
    spec::{Isolation, ServerSpec, Transport},
    upstream::Upstreams,
};
use portunus_testkit::{
    figures::Figures,
    mcp_servers::fixture_binary,
    port::ReservedPort,
    wait::{PATIENCE, eventually},
};
use serde_json::{Value, json};

use super::{
    client::{Client, Wax, caller},
    fake::name,
    modern::Modern,
    real::support::{self, nodes::Nodes},
};

const PEOPLE: usize = 20;
/// Of each person, at once.
const CALLS: usize = 50;
/// All of them are written down before the server comes to grief.
const ALL: usize = PEOPLE * CALLS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Stdio,
    /// A child that all users share, which runs at another node.
    OtherNode,
    Http,
    Sse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// `kill -9`; a server on HTTP is there again at once.
    Dies,
    Forgets,
    /// The node that the server runs at.
    NodeDies,
}

/// A server of one era, and what it wrote down.
struct Ledger {
    file: PathBuf,
    _folder: tempfile::TempDir,
    era: &'static str,
    way: Way,
    port: ReservedPort,
    /// Of a server on HTTP.
    process: Option<Child>,
}

impl Ledger {
    async fn start(way: Way, era: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger");
        let mut ledger =
            Self { file, _folder: folder, era, way, port: ReservedPort::any(), process: None };
        ledger.run().await;
        ledger
    }

    /// Starts what runs by itself.
    async fn run(&mut self) {
        let option = match self.way {
            Way::Http => "--http",
            Way::Sse => "--sse",
            Way::Stdio | Way::OtherNode => return,
        };
        let port = self.port.port();
        let mut command = Command::new(fixture_binary());
        command
            .arg("ledger")
            .arg(&self.file)
            .args([self.era, option, &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        eventually("the server listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
    }

    fn spec(&self) -> ServerSpec {
        let url = || format!("http://127.0.0.1:{}/mcp", self.port.port()).parse().unwrap();
        let transport = match self.way {
            Way::Stdio | Way::OtherNode => support::program(
                fixture_binary().to_str().unwrap(),
                &["ledger", self.file.to_str().unwrap(), self.era, "--stdio"],
            ),
            Way::Http => Transport::Http { url: url(), headers: Vec::new() },
            Way::Sse => Transport::Sse { url: url(), headers: Vec::new() },
        };
        let isolation =
            if self.way == Way::OtherNode { Isolation::Shared } else { Isolation::User };
        let timeout = PATIENCE / 2;
        ServerSpec {
            isolation,
            request_timeout: timeout,
            connect_timeout: timeout,
            ..support::spec("fixture", transport)
        }
    }

    async fn harm(&mut self, harm: Harm, nodes: &Nodes) {
        match (harm, self.process.take()) {
            (Harm::NodeDies, _) => nodes.kill(0).await,
            (Harm::Forgets, process) => {
                self.process = process;
                let (client, url) =
                    (support::client(), format!("http://127.0.0.1:{}/forget", self.port.port()));
                let request =
                    http::Request::post(url).body(http_body_util::Full::default()).unwrap();
                assert!(client.request(request).await.unwrap().status().is_success());
            }
            (Harm::Dies, Some(mut process)) => {
                process.kill().unwrap();
                process.wait().unwrap();
                self.run().await;
            }
            (Harm::Dies, None) => {
                let pids = lines(&PathBuf::from(format!("{}.pids", self.file.display())));
                let killed =
                    Command::new("kill").arg("-9").args(&pids).stderr(Stdio::null()).status();
                assert!(killed.is_ok());
            }
        }
    }

    fn written(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for key in lines(&self.file) {
            *counts.entry(key).or_default() += 1;
        }
        counts
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

enum Person {
    Legacy(Client),
    Modern(Modern),
}

impl Person {
    async fn of(hub: &Arc<Hub>, user: &str, is_modern: bool) -> Self {
        if !is_modern {
            return Self::Legacy(Client::one(hub, user, "fixture").await);
        }
        let mut client = Modern::all(hub, user);
        client.caller = caller(user, View::One(name("fixture")));
        Self::Modern(client)
    }

    /// The raw answer.
    async fn spend(&self, key: &str) -> String {
        let params = json!({"name": "spend", "arguments": {"key": key}});
        match self {
            Self::Legacy(client) => client.raw("tools/call", &params.to_string()).await,
            Self::Modern(client) => client.raw("tools/call", params).await,
        }
    }
}

/// What the calls came to: results, errors that say that the call may have run, other errors.
#[derive(Debug, Default)]
struct Outcomes {
    results: usize,
    uncertain: usize,
    refused: usize,
}

async fn nothing_runs_twice(way: Way, era: &'static str, is_modern: bool, harm: Harm) {
    let what = format!(
        "{way:?}, a server of the {era} era, clients of the {} era, {harm:?}",
        if is_modern { "modern" } else { "legacy" }
    );
    let mut ledger = Ledger::start(way, era).await;
    let spec = ledger.spec();
    let nodes = Nodes::new(&spec, 2);
    let pool = Arc::new(Upstreams::new(vec![spec.clone()], support::client(), support::quick()));
    let servers: Arc<dyn Servers> = match way {
        Way::OtherNode => {
            // The first to ask has it.
            nodes.peer(0).await.unwrap();
            Arc::new(At(Arc::clone(&nodes)))
        }
        _ => Arc::clone(&pool) as Arc<dyn Servers>,
    };
    let settings = HubSettings::default();
    let hub =
        Hub::new(settings, vec![spec], servers, Arc::new(SeededEntropy::new(1)), Arc::new(Wax));
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(Person::of(&hub, &format!("person-{n}"), is_modern).await);
    }
    let spending = people.iter().enumerate().flat_map(|(p, person)| {
        (0..CALLS).map(move |n| async move {
            let key = format!("{p}-{n}");
            let answer = person.spend(&key).await;
            (key, answer)
        })
    });
    let spending = join_all(spending);
    let harming = async {
        // Under way is what the server has written down.
        eventually("many calls are under way", async || lines(&ledger.file).len() >= ALL / 4).await;
        ledger.harm(harm, &nodes).await;
        ledger
    };
    let (answers, ledger) = tokio::join!(spending, harming);
    let written = ledger.written();
    let mut outcomes = Outcomes::default();
    for (key, answer) in &answers {
        let ran = written.get(key).copied().unwrap_or_default();
        let answer: Value = serde_json::from_str(answer).unwrap();
        match answer["error"]["message"].as_str() {
            None => {
                outcomes.results += 1;
                assert_eq!(answer["result"]["content"][0]["text"], "spent", "{what}: {answer}");
                assert_eq!(ran, 1, "{what}: {key} has a result");
            }
            Some(message) if message.contains("may or may not have run") => outcomes.uncertain += 1,
            Some(message) => {
                outcomes.refused += 1;
                assert_eq!(ran, 0, "{what}: {key} ran, and its client is told: {message}");
            }
        }
    }
    let most = written.values().max().copied().unwrap_or_default();
    // The server works again by itself.
    eventually("it works again", async || people[0].spend("again").await.contains("spent")).await;
    Figures::of("F14", "-", &what)
        .exactly("calls", answers.len(), ALL)
        .at_least("under way", written.len(), ALL / 4)
        .at_most("the most that one of them ran", most, 1)
        .and("results", outcomes.results)
        .and("errors that say that it may have run", outcomes.uncertain)
        .and("refused, and did not run", outcomes.refused)
        .report();
    hub.shutdown().await;
    pool.shutdown(Duration::from_secs(5)).await;
}

/// The second node.
struct At(Arc<Nodes>);

impl At {
    fn servers(&self) -> &SharedServers {
        &self.0.servers[1]
    }
}

#[async_trait::async_trait]
impl Servers for At {
    async fn connection(
        &self,
        server: &portunus_core::ids::ServerName,
        connection_user: &portunus_mcp::upstream::ConnectionUser,
    ) -> Result<Arc<dyn portunus_mcp::hub::Peer>, portunus_mcp::upstream::UpstreamError> {
        self.servers().connection(server, connection_user).await
    }

    async fn close_session(&self, connection_user: &portunus_mcp::upstream::ConnectionUser) {
        self.servers().close_session(connection_user).await;
    }

    async fn close_user(&self, user: &portunus_core::ids::UserId) {
        self.servers().close_user(user).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_nothing_runs_twice_when_a_child_dies() {
    for (era, is_modern) in [("legacy", false), ("modern", true), ("legacy", true)] {
        nothing_runs_twice(Way::Stdio, era, is_modern, Harm::Dies).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_nothing_runs_twice_when_an_http_server_dies_and_is_there_again() {
    for (era, is_modern) in
        [("legacy", false), ("modern", true), ("legacy", true), ("modern", false)]
    {
        nothing_runs_twice(Way::Http, era, is_modern, Harm::Dies).await;
    }
    nothing_runs_twice(Way::Sse, "legacy", false, Harm::Dies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_nothing_runs_twice_when_a_server_forgets_its_sessions() {
    for (way, is_modern) in [(Way::Http, false), (Way::Http, true), (Way::Sse, false)] {
        nothing_runs_twice(way, "legacy", is_modern, Harm::Forgets).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_nothing_runs_twice_when_the_node_of_a_server_dies_or_the_server_there() {
    for (is_modern, harm) in [(false, Harm::Dies), (false, Harm::NodeDies), (true, Harm::NodeDies)]
    {
        nothing_runs_twice(Way::OtherNode, "legacy", is_modern, harm).await;
    }
}
