//! Shared servers among the nodes: each has an owner node, as users have, and requests to it go
//! there ([`portunus_mcp::shared`] says what stands in them).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderMap;
use portunus_core::{
    ids::{ServerName, UserId},
    node::Node,
};
use portunus_mcp::shared::{BrokenOff, OwnerUnknown, Owners, Pieces, Undelivered};

use super::{
    envelope::About,
    membership::{Member, Owner},
    sender::{self, Outgoing, Sender},
};

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

/// How long a node may take to say that it takes a request to a shared server, which it does before
/// anything else.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// The other nodes, and what they run.
pub struct Neighbours {
    sender: Sender,
}

impl Neighbours {
    pub const fn new(member: Arc<Member>, http: reqwest::Client) -> Self {
        Self { sender: Sender { member, http } }
    }
}

#[async_trait]
impl Owners for Neighbours {
    async fn owner(&self, server: &ServerName) -> Result<Option<Node>, OwnerUnknown> {
        match self.sender.member.owner(&user_of(server)).await {
            Ok(Owner::ThisNode) => Ok(None),
            Ok(Owner::Other(node)) => Ok(Some(node)),
            Err(error) => {
                tracing::warn!(%server, %error, "where a shared server runs cannot be found out");
                Err(OwnerUnknown)
            }
        }
    }

    fn ask_again(&self, server: &ServerName) {
        self.sender.member.ask_again(&user_of(server));
    }

    async fn send(
        &self,
        to: &Node,
        server: &ServerName,
        request: Bytes,
    ) -> Result<Pieces, Undelivered> {
        let about = About::SharedServer { shared_server: server.clone() };
        let outgoing = Outgoing { about, headers: HeaderMap::new(), body: request };
        let late = tokio::time::sleep(HEAD_WITHIN);
        let answer =
            self.sender.send(to, outgoing, late).await.map_err(
                |undelivered| match undelivered {
                    sender::Undelivered::NotOwner | sender::Undelivered::Unreached => {
                        Undelivered::Unreached
                    }
                    sender::Undelivered::Broken => Undelivered::Broken,
                },
            )?;
        if !answer.status().is_success() {
            tracing::warn!(node = %to.id, url = to.url, %server, status = %answer.status(), "another node does not take a request to a shared server");
            return Err(Undelivered::Broken);
        }
        Ok(answer.bytes_stream().map(|piece| piece.map_err(|_| BrokenOff)).boxed())
    }
}
