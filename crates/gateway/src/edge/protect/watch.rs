//! Streams outlive the moment their token was checked. So the token is looked up again every now and then, and at once when a
//! invalidation names it or the rules of who is admitted may have changed. A stream ends with its grant, and with a token that was revoked; one whose
//! token has run out goes on while its client has another of the same grant, or for a grace in which it may ask for one (FB82): there are
//! clients that never listen again.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use futures::StreamExt as _;
use http::header;
use portunus_core::{Timestamp, resource::Resource};

use super::{
    bearer::{Bearer, Standing},
    cache::Entry,
};

/// How long a stream may go on after its token has expired, or was revoked though no invalidation came through.
const EVERY: Duration = Duration::from_secs(15);
/// How long a stream goes on while its client has no token that is good: most ask for a new one when they next have something to say.
const GRACE: Duration = Duration::from_secs(300);

/// The same answer; if it is a stream of events, it ends with its grant.
pub fn while_valid(bearer: &Bearer, look_up: Arc<Entry>, resource: &Resource, response: Response) -> Response {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"));
    if !is_stream {
        return response;
    }
    let (mut bearer, resource) = (bearer.clone(), resource.clone());
    let ended = Box::pin(async move {
        // The answer may have taken its time to begin: what changed since the look-up is looked at.
        bearer.admission.mark_changed();
        // Since the look-up, not since now: the answer may have taken its time to begin.
        let mut since = look_up.unconcerned();
        let mut good_at = bearer.clock.now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                Ok(()) = bearer.admission.changed() => {}
                () = bearer.cache.invalidation_log().until_named(since, &look_up.found) => {}
            }
            since = bearer.cache.invalidation_log().number();
            // A store that cannot be asked is no reason to end what was allowed.
            let standing = bearer.standing(&look_up.found, &resource).await.unwrap_or(Standing::Live);
            let Some(at) = good_until_now(standing, good_at, bearer.clock.now()) else {
                tracing::debug!("a stream ends with its token");
                return;
            };
            good_at = at;
        }
    });
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended)))
}

/// When a stream's client had a good token last, which was at `good_at` so far; `None`: the stream ends.
fn good_until_now(standing: Standing, good_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    match standing {
        Standing::Live => Some(now),
        Standing::RunOut => (now.since(good_at) <= GRACE).then_some(good_at),
        Standing::Ended => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fb82_a_stream_outlives_its_token_for_a_grace_and_never_its_grant() {
        let good_at = Timestamp::from_secs(1000);
        let cases = [
            (Standing::Live, 1, Some(1001)),
            (Standing::Live, 10_000, Some(11_000)),
            (Standing::RunOut, 15, Some(1000)),
            (Standing::RunOut, 300, Some(1000)),
            (Standing::RunOut, 301, None),
            (Standing::Ended, 0, None),
        ];
        for (standing, seconds, expected) in cases {
            let now = good_at + Duration::from_secs(seconds);
            let expected = expected.map(Timestamp::from_secs);
            assert_eq!(good_until_now(standing, good_at, now), expected, "{standing:?} after {seconds} s");
        }
    }
}
