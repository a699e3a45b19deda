//! The client's headers that go along with a request from node to node, bound by the envelope: it
//! names them and carries their digest (threat 69). The receiver takes those headers and no others.
//! What else the envelope says is in [`super::envelope`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Names of headers, and a digest of their values.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BoundHeaders {
    names: Vec<String>,
    digest: String,
}

impl BoundHeaders {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        let digest = digest(&names, headers);
        Self { names, digest }
    }

    /// Of the received headers those that are named. `None` unless they are what the sender sent:
    /// same values, same order, none added.
    pub(super) fn take_from(&self, received: &HeaderMap) -> Option<HeaderMap> {
        if digest(&self.names, received) != self.digest {
            return None;
        }
        let mut taken = HeaderMap::with_capacity(self.names.len());
        for name in &self.names {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            for value in received.get_all(&name) {
                taken.append(name.clone(), value.clone());
            }
        }
        Some(taken)
    }
}

/// Over each name with its values in order. Lengths and counts stand before what they measure, so
/// no two sets of headers give one input.
fn digest(names: &[String], headers: &HeaderMap) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    for name in names {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        part(name.as_bytes());
        part(&(values.len() as u64).to_be_bytes());
        for value in values {
            part(value.as_bytes());
        }
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests;
