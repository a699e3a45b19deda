//! F1: a gateway that is used by several clients at once is killed, or loses its records' server,
//! again and again at moments of chance; nothing that it acknowledged is lost, and nothing works
//! twice.

use std::time::{Duration, Instant};

use portunus_testkit::{
    fault_proxy::{FaultProxy, Mode},
    redis::Server,
    wait::eventually,
};

use super::{
    fixture::LoadFixture,
    program::{PATIENCE, Records},
};

/// How often each harm is done: `./test faults` and `just faults` say how often, and a plain `cargo
/// test` only looks whether it works.
pub(crate) fn times() -> usize {
    std::env::var("PORTUNUS_KILLS").ok().map_or(3, |text| text.parse().unwrap())
}

/// A Redis of its own, and the gateway on it.
async fn on_redis() -> (Server, LoadFixture) {
    let server = Server::start(&[]);
    let fixture = LoadFixture::of(Records::Redis { address: server.address(), replicas: 0 }).await;
    (server, fixture)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_gateway_on_sqlite_is_killed_at_any_moment_and_loses_nothing() {
    let mut fixture = LoadFixture::of(Records::Sqlite).await;
    for _ in 0..times() {
        fixture.work().await;
        fixture.program().kill();
        assert_eq!(fixture.surroundings.integrity(), "ok");
        fixture.start_again().await;
    }
    fixture
        .judge(
            "F1",
            "sqlite",
            "kill -9 of the gateway under load, integrity_check each time",
            "kills",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_gateway_on_redis_is_killed_at_any_moment_and_loses_nothing() {
    let (_server, mut fixture) = on_redis().await;
    for _ in 0..times() {
        fixture.work().await;
        fixture.program().kill();
        fixture.start_again().await;
    }
    fixture.judge("F1", "redis", "kill -9 of the gateway under load", "kills").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_one_of_three_gateways_on_redis_is_killed_at_any_moment_and_nothing_is_lost() {
    let server = Server::start(&[]);
    let mut fixture =
        LoadFixture::of_several(Records::Redis { address: server.address(), replicas: 0 }, 3).await;
    for _ in 0..times() {
        fixture.work().await;
        let n = fixture.chance.index(3);
        fixture.programs[n].kill();
        // The others have the load for a while.
        fixture.work().await;
        fixture.start_one_again(n).await;
    }
    fixture
        .judge("F1", "redis", "kill -9 of one of three gateways under load, round robin", "kills")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_redis_is_killed_under_a_gateway_and_nothing_is_lost() {
    let (mut server, mut fixture) = on_redis().await;
    for _ in 0..times() {
        fixture.work().await;
        server.crash();
        tokio::time::sleep(Duration::from_millis(fixture.chance.below(200))).await;
        assert!(server.run());
        let ready = fixture.until_ready().await;
        fixture.harmed(ready);
    }
    fixture
        .judge(
            "F1",
            "redis",
            "kill -9 of Redis under load, appendfsync always; ready from its return on",
            "kills",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_the_way_to_redis_is_cut_at_any_moment_and_nothing_is_lost() {
    let server = Server::start(&[]);
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port).into()).await;
    let address = format!("redis://{}", proxy.address());
    let mut fixture = LoadFixture::of(Records::Redis { address, replicas: 0 }).await;
    for n in 0..times() {
        fixture.work().await;
        match n % 4 {
            // Redis has done what it was told, and the gateway learns nothing of it, or the half.
            0 => proxy.cut_next_reply_after(0),
            1 => proxy.cut_next_reply_after(1 + fixture.chance.index(40)),
            2 => proxy.cut(),
            _ => {
                proxy.set(Mode::Stalled);
                // Longer than a call may take, or not.
                tokio::time::sleep(Duration::from_millis(fixture.chance.below(4000))).await;
                proxy.cut();
                proxy.set(Mode::Open);
            }
        }
        let ready = fixture.until_ready().await;
        fixture.harmed(ready);
    }
    let done =
        format!("connections cut, {} of them in the middle of an answer", proxy.replies_cut());
    fixture.judge("F1", "redis", &done, "cuts").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_master_is_paused_its_replica_takes_over_and_nothing_is_lost() {
    let mut servers = vec![Server::start(&[])];
    let master = servers[0].port.to_string();
    for _ in 0..2 {
        servers.push(Server::start(&["--replicaof", "127.0.0.1", &master]));
    }
    servers[0].until(&["INFO", "replication"], "connected_slaves:2");
    let sentinel = Server::start_sentinel("main", servers[0].port);
    // Otherwise it waits for minutes before it moves the master again.
    let () = sentinel.ask(&["SENTINEL", "SET", "main", "failover-timeout", "5000"]);
    for replica in &servers[1..] {
        sentinel.until(&["SENTINEL", "replicas", "main"], &replica.port.to_string());
    }
    let address = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    let mut fixture = LoadFixture::of(Records::Redis { address, replicas: 1 }).await;
    for _ in 0..times().div_ceil(8) {
        fixture.work().await;
        let master = master_of(&sentinel);
        let paused = servers.iter().find(|server| server.port == master).unwrap();
        let began = Instant::now();
        paused.signal("-STOP");
        while master_of(&sentinel) == master {
            assert!(began.elapsed() < PATIENCE, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // How long Sentinel takes for that, and Redis to make another its replica, is theirs; from
        // then on a write can be acknowledged.
        let moved = fixture.until_ready_since(has_replica(&servers, master_of(&sentinel))).await;
        fixture.work().await;
        // It believes itself to be the master until it is told otherwise.
        paused.signal("-CONT");
        fixture.work().await;
        paused.until(&["INFO", "replication"], "role:slave");
        paused.until(&["INFO", "replication"], "master_link_status:up");
        let master = master_of(&sentinel);
        servers
            .iter()
            .find(|server| server.port == master)
            .unwrap()
            .until(&["INFO", "replication"], "connected_slaves:2");
        let ready = fixture.until_ready().await;
        fixture.harmed(moved.max(ready));
    }
    fixture
        .judge(
            "F1",
            "redis",
            "the master paused until Sentinel moves on, then resumed; replicas: 1",
            "fail-overs",
        )
        .await;
}

/// Ends when the server of this port sends what it is told to a replica.
async fn has_replica(servers: &[Server], port: u16) {
    let master = servers.iter().find(|server| server.port == port).unwrap();
    eventually("another server follows the new master", async || {
        let told: Option<String> = master.try_ask(&["INFO", "replication"]).ok();
        told.is_some_and(|told| told.contains("role:master") && told.contains("state=online"))
    })
    .await;
}

/// The port of the server that the sentinel takes for the master.
fn master_of(sentinel: &Server) -> u16 {
    let address: Vec<String> = sentinel.ask(&["SENTINEL", "get-master-addr-by-name", "main"]);
    address[1].parse().unwrap()
}
