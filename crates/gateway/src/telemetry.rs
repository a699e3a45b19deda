//! The log: where it goes, in which form, how much of it. Fields and levels are described in `docs/LOGGING.md`; the settings
//! are read in [`crate::config`].

mod line;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use self::line::{JsonLine, SpanMembers};
use crate::config::{LogFormat, LogSettings};

/// Starts the log on standard error (standard output belongs to commands, and to MCP on stdio). A second call changes nothing.
pub fn init(settings: LogSettings) {
    let builder = fmt().with_writer(io::stderr).with_env_filter(filter(settings.level));
    let started = match settings.format {
        LogFormat::Json => builder.fmt_fields(SpanMembers).event_format(JsonLine).try_init(),
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started already");
    }
}

/// Ours at `level`; what libraries say at `warn` at most, unless everything is asked for with `trace`.
fn filter(level: LevelFilter) -> EnvFilter {
    let others = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    EnvFilter::builder().parse_lossy(format!("{others},portunus={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter_than_we_are() {
        assert_eq!(filter(LevelFilter::DEBUG).to_string(), "portunus=debug,warn");
        assert_eq!(filter(LevelFilter::ERROR).to_string(), "portunus=error,error");
        assert_eq!(filter(LevelFilter::TRACE).to_string(), "portunus=trace,trace");
    }
}
