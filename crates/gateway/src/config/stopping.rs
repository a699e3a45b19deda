//! Section: how the gateway stops.

use std::time::Duration;

use portunus_core::settings::{DurationForm, Reader as _, Setting, duration};

use super::{inputs::Inputs, mistake::Report, store::StoreConfig};

const FORM: DurationForm = duration("0s", "5m");

pub(super) const STOP_DELAY: Setting = Setting::new(
    "stop_delay",
    FORM.value_type(),
    "How long connections are still accepted after SIGTERM",
)
.details("See [Stopping](#stopping)")
.default("5s with Redis, 0s with SQLite")
.variables(&["STOP_DELAY"]);

/// With other gateways beside it: as long as a balancer that looks every second or two takes to
/// notice.
const AMONG_OTHERS: Duration = Duration::from_secs(5);

/// How long the gateway goes on taking connections after SIGTERM.
pub(super) fn resolve(inputs: &Inputs<'_>, store: &StoreConfig, report: &mut Report) -> Duration {
    let default = match store {
        // No other gateway could take over: waiting would not help.
        StoreConfig::Sqlite { .. } => Duration::ZERO,
        StoreConfig::Redis(_) => AMONG_OTHERS,
    };
    inputs.section("", report).read(&STOP_DELAY, &FORM).unwrap_or(default)
}
