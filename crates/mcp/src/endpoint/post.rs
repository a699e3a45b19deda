//! POST: one message from the client, read and handed to its era.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{answers, context::Endpoint, encode, era, headers, legacy, modern};
use crate::{
    answer::Answer,
    caller::Caller,
    calls::observed,
    era::Era,
    wire::{
        self, Message,
        protocol::{method, notification},
    },
};

pub(crate) async fn post(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, Box<Answer>> {
    headers::check_post(headers)?;
    let message =
        wire::parse(&body).map_err(|error| Box::new(answers::wire_error(None, &error)))?;
    within_limits(caller, &message, body.len())?;
    match era::of(&message, headers) {
        Era::Legacy => legacy::post(endpoint, caller, headers, message).await,
        Era::Modern => modern::post(endpoint, caller, headers, message).await,
    }
}

/// Counts what has come, in both eras, before anything is done for it. Pings, answers and what
/// belongs to another request count for nothing.
fn within_limits(caller: &Caller, message: &Message, bytes: usize) -> Result<(), Box<Answer>> {
    let Some(limits) = &caller.limits else { return Ok(()) };
    let request = match message {
        Message::Request(request) if request.method == method::PING => return Ok(()),
        Message::Request(request) => Some(request),
        Message::Notification(told) if is_of_another(&told.method) => return Ok(()),
        Message::Notification(_) => None,
        Message::Response(_) => return Ok(()),
    };
    limits.begin(caller.server(), bytes).map_err(|limited| {
        if let Some(request) = request {
            observed::tell_limited(caller, request, &limited);
        }
        Box::new(encode::limited(request.map(|request| &request.id), &limited))
    })
}

fn is_of_another(notification: &str) -> bool {
    matches!(
        notification,
        notification::INITIALIZED | notification::CANCELLED | notification::PROGRESS
    )
}
