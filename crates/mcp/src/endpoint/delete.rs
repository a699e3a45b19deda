//! DELETE: the client ends its session.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::{answers, context::Endpoint, era, listen::session_of};
use crate::{answer::Answer, caller::Caller};

pub(crate) async fn delete(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Answer, Box<Answer>> {
    era::legacy_alone(headers)?;
    let session = session_of(endpoint, caller, headers).await?;
    // First what is written down, or a request that comes just now would go on with it.
    session.ended.cancel();
    endpoint.lifecycle.forget(&session).await;
    endpoint.sessions.remove(&session);
    // In the background: a server may take its time to end.
    endpoint.lifecycle.end_in_background(session);
    Ok(answers::empty(StatusCode::NO_CONTENT))
}
