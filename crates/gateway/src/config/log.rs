//! Section: how much is logged, and in which form.

use portunus_core::{
    settings,
    settings::{Choice, Custom, Form as _, Setting, Settings as _, ValueType, choice, custom},
};
use tracing_subscriber::filter::LevelFilter;

use super::{inputs::Inputs, mistake::Report};

pub(super) const LOG: Setting =
    Setting::new("log", ValueType::Section(&LogSettings::SECTION), "How much is logged, and how");

settings! {
    /// How much is logged, and in which form.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LogSettings: "The log, on standard error" {
        level: LevelFilter = "info", LEVEL, "", variables(&["LOG_LEVEL"]),
            details("`DEBUG=mcp-gateway:*` asks for `debug` at least");
        format: LogFormat = "json", FORMATS, "JSON lines, or text for people",
            variables(&["LOG_FORMAT"]), needs_restart(),
            details("`LOG_ENV=development` asks for text");
    }
}

impl LogSettings {
    /// Lines for people, at the default level.
    pub fn text() -> Self {
        Self { format: LogFormat::Text, ..Self::default() }
    }
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object each.
    Json,
    /// For people.
    Text,
}

const FORMATS: Choice<LogFormat> =
    choice(&["json", "text"], &[LogFormat::Json, LogFormat::Text]).in_any_case();

const LEVELS: Choice<LevelFilter> = choice(
    &["trace", "debug", "info", "warn", "error", "off"],
    &[
        LevelFilter::TRACE,
        LevelFilter::DEBUG,
        LevelFilter::INFO,
        LevelFilter::WARN,
        LevelFilter::ERROR,
        LevelFilter::OFF,
    ],
)
.in_any_case();

/// One of [`LEVELS`]; `warning` is `warn` too.
const LEVEL: Custom<LevelFilter> = custom(LEVELS.value_type(), |text| {
    LEVELS.parse(if text.eq_ignore_ascii_case("warning") { "warn" } else { text })
});

/// `DEBUG=mcp-gateway:*` is the old system's way to ask for more, `LOG_ENV=development` for text.
pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> LogSettings {
    let mut log = LogSettings::default();
    log.read(&mut inputs.section("log", report));
    if inputs.env.find("DEBUG").is_some_and(|variable| asks_for_us(&variable.text)) {
        log.level = log.level.max(LevelFilter::DEBUG);
    }
    let is_development = inputs
        .env
        .find("LOG_ENV")
        .is_some_and(|variable| variable.text.trim().eq_ignore_ascii_case("development"));
    if is_development && inputs.setting("log.format", report).is_none() {
        log.format = LogFormat::Text;
    }
    log
}

fn asks_for_us(debug: &str) -> bool {
    debug
        .split([',', ' '])
        .any(|name| name == "*" || name.starts_with("mcp-gateway") || name.starts_with("portunus"))
}
