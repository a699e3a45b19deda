//! Where the tests over Redis keep things; the servers themselves are
//! [`portunus_testkit::redis`]'s.

#![expect(clippy::unwrap_used, reason = "for tests")]
#![allow(dead_code, reason = "each suite uses its part, and one of them all of it")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use portunus_core::{Timestamp, entropy::SeededEntropy, secret::SecretText, store::Stores};
use portunus_store::{
    inspection::Inspection,
    redis::{RedisAddress, RedisOptions, inspect, open},
    seal::Sealer,
};

/// Storage of a test's own on a server that others use too: keys of its own prefix.
pub(crate) struct Place {
    pub(crate) address: String,
    prefix: String,
}

impl Place {
    pub(crate) fn fresh(address: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self { address, prefix: format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed)) }
    }

    pub(crate) fn key(&self, end: &str) -> String {
        format!("{}:{end}", self.prefix)
    }

    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions {
            prefix: self.prefix.clone(),
            ..RedisOptions::new(RedisAddress::parse(&self.address).unwrap())
        }
    }

    pub(crate) async fn open(&self) -> Stores {
        open(self.options(), sealer("a secret of the tests")).await.unwrap()
    }

    pub(crate) async fn inspect(&self, now: Timestamp) -> Inspection {
        inspect(self.options(), sealer("a secret of the tests"), now).await.unwrap()
    }
}

pub(crate) fn sealer(secret: &str) -> Sealer {
    sealer_of(&[secret])
}

pub(crate) fn sealer_of(secrets: &[&str]) -> Sealer {
    let secrets: Vec<_> = secrets.iter().map(|text| SecretText::new(*text)).collect();
    Sealer::new(&secrets, Arc::new(SeededEntropy::new(1))).unwrap()
}
