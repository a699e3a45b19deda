//! The conformance suite over a Redis Cluster of three masters.

use std::sync::LazyLock;

use portunus_core::{Timestamp, store::Stores};
use portunus_store::{conformance::Backend, conformance_suite, inspection::Inspection};
use portunus_testkit::redis::Cluster;

use self::place::Place;

mod place;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

struct RedisCluster(Place);

impl Backend for RedisCluster {
    async fn fresh() -> Self {
        Self(Place::fresh(CLUSTER.address()))
    }

    async fn open(&self) -> Stores {
        self.0.open().await
    }

    async fn inspect(&self, now: Timestamp) -> Inspection {
        self.0.inspect(now).await
    }
}

conformance_suite!(RedisCluster);
