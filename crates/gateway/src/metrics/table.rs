//! A map from labels to figures that is read without a lock. What is new is added to a copy, which
//! happens once for each key; how many there may be is said by those who add (docs/limits.md).

use std::{
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use hashbrown::{Equivalent, HashMap};

pub(super) struct Table<K, V> {
    known: ArcSwap<HashMap<K, Arc<V>>>,
    adding: Mutex<()>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { known: ArcSwap::default(), adding: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Default> Table<K, V> {
    pub(super) fn find(&self, key: &(impl Hash + Equivalent<K>)) -> Option<Arc<V>> {
        self.known.load().get(key).map(Arc::clone)
    }

    /// The figures of a key, added if there are fewer than `most`.
    pub(super) fn add(&self, key: K, most: usize) -> Option<Arc<V>> {
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load_full();
        if let Some(figures) = known.get(&key) {
            return Some(Arc::clone(figures));
        }
        if known.len() >= most {
            return None;
        }
        let (figures, mut more) = (Arc::<V>::default(), HashMap::clone(&known));
        more.insert(key, Arc::clone(&figures));
        self.known.store(Arc::new(more));
        Some(figures)
    }

    /// All of them, in the order of their keys.
    pub(super) fn read(&self) -> Vec<(K, Arc<V>)>
    where
        K: Ord,
    {
        let known = self.known.load();
        let mut all: Vec<_> =
            known.iter().map(|(key, figures)| (key.clone(), Arc::clone(figures))).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}
