//! GET: a stream for what servers say without being asked, or an earlier stream taken up again.

use std::sync::Arc;

use http::HeaderMap;

use super::{
    answers,
    connection::{Connection, Get},
    context::Endpoint,
    encode, era, headers,
};
use crate::{
    answer::Answer,
    caller::Caller,
    calls::judge,
    problem::Problem,
    session::{
        Session,
        requester::Requester,
        resume::{NamedEvent, Origin},
    },
};

/// The session that a request of a legacy client belongs to, in use from now on.
pub(crate) async fn session_of(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    map: &HeaderMap,
) -> Result<Arc<Session>, Box<Answer>> {
    let id = headers::session(map)?;
    endpoint.lifecycle.find(caller, &id).await.map_err(|why| Box::new(answers::no_session(why)))
}

/// Several streams of one session share its messages: each goes to one of them.
pub(crate) async fn listen(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    map: &HeaderMap,
) -> Result<Answer, Box<Answer>> {
    headers::check_get(map)?;
    era::legacy_alone(map)?;
    let session = session_of(endpoint, caller, map).await?;
    let last = headers::last_event(map)?;
    let usage = endpoint.sessions.usage(&session.user);
    let permit = usage
        .stream_permit(endpoint.settings.max_streams_per_user)
        .map_err(|_| Box::new(answers::too_many(None, "streams")))?;
    let keep_alive = endpoint.settings.keep_alive;
    if let Some(operation) = last.as_ref().and_then(|event| session.resumables.operation(&event.id))
    {
        let judged =
            judge::operation(&endpoint.calls, caller, Requester::session(&session), &operation)
                .await;
        judged.map_err(|problem| match problem {
            Problem::NotGranted(refused) => Box::new(encode::refusal(None, refused)),
            _ => Box::new(answers::stream_unknown()),
        })?;
    }
    let allow = || Arc::clone(&caller.allow);
    let found =
        last.as_ref().and_then(|event| Some((event.id, session.resumables.take_up(&event.id)?)));
    let connection = match (found, last) {
        (Some((event, stream)), _) => {
            Connection::again(Arc::clone(&session), allow(), stream, event, keep_alive)
        }
        (None, Some(NamedEvent { id, request: Some(request) }))
            if session.resumables.is_lost(&id) =>
        {
            return Ok(answers::lost(&request));
        }
        // A call's answer is nowhere else to be had; what a listening stream missed is lost, but it
        // can listen on.
        (None, Some(event)) if event.id.origin == Origin::Call => {
            return Err(Box::new(answers::stream_unknown()));
        }
        (None, _) => Connection::begin(
            Arc::clone(&session),
            allow(),
            session.resumables.open_listening(),
            keep_alive,
        ),
    };
    Ok(connection.into_answer_to_get(Get::new(&session, endpoint.closing.clone(), permit)))
}
