//! Children over and over: nothing stays behind, and another server notices nothing (threat F5).
//! Alone in its file, because it counts what its process has open.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{fs, sync::Arc, time::Duration};

use portunus_mcp::{
    spec::ServerSpec,
    upstream::{Connection, Options, UpstreamError, Upstreams},
};
use portunus_testkit::figures::Figures;
use serde_json::json;
use support::{client, connect, connection_user, eventually, fixture, name, quick, try_call};

const CYCLES: usize = 1_000;
/// After so many, whatever is opened once is open.
const FIRST: usize = 5;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Children of this process, dead ones that were not waited for included.
fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let stats = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats
        .filter(|stat| {
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&own))
        })
        .collect()
}

/// A connection to a child, as soon as its last accident allows.
async fn connection_of(pool: &Upstreams) -> Arc<Connection> {
    let mut found = None;
    eventually("the child may be started", async || {
        match connect(pool).await {
            Ok(connection) => found = Some(connection),
            Err(UpstreamError::Backoff { retry_in, .. }) => tokio::time::sleep(retry_in).await,
            Err(error) => panic!("{error:?}"),
        }
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test]
async fn f5_no_zombie_and_no_open_file_stays() {
    let options = Options {
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        ..quick()
    };
    let specs = vec![fixture(), ServerSpec { name: name("other"), ..fixture() }];
    let pool = Upstreams::new(specs, client(), options);
    let other = pool.connection(&name("other"), &connection_user("ada", "1")).await.unwrap();
    let (mut before, mut failed_elsewhere) = (0, 0);
    for cycle in 0..CYCLES {
        let connection = connection_of(&pool).await;
        assert_eq!(children().len(), 2, "the count sees the child, and the other server's");
        let (crashed, called) = tokio::join!(
            try_call(&connection, "crash", json!({})),
            try_call(&other, "count", json!({}))
        );
        assert!(matches!(crashed, Err(UpstreamError::Closed { .. })), "{crashed:?}");
        failed_elsewhere += usize::from(called.is_err());
        drop(connection);
        if cycle + 1 == FIRST {
            eventually("the first children are gone", async || children().len() == 1).await;
            before = open_files();
        }
    }
    eventually("all children but the other server's are gone", async || children().len() == 1)
        .await;
    eventually("all files are closed", async || open_files() <= before).await;
    Figures::of("F5", "-", "a child that crashes in the middle of a call, beside another server")
        .at_least("cycles", CYCLES, 1_000)
        .exactly("zombies", children().len() - 1, 0)
        .exactly("descriptors leaked", open_files().saturating_sub(before), 0)
        .exactly("calls of others that failed", failed_elsewhere, 0)
        .report();
    pool.shutdown(support::PATIENCE).await;
}
