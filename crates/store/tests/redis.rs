//! The conformance suite over a single Redis. What is particular to Redis is tested in
//! `redis_itself.rs`.

use std::sync::LazyLock;

use portunus_core::{Timestamp, store::Stores};
use portunus_store::{conformance::Backend, conformance_suite, inspection::Inspection};
use portunus_testkit::redis::Server;

use self::place::Place;

mod place;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(&[]));

struct Redis(Place);

impl Backend for Redis {
    async fn fresh() -> Self {
        Self(Place::fresh(SERVER.address()))
    }

    async fn open(&self) -> Stores {
        self.0.open().await
    }

    async fn inspect(&self, now: Timestamp) -> Inspection {
        self.0.inspect(now).await
    }
}

conformance_suite!(Redis);
