//! Section: how many requests one address or client may make, and how many processes one person may have. How much one request may bring is next door, in [`super::server`].

use std::{fmt, num::NonZeroU32, time::Duration};

use super::{
    DEFAULT_CHILDREN_PER_USER,
    mistake::Report,
    quantity::{RATE, parse_rate, show_duration},
    raw::{Raw, Written},
};

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

/// Requests that one address (of IPv6: one /64) may make; `None` sets no limit (threat 25).
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
    /// Requests with a wrong secret, assertion or access token. Right ones are never held up by wrong ones.
    pub failures: Option<Rate>,
}

impl Limits {
    /// None at all.
    pub const UNLIMITED: Self = Self { registration: None, authorize: None, token: None, token_client: None, failures: None };
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
        }
    }
}

pub(super) fn resolve(raw: &Raw<'_>, report: &mut Report) -> Limits {
    let mut limits = Limits::default();
    let settings = [
        ("registration", &mut limits.registration),
        ("authorize", &mut limits.authorize),
        ("token", &mut limits.token),
        ("token_client", &mut limits.token_client),
        ("failures", &mut limits.failures),
    ];
    for (name, value) in settings {
        let Some(written) = raw.setting(&format!("limits.{name}"), report) else { continue };
        if written.text == "unlimited" {
            *value = None;
        } else if let Some((count, per)) = parse_rate(&written.text) {
            *value = Some(Rate { count, per });
        } else {
            report.mistake(written.at, format!("`{}`", written.text), RATE);
        }
    }
    limits
}

pub(super) fn children_per_user(raw: &Raw<'_>, report: &mut Report) -> usize {
    let Some(Written { text, at, .. }) = raw.setting("limits.children_per_user", report) else {
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
