//! An identity provider's refresh token ([`ProviderToken`]), kept so that a person's groups can be
//! read anew while they are away, and the rule of when the provider is asked again. The request is
//! `portunus-identity`'s; who asks, the gateway's. Our own refresh tokens are in
//! [`crate::refresh`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    entropy::{Entropy, random_bytes},
    ids::{ProviderName, UserId},
    lifetimes::Lifetimes,
    secret::SecretText,
};

/// How long one gateway has the token for itself. Longer than a request to the provider may take,
/// and shorter than the grace of providers that rotate (Okta: 30 s): if the gateway dies after the
/// provider answered, the next one still gets an answer to the old token.
pub const CLAIM: Duration = Duration::from_secs(15);
/// Between attempts at a provider that does not answer, doubled with each. The second still comes
/// within the grace of the first: its answer may have been lost.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest wait that a provider may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(60 * 60);

/// The refresh token that a provider gave for one person: one for each person, from their latest
/// sign-in that came with one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderToken {
    pub user: UserId,
    pub provider: ProviderName,
    /// The issuer that gave it, and the only one that it is sent to.
    pub issuer: String,
    /// Our client there at the time: the token is no other's (RFC 6749, 6). `None` of one that was
    /// kept before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub token: SecretText,
    /// Another one after each change: who changes it names the one that it found.
    pub version: u64,
    /// The provider is not asked before.
    pub due_at: Timestamp,
    /// Attempts since the last one that came to an end.
    pub failures: u32,
    pub expires_at: Timestamp,
}

impl ProviderToken {
    /// One that a sign-in at `now` came with.
    pub fn begin(
        user: &UserId,
        (provider, issuer): (&ProviderName, &str),
        token: SecretText,
        now: Timestamp,
        lifetimes: &Lifetimes,
        entropy: &dyn Entropy,
    ) -> Self {
        // It begins anywhere: one that took the place of another is never mistaken for it.
        let mut version = [0; 8];
        version[2..].copy_from_slice(&random_bytes(entropy)[..6]);
        Self {
            user: user.clone(),
            provider: provider.clone(),
            issuer: issuer.to_owned(),
            client_id: None,
            token,
            version: u64::from_be_bytes(version),
            due_at: now + lifetimes.groups_pause(),
            failures: 0,
            expires_at: now + lifetimes.grant,
        }
    }

    /// The same, as one that was given to this client of ours.
    #[must_use]
    pub fn given_to(self, client_id: Option<&str>) -> Self {
        Self { client_id: client_id.map(ToOwned::to_owned), ..self }
    }

    /// Was it given to another client than this one? The issuer would answer that it is no token at
    /// all (RFC 6749, 5.2).
    pub fn is_of_another(&self, client_id: Option<&str>) -> bool {
        self.client_id.as_deref().zip(client_id).is_some_and(|(then, now)| then != now)
    }

    /// May the provider be asked?
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at <= now
    }

    /// The same, claimed: no other gateway asks for a while.
    #[must_use]
    pub fn claimed(&self, now: Timestamp) -> Self {
        Self { due_at: now + CLAIM, version: self.version + 1, ..self.clone() }
    }

    /// The same after an answer, with the token that the provider rotated to, if it did.
    #[must_use]
    pub fn read(&self, rotated: Option<SecretText>, now: Timestamp, lifetimes: &Lifetimes) -> Self {
        Self {
            token: rotated.unwrap_or_else(|| self.token.clone()),
            version: self.version + 1,
            due_at: now + lifetimes.groups_pause(),
            failures: 0,
            expires_at: now + lifetimes.grant,
            ..self.clone()
        }
    }

    /// The same after an attempt that came to nothing. `wish` is when the provider wants to be
    /// asked again, if it said so. A rotated token is kept all the same.
    #[must_use]
    pub fn put_off(
        &self,
        rotated: Option<SecretText>,
        now: Timestamp,
        wish: Option<Timestamp>,
    ) -> Self {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        let wish = wish.unwrap_or(now).min(now + LONGEST_WISH);
        Self {
            token: rotated.unwrap_or_else(|| self.token.clone()),
            version: self.version + 1,
            due_at: (now + pause).max(wish),
            failures: self.failures.saturating_add(1),
            ..self.clone()
        }
    }

    /// The same, due at once: what was read could not be written down.
    #[must_use]
    pub fn unread(&self, now: Timestamp) -> Self {
        Self { due_at: now, version: self.version + 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn token() -> ProviderToken {
        ProviderToken::begin(
            &UserId::of("https://idp", "alice"),
            (&ProviderName::from_text("okta"), "https://idp"),
            SecretText::new("first"),
            NOW,
            &Lifetimes::default(),
            &SeededEntropy::new(1),
        )
    }

    #[test]
    fn the_provider_is_asked_once_in_a_while() {
        let seconds = Duration::from_secs;
        let lifetimes = Lifetimes::default();
        let token = token();
        let rotated = || Some(SecretText::new("second"));
        let failed =
            |times: u32| (0..times).fold(token.clone(), |token, _| token.put_off(None, NOW, None));
        let wish = |after: u64| Some(NOW + seconds(after));
        // What came of it, and after how long the provider may be asked again.
        let cases = [
            ("a sign-in", token.clone(), 900),
            ("a claim", token.claimed(NOW), 15),
            ("an answer", token.read(rotated(), NOW, &lifetimes), 900),
            ("one failure", failed(1), 10),
            ("two", failed(2), 20),
            ("five", failed(5), 160),
            ("eight", failed(8), 900),
            ("many", failed(200), 900),
            ("a wish", token.put_off(None, NOW, wish(100)), 100),
            ("a short wish", token.put_off(None, NOW, wish(1)), 10),
            ("an endless wish", token.put_off(None, NOW, wish(1_000_000)), 3600),
            ("not written down", token.unread(NOW), 0),
        ];
        for (what, token, after) in cases {
            assert!(token.is_due(NOW + seconds(after)), "{what}");
            assert!(after == 0 || !token.is_due(NOW + seconds(after - 1)), "{what}");
        }
    }

    #[test]
    fn each_change_has_a_version_of_its_own_and_keeps_the_newest_token() {
        let token = token();
        let second = || Some(SecretText::new("second"));
        let read = token.claimed(NOW).read(second(), NOW, &Lifetimes::default());
        let failed = token.claimed(NOW).put_off(second(), NOW, None);
        let versions =
            [&token, &token.claimed(NOW), &read].map(|token| token.version - self::token().version);
        assert_eq!(versions, [0, 1, 2]);
        assert_eq!([read.token.expose(), failed.token.expose()], ["second"; 2]);
        assert_eq!(token.put_off(None, NOW, None).token.expose(), "first");
        assert_eq!(failed.read(None, NOW, &Lifetimes::default()).failures, 0);
    }
}
