//! Records of several chains in one order: by time, and within a chain always as it has them.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::chain::ChainedRecord;

/// Merges chains, each in its own order.
pub fn merge_by_time(chains: Vec<Vec<ChainedRecord>>) -> Vec<ChainedRecord> {
    let mut merged = Vec::with_capacity(chains.iter().map(Vec::len).sum());
    let mut chains: Vec<_> = chains.into_iter().map(|chain| chain.into_iter().peekable()).collect();
    // A chain whose clock went back is not overtaken by its own records.
    let mut first = BinaryHeap::new();
    for (index, chain) in chains.iter_mut().enumerate() {
        first.extend(chain.peek().map(|record| Reverse((record.at, index))));
    }
    while let Some(Reverse((_, index))) = first.pop() {
        let Some(chain) = chains.get_mut(index) else { continue };
        merged.extend(chain.next());
        first.extend(chain.peek().map(|record| Reverse((record.at, index))));
    }
    merged
}
