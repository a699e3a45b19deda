//! Section: how long things live.

use std::time::Duration;

use portunus_core::lifetimes::Lifetimes;

use super::{
    inputs::{Inputs, Written},
    mistake::Report,
    quantity::{DURATION, DURATION_OR_OFF, parse_duration, show_duration},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Lifetimes {
    let mut lifetimes = Lifetimes::default();
    let mut login_idle = Duration::ZERO;
    let settings: [(&str, &mut Duration, Duration, Duration); 9] = [
        ("access_token", &mut lifetimes.access_token, SECOND, 365 * DAY),
        ("refresh_token", &mut lifetimes.refresh_token, MINUTE, 3650 * DAY),
        ("refresh_grace", &mut lifetimes.refresh_grace, Duration::ZERO, 5 * MINUTE),
        ("grant", &mut lifetimes.grant, MINUTE, 3650 * DAY),
        ("authorization_code", &mut lifetimes.authorization_code, SECOND, 10 * MINUTE),
        ("sign_in", &mut lifetimes.sign_in, 10 * SECOND, DAY),
        ("login", &mut lifetimes.login, MINUTE, 365 * DAY),
        ("login_idle", &mut login_idle, MINUTE, 365 * DAY),
        ("unused_client", &mut lifetimes.unused_client, MINUTE, 3650 * DAY),
    ];
    for (name, value, shortest, longest) in settings {
        if let Some(written) = inputs.setting(&format!("lifetimes.{name}"), report) {
            let parsed = parse_duration(&written.text);
            set(value, parsed, DURATION, &written, (shortest, longest), report);
        }
    }
    if let Some(written) = inputs.setting("lifetimes.refresh_reuse", report) {
        resolve_reuse(&mut lifetimes, &written, report);
    }
    lifetimes.login_idle = (!login_idle.is_zero()).then_some(login_idle);
    if let Some(written) = inputs.variable(&["TOKEN_EXPIRATION_TIME"], report) {
        let parsed = written.text.parse().ok().map(Duration::from_millis);
        set(
            &mut lifetimes.access_token,
            parsed,
            "a number of milliseconds, such as 3600000",
            &written,
            (SECOND, 365 * DAY),
            report,
        );
        if parsed.is_some_and(|parsed| parsed >= SECOND && parsed < 5 * MINUTE) {
            let text = format!(
                "{} milliseconds are {}: access tokens expire that soon",
                written.text,
                show_duration(lifetimes.access_token)
            );
            report.warning(written.at, text);
        }
    }
    lifetimes
}

/// A time, or none at all.
fn resolve_reuse(lifetimes: &mut Lifetimes, written: &Written, report: &mut Report) {
    if written.text == "off" {
        lifetimes.refresh_reuse = None;
        return;
    }
    let mut reuse = Duration::ZERO;
    set(
        &mut reuse,
        parse_duration(&written.text),
        DURATION_OR_OFF,
        written,
        (SECOND, 7 * DAY),
        report,
    );
    lifetimes.refresh_reuse = (!reuse.is_zero()).then_some(reuse);
}

fn set(
    value: &mut Duration,
    parsed: Option<Duration>,
    expected: &str,
    Written { text, at, .. }: &Written,
    (shortest, longest): (Duration, Duration),
    report: &mut Report,
) {
    match parsed {
        Some(parsed) if (shortest..=longest).contains(&parsed) => *value = parsed,
        Some(_) => {
            let expected =
                format!("from {} to {}", show_duration(shortest), show_duration(longest));
            report.mistake(at.clone(), format!("`{text}`"), expected);
        }
        None => report.mistake(at.clone(), format!("`{text}`"), expected),
    }
}
