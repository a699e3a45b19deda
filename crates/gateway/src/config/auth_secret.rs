//! Section: the secrets that every key of the gateway is derived from.

use portunus_core::{
    secret::SecretText,
    settings::{Setting, ValueType},
};

use super::{
    inputs::{Inputs, WrittenSecret},
    mistake::Report,
    placeholder::is_placeholder,
};

pub(super) const AUTH_SECRET: Setting = Setting::new(
    "auth_secret",
    ValueType::Secret,
    "The secret all keys are derived from: 32 bytes at least, from `openssl rand -base64 33`",
)
.details("Required outside the demo")
.variables(&["AUTH_SECRET"]);

pub(super) const AUTH_SECRET_FILE: Setting =
    Setting::new("auth_secret_file", ValueType::Text, "A file that holds auth_secret")
        .variables(&["AUTH_SECRET_FILE"]);

pub(super) const AUTH_SECRET_PREVIOUS: Setting = Setting::new(
    "auth_secret_previous",
    ValueType::Secret,
    "The secret before, while what it sealed is still in use",
)
.variables(&["AUTH_SECRET_PREVIOUS"]);

pub(super) const AUTH_SECRET_PREVIOUS_FILE: Setting = Setting::new(
    "auth_secret_previous_file",
    ValueType::Text,
    "A file that holds auth_secret_previous",
)
.variables(&["AUTH_SECRET_PREVIOUS_FILE"]);

const SHORTEST: usize = 32;
const FEWEST_CHARACTERS: usize = 6;
const MEND: &str = "32 bytes at least, from `openssl rand -base64 33`";

/// The current secret first, then the one before.
pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Vec<SecretText> {
    let current = inputs.secret("auth_secret", report);
    let previous = inputs.secret("auth_secret_previous", report);
    if current.is_none() && inputs.setting("auth_secret_file", report).is_none() {
        report
            .missing("AUTH_SECRET", format!("AUTH_SECRET, or auth_secret in config.yaml: {MEND}"));
    }
    if let (Some(current), Some(previous)) = (&current, &previous)
        && current.text == previous.text
    {
        report.warning(previous.at.clone(), "the same as AUTH_SECRET: it can be taken away");
    }
    [current, previous].into_iter().flatten().filter_map(|secret| checked(secret, report)).collect()
}

fn checked(WrittenSecret { text, at }: WrittenSecret, report: &mut Report) -> Option<SecretText> {
    let length = text.expose().len();
    let mut characters: Vec<char> = text.expose().chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let found = if is_placeholder(text.expose()) {
        "still the example value".to_owned()
    } else if length < SHORTEST {
        format!("[redacted], {length} bytes")
    } else if characters.len() < FEWEST_CHARACTERS {
        format!("[redacted], made of {} different characters", characters.len())
    } else {
        return Some(text);
    };
    report.mistake(at, found, MEND);
    None
}
