//! Section: how much a request may take, how many requests one address or client may make, and what
//! one address and one person may have at once.

use std::{fmt, num::NonZeroU32, time::Duration};

use portunus_core::{
    settings,
    settings::{
        Custom, SIZE, Setting, Settings as _, ValueType, count, custom,
        quantity::{self, parse_rate, parse_size, show_duration},
    },
};

use super::{
    call_limits::CALL_LIMITS,
    inputs::{Inputs, Written},
    mistake::Report,
};

pub(super) const LIMITS: Setting = Setting::new(
    "limits",
    ValueType::Section(&Limits::SECTION),
    "How much a request may take, and how many requests one address may make: 60/m, 1000/10m, unlimited",
);

// The figures stand in docs/limits.md as well, and `./test house` compares them.
settings! {
    /// What one address (of IPv6: one /64) and one person may ask for, and have at once. A rate
    /// that is `None` sets no limit (threat 25).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Limits: "How much a request may take, and how many one address may make" {
        /// The most bytes a request body may have (threat 47).
        body: usize = "4MiB", SIZE.at_least("1KiB", "nothing could be called with less"),
            "The largest request body",
            details("In bytes, or with a unit (`KiB`, `MiB`)");
        /// How many calls of one person may be at work at once (threat 47).
        calls_per_user: usize = "64", count::<usize>(),
            "Calls of one person that may be at work at once",
            details("Up to 256 more wait for two seconds for others to end; then they get 429 with `Retry-After`. Calls that wait for their client's input (`input_required`) are counted apart, 256 of them");
        /// How many child processes one person may have at once (threat 47).
        children_per_user: usize = "64",
            count::<usize>().expected("a whole number, 1 at least: nobody could use a server that is a program with less"),
            "Server processes that one person may have at once",
            details("Of the 256 that there may be. Each client, and each session that can be asked something, has its own; those that all people share do not count. One more closes the longest idle of theirs, and is refused when none is idle");
        /// Registering clients and managing them.
        registration: Option<Rate> = "120/m", RATE_OR_UNLIMITED, "Clients registered or managed",
            details("By themselves, too");
        /// Beginning sign-ins and authorizations.
        authorize: Option<Rate> = "300/m", RATE_OR_UNLIMITED, "Sign-ins and authorizations begun",
            details("Each step counts");
        /// Tokens exchanged, revoked, introspected.
        token: Option<Rate> = "1200/m", RATE_OR_UNLIMITED,
            "Tokens exchanged, revoked or introspected";
        /// The same for one client at that address.
        token_client: Option<Rate> = "300/m", RATE_OR_UNLIMITED, "The same, by one client there",
            details("Raise it for a server that introspects each request");
        /// Open connections of one address without a request yet that proved its sender (threat
        /// 62).
        connections_per_address: usize = "1024", count::<usize>(),
            "Open connections of one address on which nobody has signed in yet",
            details("Those of `trusted_proxies` do not count");
        /// Open connections of one person.
        connections_per_user: usize = "512", count::<usize>(), "Open connections of one person";
        /// Requests of one address under way that have not proven who asks.
        requests_per_address: usize = "256", count::<usize>(),
            "Requests of one address under way that have not proven who asks",
            details("Those without a valid token");
        /// Requests of one person under way (threat 47).
        requests_per_user: usize = "128", count::<usize>(),
            "Requests of one person under way, proxied ones included",
            details("Messages to the head of their answer, proxied requests to their last byte");
        /// Bytes of one person's messages that are kept (threat 56). A body fits in any case.
        bytes_per_user: usize = "32MiB", SIZE,
            "Bytes of one person's messages that are kept at once",
            details("Twice `body` if that is more");
        /// Sign-ins and authorizations that one address has begun and not finished (threat 63).
        sign_ins_per_address: usize = "1000", count::<usize>(),
            "Sign-ins and authorizations that one address has begun and not finished";
        /// Requests with a wrong secret, assertion or access token. Right ones are never held up by
        /// wrong ones.
        failures: Option<Rate> = "120/m", RATE_OR_UNLIMITED,
            "Wrong secrets, assertions and access tokens",
            details("Right ones from the same address go on working");
        key calls: CALL_LIMITS,
            "Limits for each person, client, server or tool";
    }
}

/// So many in so long; as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    /// Never zero.
    pub per: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, show_duration(self.per))
    }
}

const RATE_OR_UNLIMITED: Custom<Option<Rate>> = custom(ValueType::RateOrUnlimited, |text| {
    if text == "unlimited" {
        return Ok(None);
    }
    let (count, per) = parse_rate(text).ok_or(quantity::RATE_OR_UNLIMITED)?;
    Ok(Some(Rate { count, per }))
});

impl Limits {
    /// Limits that a reload tells of by their own names, and not as `limits`.
    pub(super) const TOLD_BY_NAME: [&str; 3] = ["body", "calls_per_user", "children_per_user"];

    /// Neither rates nor bounds of what is there at once; the sizes of bodies and what the calls of
    /// one person take stay at their defaults.
    pub fn unlimited() -> Self {
        Self {
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
            ..Self::default()
        }
    }
}

pub(super) fn resolve(inputs: &Inputs<'_>, report: &mut Report) -> Limits {
    let mut limits = Limits::default();
    limits.read(&mut inputs.section("limits", report));
    fit_a_body(&mut limits, inputs, report);
    limits
}

/// What is not set fits two of the largest bodies; what is set has to fit one.
fn fit_a_body(limits: &mut Limits, inputs: &Inputs<'_>, report: &mut Report) {
    let body = limits.body;
    let written = inputs.setting("limits.bytes_per_user", report);
    match written.and_then(|Written { text, at, .. }| Some((parse_size(&text)?, text, at))) {
        Some((size, ..)) if size >= body => {}
        Some((_, text, at)) => {
            let expected =
                format!("as much as the largest body at least: limits.body is {body} bytes");
            report.mistake(at, format!("`{text}`"), expected);
        }
        None => limits.bytes_per_user = limits.bytes_per_user.max(body.saturating_mul(2)),
    }
}
