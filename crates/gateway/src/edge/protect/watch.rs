//! Streams outlive the moment their token was checked. So the token is looked up again every now and then, and at once when a
//! bulletin names it or the rules of who is admitted may have changed, and a stream whose token has expired or was revoked, or whose person
//! is not admitted any more, ends.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use futures::StreamExt as _;
use http::header;
use portunus_core::resource::Resource;

use super::{bearer::Bearer, cache::Entry};

/// How long a stream may go on after its token has expired, or was revoked though no bulletin came through.
const EVERY: Duration = Duration::from_secs(15);

/// The same answer; if it is a stream of events, it ends with its token.
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
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                Ok(()) = bearer.admission.changed() => {}
                () = bearer.cache.news().until_named(since, &look_up.found) => {}
            }
            since = bearer.cache.news().number();
            // A store that cannot be asked is no reason to end what was allowed.
            if matches!(bearer.is_live(&look_up.found.token.hash, &resource).await, Ok(false)) {
                tracing::debug!("a stream ends with its token");
                return;
            }
        }
    });
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended)))
}
