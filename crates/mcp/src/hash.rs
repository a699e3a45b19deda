//! The hash of tables that every call looks into. The standard one withstands keys that are made up
//! to collide, at ten times the cost; here a key's makers have few entries each: what a user may
//! have of sessions and connections is bounded.

use std::collections::{HashMap, HashSet};

/// Seeded anew in each process.
pub(crate) type Hasher = foldhash::quality::RandomState;
pub(crate) type FastMap<K, V> = HashMap<K, V, Hasher>;
pub(crate) type FastSet<K> = HashSet<K, Hasher>;
