//! Sends a request to another node, sealed in an [`envelope`](super::envelope), and says what
//! became of it. What a forwarded request needs beside is in [`super::relay`], what a shared server
//! needs in [`super::servers`]; [`super::listener`] is the other end.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use portunus_core::node::Node;

use super::{envelope::About, membership::Member};

/// Where a node takes requests of other nodes in.
pub(super) const PATH: &str = "/errand";
pub(super) const ENVELOPE: HeaderName = HeaderName::from_static("portunus-envelope");
/// On answers of the node itself, which no client is to see.
pub(super) const REFUSED: HeaderName = HeaderName::from_static("portunus-refused");

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// That node does not own the user's sessions, or the server. Nothing has been done.
    NotOwner,
    /// Nothing has been done.
    Unreached,
    /// It is not known what has been done.
    Broken,
}

/// To the other nodes.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) member: Arc<Member>,
    pub(super) http: reqwest::Client,
}

/// What is sent.
pub(super) struct Outgoing {
    pub(super) about: About,
    /// Those that go along, which a forwarded request binds.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Sender {
    /// Sends it and waits for the head of the answer, until the node is missed or `late` is over.
    pub(super) async fn send(
        &self,
        node: &Node,
        Outgoing { about, headers, body }: Outgoing,
        late: impl Future<Output = ()>,
    ) -> Result<reqwest::Response, Undelivered> {
        let envelope =
            self.member.envelopes.seal(&node.id, about, &body).ok_or(Undelivered::Unreached)?;
        let request = self
            .http
            .post(format!("{}{PATH}", node.url))
            .headers(headers)
            .header(ENVELOPE, envelope)
            .body(body);
        let answer = tokio::select! {
            answer = request.send() => answer,
            // It has the request and may hang for ever.
            () = self.member.live_nodes.once_missing(&node.id) => {
                tracing::debug!(node = %node.id, url = node.url, "the node that has a request of this one is gone");
                return Err(Undelivered::Broken);
            }
            () = late => {
                tracing::warn!(node = %node.id, url = node.url, "another node has a request and does not say that it takes it");
                return Err(Undelivered::Broken);
            }
        };
        let answer = answer.map_err(|error| {
            tracing::debug!(node = %node.id, url = node.url, %error, "a request was not delivered to another node");
            if error.is_connect() { Undelivered::Unreached } else { Undelivered::Broken }
        })?;
        if !answer.headers().contains_key(&REFUSED) {
            return Ok(answer);
        }
        if answer.status() == StatusCode::MISDIRECTED_REQUEST {
            return Err(Undelivered::NotOwner);
        }
        tracing::error!(
            node = %node.id, url = node.url, status = %answer.status(),
            "another node does not accept what this one sends: have all nodes the same AUTH_SECRET, and the same time?"
        );
        Err(Undelivered::Unreached)
    }
}
