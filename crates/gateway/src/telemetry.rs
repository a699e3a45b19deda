//! The log: where it goes, in which form, how much of it. Fields and levels are described in
//! `docs/LOGGING.md`; the settings are read in [`crate::config`].

mod cut;
mod levels;
mod line;
mod text;
mod visible;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    filter::LevelFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use self::{
    levels::Levels,
    line::{JsonLine, SpanMembers},
    visible::Visible,
};
use crate::config::{LogFormat, LogSettings};

/// Starts the log on standard error (standard output belongs to commands, and to MCP on stdio). A
/// second call changes nothing.
pub fn init(settings: LogSettings) {
    levels::set(settings.level);
    // A line that cannot be written is not written: by default the library then complains on
    // standard error, which is what could not be written to, and that panics. A full disk under the
    // log must not fail requests.
    let layer = fmt::layer().with_writer(Visible(io::stderr)).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(Levels);
    let started = match settings.format {
        LogFormat::Json => {
            registry.with(layer.fmt_fields(SpanMembers).event_format(JsonLine)).try_init()
        }
        LogFormat::Text => registry
            .with(layer.fmt_fields(text::fields()).with_ansi(io::stderr().is_terminal()))
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started already");
    }
}

/// How much is logged from now on.
pub fn set_level(level: LevelFilter) {
    levels::set(level);
}
