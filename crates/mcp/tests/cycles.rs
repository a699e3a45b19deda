//! Children over and over: nothing stays behind (threat F5). Alone in its file, because it counts what its process has open.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod support;

use std::{fs, time::Duration};

use portunus_mcp::upstream::{Options, UpstreamError};
use portunus_testkit::figures::Figures;
use serde_json::json;
use support::{connect, eventually, fixture, pool_with, quick, try_call};

const CYCLES: usize = 50;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Children of this process, dead ones that nobody fetched included.
fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats.filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&own))).collect()
}

#[tokio::test]
async fn f5_no_zombie_and_no_open_file_stays() {
    let options = Options { backoff_min: Duration::from_millis(1), backoff_max: Duration::from_millis(5), ..quick() };
    let pool = pool_with(fixture(), options);
    let mut before = 0;
    for cycle in 0..CYCLES {
        let connection = loop {
            match connect(&pool).await {
                Ok(connection) => break connection,
                Err(UpstreamError::Backoff { retry_in, .. }) => tokio::time::sleep(retry_in).await,
                Err(error) => panic!("{error:?}"),
            }
        };
        assert!(!children().is_empty(), "the count sees the child");
        let crashed = try_call(&connection, "crash", json!({})).await;
        assert!(matches!(crashed, Err(UpstreamError::Closed { .. })), "{crashed:?}");
        drop(connection);
        if cycle == 4 {
            eventually("the first children are gone", || async { children().is_empty() }).await;
            before = open_files();
        }
    }
    eventually("all children are gone", || async { children().is_empty() }).await;
    eventually("all files are closed", || async { open_files() <= before }).await;
    let figures = Figures::of("F5", "-", "a child that crashes in the middle of a call").and("cycles", CYCLES);
    figures.and("zombies", children().len()).and("descriptors leaked", open_files().saturating_sub(before)).report();
    pool.shutdown(support::PATIENCE).await;
}
