//! The counters of all limits, by a hash of the limit and of who or what it counts apart. What is
//! counted by which, [`super::request`] says.
//!
//! A counter is as large whatever it counts. The person whose request made it has so many of them
//! and no more: further ones of theirs count together, so that who makes up names of tools neither
//! fills the memory nor takes a counter from another person (threat 56). One that has counted
//! nothing lately is as good as a new one, and is forgotten.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher as _, Hash, RandomState},
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use portunus_core::call_limits::{Counter, Moment};

/// So many locks that requests of different people seldom meet at one.
const SHARDS: usize = 16;
/// Counters that requests of one person may have made, in each shard.
const PER_PERSON: u32 = 64;
/// Counters of a shard from which on idle ones are looked for.
const TIDY_AT: usize = 256;
/// Refusals of one person by one limit are told of once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a counter is found by: a hash of 128 bits, by keys of this process, so that no two are the
/// same by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

/// Where a counter is, and whose requests made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Key,
    /// Of the same limit, for what this person has no room for.
    pub(super) rest: Key,
    pub(super) person: Key,
}

pub(super) struct Counters {
    shards: [Mutex<Shard>; SHARDS],
    hashers: [RandomState; 2],
    began: Instant,
}

struct Shard {
    counters: HashMap<Key, Held>,
    /// How many of these each person has made.
    made: HashMap<Key, u32>,
    refusals: HashMap<Key, Refusals>,
    tidy_at: usize,
}

struct Held {
    counter: Counter,
    /// Who made it; `None` of one for the rest.
    made_by: Option<Key>,
}

/// Refusals of one person by one limit.
struct Refusals {
    told_at: Moment,
    untold: u32,
}

impl Counters {
    pub(super) fn now(&self) -> Moment {
        Moment::after(self.began.elapsed())
    }

    pub(super) fn key(&self, of: &impl Hash) -> Key {
        let [first, second] = &self.hashers;
        Key(first.hash_one(of), second.hash_one(of))
    }

    /// What the counter has counted.
    pub(super) fn look(&self, place: Place, now: Moment) -> Counter {
        let found = |key| self.shard(key).counters.get(&key).map(|held| held.counter);
        found(place.key)
            .or_else(|| self.shard(place.key).has_room(place.person, now).then(Counter::default))
            .or_else(|| found(place.rest))
            .unwrap_or_default()
    }

    /// Changes the counter; tells under which key it is, by now.
    pub(super) fn change<T>(
        &self,
        place: Place,
        now: Moment,
        change: impl FnOnce(&mut Counter) -> T,
    ) -> (Key, T) {
        let mut shard = self.shard(place.key);
        if shard.counters.contains_key(&place.key) || shard.has_room(place.person, now) {
            return (place.key, change(shard.counter(place.key, Some(place.person))));
        }
        // It may be the same lock.
        drop(shard);
        (place.rest, change(self.shard(place.rest).counter(place.rest, None)))
    }

    /// Changes a counter that is there. One that is at work somewhere is.
    pub(super) fn change_held(&self, key: Key, change: impl FnOnce(&mut Counter)) {
        if let Some(held) = self.shard(key).counters.get_mut(&key) {
            change(&mut held.counter);
        }
    }

    /// A person was refused by a limit. How many such refusals are to be told of now, if any.
    pub(super) fn note_refusal(&self, key: Key, now: Moment) -> Option<NonZeroU32> {
        let mut shard = self.shard(key);
        shard.tidy(now);
        match shard.refusals.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Refusals { told_at: now, untold: 0 });
                Some(NonZeroU32::MIN)
            }
            Entry::Occupied(mut entry) => {
                let refusals = entry.get_mut();
                refusals.untold = refusals.untold.saturating_add(1);
                if now.since(refusals.told_at) < TELL_EVERY {
                    return None;
                }
                refusals.told_at = now;
                NonZeroU32::new(std::mem::take(&mut refusals.untold))
            }
        }
    }

    /// How many counters there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).counters.len()).sum()
    }

    /// How many requests are at work by all counters.
    #[cfg(test)]
    pub(super) fn at_work(&self) -> u32 {
        let of = |shard: &Mutex<Shard>| -> u32 {
            locked(shard).counters.values().map(|held| held.counter.at_work()).sum()
        };
        self.shards.iter().map(of).sum()
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        let shards = self.shards.len() as u64;
        locked(&self.shards[usize::try_from(key.0 % shards).unwrap_or(0)])
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// May a request of this person make one more?
    fn has_room(&mut self, person: Key, now: Moment) -> bool {
        self.tidy(now);
        self.made.get(&person).is_none_or(|made| *made < PER_PERSON)
    }

    fn counter(&mut self, key: Key, made_by: Option<Key>) -> &mut Counter {
        let held = self.counters.entry(key).or_insert_with(|| {
            if let Some(person) = made_by {
                *self.made.entry(person).or_default() += 1;
            }
            Held { counter: Counter::default(), made_by }
        });
        &mut held.counter
    }

    /// Forgets what is idle, when there is twice as much as the last time.
    fn tidy(&mut self, now: Moment) {
        if self.counters.len() + self.refusals.len() < self.tidy_at {
            return;
        }
        let made = &mut self.made;
        self.counters.retain(|_, held| {
            let is_idle = held.counter.is_idle(now);
            if let Some(maker) = held.made_by.filter(|_| is_idle)
                && let Entry::Occupied(mut count) = made.entry(maker)
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            !is_idle
        });
        self.refusals.retain(|_, refusals| now.since(refusals.told_at) < TELL_EVERY);
        self.tidy_at = (2 * (self.counters.len() + self.refusals.len())).max(TIDY_AT);
        self.counters.shrink_to(self.tidy_at);
        self.made.shrink_to(self.tidy_at);
        self.refusals.shrink_to(self.tidy_at);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hashers: [RandomState::new(), RandomState::new()],
            began: Instant::now(),
        }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            counters: HashMap::default(),
            made: HashMap::default(),
            refusals: HashMap::default(),
            tidy_at: TIDY_AT,
        }
    }
}
