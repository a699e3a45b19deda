//! How long things live: the section `lifetimes` of the configuration, which the rules read.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    principal::User,
    settings,
    settings::{DurationForm, duration},
};

const MINUTE: Duration = Duration::from_secs(60);

/// How long an access token may live.
pub const ACCESS_TOKEN: DurationForm = duration("1s", "365d");

settings! {
    /// Lifetimes of everything that expires.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Lifetimes: "How long things live" {
        /// An access token (`TOKEN_EXPIRATION_TIME`).
        access_token: Duration = "60m", ACCESS_TOKEN,
            "An access token. Default: {default} (TOKEN_EXPIRATION_TIME, in milliseconds, wins)";
        /// A refresh token, from its own minting: each rotation starts it anew.
        refresh_token: Duration = "30d", duration("1m", "3650d"),
            "A refresh token, from each use anew";
        /// How long a used refresh token still yields the current pair, wherever it comes from
        /// (threat 17).
        refresh_grace: Duration = "30s", duration("0s", "5m"),
            "How long a used refresh token still gives the current pair of tokens, wherever it comes from",
            details("For clients that race with themselves. At most 5m. With Redis a minute more, by which the clocks of gateways may differ");
        /// How long it does if it comes from the address of the family's latest rotation (FB16);
        /// `None` is no longer than the grace.
        refresh_reuse: Option<Duration> = "24h", duration("1s", "7d").or_off(),
            "How long it does so from the address that the pair was issued to: off, or up to 7d",
            details("The address of the latest refresh (of IPv6, the /64): for processes that share one stored token. Any other used token revokes everything the client was given ([decision 50](decisions/0050-families-of-refresh-tokens.md)). Behind a proxy, `trusted_proxies` must name it, or all have its address");
        /// What a person allowed a client, whatever becomes of its tokens: after this long they are
        /// asked to sign in again.
        grant: Duration = "90d", duration("1m", "3650d"),
            "What a person allowed a client, whatever is refreshed in between",
            details("Then they are asked to sign in again");
        /// What a provider said of a person, from when it said so; `None` sets no such limit. Then
        /// they sign in again, unless it could be read anew.
        groups: Option<Duration> = "7d", duration("1m", "365d").or_off(),
            "What the provider said of a person (groups, address), unless it is read anew: after that they sign in again. off: for as long as the grant",
            details("See [groups](#groups)");
        /// How long after one look another is taken, for providers that let it be read anew.
        groups_interval: Duration = "15m", duration("10s", "1d"),
            "How long after a look at a person's groups the provider is asked again, if it gave a refresh token",
            details("At most half of `groups`");
        /// The longest life of an agent key, from its making.
        agent_key: Duration = "365d", duration("1m", "3650d"),
            "The longest life that an agent key can be given",
            details("`portunus keys create --expires`; those that were made keep theirs ([keys](keys.md))");
        /// An authorization code that was not redeemed (FB15).
        authorization_code: Duration = "5m", duration("1s", "10m"), "An authorization code",
            details("At most 10m; it works once");
        /// A sign-in in flight, from the authorization request to the provider's answer.
        sign_in: Duration = "10m", duration("10s", "1d"), "A sign-in in flight",
            details("From a client's request to the provider's answer");
        /// A browser's login, from its sign-in.
        login: Duration = "7d", duration("1m", "365d"), "A browser's login, from its sign-in";
        /// A browser's login, from its last use; `None` sets no such limit.
        login_idle: Option<Duration> = "no such limit", duration("1m", "365d").optional(),
            "A browser's login, from its last use";
        /// A registered client that never redeemed a code. Registration is open to strangers, so
        /// such clients do not last (threat 55).
        unused_client: Duration = "1d", duration("1m", "3650d"),
            "A registered client that was never used",
            details("Strangers can make one. A client that finds itself forgotten registers again");
    }
}

/// How far the clocks of gateways on one store may be apart (F7).
const CLOCKS_APART: Duration = MINUTE;

impl Lifetimes {
    /// The same where several gateways share the work. A refresh token that one of them has
    /// exchanged a moment ago may look to another as if that were a minute ago; without this, two
    /// requests at once would look like theft.
    #[must_use]
    pub fn of_several_gateways(self) -> Self {
        Self { refresh_grace: self.refresh_grace + CLOCKS_APART, ..self }
    }

    /// How long an access token must live yet to be handed out again: one that ends at once is of
    /// no use to a client.
    pub fn least_left(&self) -> Duration {
        MINUTE.min(self.access_token / 4)
    }

    /// How long after one look at a person's groups another is taken.
    pub fn groups_pause(&self) -> Duration {
        self.groups.map_or(self.groups_interval, |most| self.groups_interval.min(most / 2))
    }

    /// Does what the provider said of a person still count?
    pub fn is_described_lately(&self, user: &User, now: Timestamp) -> bool {
        self.groups.is_none_or(|most| now < user.described_at() + most)
    }

    /// When a login ends that began at `created_at` and was last used at `last_seen`.
    pub fn login_end(&self, created_at: Timestamp, last_seen: Timestamp) -> Timestamp {
        let end = created_at + self.login;
        self.login_idle.map_or(end, |idle| end.min(last_seen + idle))
    }
}
