//! The conformance suite over SQLite. What is particular to SQLite is tested beside it, in
//! `src/sqlite/tests.rs`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use portunus_core::{Timestamp, entropy::SeededEntropy, secret::SecretText, store::Stores};
use portunus_store::{
    conformance::Backend, conformance_suite, inspection::Inspection, seal::Sealer, sqlite,
};
use tempfile::TempDir;

struct Sqlite(TempDir);

fn sealer() -> Sealer {
    Sealer::new(&[SecretText::new("a secret of the tests")], Arc::new(SeededEntropy::new(1)))
        .unwrap()
}

impl Backend for Sqlite {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Stores {
        sqlite::open(&self.0.path().join("mcp.sqlite"), sealer()).unwrap()
    }

    async fn inspect(&self, _: Timestamp) -> Inspection {
        sqlite::inspect(&self.0.path().join("mcp.sqlite"), &sealer()).unwrap()
    }
}

conformance_suite!(Sqlite);
