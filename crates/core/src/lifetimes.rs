//! How long things live: one struct, one default each.

use std::time::Duration;

use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Lifetimes of everything that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token (`TOKEN_EXPIRATION_TIME`).
    pub access_token: Duration,
    /// A refresh token, from its own minting: each rotation starts it anew.
    pub refresh_token: Duration,
    /// How long a used refresh token still yields the current pair, wherever it comes from (threat
    /// 17).
    pub refresh_grace: Duration,
    /// How long it does if it comes from the address of the family's latest rotation (FB16); `None`
    /// is no longer than the grace.
    pub refresh_reuse: Option<Duration>,
    /// What a person allowed a client, whatever becomes of its tokens: after this long they are
    /// asked to sign in again.
    pub grant: Duration,
    /// An authorization code that was not redeemed (FB15).
    pub authorization_code: Duration,
    /// A sign-in in flight, from the authorization request to the provider's answer.
    pub sign_in: Duration,
    /// A browser's login, from its sign-in.
    pub login: Duration,
    /// A browser's login, from its last use; `None` sets no such limit.
    pub login_idle: Option<Duration>,
    /// A registered client that never redeemed a code. Registration is open to strangers, so such
    /// clients do not last (threat 55).
    pub unused_client: Duration,
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

    /// When a login ends that began at `created_at` and was last used at `last_seen`.
    pub fn login_end(&self, created_at: Timestamp, last_seen: Timestamp) -> Timestamp {
        let end = created_at + self.login;
        self.login_idle.map_or(end, |idle| end.min(last_seen + idle))
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token: 60 * MINUTE,
            refresh_token: 30 * DAY,
            refresh_grace: Duration::from_secs(30),
            refresh_reuse: Some(DAY),
            grant: 90 * DAY,
            authorization_code: 5 * MINUTE,
            sign_in: 10 * MINUTE,
            login: 7 * DAY,
            login_idle: None,
            unused_client: DAY,
        }
    }
}
