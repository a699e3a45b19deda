//! What a server leaves behind (68, 44, FB54): processes that left its session and group, of a
//! parent that has ended, end with it, however it or the gateway ends; those of other servers stay.

use std::{fs, process::Command};

use portunus_mcp::child;
use serde_json::json;

use super::child_isolation::{Probed, parent};
use crate::fixture::program::{By, PATIENCE, until};

/// As hard to find as can be: another session, another group, no parent, no environment, no open
/// pipe, another name. Each prints its number.
const LEAVE: [&str; 4] = [
    "sleep 1000 >/dev/null 2>&1 & echo $!",
    "setsid sleep 1000 >/dev/null 2>&1 & echo $!",
    "sh -c 'setsid sh -c \"echo \\$\\$; exec env -i sleep 1000 >/dev/null 2>&1\" 2>/dev/null & sleep 0.2'",
    "setsid sh -c 'setsid sh -c \"echo \\$\\$; exec >/dev/null 2>&1; trap \\\"\\\" TERM HUP INT; while :; do sleep 1; done\" & sleep 0.2'",
];

/// Is there such a process, not counting dead ones that were not fetched?
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The processes that a server left behind, itself and its supervisor.
struct Left {
    supervisor: u32,
    server: u32,
    rest: Vec<u32>,
}

impl Left {
    async fn by(probed: &Probed, server: &str) -> Self {
        let pid = probed.pid(server).await;
        let mut rest = Vec::new();
        for leave in LEAVE {
            // The shell waits for nothing that has closed its outputs; what prints its number does
            // so before.
            let said = probed.run(server, leave).await;
            rest.push(said.trim().parse().unwrap_or_else(|_| panic!("{leave}: {said:?}")));
        }
        let left = Self { supervisor: parent(pid), server: pid, rest };
        assert!(left.all().all(is_running), "{server}");
        left
    }

    fn all(&self) -> impl Iterator<Item = u32> {
        [self.supervisor, self.server].into_iter().chain(self.rest.iter().copied())
    }

    async fn is_gone(&self) {
        until(|| !self.all().any(is_running)).await;
    }
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

async fn two() -> (Probed, Left, Left) {
    let probed = Probed::start(&By::nobody(), &[("a", json!({})), ("b", json!({}))]).await;
    let (a, b) = (Left::by(&probed, "a").await, Left::by(&probed, "b").await);
    (probed, a, b)
}

#[tokio::test]
async fn t68_what_a_server_left_behind_ends_with_it_and_others_stay() {
    let (probed, a, b) = two().await;
    // By itself.
    kill("-KILL", a.server);
    a.is_gone().await;
    assert!(b.all().all(is_running), "another server's stay");
    // It is started anew, and its supervisor is killed from outside.
    let again = async {
        loop {
            let answer = probed.mcp.call("a_run", json!({"script": "echo back"})).await;
            if answer["result"].is_object() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it is started anew");
    let a = Left::by(&probed, "a").await;
    kill("-KILL", a.supervisor);
    a.is_gone().await;
    assert!(b.all().all(is_running), "another server's stay");
    // Nothing is left of any of them to fetch.
    let gateway = probed.program.pid();
    until(|| children(gateway) == [b.supervisor]).await;
    probed.end(&["a", "b"]).await;
    b.is_gone().await;
}

#[tokio::test]
async fn t68_t44_everything_ends_with_a_gateway_that_is_killed() {
    let (probed, a, b) = two().await;
    probed.program.signal("KILL");
    a.is_gone().await;
    b.is_gone().await;
}

/// A server that stops its supervisor, or forks as fast as it can, is ended all the same.
#[tokio::test]
async fn t68_a_server_that_resists_is_ended() {
    let (probed, a, b) = two().await;
    kill("-STOP", a.supervisor);
    let fork = "setsid sh -c 'i=0; while [ $i -lt 100 ]; do setsid sleep 1000 & i=$((i+1)); done' >/dev/null 2>&1; echo done";
    assert_eq!(probed.run("b", fork).await, "done\n");
    let below = children(b.supervisor);
    assert!(below.len() > 100, "orphans fall to the supervisor: {below:?}");
    probed.program.signal("INT");
    assert!(probed.program.end().await.success());
    a.is_gone().await;
    b.is_gone().await;
    until(|| !below.iter().copied().any(is_running)).await;
}

/// The first process of a container has every orphan for a child. It fetches them, takes no exit
/// status that another part of it waits for, and ends none that is no server's.
#[tokio::test]
async fn fb54_as_the_first_process_orphans_are_fetched_and_other_processes_stay() {
    let unshare: &[&str] = if child::is_root() { &["unshare"] } else { &["unshare", "-Ur"] };
    let way = [unshare, &["--pid", "--fork", "--mount-proc", "--kill-child"]].concat();
    let probed = Probed::start(&By::way(&way), &[("a", json!({})), ("b", json!({}))]).await;
    let [gateway] = children(probed.program.pid())[..] else { panic!("unshare has one child") };
    assert_eq!(
        probed.run("a", "ps -o comm= -p 1 2>/dev/null || cat /proc/1/comm").await.trim(),
        "portunus"
    );
    // A person enters the container and leaves processes behind: fifty that end, one that stays.
    let enter = |script: &str| {
        let target = gateway.to_string();
        let user: &[&str] = if child::is_root() { &[] } else { &["-U", "--preserve-credentials"] };
        let entered = Command::new("nsenter")
            .args(["-t", &target, "-p", "-m"])
            .args(user)
            .args(["sh", "-c", script])
            .status()
            .unwrap();
        assert!(entered.success());
    };
    enter(
        "i=0; while [ $i -lt 50 ]; do (setsid sleep 0.1 >/dev/null 2>&1 &); i=$((i+1)); done; (setsid sleep 1000 >/dev/null 2>&1 &)",
    );
    let is_dead = |pid: &u32| !is_running(*pid);
    let unrelated = || {
        let all = children(gateway);
        all.into_iter()
            .filter(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            })
            .collect::<Vec<_>>()
    };
    until(|| unrelated().len() == 1 && !children(gateway).iter().any(is_dead)).await;
    let unrelated = unrelated()[0];
    // A server that ends is known to have ended as it did.
    probed.mcp.call("a_run", json!({"script": "kill -TERM $PPID"})).await;
    until(|| probed.program.log().contains("SIGTERM)")).await;
    until(|| !children(gateway).iter().any(is_dead)).await;
    assert!(is_running(unrelated), "it is no server's");
    assert_eq!(probed.run("b", "echo served").await, "served\n");
    kill("-TERM", gateway);
    assert!(probed.program.end().await.success());
    assert!(!is_running(unrelated), "the kernel ends what is left of a container");
}

/// Of a process, in the numbers of the test's own namespace.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect()
}
