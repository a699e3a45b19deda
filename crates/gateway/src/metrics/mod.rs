//! What the gateway counts of what happens: HTTP requests by route ([`requests`]), calls of tools
//! and the like by server ([`calls`]), and what the audit trail records ([`events`]). It only adds
//! to numbers, in [`table`]s that are read without a lock. [`crate::prometheus`] writes them down,
//! with the state of things (docs/metrics.md).
//!
//! No label says who did something: people, clients and addresses are the audit trail's.

pub mod calls;
pub mod events;
pub mod requests;
mod table;

use std::{sync::Arc, time::Instant};

use http::{Method, StatusCode};
use portunus_core::audit::Event;

use self::{
    calls::Calls,
    events::Events,
    requests::{Begun, Requests},
};

/// All that is counted. Clones count into the same.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counted>);

#[derive(Default)]
struct Counted {
    requests: Requests,
    calls: Calls,
    events: Events,
}

/// A request that is under way until this is dropped.
pub struct Underway {
    metrics: Metrics,
    begun: Begun,
    since: Instant,
}

impl Metrics {
    /// A request begins. Its answer is told to what is given back.
    pub fn request(&self, method: &Method, path: &str) -> Underway {
        let begun = self.0.requests.begin(method, path);
        Underway { metrics: self.clone(), begun, since: Instant::now() }
    }

    /// Something happened that is for the audit trail, whether one is kept or not.
    pub fn event(&self, event: &Event) {
        match event {
            Event::Call(call) => self.0.calls.note(call),
            event => self.0.events.note(event),
        }
    }

    /// People may sign in there from now on: what is counted of it is there at 0.
    pub fn expect_provider(&self, name: &str) {
        self.0.events.expect_provider(name);
    }

    pub fn requests(&self) -> &Requests {
        &self.0.requests
    }

    pub fn calls(&self) -> &Calls {
        &self.0.calls
    }

    pub fn events(&self) -> &Events {
        &self.0.events
    }
}

impl Underway {
    /// Its answer begins.
    pub fn answered(self, status: StatusCode) {
        self.metrics.0.requests.answered(self.begun, status, self.since.elapsed());
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.metrics.0.requests.end();
    }
}

#[cfg(test)]
mod tests;
