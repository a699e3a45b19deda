//! Streams outlive the moment their token was checked. So the token is looked up again every now
//! and then, and at once when a invalidation names it or the rules of who is admitted may have
//! changed. A stream ends with its grant, and with a token that was revoked; when access rules no
//! longer allow its server or route, or its person has other groups than when it began: its client
//! begins another, which is judged anew; when its person, client, server or route was disabled. One
//! whose token has run out goes on while its client has another of the same grant, or for a grace
//! in which it may ask for one (FB82): there are clients that never listen again.

use std::{future::Future, sync::Arc, task::Poll, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    response::Response,
};
use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _};
use http::header;
use portunus_core::resource::Resource;

use super::{
    access::StreamAccess,
    bearer::{Bearer, Standing},
    cache::Entry,
};
use crate::edge::providers::Providers;

/// How long a stream may go on after its token has expired, or was revoked though no invalidation
/// came through.
const EVERY: Duration = Duration::from_secs(15);
/// How long a stream goes on while its client has no token that is good: most ask for a new one
/// when they next have something to say.
const GRACE: Duration = Duration::from_secs(300);
/// Parts of a stream that are sent after its end at most, if they are there.
const LAST_EVENTS: usize = 64;

/// The same answer; if it is a stream of events, it ends with its grant.
pub fn while_valid(
    bearer: &Bearer,
    look_up: Arc<Entry>,
    resource: &Resource,
    rules: StreamAccess,
    response: Response,
) -> Response {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"));
    if !is_stream {
        return response;
    }
    let (mut bearer, resource) = (bearer.clone(), resource.clone());
    let configured = bearer.configuration();
    let ended = Box::pin(async move {
        let (first, mut look_up) = (look_up.found.token.hash, look_up);
        // The answer may have taken its time to begin: what changed since the look-up is looked at.
        bearer.admission.mark_changed();
        // Since the look-up, not since now: the answer may have taken its time to begin.
        let mut since = look_up.unconcerned();
        let mut good_at = bearer.clock.now();
        let mut disabled = rules.changes();
        loop {
            // Known without asking anybody, and so by a node that cannot reach its store.
            if rules.is_disabled() {
                tracing::debug!("a stream ends: what it is for was disabled");
                return Rest::Dropped;
            }
            tokio::select! {
                Ok(()) = disabled.changed() => continue,
                () = tokio::time::sleep(EVERY) => {}
                Ok(()) = bearer.admission.changed() => {}
                () = bearer.cache.invalidation_log().until_named(since, &look_up.found) => {}
            }
            since = bearer.cache.invalidation_log().number();
            // In a box, for the time it takes: every idle stream would have room for it.
            let (standing, rest) = match Box::pin(bearer.standing(&look_up, &resource)).await {
                // What it may carry was judged by the configuration that its first token met, and
                // no token outlives that for long.
                Ok(Standing::Live(found))
                    if found.found.token.hash != first
                        && !is_same(configured.as_ref(), &bearer) =>
                {
                    (Standing::Ended, Rest::Dropped)
                }
                Ok(Standing::Live(found)) if !rules.may_go_on(&found.principal) => {
                    (Standing::Ended, Rest::Sent)
                }
                Ok(standing) => (standing, Rest::Dropped),
                // A store that cannot be asked is no reason to end what was allowed.
                Err(_) => (Standing::Live(Arc::clone(&look_up)), Rest::Dropped),
            };
            match standing {
                Standing::Live(found) => (look_up, good_at) = (found, bearer.clock.now()),
                Standing::RunOut if bearer.clock.now().since(good_at) <= GRACE => {}
                Standing::RunOut | Standing::Ended => {
                    tracing::debug!("a stream ends: with its token, or by the access rules");
                    return rest;
                }
            }
        }
    });
    response.map(|body| Body::from_stream(until(ended, body.into_data_stream())))
}

/// What becomes of events that wait to be sent when a stream ends.
enum Rest {
    /// They are not for its client any more.
    Dropped,
    /// Its client may hear them, and is told by the last of them that its lists changed.
    Sent,
}

/// The stream until it is ended.
fn until(
    mut ended: impl Future<Output = Rest> + Unpin,
    mut body: BodyDataStream,
) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let mut left = None;
    futures::stream::poll_fn(move |context| {
        if left.is_none()
            && let Poll::Ready(rest) = ended.poll_unpin(context)
        {
            left = Some(if matches!(rest, Rest::Sent) { LAST_EVENTS } else { 0 });
        }
        match &mut left {
            None => body.poll_next_unpin(context),
            Some(0) => Poll::Ready(None),
            // What is not there yet is not waited for.
            Some(left) => {
                *left -= 1;
                match body.poll_next_unpin(context) {
                    Poll::Pending => Poll::Ready(None),
                    ready @ Poll::Ready(_) => ready,
                }
            }
        }
    })
}

fn is_same(configured: Option<&Providers>, bearer: &Bearer) -> bool {
    configured.zip(bearer.configuration().as_ref()).is_some_and(|(then, now)| then.is_same(now))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future};

    use futures::stream;

    use super::*;

    fn events(how_many: usize) -> BodyDataStream {
        let events = (0..how_many).map(|n| Ok::<_, Infallible>(Bytes::from(n.to_string())));
        let rest = stream::pending();
        Body::from_stream(stream::iter(events).chain(rest)).into_data_stream()
    }

    async fn sent(rest: Rest, waiting: usize) -> usize {
        until(future::ready(rest), events(waiting)).count().await
    }

    #[tokio::test]
    async fn what_waits_when_a_stream_ends_is_sent_if_its_client_may_hear_it() {
        assert_eq!(sent(Rest::Dropped, 3).await, 0);
        assert_eq!(sent(Rest::Sent, 3).await, 3);
        assert_eq!(sent(Rest::Sent, 0).await, 0, "what is not there yet is not waited for");
        assert_eq!(sent(Rest::Sent, LAST_EVENTS + 9).await, LAST_EVENTS);
    }

    #[tokio::test]
    async fn a_stream_that_has_not_ended_goes_on() {
        let stream = until(Box::pin(future::pending()), events(3));
        assert_eq!(stream.take(3).count().await, 3);
    }
}
