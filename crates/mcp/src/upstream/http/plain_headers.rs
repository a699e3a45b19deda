//! Which servers take headers that are no ASCII as UTF-8 alone. In which form a request is sent is decided next door, in [`super::post`].

use std::{collections::HashSet, sync::Mutex};

use http::Uri;

use crate::sync::locked;

/// The addresses of servers that do not know the base64 form of headers, found out once for each (FB80). One that turns out to know it is taken
/// out again.
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
