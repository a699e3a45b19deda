//! How long something took, counted by length: what histograms of durations are made of. No lock is
//! taken, so the hot path can count too; the metrics of the gateway read it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds, each included, in ascending order. What took longer than the last is counted too.
pub const BOUNDS: [Duration; 13] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Counts of durations.
#[derive(Debug, Default)]
pub struct Latencies {
    /// The last is of what took longer than every bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// What was counted, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// By bound, each without those below it; the last is of what took longer.
    pub counts: [u64; BOUNDS.len() + 1],
    pub sum: Duration,
}

impl Latencies {
    pub fn note(&self, took: Duration) {
        let at = BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub fn read(&self) -> Counted {
        let mut counts = [0; BOUNDS.len() + 1];
        for (read, count) in counts.iter_mut().zip(&self.counts) {
            *read = count.load(Ordering::Relaxed);
        }
        Counted { counts, sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)) }
    }
}

impl Counted {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_at_the_first_bound_that_holds_it() {
        let latencies = Latencies::default();
        for (took, at) in [
            (Duration::ZERO, 0),
            (Duration::from_micros(500), 0),
            (Duration::from_nanos(500_001), 1),
            (Duration::from_millis(10), 4),
            (Duration::from_secs(120), 12),
            (Duration::from_secs(121), 13),
        ] {
            let before = latencies.read().counts;
            latencies.note(took);
            let after = latencies.read().counts;
            let grown: Vec<_> = (0..after.len()).filter(|n| after[*n] != before[*n]).collect();
            assert_eq!(grown, [at], "{took:?}");
        }
        assert_eq!(latencies.read().count(), 6);
        assert_eq!(latencies.read().sum, Duration::from_nanos(241_011_000_001));
    }

    #[test]
    fn the_bounds_ascend() {
        assert!(BOUNDS.is_sorted_by(|one, other| one < other));
    }
}
