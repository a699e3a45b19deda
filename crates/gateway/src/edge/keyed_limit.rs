//! How much each address, or each person, may have of something at once: requests under way, bytes
//! of bodies (threats 47, 56, 62). What one uses up, no other lacks: there is no common count.
//! Connections have a table of their own, in [`super::connections`].

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::{HashTable, hash_table::Entry};

/// So many locks that requests of different people seldom meet at one.
const SHARDS: usize = 16;

/// Counts what each key holds. A key that holds nothing takes no memory, so the table is as large
/// as what is held.
pub struct KeyedLimit<K> {
    shards: Arc<[Mutex<HashTable<Held<K>>>; SHARDS]>,
    hasher: RandomState,
}

/// What one key holds. Its hash stands beside it, so that a key is hashed once for all that is done
/// with it.
struct Held<K> {
    hash: u64,
    key: K,
    amount: usize,
}

/// What one key holds; dropping it gives it back.
pub struct Permit<K: Eq + Hash + Clone> {
    limit: KeyedLimit<K>,
    hash: u64,
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
        Self {
            shards: Arc::new(std::array::from_fn(|_| Mutex::default())),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Eq + Hash + Clone> KeyedLimit<K> {
    /// `None` if the key would then hold more than `most`, which may be another number each time.
    pub fn acquire(&self, key: &K, amount: usize, most: usize) -> Option<Permit<K>> {
        let hash = self.hasher.hash_one(key);
        self.add(hash, key, amount, most).then(|| Permit {
            limit: self.clone(),
            hash,
            key: key.clone(),
            amount,
        })
    }

    /// What the key holds.
    pub fn held(&self, key: &K) -> usize {
        let hash = self.hasher.hash_one(key);
        self.shard(hash).find(hash, |held| held.key == *key).map_or(0, |held| held.amount)
    }

    fn add(&self, hash: u64, key: &K, amount: usize, most: usize) -> bool {
        let mut shard = self.shard(hash);
        match shard.entry(hash, |held| held.key == *key, |held| held.hash) {
            Entry::Occupied(mut entry) => {
                let held = entry.get_mut();
                let Some(wanted) = held.amount.checked_add(amount).filter(|wanted| *wanted <= most)
                else {
                    return false;
                };
                held.amount = wanted;
            }
            Entry::Vacant(entry) if amount <= most => {
                entry.insert(Held { hash, key: key.clone(), amount });
            }
            Entry::Vacant(_) => return false,
        }
        true
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, HashTable<Held<K>>> {
        let shards = self.shards.len() as u64;
        let shard = &self.shards[usize::try_from(hash % shards).unwrap_or(0)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Permit<K> {
    /// Holds so much more, if there is room for it.
    pub fn grow(&mut self, more: usize, most: usize) -> bool {
        let fits = self.limit.add(self.hash, &self.key, more, most);
        if fits {
            self.amount += more;
        }
        fits
    }
}

impl<K: Eq + Hash + Clone> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut shard = self.limit.shard(self.hash);
        if let Ok(mut entry) = shard.find_entry(self.hash, |held| held.key == self.key) {
            let held = entry.get_mut();
            held.amount = held.amount.saturating_sub(self.amount);
            if held.amount == 0 {
                entry.remove();
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
