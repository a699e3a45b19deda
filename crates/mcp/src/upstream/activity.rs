//! How many users a connection has, and since when it has none. The pool closes it by that, next
//! door in [`super::pool`].

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::sync::locked;

#[derive(Debug)]
pub(crate) struct Activity(Mutex<(usize, Instant)>);

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }
}

impl Activity {
    fn change(&self, by: isize) {
        let mut state = locked(&self.0);
        *state = (state.0.saturating_add_signed(by), Instant::now());
    }

    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = locked(&self.0);
        (state.0 == 0).then_some(state.1)
    }
}

/// One use of a connection, until it is dropped: see [`super::Connection::hold`].
#[derive(Debug)]
pub struct Hold(Arc<Activity>);

impl Hold {
    pub(crate) fn new(activity: &Arc<Activity>) -> Self {
        activity.change(1);
        Self(Arc::clone(activity))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.change(-1);
    }
}
