//! POST: one message from the client, read and handed to its era.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{answers, era, headers};
use crate::{
    answer::Answer,
    era::Era,
    hub::{Caller, Inner},
    wire,
};

impl Inner {
    pub(crate) async fn post(self: &Arc<Self>, caller: &Caller, map: &HeaderMap, body: Bytes) -> Result<Answer, Box<Answer>> {
        headers::check_post(map)?;
        let message = wire::parse(&body).map_err(|error| Box::new(answers::wire_error(None, &error)))?;
        match era::of(&message, map) {
            Era::Legacy => self.post_legacy(caller, map, message).await,
            Era::Modern => self.post_modern(caller, map, message).await,
        }
    }
}
