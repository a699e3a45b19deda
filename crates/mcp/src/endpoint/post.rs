//! POST: one message from the client, read and handed to its era.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{answers, context::Endpoint, era, headers, legacy, modern};
use crate::{answer::Answer, caller::Caller, era::Era, wire};

pub(crate) async fn post(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, Box<Answer>> {
    headers::check_post(headers)?;
    let message =
        wire::parse(&body).map_err(|error| Box::new(answers::wire_error(None, &error)))?;
    match era::of(&message, headers) {
        Era::Legacy => legacy::post(endpoint, caller, headers, message).await,
        Era::Modern => modern::post(endpoint, caller, headers, message).await,
    }
}
