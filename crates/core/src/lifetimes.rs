//! How long things live: one struct, one default each.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Lifetimes of everything that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token (`TOKEN_EXPIRATION_TIME`).
    pub access_token: Duration,
    /// A refresh token, from its own minting: each rotation starts it anew.
    pub refresh_token: Duration,
    /// How long a used refresh token still yields the same successor (threat 17).
    pub refresh_grace: Duration,
    pub authorization_code: Duration,
    /// A sign-in in flight, from the authorization request to the provider's answer.
    pub sign_in: Duration,
    /// A browser's login.
    pub login: Duration,
    /// A registered client that never redeemed a code.
    pub unused_client: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token: 60 * MINUTE,
            refresh_token: 30 * DAY,
            refresh_grace: Duration::from_secs(30),
            authorization_code: MINUTE,
            sign_in: 10 * MINUTE,
            login: 7 * DAY,
            unused_client: 90 * DAY,
        }
    }
}
