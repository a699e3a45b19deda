//! From a store of one kind to one of another and back: what `portunus backup` and `restore` do
//! with two configurations. That each kind takes its own is a part of the suite,
//! `conformance/archive.rs`.

#![expect(clippy::unwrap_used, reason = "a test")]

use portunus_core::store::{RecordKind, Stores};
use portunus_store::{
    conformance::archive::{Crate, assert_furnished, crowd, furnish},
    sqlite,
};
use portunus_testkit::redis::{Cluster, Server};
use tempfile::TempDir;

use self::place::{Place, sealer};

mod place;

async fn moved(from: &Stores, to: &Stores) {
    let mut packed = Crate::of(from).await;
    assert_eq!(packed.left_out, []);
    to.archive.import(&mut packed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_to_redis_to_a_cluster_and_back() {
    let directory = TempDir::new().unwrap();
    // Sealed with another secret in each of them.
    let file = |name: &str, secret: &str| {
        sqlite::open(&directory.path().join(name), sealer(secret)).unwrap()
    };
    let (server, cluster) = (Server::start(&[]), Cluster::start());
    let first = file("first.sqlite", "one secret");
    furnish(&first).await;
    let redis = Place::fresh(server.address()).open().await;
    moved(&first, &redis).await;
    let many = Place::fresh(cluster.address()).open().await;
    moved(&redis, &many).await;
    let last = file("last.sqlite", "another secret");
    moved(&many, &last).await;
    for stores in [&redis, &many, &last] {
        assert_furnished(stores).await;
    }
    assert_furnished(&first).await;
}

/// More than any portion, page or batch of a store holds.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_grants_come_over() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&[]);
    let file = |name: &str| sqlite::open(&directory.path().join(name), sealer("a secret")).unwrap();
    let (first, redis, last) =
        (file("first.sqlite"), Place::fresh(server.address()).open().await, file("last.sqlite"));
    first.archive.import(&mut crowd(1000)).await.unwrap();
    moved(&first, &redis).await;
    moved(&redis, &last).await;
    let (before, after) = (Crate::of(&first).await.census(), Crate::of(&last).await.census());
    assert_eq!(before, after);
    assert_eq!(
        [RecordKind::User, RecordKind::Grant, RecordKind::RefreshToken].map(|kind| after.of(kind)),
        [1000, 1000, 1000]
    );
}
