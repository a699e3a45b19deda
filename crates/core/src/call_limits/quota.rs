//! How much may come in a time: the generic cell rate algorithm (as in ATM's traffic management),
//! which is a token bucket that is one number. What is counted is [`super::counter`]'s.

use std::{num::NonZeroU64, time::Duration};

/// So much in so long; as much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    pub count: NonZeroU64,
    pub per: Duration,
}

/// A moment: nanoseconds since counting began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The moment at which all that was taken has come back. What never took anything is at the
/// beginning of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level(u64);

impl Moment {
    pub fn after(duration: Duration) -> Self {
        Self(nanos(duration))
    }

    /// How long ago `earlier` was; nothing if it is yet to come.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Level {
    /// Has everything come back?
    pub const fn is_full(self, now: Moment) -> bool {
        self.0 <= now.0
    }

    /// Takes so much, also what is not there: that is paid off before anything else passes.
    pub fn take(&mut self, quota: Quota, now: Moment, amount: u64) {
        self.0 = self.0.max(now.0).saturating_add(quota.time_of(amount));
    }

    /// How long one more has to wait; `None`: it need not. Never more than `count` and what comes
    /// back meanwhile pass.
    pub fn wait_for_one(self, quota: Quota, now: Moment) -> Option<Duration> {
        let one = quota.time_of(1);
        let room = one.saturating_mul(quota.count.get() - 1);
        wait(self.0.max(now.0), now.0.saturating_add(room))
    }

    /// How long something of unknown size has to wait: until there is anything left at all.
    pub fn wait_for_any(self, quota: Quota, now: Moment) -> Option<Duration> {
        let room = nanos(quota.per).saturating_sub(1);
        wait(self.0.max(now.0), now.0.saturating_add(room))
    }
}

impl Quota {
    /// In which so much comes back, rounded up.
    fn time_of(self, amount: u64) -> u64 {
        let nanos = u128::from(amount) * self.per.as_nanos();
        u64::try_from(nanos.div_ceil(u128::from(self.count.get()))).unwrap_or(u64::MAX)
    }
}

fn wait(level: u64, room: u64) -> Option<Duration> {
    (level > room).then(|| Duration::from_nanos(level - room))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
