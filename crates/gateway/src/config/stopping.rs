//! Section: how the gateway stops.

use std::time::Duration;

use super::{
    inputs::{Inputs, Written},
    mistake::Report,
    quantity::{DURATION, parse_duration, show_duration},
    store::StoreConfig,
};

/// With other gateways beside it: as long as a balancer that looks every second or two takes to
/// notice.
const AMONG_OTHERS: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long the gateway goes on taking connections after SIGTERM.
pub(super) fn resolve(inputs: &Inputs<'_>, store: &StoreConfig, report: &mut Report) -> Duration {
    let default = match store {
        // No other gateway could take over: waiting would not help.
        StoreConfig::Sqlite { .. } => Duration::ZERO,
        StoreConfig::Redis(_) => AMONG_OTHERS,
    };
    let Some(Written { text, at, .. }) = inputs.setting("stop_delay", report) else {
        return default;
    };
    match parse_duration(&text) {
        Some(delay) if delay <= LONGEST => delay,
        Some(_) => {
            report.mistake(
                at,
                format!("`{text}`"),
                format!("from 0s to {}", show_duration(LONGEST)),
            );
            default
        }
        None => {
            report.mistake(at, format!("`{text}`"), DURATION);
            default
        }
    }
}
