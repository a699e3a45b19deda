//! How much of what happens is logged: ours at the level that is set, what libraries say at `warn`
//! at most, unless everything is asked for with `trace`. The level can be changed while the gateway
//! runs; asking for it takes no lock.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::{Level, Metadata, Subscriber, callsite, subscriber::Interest};
use tracing_subscriber::{
    filter::LevelFilter,
    layer::{Context, Layer},
};

/// By number, quietest first.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// The number of the level in force.
static OURS: AtomicUsize = AtomicUsize::new(0);

/// From now on this level.
pub(super) fn set(level: LevelFilter) {
    let number = LEVELS.iter().position(|one| *one == level).unwrap_or_default();
    if OURS.swap(number, Ordering::Relaxed) != number {
        callsite::rebuild_interest_cache();
    }
}

fn ours() -> LevelFilter {
    LEVELS.get(OURS.load(Ordering::Relaxed)).copied().unwrap_or(LevelFilter::OFF)
}

/// The filter in front of the log.
pub(super) struct Levels;

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if passes(ours(), metadata.target(), *metadata.level()) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        passes(ours(), metadata.target(), *metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(ours().max(of_others(ours())))
    }
}

fn passes(ours: LevelFilter, target: &str, level: Level) -> bool {
    let is_own = target
        .strip_prefix("portunus")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_']));
    level <= if is_own { ours } else { of_others(ours) }
}

fn of_others(ours: LevelFilter) -> LevelFilter {
    if ours == LevelFilter::TRACE { ours } else { ours.min(LevelFilter::WARN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter_than_we_are() {
        // Level, target, and the most talkative level of it that passes.
        let cases = [
            (LevelFilter::DEBUG, "portunus", LevelFilter::DEBUG),
            (LevelFilter::DEBUG, "portunus::edge", LevelFilter::DEBUG),
            (LevelFilter::DEBUG, "portunus_mcp::hub", LevelFilter::DEBUG),
            (LevelFilter::DEBUG, "portunusish", LevelFilter::WARN),
            (LevelFilter::DEBUG, "hyper", LevelFilter::WARN),
            (LevelFilter::ERROR, "hyper", LevelFilter::ERROR),
            (LevelFilter::ERROR, "portunus", LevelFilter::ERROR),
            (LevelFilter::OFF, "portunus", LevelFilter::OFF),
            (LevelFilter::TRACE, "hyper", LevelFilter::TRACE),
        ];
        for (ours, target, most) in cases {
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                assert_eq!(passes(ours, target, level), level <= most, "{ours} {target} {level}");
            }
        }
    }
}
