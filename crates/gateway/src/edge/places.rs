//! Places: how much one user may have under way at once (threat 47). A place is taken before anything is read, and given back
//! when it is dropped.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use portunus_core::ids::UserId;

/// Places of all users. Whoever has none under way takes no memory.
#[derive(Clone)]
pub struct Places {
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
    per_user: usize,
}

/// One place; dropping it gives it back.
pub struct Place {
    places: Places,
    user: UserId,
}

impl Places {
    pub fn new(per_user: usize) -> Self {
        Self { taken: Arc::default(), per_user }
    }

    /// `None` when the user has taken all of theirs.
    pub fn take(&self, user: &UserId) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(user.clone()).or_default();
        if *count >= self.per_user {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), user: user.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t47_a_user_has_so_many_places_and_no_more() {
        let places = Places::new(2);
        let (alice, bob) = (UserId::of("idp", "alice"), UserId::of("idp", "bob"));
        let first = places.take(&alice);
        let second = places.take(&alice);
        assert!(first.is_some() && second.is_some() && places.take(&alice).is_none());
        assert!(places.take(&bob).is_some(), "others have their own");
        drop(first);
        assert!(places.take(&alice).is_some());
        drop(second);
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
