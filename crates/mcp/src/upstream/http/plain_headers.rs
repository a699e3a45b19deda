//! The servers that take headers beyond ASCII as plain UTF-8 only. The form of a request's headers
//! is chosen next door, in [`super::post`].

use std::{collections::HashSet, sync::Mutex};

use http::Uri;

use crate::sync::locked;

/// The addresses of servers that do not know the base64 form of headers (FB80). A server that turns
/// out to know it is removed again.
#[derive(Debug, Default)]
pub(crate) struct PlainHeaders(Mutex<HashSet<Uri>>);

impl PlainHeaders {
    pub(super) fn are_for(&self, server: &Uri) -> bool {
        locked(&self.0).contains(server)
    }

    pub(super) fn note(&self, server: &Uri, are_plain: bool) {
        let mut servers = locked(&self.0);
        if are_plain {
            servers.insert(server.clone());
        } else {
            servers.remove(server);
        }
    }
}
