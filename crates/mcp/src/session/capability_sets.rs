//! How many sets of capabilities the clients of one person may declare (threat 56). Lists and
//! connections are kept for each set, and each request of a modern client brings one: without a
//! bound, one person could have as many lists and connections as requests.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use portunus_core::ids::UserId;
use tokio::time::Instant;

use crate::{client_capabilities::ClientCapabilities, sync::locked};

/// Sets of one person that are told apart; more than their applications have.
pub(crate) const MAX_PER_USER: usize = 16;
/// A set that was not declared for so long is forgotten, as are the lists that were kept for it.
pub(crate) const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// What each person's clients declared lately.
#[derive(Default)]
pub(crate) struct CapabilitySets(Mutex<HashMap<UserId, Vec<(ClientCapabilities, Instant)>>>);

impl CapabilitySets {
    /// The set to go on with: the declared one, or what MCP itself defines of it when the person
    /// has too many already.
    pub(crate) fn admit(
        &self,
        user: &UserId,
        declared: ClientCapabilities,
        now: Instant,
    ) -> ClientCapabilities {
        if declared.is_basic() {
            return declared;
        }
        let mut users = locked(&self.0);
        let known = users.entry(user.clone()).or_default();
        if let Some((_, used_at)) = known.iter_mut().find(|(known, _)| *known == declared) {
            *used_at = now;
            return declared;
        }
        known.retain(|(_, used_at)| now.duration_since(*used_at) < FORGET_AFTER);
        if known.len() >= MAX_PER_USER {
            tracing::info!(%user, "the clients of one person declare too many different capabilities: only those that MCP defines count");
            return declared.basic();
        }
        known.push((declared.clone(), now));
        declared
    }

    /// Forgets what was not declared for long.
    pub(crate) fn sweep(&self, now: Instant) {
        locked(&self.0).retain(|_, known| {
            known.retain(|(_, used_at)| now.duration_since(*used_at) < FORGET_AFTER);
            !known.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Payload;

    fn client_capabilities(text: &str) -> ClientCapabilities {
        ClientCapabilities::of(Some(&Payload::from_json(text).unwrap()))
    }

    fn odd(n: usize) -> ClientCapabilities {
        client_capabilities(&format!(
            r#"{{"roots":{{"listChanged":true}},"elicitation":{{"url":{{}}}},"experimental":{{"x":{{"n":{n}}}}}}}"#
        ))
    }

    #[test]
    fn t56_one_person_has_so_many_capability_sets_and_no_more() {
        let (sets, now) = (CapabilitySets::default(), Instant::now());
        let (alice, bob) = (UserId::of("idp", "alice"), UserId::of("idp", "bob"));
        let mut admitted = std::collections::HashSet::new();
        for n in 0..1000 {
            admitted.insert(sets.admit(&alice, odd(n), now));
        }
        assert_eq!(admitted.len(), MAX_PER_USER + 1);
        assert!(
            admitted.contains(&client_capabilities(r#"{"roots":{},"elicitation":{"url":{}}}"#)),
            "what MCP defines is left of the rest"
        );
        assert_eq!(sets.admit(&alice, odd(3), now), odd(3), "known ones go on to count");
        assert_eq!(sets.admit(&bob, odd(500), now), odd(500), "another person");
        for plain in [
            "{}",
            r#"{"sampling":{}}"#,
            r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#,
        ] {
            assert_eq!(
                sets.admit(&alice, client_capabilities(plain), now),
                client_capabilities(plain),
                "{plain}"
            );
        }
        let later = now + FORGET_AFTER;
        assert_eq!(sets.admit(&alice, odd(500), later), odd(500));
        sets.sweep(later + FORGET_AFTER);
        assert!(locked(&sets.0).is_empty());
    }
}
