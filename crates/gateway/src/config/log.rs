//! Section: how much is logged, and in which form.

use tracing_subscriber::filter::LevelFilter;

use super::{
    inputs::{Inputs, Written},
    mistake::Report,
    shape::quoted,
    tables,
};

/// How tools and prompts are named on `/mcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Names {
    /// `{server}_{name}`.
    #[default]
    Prefixed,
    /// As the servers name them; collisions are errors in the list.
    Plain,
}

/// How much is logged, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub level: LevelFilter,
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LevelFilter::INFO, format: LogFormat::Json }
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

/// `DEBUG=mcp-gateway:*` is the old system's way to ask for more.
pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> LogSettings {
    let mut settings = LogSettings::default();
    if let Some(written) = inputs.setting("log.level", report) {
        match written.text.to_ascii_lowercase().as_str() {
            "trace" => settings.level = LevelFilter::TRACE,
            "debug" => settings.level = LevelFilter::DEBUG,
            "info" => settings.level = LevelFilter::INFO,
            "warn" | "warning" => settings.level = LevelFilter::WARN,
            "error" => settings.level = LevelFilter::ERROR,
            "off" => settings.level = LevelFilter::OFF,
            _ => not_one_of(tables::LEVELS, written, report),
        }
    }
    if inputs.env.find("DEBUG").is_some_and(|variable| asks_for_us(&variable.text)) {
        settings.level = settings.level.max(LevelFilter::DEBUG);
    }
    if let Some(written) = inputs.setting("log.format", report) {
        match written.text.to_ascii_lowercase().as_str() {
            "json" => settings.format = LogFormat::Json,
            "text" => settings.format = LogFormat::Text,
            _ => not_one_of(tables::FORMATS, written, report),
        }
    } else if inputs
        .env
        .find("LOG_ENV")
        .is_some_and(|variable| variable.text.trim().eq_ignore_ascii_case("development"))
    {
        settings.format = LogFormat::Text;
    }
    settings
}

/// How tools are named on `/mcp`.
pub(super) fn names(inputs: &Inputs<'_>, report: &mut Report) -> Names {
    let Some(written) = inputs.setting("names", report) else { return Names::default() };
    match written.text.as_str() {
        "prefixed" => Names::Prefixed,
        "plain" => Names::Plain,
        _ => {
            not_one_of(tables::NAMES, written, report);
            Names::default()
        }
    }
}

fn asks_for_us(debug: &str) -> bool {
    debug
        .split([',', ' '])
        .any(|name| name == "*" || name.starts_with("mcp-gateway") || name.starts_with("portunus"))
}

/// Reports a choice that is none.
pub(super) fn not_one_of(choices: &[&str], Written { text, at, .. }: Written, report: &mut Report) {
    report.mistake(at, format!("`{text}`"), format!("one of {}", quoted(choices, ", ")));
}
