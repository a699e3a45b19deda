//! How long a store takes to answer, and how often it fails: each store counts for itself.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::error::StoreError;
use crate::latency::Latencies;

/// Counted since the store was opened.
#[derive(Debug, Default)]
pub struct StoreLatency {
    pub reads: Latencies,
    pub writes: Latencies,
    unavailable: AtomicU64,
}

impl StoreLatency {
    /// A write was answered.
    pub fn note_write<T>(&self, took: Duration, answer: &Result<T, StoreError>) {
        self.writes.note(took);
        self.note_failure(answer);
    }

    /// A read was answered.
    pub fn note_read<T>(&self, took: Duration, answer: &Result<T, StoreError>) {
        self.reads.note(took);
        self.note_failure(answer);
    }

    fn note_failure<T>(&self, answer: &Result<T, StoreError>) {
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often the store did not do what it was asked for, because it could not be reached, was
    /// too busy, or failed.
    pub fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::Relaxed)
    }
}
