//! Shared servers among the nodes: each has an owner node, as users have, and orders for it go
//! there ([`portunus_mcp::shared`] says what stands in them). [`super::listener`] takes them in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use http::StatusCode;
use portunus_core::{
    ids::{ServerName, UserId},
    node::Node,
};
use portunus_mcp::shared::{BrokenOff, OwnerUnknown, Owners, Pieces, Undelivered};

use super::{
    membership::{Member, Owner},
    relay::{ENVELOPE, REFUSED},
};

/// Where a node takes orders in.
pub(super) const PATH: &str = "/order";
/// No user is called like that.
const PREFIX: &str = "server:";

/// The user id that stands for the server: its owner node runs the server.
pub(super) fn user_of(server: &ServerName) -> UserId {
    UserId::from_text(format!("{PREFIX}{server}"))
}

/// The server that is meant, if it is one.
pub(super) fn server_of(user: &UserId) -> Option<ServerName> {
    ServerName::parse(user.as_str().strip_prefix(PREFIX)?).ok()
}

/// How long a node may take to say that it takes an order, which it does before anything else.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// The other nodes, and what they run.
pub struct Neighbours {
    member: Arc<Member>,
    http: reqwest::Client,
}

impl Neighbours {
    pub const fn new(member: Arc<Member>, http: reqwest::Client) -> Self {
        Self { member, http }
    }
}

#[async_trait]
impl Owners for Neighbours {
    async fn owner(&self, server: &ServerName) -> Result<Option<Node>, OwnerUnknown> {
        match self.member.owner(&user_of(server)).await {
            Ok(Owner::ThisNode) => Ok(None),
            Ok(Owner::Other(node)) => Ok(Some(node)),
            Err(error) => {
                tracing::warn!(%server, %error, "where a shared server runs cannot be found out");
                Err(OwnerUnknown)
            }
        }
    }

    fn ask_again(&self, server: &ServerName) {
        self.member.ask_again(&user_of(server));
    }

    async fn send(
        &self,
        to: &Node,
        server: &ServerName,
        order: Bytes,
    ) -> Result<Pieces, Undelivered> {
        let envelope = self
            .member
            .envelopes
            .seal_order(&to.id, server, &order)
            .ok_or(Undelivered::Unreached)?;
        let request =
            self.http.post(format!("{}{PATH}", to.url)).header(ENVELOPE, envelope).body(order);
        let answer = tokio::select! {
            answer = tokio::time::timeout(HEAD_WITHIN, request.send()) => answer,
            () = self.member.live_nodes.once_missing(&to.id) => return Err(Undelivered::Broken),
        };
        let Ok(answer) = answer else {
            tracing::warn!(node = %to.id, url = to.url, %server, "another node has an order and does not say that it takes it");
            return Err(Undelivered::Broken);
        };
        let answer = answer.map_err(|error| {
            tracing::debug!(node = %to.id, url = to.url, %error, "an order was not delivered");
            if error.is_connect() { Undelivered::Unreached } else { Undelivered::Broken }
        })?;
        if answer.headers().contains_key(&REFUSED) {
            if answer.status() != StatusCode::MISDIRECTED_REQUEST {
                tracing::error!(
                    node = %to.id, url = to.url, status = %answer.status(),
                    "another node does not accept what this one sends: have all nodes the same AUTH_SECRET, and the same time?"
                );
            }
            return Err(Undelivered::Unreached);
        }
        if !answer.status().is_success() {
            tracing::warn!(node = %to.id, url = to.url, status = %answer.status(), "another node does not take an order");
            return Err(Undelivered::Broken);
        }
        Ok(answer.bytes_stream().map(|piece| piece.map_err(|_| BrokenOff)).boxed())
    }
}
