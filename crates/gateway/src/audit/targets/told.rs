//! How often it is told in the log why a target takes nothing: each reason, and so each address
//! that fails, by itself. One that fails all the time keeps no other from being told.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How often one reason is told.
const EVERY: Duration = Duration::from_secs(60);
/// Reasons that are told in that time: a target that says another thing each time is no flood.
const MOST: usize = 16;

/// What was told of one target, and when.
#[derive(Default)]
pub(super) struct Told(VecDeque<(Instant, String)>);

impl Told {
    /// Is it told now?
    pub(super) fn is_due(&mut self, why: &str, now: Instant) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + EVERY <= now) {
            self.0.pop_front();
        }
        if self.0.len() >= MOST || self.0.iter().any(|(_, told)| told == why) {
            return false;
        }
        self.0.push_back((now, why.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_in_a_while_and_not_for_another() {
        let (mut told, now) = (Told::default(), Instant::now());
        let (one, other) = ("192.0.2.1:6514: refused", "192.0.2.2:6514: refused");
        assert!(told.is_due(one, now));
        assert!(!told.is_due(one, now + EVERY / 2));
        assert!(told.is_due(other, now + EVERY / 2), "it is another address");
        assert!(told.is_due(one, now + EVERY));
        assert!(!told.is_due(other, now + EVERY));
        let later = now + 3 * EVERY;
        let due = (0..100).filter(|n| told.is_due(&n.to_string(), later)).count();
        assert_eq!(due, MOST);
    }
}
