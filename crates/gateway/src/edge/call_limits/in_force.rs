//! The limits in force, by which requests are counted ([`super::request`]).

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use arc_swap::ArcSwap;
use portunus_core::{call_limits::CallLimit, principal::Principal};

use super::{
    counters::Counters,
    request::{CountedRequest, LimitInForce},
};

/// The limits in force, and what was counted by them and by earlier ones. All clones share them.
#[derive(Clone)]
pub struct CallLimits {
    limits: Arc<ArcSwap<Vec<LimitInForce>>>,
    pub(super) counters: Arc<Counters>,
}

impl CallLimits {
    pub fn new(limits: &[CallLimit]) -> Self {
        let limits = Arc::new(ArcSwap::from_pointee(in_force(limits)));
        Self { limits, counters: Arc::default() }
    }

    /// From now on, these limits hold. Requests under way end by those that they began with.
    pub fn change(&self, limits: &[CallLimit]) {
        self.limits.store(Arc::new(in_force(limits)));
    }

    /// What counts one request of this caller; `None` if no limit is about them.
    pub fn of(&self, principal: &Arc<Principal>) -> Option<Arc<CountedRequest>> {
        let limits = self.limits.load();
        let is_theirs = |one: &LimitInForce| one.limit.who.fits(principal);
        limits.iter().any(is_theirs).then(|| {
            let (counters, limits) = (Arc::clone(&self.counters), Arc::clone(&limits));
            Arc::new(CountedRequest::new(counters, limits, Arc::clone(principal)))
        })
    }
}

/// By what each is known: its name is only told.
fn in_force(limits: &[CallLimit]) -> Vec<LimitInForce> {
    let id = |limit: &CallLimit| {
        let nameless = CallLimit { name: String::new(), ..limit.clone() };
        let mut hasher = DefaultHasher::new();
        format!("{nameless:?}").hash(&mut hasher);
        hasher.finish()
    };
    limits.iter().map(|limit| LimitInForce { limit: limit.clone(), id: id(limit) }).collect()
}

impl fmt::Debug for CallLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLimits").finish_non_exhaustive()
    }
}
