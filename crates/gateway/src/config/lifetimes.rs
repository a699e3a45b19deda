//! Section: how long things live. It is declared in [`portunus_core::lifetimes`], whose rules use
//! it; the variable of the old gateway is read here.

use std::time::Duration;

use portunus_core::{
    lifetimes::{ACCESS_TOKEN, Lifetimes},
    settings::{Setting, Settings as _, ValueType, quantity::show_duration},
};

use super::{
    inputs::{Inputs, Written},
    mistake::Report,
};

pub(super) const LIFETIMES: Setting = Setting::new(
    "lifetimes",
    ValueType::Section(&Lifetimes::SECTION),
    "How long things live: 30s, 60m, 12h, 30d",
);

/// Access tokens that live shorter are probably not meant.
const SHORT: Duration = Duration::from_secs(5 * 60);

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Lifetimes {
    let mut lifetimes = Lifetimes::default();
    lifetimes.read(&mut inputs.section("lifetimes", report));
    if let Some(written) = inputs.variable(&["TOKEN_EXPIRATION_TIME"], report) {
        token_expiration_time(&mut lifetimes, written, report);
    }
    lifetimes
}

/// The lifetime of an access token in milliseconds.
fn token_expiration_time(
    lifetimes: &mut Lifetimes,
    Written { text, at, .. }: Written,
    report: &mut Report,
) {
    let parsed = text
        .parse()
        .map(Duration::from_millis)
        .map_err(|_| "a number of milliseconds, such as 3600000".to_owned());
    match parsed.and_then(|parsed| ACCESS_TOKEN.check(parsed)) {
        Ok(lifetime) => {
            lifetimes.access_token = lifetime;
            if lifetime < SHORT {
                let shown = show_duration(lifetime);
                let text =
                    format!("{text} milliseconds are {shown}: access tokens expire that soon");
                report.warning(at, text);
            }
        }
        Err(expected) => report.mistake(at, format!("`{text}`"), expected),
    }
}
