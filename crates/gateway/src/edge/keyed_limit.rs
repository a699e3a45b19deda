//! How much each address, or each person, may have of something at once: requests under way, bytes of bodies (threats 47, 56, 62). What one
//! uses up, no other lacks: there is no common count. Connections have a table of their own, in [`super::connections`].

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

/// So many locks that requests of different people seldom meet at one.
const SHARDS: usize = 16;

/// Counts what each key holds. A key that holds nothing takes no memory, so the table is as large as what is held.
pub struct KeyedLimit<K> {
    shards: Arc<[Mutex<HashMap<K, usize>>; SHARDS]>,
    hasher: RandomState,
}

/// What one key holds; dropping it gives it back.
pub struct Permit<K: Eq + Hash + Clone> {
    limit: KeyedLimit<K>,
    key: K,
    amount: usize,
}

impl<K> Clone for KeyedLimit<K> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards), hasher: self.hasher.clone() }
    }
}

impl<K> Default for KeyedLimit<K> {
    fn default() -> Self {
        Self { shards: Arc::new(std::array::from_fn(|_| Mutex::default())), hasher: RandomState::new() }
    }
}

impl<K: Eq + Hash + Clone> KeyedLimit<K> {
    /// `None` if the key would then hold more than `most`, which may be another number each time.
    pub fn acquire(&self, key: &K, amount: usize, most: usize) -> Option<Permit<K>> {
        self.add(key, amount, most).then(|| Permit { limit: self.clone(), key: key.clone(), amount })
    }

    /// What the key holds.
    pub fn held(&self, key: &K) -> usize {
        self.shard(key).lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or_default()
    }

    fn add(&self, key: &K, amount: usize, most: usize) -> bool {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        let held = shard.get(key).copied().unwrap_or_default();
        let Some(wanted) = held.checked_add(amount).filter(|wanted| *wanted <= most) else { return false };
        match shard.get_mut(key) {
            Some(held) => *held = wanted,
            None => drop(shard.insert(key.clone(), wanted)),
        }
        true
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, usize>> {
        let shards = self.shards.len() as u64;
        &self.shards[usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or(0)]
    }
}

impl<K: Eq + Hash + Clone> Permit<K> {
    /// Holds so much more, if there is room for it.
    pub fn grow(&mut self, more: usize, most: usize) -> bool {
        let fits = self.limit.add(&self.key, more, most);
        if fits {
            self.amount += more;
        }
        fits
    }
}

impl<K: Eq + Hash + Clone> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut shard = self.limit.shard(&self.key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = shard.get_mut(&self.key) {
            *held = held.saturating_sub(self.amount);
            if *held == 0 {
                shard.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portunus_core::ids::UserId;

    use super::*;

    fn keys<K: Eq + Hash + Clone>(limit: &KeyedLimit<K>) -> usize {
        limit.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn t47_t62_each_holds_so_much_and_no_more() {
        let limit = KeyedLimit::default();
        let (alice, bob) = (UserId::of("idp", "alice"), UserId::of("idp", "bob"));
        let first = limit.acquire(&alice, 1, 2);
        let second = limit.acquire(&alice, 1, 2);
        assert!(first.is_some() && second.is_some() && limit.acquire(&alice, 1, 2).is_none());
        assert!(limit.acquire(&bob, 1, 2).is_some(), "others have their own");
        assert!(limit.acquire(&alice, 1, 3).is_some(), "the limit was raised");
        drop(first);
        assert!(limit.acquire(&alice, 1, 2).is_some());
        drop(second);
        assert_eq!(keys(&limit), 0, "nothing is remembered of who holds nothing");
    }

    #[test]
    fn t56_bytes_grow_and_all_of_them_go() {
        let limit = KeyedLimit::<u8>::default();
        let mut body = limit.acquire(&1, 0, 100).unwrap();
        assert!(body.grow(60, 100) && !body.grow(41, 100) && body.grow(40, 100));
        assert_eq!(limit.held(&1), 100);
        assert!(limit.acquire(&1, 1, 100).is_none() && limit.acquire(&2, 100, 100).is_some());
        assert!(limit.acquire(&1, usize::MAX, usize::MAX).is_none(), "no overflow");
        drop(body);
        assert_eq!((limit.held(&1), keys(&limit)), (0, 0));
    }
}
