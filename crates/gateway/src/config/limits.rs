//! Section: how many requests one address or client may make, and what one address and one person
//! may have at once. How much one request may bring is next door, in [`super::server`].

use std::{fmt, num::NonZeroU32, time::Duration};

use super::{
    inputs::{Inputs, Written},
    mistake::Report,
    quantity::{RATE, SIZE, parse_rate, parse_size, show_duration},
};

/// The default of `limits.calls_per_user` (threat 47).
pub const DEFAULT_CALLS_PER_USER: usize = 64;

/// The default of `limits.children_per_user` (threat 47).
pub const DEFAULT_CHILDREN_PER_USER: usize = 64;

// The figures stand in docs/limits.md as well, and a test compares them.
const CONNECTIONS_PER_ADDRESS: usize = 1024;
const CONNECTIONS_PER_USER: usize = 512;
const REQUESTS_PER_ADDRESS: usize = 256;
const REQUESTS_PER_USER: usize = 128;
const BYTES_PER_USER: usize = 32 * 1024 * 1024;
const SIGN_INS_PER_ADDRESS: usize = 1000;

/// So many in so long; as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    /// Never zero.
    pub per: Duration,
}

impl Rate {
    /// `count` in a minute.
    const fn per_minute(count: NonZeroU32) -> Self {
        Self { count, per: Duration::from_secs(60) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, show_duration(self.per))
    }
}

/// What one address (of IPv6: one /64) and one person may ask for, and have at once. A rate that is
/// `None` sets no limit (threat 25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Registering clients and managing them.
    pub registration: Option<Rate>,
    /// Beginning sign-ins and authorizations.
    pub authorize: Option<Rate>,
    /// Tokens exchanged, revoked, introspected.
    pub token: Option<Rate>,
    /// The same for one client at that address.
    pub token_client: Option<Rate>,
    /// Requests with a wrong secret, assertion or access token. Right ones are never held up by
    /// wrong ones.
    pub failures: Option<Rate>,
    /// Open connections of one address without a request yet that proved its sender (threat 62).
    pub connections_per_address: usize,
    /// Open connections of one person.
    pub connections_per_user: usize,
    /// Requests of one address under way that have not proven who asks.
    pub requests_per_address: usize,
    /// Requests of one person under way (threat 47).
    pub requests_per_user: usize,
    /// Bytes of one person's messages that are kept (threat 56).
    pub bytes_per_user: usize,
    /// Sign-ins and authorizations that one address has begun and not finished (threat 63).
    pub sign_ins_per_address: usize,
}

impl Limits {
    /// None at all.
    pub const UNLIMITED: Self = Self {
        registration: None,
        authorize: None,
        token: None,
        token_client: None,
        failures: None,
        connections_per_address: usize::MAX,
        connections_per_user: usize::MAX,
        requests_per_address: usize::MAX,
        requests_per_user: usize::MAX,
        bytes_per_user: usize::MAX,
        sign_ins_per_address: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        let per_minute = |count| NonZeroU32::new(count).map(Rate::per_minute);
        Self {
            registration: per_minute(120),
            authorize: per_minute(300),
            token: per_minute(1200),
            token_client: per_minute(300),
            failures: per_minute(120),
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            connections_per_user: CONNECTIONS_PER_USER,
            requests_per_address: REQUESTS_PER_ADDRESS,
            requests_per_user: REQUESTS_PER_USER,
            bytes_per_user: BYTES_PER_USER,
            sign_ins_per_address: SIGN_INS_PER_ADDRESS,
        }
    }
}

pub(super) fn resolve(inputs: &Inputs<'_>, body_limit: usize, report: &mut Report) -> Limits {
    let mut limits = Limits::default();
    let settings = [
        ("registration", &mut limits.registration),
        ("authorize", &mut limits.authorize),
        ("token", &mut limits.token),
        ("token_client", &mut limits.token_client),
        ("failures", &mut limits.failures),
    ];
    for (name, value) in settings {
        let Some(written) = inputs.setting(&format!("limits.{name}"), report) else { continue };
        if written.text == "unlimited" {
            *value = None;
        } else if let Some((count, per)) = parse_rate(&written.text) {
            *value = Some(Rate { count, per });
        } else {
            report.mistake(written.at, format!("`{}`", written.text), RATE);
        }
    }
    let counts = [
        ("connections_per_address", &mut limits.connections_per_address),
        ("connections_per_user", &mut limits.connections_per_user),
        ("requests_per_address", &mut limits.requests_per_address),
        ("requests_per_user", &mut limits.requests_per_user),
        ("sign_ins_per_address", &mut limits.sign_ins_per_address),
    ];
    for (name, value) in counts {
        let Some(Written { text, at, .. }) = inputs.setting(&format!("limits.{name}"), report)
        else {
            continue;
        };
        match text.parse().ok().filter(|count| *count > 0) {
            Some(count) => *value = count,
            None => report.mistake(at, format!("`{text}`"), "a whole number, 1 at least"),
        }
    }
    limits.bytes_per_user = bytes_per_user(inputs, body_limit, report);
    limits
}

/// What is not set fits the largest body; what is set has to.
fn bytes_per_user(inputs: &Inputs<'_>, body_limit: usize, report: &mut Report) -> usize {
    let default = BYTES_PER_USER.max(body_limit.saturating_mul(2));
    let Some(Written { text, at, .. }) = inputs.setting("limits.bytes_per_user", report) else {
        return default;
    };
    match parse_size(&text) {
        Some(size) if size >= body_limit => size,
        Some(_) => {
            let expected =
                format!("as much as the largest body at least: limits.body is {body_limit} bytes");
            report.mistake(at, format!("`{text}`"), expected);
            default
        }
        None => {
            report.mistake(at, format!("`{text}`"), SIZE);
            default
        }
    }
}

pub(super) fn calls_per_user(inputs: &Inputs<'_>, report: &mut Report) -> usize {
    let Some(Written { text, at, .. }) = inputs.setting("limits.calls_per_user", report) else {
        return DEFAULT_CALLS_PER_USER;
    };
    let parsed = text.parse().ok().filter(|count| *count > 0);
    if parsed.is_none() {
        report.mistake(at, format!("`{text}`"), "a whole number, 1 at least");
    }
    parsed.unwrap_or(DEFAULT_CALLS_PER_USER)
}

pub(super) fn children_per_user(inputs: &Inputs<'_>, report: &mut Report) -> usize {
    let Some(Written { text, at, .. }) = inputs.setting("limits.children_per_user", report) else {
        return DEFAULT_CHILDREN_PER_USER;
    };
    let parsed = text.parse().ok().filter(|count| *count > 0);
    if parsed.is_none() {
        report.mistake(
            at,
            format!("`{text}`"),
            "a whole number, 1 at least: nobody could use a server that is a program with less",
        );
    }
    parsed.unwrap_or(DEFAULT_CHILDREN_PER_USER)
}
